"""The frame: one lock, honest README, no path of anyone's machine."""

import itertools
import re
import shlex
import subprocess
import sys
import tomllib

import pytest

from ieee_lib import benchmarks, cli
from ieee_lib.cli import main
from tests.conftest import ROOT


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def pins():
    lines = (ROOT / "requirements.lock").read_text().split()
    return {name.replace("_", "-").lower(): pin for name, pin in (x.split("==") for x in lines)}


@pytest.mark.xdist_group("named")
def test_workers_keep_groups_together(request):
    """xdist sends tests of one name to one worker; it must be able to give them that name."""
    if not hasattr(request.config, "workerinput"):
        pytest.skip("needs workers: pytest -n 2 --dist loadgroup")
    assert request.node.nodeid.endswith("@named")


def test_conda_and_make_install_the_same_lock():
    environment = (ROOT / "environment.yml").read_text()
    assert re.findall(r"- -r (\S+)", environment) == ["requirements.lock"]
    assert "==" not in environment
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.findall(r"-r (\S+)", makefile)) == {"requirements.lock"}


def test_the_lock_pins_every_declared_dependency_within_its_range():
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in map(Requirement, itertools.chain.from_iterable(declared)):
        assert requirement.specifier.contains(pins()[requirement.name.lower()]), requirement


def test_installed_versions_are_the_locked_ones():
    from importlib.metadata import version

    names = ("torch", "lightning", "papermill", "matplotlib", "lmfit", "datasets", "tokenizers")
    names += ("lm-eval", "transformers")
    assert {n: version(n).split("+")[0] for n in names} == {n: pins()[n] for n in names}


def test_the_version_is_said_once_more_only_where_tools_read_it(monkeypatch):
    from importlib.metadata import PackageNotFoundError

    import ieee_lib
    from ieee_lib.runs import provenance

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert project["version"] == ieee_lib.__version__
    assert f"\nversion: {ieee_lib.__version__}\n" in citation

    def not_installed(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(provenance, "version", not_installed)  # a folder copied to a bare machine
    assert provenance.versions_of(["ieee_lib"]) == {"ieee_lib": ieee_lib.__version__}


def test_every_make_target_is_explained():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"\.PHONY: (.*)", makefile)[1].split())
    assert targets == set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))


def test_ci_runs_the_test_command_of_the_readme():
    assert "make test-all" in (ROOT / ".ci" / "run").read_text()
    assert {"make test", "make test-all"} <= set(
        re.findall(r"make test(?:-all)?\b(?!-)", (ROOT / "README.md").read_text())
    )


def test_readme_shows_the_files_as_they_are(capsys):
    assert main(["readme", "--check"]) == 0, capsys.readouterr().out


def test_links_of_the_readme_lead_somewhere():
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\((?!http)([^)#]+)\)|src=\"(?!http)([^\"]+)\"", text)
    assert links and all((ROOT / (a or b)).exists() for a, b in links), links


def test_no_file_names_a_path_of_this_machine_and_none_is_large():
    home = re.compile(r"/(?:root|home/\w+|Users/\w+|work)/")
    for path in tracked():
        assert path.stat().st_size < 2_000_000, path
        if path.suffix in {".py", ".md", ".toml", ".yml", ".ipynb", ".json", ".lock", ""}:
            found = home.search(path.read_text(errors="ignore"))
            assert not found or path == ROOT / "tests" / "test_project.py", (path, found)


ARCHIVES = sorted((ROOT / "data" / "archive").glob("*.jsonl.gz"))


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.split(".")[0])
@pytest.mark.slow
def test_a_recorded_book_needs_nothing_but_the_repository(archive, home, capsys):
    """Neither the text nor the questions that its runs were made with."""
    (home / "data").mkdir()
    for name in ("notebooks", *(f"data/{path.name}" for path in (ROOT / "data").iterdir())):
        if any(path.is_relative_to(ROOT / name) for path in tracked()):
            (home / name).symlink_to(ROOT / name)
    assert main(["archive", "verify", "--scale", archive.name.split(".")[0]]) == 0
    assert "intact; draws" in capsys.readouterr().out


def test_every_published_number_has_a_source():
    import pandas as pd

    for path in (ROOT / "data" / "published").glob("*.csv"):
        table = pd.read_csv(path)
        assert table.source.notna().all() and len(table) > 0, path


def test_the_readmes_commands_are_understood():
    """Not run: what each would do is tested elsewhere."""
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"python -m ieee_lib ([^\n`]+)", text)
    assert len(commands) > 20
    for command in commands:
        given = cli._parser().parse_args(shlex.split(command, comments=True))
        if given.command is cli._bench:
            options = {name: 1 for name in cli.BENCH_OPTIONS if vars(given)[name]}
            benchmarks.check_options(given.what, options)


def test_the_readmes_python_runs(project):
    """Every example in order, as a file, at the smoke scale and its model, by worker processes."""
    text = (ROOT / "README.md").read_text()
    smoke = (ROOT / "ieee_lib" / "config" / "scales" / "smoke.toml").read_text()
    mine = smoke.replace('executor = "inline"', 'executor = "local"')
    assert mine != smoke
    (project / "data" / "mine.toml").write_text(mine)
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) >= 2 and all(len(e.splitlines()) < 40 for e in examples)
    for example in examples:
        for ours, small in (("laptop", "mine.toml"), ("0.14M", "14k"), ("0.07M", "14k")):
            example = example.replace(f'"{ours}"', f'"{small}"')
        script = project / "example.py"
        script.write_text(example.replace("epochs=32", "epochs=8"))
        command = [sys.executable, str(script)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    assert "difference of the limits:" in done.stdout
