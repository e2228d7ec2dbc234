"""Where things live. Everything is written below the project's root, wherever one runs from."""

import os
from pathlib import Path

from ieee_lib.errors import check

PACKAGE = Path(__file__).resolve().parent


def root() -> Path:
    """Return the project folder: `$IEEE_LIB_HOME`, or the checkout that holds this package."""
    home = os.environ.get("IEEE_LIB_HOME")
    folder = Path(home).expanduser().resolve() if home else PACKAGE.parent
    check(
        folder.is_dir() and (home is not None or (folder / "notebooks").is_dir()),
        "IEEE_LIB_HOME",
        home,
        "the project's folder must exist; set it where ieee_lib is installed outside a checkout",
    )
    return folder


def runs(scale: str) -> Path:
    return root() / "data" / "runs" / scale


def checkpoints(scale: str) -> Path:
    return root() / "data" / "checkpoints" / scale


def samples(scale: str) -> Path:
    return root() / "data" / "samples" / scale


def corpora() -> Path:
    return root() / "data" / "corpora"


def executed(scale: str) -> Path:
    return root() / "data" / "executed" / scale


def archive(scale: str) -> Path:
    return root() / "data" / "archive" / f"{scale}.jsonl.gz"


def published() -> Path:
    return PACKAGE.parent / "data" / "published"


def figures(scale: str) -> Path:
    return root() / "figures" / scale
