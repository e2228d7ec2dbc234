"""The command line; what it refuses is in test_wrong_inputs.py."""

import os
import shutil
import subprocess
import sys

import pytest

from ieee_lib import Scale
from ieee_lib.book.run import declared
from ieee_lib.book.sections import SECTIONS
from ieee_lib.book.terminal import typed_corpus
from ieee_lib.cli import _parse, main
from ieee_lib.runs.store import Archive, RunStore
from ieee_lib.text.sources import open_source
from tests.conftest import ROOT


@pytest.fixture
def project(home):
    (home / "notebooks").symlink_to(ROOT / "notebooks")
    return home


@pytest.mark.parametrize("scale", Scale.names())
def test_a_plan_is_printed_for_every_scale_without_text_or_torch(project, capsys, scale):
    assert main(["plan", "--scale", scale]) == 0
    printed = capsys.readouterr().out
    assert "01 Overfitting baseline" in printed and "hours at" in printed and "assumed" in printed
    assert ("Its text is not here yet: corpus = " in printed) == (scale == "workstation")
    assert not (project / "data").exists()


def test_what_is_typed_is_relative_to_the_working_directory(project, capsys, monkeypatch):
    """Whatever signs its name has: the one text in it is found, and is too little."""
    folder = project / "my [odd] folder"
    folder.mkdir()
    (folder / "a.txt").write_text("one text")
    monkeypatch.chdir(folder)
    command = ("reproduce", "--scale", "smoke", "--only", "00", "--corpus")
    assert main((*command, "files:*.txt")) == 2
    assert "the train split of files:" in capsys.readouterr().err
    (project / "data" / "b.txt").write_text("another")
    assert [p.name for p in open_source("files:*.txt").paths()] == ["b.txt"]


def test_the_plan_of_the_paper_costs_what_the_paper_says(project, capsys):
    """6ND: 300M at 200M tokens and 16 epochs take 6.0e18 FLOP; ours leaves the embedding out."""
    scale = Scale.load("paper")
    spec = scale.spec("300M", corpus="0" * 16, wd=1.6, lr=3e-3, epochs=16)
    assert 6 * spec.model.count().total * spec.tokens == pytest.approx(6.0e18, rel=0.01)
    assert 0.6 < spec.flops / 6.0e18 < 1.0


def explained(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([*words, "--help"])
    assert stop.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_commands_are_explained(capsys):
    printed = explained(capsys)
    commands = ("reproduce", "try", "plan", "figures", "export", "archive", "readme")
    assert all(name in printed for name in commands)


def test_help_says_defaults_and_every_parameter_of_the_notebooks(capsys):
    printed = explained(capsys, "reproduce")
    assert "or a .toml (default: laptop)" in printed and "(default: train)" in printed
    assert "default: all of the paper" in printed and "(default: [])" not in printed
    names = set().union(*(declared(section.path) for section in SECTIONS.values()))
    listed = printed.partition("-p NAME VALUE a parameter")[2]
    assert {n for n in names if n not in listed} <= {"scale", "corpus", "source"}
    assert "(default: svg,pdf,png)" in explained(capsys, "figures")


def test_a_budget_explains_its_rows(project, capsys):
    assert main(["plan", "--scale", "smoke", "--budget-minutes", "1"]) == 0
    printed = capsys.readouterr().out
    for column in ("runs left", "min", "end", "too long", "predicted"):
        assert f"{column}: " in printed or f'"{column}"' in printed, column


ASCII = (
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)


@pytest.mark.parametrize("variables", ASCII, ids=["PYTHONIOENCODING", "LC_ALL"])
@pytest.mark.slow
def test_a_terminal_that_knows_ascii_only_stops_no_command(home, variables):
    """What it lacks is replaced: the dot between a caption's parts by a bar."""
    store = RunStore.of("laptop")
    for record in list(Archive.of("laptop").records())[:5]:
        store.put(record)
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
    commands = [[*words, "--help"] for words in ([], ["plan"], ["reproduce"])]
    if "LC_ALL" in variables:
        commands += [["archive", "verify"], ["archive", "diff"]]
    for words in commands:
        command = [sys.executable, "-m", "ieee_lib", *words]
        done = subprocess.run(command, env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.isascii() and done.stdout
        if words == ["archive", "verify"]:
            assert b"laptop scale | stdlib" in done.stdout and b"intact; draws" in done.stdout


def test_make_takes_an_interpreter_and_a_scale_with_spaces(tmp_path):
    if shutil.which("make") is None:
        pytest.skip("needs make")
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "my python"
    python.write_text('#!/bin/sh\nfor word; do echo "$word"; done > called\nexit 1\n')
    python.chmod(0o755)
    command = ["make", "setup", f"PYTHON={python}"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 2
    assert (tmp_path / "called").read_text().split() == ["-m", "venv", ".venv"]
    command = ["make", "-n", "plan", "SCALE=my scale.toml"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert 'plan --scale "my scale.toml"' in printed


def test_figures_come_from_the_archive_where_nothing_was_trained(project, capsys):
    """As in a fresh clone; who has records of a scale sees those."""
    assert main(["figures", "--only", "04", "--format", "svg"]) == 0
    drawn = project / "figures" / "recorded" / "laptop" / "fig06_joint_limit.svg"
    assert drawn.is_file() and "drawing the recorded runs" in capsys.readouterr().out
    RunStore.of("laptop").put(next(iter(Archive.of("laptop").records())))
    drawn.unlink()
    assert main(["figures", "--only", "04", "--format", "svg"]) == 2  # its other runs are not here
    assert not drawn.exists() and "recorded runs" not in capsys.readouterr().out


def test_readme_blocks_follow_the_files(project, capsys):
    (project / "t.md").write_text("| a |\n")
    text = "x\n<!-- include: t.md -->\nold\n<!-- end -->\ny\n"
    (project / "README.md").write_text(text)
    assert main(["readme", "--check"]) == 1
    assert main(["readme"]) == 0 and main(["readme", "--check"]) == 0
    assert (project / "README.md").read_text() == text.replace("old", "| a |")
    shutil.copy(project / "README.md", project / "kept")
    (project / "t.md").unlink()
    assert main(["readme"]) == 2


def test_a_missing_package_is_named(project):
    program = "import sys; sys.modules['seaborn'] = None; from ieee_lib.cli import main;"
    program += "sys.exit(main(['bench', 'coverage']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: package = 'seaborn': is not installed; pip install it\n"


def test_a_text_below_data_is_named_without_the_folders_of_this_machine(project, monkeypatch):
    """So that a record, and an archive of records, can be read elsewhere."""
    (project / "data" / "text").mkdir(parents=True)
    monkeypatch.chdir(project / "data" / "text")
    assert typed_corpus("files:*.txt") == "files:text/*.txt"
    monkeypatch.chdir(project)
    assert typed_corpus("files:data/text/*.txt") == "files:text/*.txt"
    assert typed_corpus("files:elsewhere/*.txt") == f"files:{project}/elsewhere/*.txt"


TYPED = [
    (["--split", "line", "--text-field", "a b"], "--split line --text-field 'a b'"),
    (["--vocab-size", "600", "--val-fraction", "0.25"], "--val-fraction 0.25 --vocab-size 600"),
    (["--split", "<|endoftext|>"], "--split '<|endoftext|>'"),
    (["--tokenizer", "file:t.json"], "--tokenizer file:{home}/t.json"),
    (["--val-source", "files:v.txt", "--max-tokens", "9", "--credits", "Ann"],
     "--val-source files:v.txt --max-tokens 9 --credits Ann"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "said"), TYPED)
@pytest.mark.parametrize("command", ["reproduce", "plan", "figures", "predict", "try"])
def test_every_option_of_a_corpus_can_be_typed(project, monkeypatch, typed, said, command):
    """And reaches a study in the words that a notebook's `corpus` takes."""
    (project / "data").mkdir()
    for name in ("x.txt", "v.txt", "t.json"):
        (project / "data" / name).write_text("text")
    monkeypatch.chdir(project / "data")
    given = _parse([command, "--corpus", "files:x.txt", *typed])
    assert given.corpus == f"files:x.txt {said.format(home=project / 'data')}"
    changed = Scale.load("smoke").on(given.corpus)
    assert changed.corpus.source == "files:x.txt"
    assert {model.vocab_size for model in changed.models.values()} == {changed.corpus.vocab_size}


def test_options_without_a_text_are_of_the_scales_own(project):
    given = _parse(["reproduce", "--scale", "smoke", "--val-fraction", "0.2"])
    changed = Scale.load("smoke").on(given.corpus)
    assert changed.corpus.source == "stdlib" and changed.corpus.val_fraction == 0.2
    assert changed.midtraining == Scale.load("smoke").midtraining
