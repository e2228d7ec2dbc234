"""Where a record comes from: versions, commit, time, corpus."""

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version

import ieee_lib
from ieee_lib import paths
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


@cache
def git_commit() -> str | None:
    """Return the checkout's commit, or None outside one; `+` marks uncommitted changes."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words],
            cwd=paths.PACKAGE,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
