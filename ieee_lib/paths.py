"""Where things live, and which names may lead there. Everything is written below the project's
root, wherever one runs from.

    paths.below_data("files", "piqa")        # <root>/data/piqa; "../piqa" is refused
"""

import os
import re
from pathlib import Path

from ieee_lib.errors import check

PACKAGE = Path(__file__).resolve().parent

SCALE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
HUB = re.compile(rf"hub:({_PART}(?:/{_PART})?)@({_PART}(?:/{_PART})*)")


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


def data() -> Path:
    return root() / "data"


def below_data(field: str, text: str) -> Path:
    """Return the path that a notebook's parameter or a scale file names.

    A relative one is below data/ and raises InputError where it climbs out of it; one that is
    absolute, or begins with ~, is taken as given.
    """
    check(isinstance(text, str) and "\0" not in text, field, text, "must be a path")
    path = Path(os.path.expanduser(text))
    allowed = "a relative path is below data/ and must not climb with ..; give an absolute path "
    check(path.is_absolute() or ".." not in path.parts, field, text, allowed + "to go elsewhere")
    return data() / path


def check_scale_name(name: str) -> None:
    """Raise InputError for a scale's name that cannot be the name of a folder."""
    allowed = "its name must be up to 64 letters, digits, _, . and -, a letter or digit first"
    check(SCALE.fullmatch(name) is not None, "scale", name, allowed)


def hub_name(field: str, text: str) -> tuple[str, str]:
    """Return NAME and REVISION of hub:NAME@REVISION; raises InputError for any other form."""
    found = HUB.fullmatch(text) if isinstance(text, str) and ".." not in text else None
    allowed = "must be hub:NAME@REVISION; NAME is one name or ORG/NAME of letters, digits, ., _, -"
    check(found is not None, field, text, allowed)
    return found[1], found[2]


def _of_scale(kind: str, scale: str) -> Path:
    check_scale_name(scale)
    return data() / kind / scale


def runs(scale: str) -> Path:
    return _of_scale("runs", scale)


def checkpoints(scale: str) -> Path:
    return _of_scale("checkpoints", scale)


def samples(scale: str) -> Path:
    return _of_scale("samples", scale)


def corpora() -> Path:
    return data() / "corpora"


def executed(scale: str) -> Path:
    return _of_scale("executed", scale)


def site(scale: str) -> Path:
    return _of_scale("site", scale)


def archive(scale: str) -> Path:
    return _of_scale("archive", scale).with_name(f"{scale}.jsonl.gz")


def predictions(scale: str) -> Path:
    return _of_scale("predictions", scale)


def published() -> Path:
    return PACKAGE.parent / "data" / "published"


def figures(scale: str) -> Path:
    return root() / "figures" / scale
