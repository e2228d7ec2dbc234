"""The command line; what it refuses is in test_wrong_inputs.py."""

import shutil
import subprocess
import sys

import pytest

from ieee_lib import Scale
from ieee_lib.cli import _corpus, main
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


def test_commands_are_explained(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    commands = ("reproduce", "plan", "figures", "export", "archive", "readme")
    assert all(name in printed for name in commands)


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
    assert _corpus("files:*.txt") == "files:text/*.txt"
    monkeypatch.chdir(project)
    assert _corpus("files:data/text/*.txt") == "files:text/*.txt"
    assert _corpus("files:elsewhere/*.txt") == f"files:{project}/elsewhere/*.txt"
