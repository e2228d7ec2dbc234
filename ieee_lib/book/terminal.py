"""What a terminal shows of the command line: help with defaults, and text that it can print.

print_anywhere()
Parser(prog="python -m ieee_lib").parse_args(words)
"""

import argparse
import codecs
import io
import os
import sys
from typing import Any, NoReturn

from ieee_lib import paths
from ieee_lib.config.corpus import OPTIONS, flag
from ieee_lib.errors import check

PLAIN = {
    "·": "|", "…": "...", "–": "-", "−": "-", "→": "->", "≥": ">=", "≤": "<=", "∞": "inf",
    "×": "x", "α": "alpha", "β": "beta", "σ": "sigma", "±": "+-", "’": "'",
}  # fmt: skip
"""Character -> how a terminal that knows ASCII only shows it; `?` for any other."""


def print_anywhere() -> None:
    """Let standard output and error replace what their encoding lacks, instead of failing."""
    codecs.register_error("ieee_lib.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="ieee_lib.plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in text), error.end


class Parser(argparse.ArgumentParser):
    """Shows defaults, and reports what is wrong in the form of every other error."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, formatter_class=_Help)

    def error(self, message: str) -> NoReturn:
        """End with code 2 after usage and the message."""
        self.exit(2, f"{self.format_usage()}error: {message}\n")


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Adds an option's default, unless it is none or its help says what happens without it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        is_said = not action.default or "default" in (action.help or "")
        return action.help if is_said else super()._get_help_string(action)


def check_once(pairs: list[list[str]]) -> dict[str, str]:
    """Return the parameters of `-p NAME VALUE`; raises InputError for a name given twice."""
    parameters: dict[str, str] = {}
    for name, value in pairs:
        check(name not in parameters, "-p", name, "must be given once")
        parameters[name] = value
    return parameters


def add_corpus(sub: argparse.ArgumentParser, what: str) -> None:
    """Add --corpus, which is `what`, and every option of a corpus."""
    group = sub.add_argument_group("text")
    group.add_argument("--corpus", metavar="TEXT", default="", type=typed_corpus, help=what)
    for name, says in OPTIONS.items():
        group.add_argument(flag(name), metavar="X", type=typed_corpus, help=says)


def add_only(sub: argparse.ArgumentParser) -> None:
    """Add the choice of sections."""
    sub.add_argument(
        "--only", default="", help="sections, such as 01,02; default: all of the paper"
    )


def add_looks(sub: argparse.ArgumentParser) -> None:
    """Add the size and the background of figures."""
    sub.add_argument("--context", default="paper", help="paper or talk")
    sub.add_argument("--background", default="white", help="white, transparent or dark")


def absolute(text: str) -> str:
    """Return a path of the working directory as an absolute one."""
    return os.path.join(os.getcwd(), os.path.expanduser(text))


def typed_scale(text: str) -> str:
    """Return a scale's name, or the absolute path of its file."""
    return absolute(text) if text.endswith(".toml") else text


def typed_corpus(text: str) -> str:
    """Return a text's name with its path made absolute, or below data/."""
    kind, _, path = text.partition(":")
    if path and kind in ("files", "file"):
        return f"{kind}:{paths.typed(path) if kind == 'files' else absolute(path)}"
    return text
