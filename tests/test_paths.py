"""Folders: an empty project folder, no home, an id without a name, no checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ieee_lib import paths
from tests.conftest import ROOT

COMMAND = [sys.executable, "-m", "ieee_lib"]


def without_home(folder):
    environment = {**os.environ, "IEEE_LIB_HOME": str(folder), "PYTHONPATH": str(ROOT)}
    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"):
        environment.pop(name, None)
    return environment


@pytest.mark.slow
def test_an_empty_folder_works_with_what_came_with_the_package(home, smoke_corpora):
    """Notebooks and recorded runs are the package's; all that is written is below the folder."""
    (home / "data").mkdir()
    (home / "data" / "corpora").symlink_to(smoke_corpora)
    environment = {**os.environ, "IEEE_LIB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    for words in (
        ["reproduce", "--scale", "smoke", "--only", "00"],
        ["figures", "--source", "archive", "--only", "00", "--format", "svg"],
    ):
        done = subprocess.run(
            [*COMMAND, *words], env=environment, cwd=home, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert (home / "data" / "executed" / "smoke" / "00_setup.ipynb").is_file()
    assert (home / "figures" / "recorded" / "laptop" / "fig00_parameters.svg").is_file()


def test_a_packed_archive_goes_before_the_one_that_came_with_the_package(home):
    assert paths.recorded("laptop") == ROOT / "data" / "archive" / "laptop.jsonl.gz"
    own = paths.archive("laptop")
    own.parent.mkdir(parents=True)
    own.touch()
    assert paths.recorded("laptop") == own and own.is_relative_to(home)


def test_a_package_without_a_checkout_finds_what_pip_put_beside_python(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site-packages" / "ieee_lib")
    monkeypatch.setenv("IEEE_LIB_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    assert paths.notebooks() == tmp_path / "env" / "share" / "ieee_lib" / "notebooks"
    assert paths.published() == tmp_path / "env" / "share" / "ieee_lib" / "data" / "published"


@pytest.mark.slow
def test_a_user_id_without_a_name_and_a_home_gets_both(home, smoke_corpora):
    """As in a container that runs with an arbitrary user id: Jupyter and torch ask for both."""
    arbitrary = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]
    able = shutil.which("unshare") and not subprocess.run([*arbitrary, "true"]).returncode
    if not able:
        pytest.skip("needs user namespaces")
    (home / "data").mkdir()
    (home / "data" / "corpora").symlink_to(smoke_corpora)
    program = "import os, pwd; assert os.path.expanduser('~') == '~'; pwd.getpwuid(54321)"
    environment = without_home(home)
    bare = subprocess.run(
        [*arbitrary, sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert "KeyError" in bare.stderr, "the condition: no home, no name"
    command = [*arbitrary, *COMMAND, "reproduce", "--scale", "smoke", "--only", "00"]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (home / "data" / "executed" / "smoke" / "00_setup.ipynb").is_file()


@pytest.mark.parametrize("before", ["/nonexistent", "/proc"])
def test_a_home_that_cannot_be_written_to_is_replaced(home, monkeypatch, before):
    monkeypatch.setenv("HOME", before)
    if os.access(before, os.W_OK):  # root may write anywhere
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    paths.give_home()
    assert Path.home() == home / "data" / "home"


def test_a_home_is_left_alone(home, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "ada")
    paths.give_home()
    assert (os.environ["HOME"], os.environ["USER"]) == (str(tmp_path), "ada")
