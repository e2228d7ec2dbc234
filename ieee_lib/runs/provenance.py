"""Where a record comes from: versions, commit, time, corpus."""

import os
import platform
import subprocess
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

import ieee_lib
from ieee_lib import paths
from ieee_lib.errors import MachineWarning
from ieee_lib.runs.store import Record
from ieee_lib.text.corpus import Corpus

PACKAGES = ("ieee_lib", "torch", "lightning", "tokenizers", "numpy")


def provenance(corpus: Corpus) -> Record:
    """Return what every record says of the corpus, the software and the time."""
    config, manifest = corpus.manifest["config"], corpus.manifest
    return {
        "corpus": {
            "source": config["source"],
            "vocab_size": config["vocab_size"],
            "credits": config.get("credits", ""),
            **{k: manifest[k] for k in ("fingerprint", "files", "documents", "tokens")},
        },
        "versions": {"python": platform.python_version(), **versions_of(PACKAGES)},
        "commit": git_commit(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of packages; ieee_lib's own also from a folder that is not installed."""
    return {n: ieee_lib.__version__ if n == "ieee_lib" else version(n) for n in packages}


class GitError(RuntimeError):
    """Git does not answer; the message is git's own reason."""


def git(folder: Path, *words: str) -> str:
    """Return what git says in a folder. Raises GitError with its reason where it does not."""
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(["git", *words], cwd=folder, env=quiet, capture_output=True)
    except OSError as error:  # no git, no folder
        raise GitError(f"{error.strerror}: {error.filename}") from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").splitlines()
        raise GitError(reason[0] if reason else f"git ended with code {done.returncode}")
    return done.stdout.decode(errors="replace").strip()


@cache
def git_commit() -> str | None:
    """Return the checkout's commit; `+` marks uncommitted changes.

    None where git does not answer: a warning gives its reason, once a process.
    """
    try:
        changes = git(paths.PACKAGE, "status", "--porcelain", "-uno")
        return git(paths.PACKAGE, "rev-parse", "HEAD") + ("+" if changes else "")
    except GitError as error:
        warnings.warn(f"records name no commit of this code: {error}", MachineWarning, stacklevel=2)
        return None
