"""Folders of the project, and which names may lead there.

Everything is written below the project's root, whatever the working directory is; notebooks and
recorded runs that are not there are those that came with the package.

    paths.below_data("files", "piqa")        # <root>/data/piqa; "../piqa" is refused
"""

import getpass
import glob
import os
import re
import sys
from pathlib import Path

from ieee_lib.errors import InputError, check

PACKAGE = Path(__file__).resolve().parent
"""Folder of this package."""

SCALE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
HUB = re.compile(rf"hub:({_PART}(?:/{_PART})?)@({_PART}(?:/{_PART})*)")
"""Form of hub:NAME@REVISION."""


def root() -> Path:
    """Return the project folder: `$IEEE_LIB_HOME`, or the checkout that holds this package."""
    home = os.environ.get("IEEE_LIB_HOME")
    folder = Path(os.path.expanduser(home)).resolve() if home else PACKAGE.parent
    check(
        folder.is_dir() and (bool(home) or (folder / "notebooks").is_dir()),
        "IEEE_LIB_HOME",
        home,
        "the project's folder must exist; set it where ieee_lib is installed outside a checkout",
    )
    return folder


def shipped() -> Path:
    """Return what came with the package: the checkout that holds it, or where pip puts files."""
    is_checkout = (PACKAGE.parent / "notebooks").is_dir()
    return PACKAGE.parent if is_checkout else Path(sys.prefix) / "share" / "ieee_lib"


def notebooks() -> Path:
    """Return the folder of notebooks: the project's own, else those that came with the package."""
    folder = root() / "notebooks"
    return folder if folder.is_dir() else shipped() / "notebooks"


def give_home() -> None:
    """Set $HOME to data/home where this user has none to write to, and $USER where he has no name.

    The arbitrary user id of a container has neither, and Jupyter and torch ask for both.
    """
    home = os.path.expanduser("~")
    if not (os.path.isdir(home) and os.access(home, os.W_OK)):
        os.environ["HOME"] = str(data() / "home")
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"user{os.getuid()}"


def data() -> Path:
    """Return the folder of all data, local and shipped."""
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


def typed(pattern: str) -> str:
    """Return a path or glob of the working directory as one below data/, else as absolute."""
    path = os.path.join(os.getcwd(), os.path.expanduser(pattern))
    below = os.path.join(data(), "")
    if not os.path.exists(path):  # it is a glob, but the working directory is none
        path = os.path.join(glob.escape(os.getcwd()), os.path.expanduser(pattern))
        below = glob.escape(below)
    return path.removeprefix(below)  # so that records name no folder of this machine


def check_scale_name(name: str) -> None:
    """Raise InputError for a scale's name that cannot be the name of a folder."""
    allowed = "its name must be up to 64 letters, digits, _, . and -, a letter or digit first"
    check(SCALE.fullmatch(name) is not None, "scale", name, allowed)


def hub_name(field: str, text: str) -> tuple[str, str]:
    """Return NAME and REVISION of hub:NAME@REVISION; raises InputError for any other form."""
    match = HUB.fullmatch(text) if isinstance(text, str) and ".." not in text else None
    if match is None:
        allowed = "NAME is one name or ORG/NAME of letters, digits, ., _, -"
        raise InputError(field, text, f"must be hub:NAME@REVISION; {allowed}")
    return match[1], match[2]


def _of_scale(kind: str, scale: str) -> Path:
    check_scale_name(scale)
    return data() / kind / scale


def runs(scale: str) -> Path:
    """Return the folder of a scale's local records."""
    return _of_scale("runs", scale)


def checkpoints(scale: str) -> Path:
    """Return the folder of a scale's weights and unfinished stacks."""
    return _of_scale("checkpoints", scale)


def samples(scale: str) -> Path:
    """Return the folder of a scale's synthetic text."""
    return _of_scale("samples", scale)


def corpora() -> Path:
    """Return the folder of packed corpora."""
    return data() / "corpora"


def executed(scale: str) -> Path:
    """Return the folder of a scale's executed notebooks."""
    return _of_scale("executed", scale)


def site(scale: str) -> Path:
    """Return the folder of a scale's site."""
    return _of_scale("site", scale)


def archive(scale: str) -> Path:
    """Return the file that a scale's records are packed into."""
    return _of_scale("archive", scale).with_name(f"{scale}.jsonl.gz")


def recorded(scale: str) -> Path:
    """Return the file of a scale's recorded runs: the project's own, else the package's."""
    path = archive(scale)
    return path if path.is_file() else shipped() / "data" / "archive" / path.name


def predictions(scale: str) -> Path:
    """Return the folder of a scale's sealed predictions."""
    return _of_scale("predictions", scale)


def published() -> Path:
    """Return the folder of the paper's numbers."""
    return shipped() / "data" / "published"


def figures(scale: str) -> Path:
    """Return the folder of a scale's figures."""
    return root() / "figures" / scale
