"""Provenance: the commit of the code, or git's own reason why there is none."""

import os
import subprocess
import sys

import pytest

from ieee_lib import paths
from ieee_lib.book.run_plan import _report_waiting
from ieee_lib.errors import MachineWarning
from ieee_lib.predictions import log
from ieee_lib.runs.provenance import git_commit


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of one commit, whose package and project folder this is."""
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one", "--allow-empty"]):
        names = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *names, *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    monkeypatch.setenv("IEEE_LIB_HOME", str(tmp_path))
    git_commit.cache_clear()
    yield tmp_path
    git_commit.cache_clear()


def test_a_record_names_the_commit_and_whether_the_code_was_changed(checkout, recwarn):
    (checkout / "a.py").write_text("a")
    subprocess.run(["git", "add", "."], cwd=checkout, check=True)
    commit = git_commit()
    assert len(commit) == 41 and commit.endswith("+") and not recwarn.list


REASONS = {
    "not trusted": "detected dubious ownership",
    "no git": "No such file or directory: git",
    "a zip": "not a git repository",
}


@pytest.fixture(params=REASONS)
def reason(request, checkout, monkeypatch):
    if request.param == "not trusted":  # git's own way to test it
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    elif request.param == "no git":
        monkeypatch.setenv("PATH", str(checkout / "empty"))
    else:
        (checkout / ".git").rename(checkout / "elsewhere")
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(checkout.parent))
    return REASONS[request.param]


def test_git_that_does_not_answer_is_quoted_once(checkout, reason):
    with pytest.warns(MachineWarning, match=f"records name no commit of this code.*{reason}") as w:
        assert git_commit() is None and git_commit() is None
    assert len(w) == 1


def test_what_git_does_not_say_is_not_called_uncommitted(checkout, reason, capsys, monkeypatch):
    paths.predictions("smoke").mkdir(parents=True)
    waiting = [{"prediction_id": "0" * 16}]
    monkeypatch.setattr("ieee_lib.book.run_plan.predictions", lambda scale: waiting)
    _report_waiting("smoke", hold=True)
    printed = capsys.readouterr().out
    assert "are not committed" not in printed
    assert "1 predictions in" in printed and "git does not say (" in printed and reason in printed


def test_committed_predictions_are_those_of_the_last_commit(checkout):
    assert log.committed("smoke") == set(), "no folder yet"
    folder = paths.predictions("smoke")
    folder.mkdir(parents=True)
    for name in ("a", "b", "c"):
        (folder / f"{name}.json").write_text(name)
    names = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["add", "data/predictions/smoke/a.json", "data/predictions/smoke/b.json"],
                  ["commit", "-qm", "two"]):  # fmt: skip
        subprocess.run(["git", *names, *words], cwd=checkout, check=True)
    (folder / "b.json").write_text("altered")
    assert log.committed("smoke") == {"a"}


def test_of_several_workers_one_says_what_the_machine_lacks(tmp_path):
    """In a process of its own: filters of warnings are a process's."""
    program = (
        "import sys, warnings\n"
        "from multiprocessing import Pipe\n"
        "from ieee_lib.config.execution import Execution\n"
        "from ieee_lib.errors import MachineWarning\n"
        "from ieee_lib.jobs.executors import _work\n"
        "ours, theirs = Pipe()\n"
        "ours.close()\n"
        "_work(theirs, int(sys.argv[1]), Execution(accelerator='cpu'))\n"
        "warnings.warn('no compiler', MachineWarning)\n"
        "warnings.warn('damaged')\n"
    )
    for slot, said in enumerate((["no compiler", "damaged"], ["damaged"])):
        command = [sys.executable, "-c", program, str(slot)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
        assert [w for w in ("no compiler", "damaged") if w in done.stderr] == said, done.stderr
