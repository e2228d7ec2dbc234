"""What a terminal shows of the command line: help with defaults, and text that it can print.

print_anywhere()
Parser(prog="python -m ieee_lib").parse_args(words)
"""

import argparse
import codecs
import io
import sys
from typing import Any, NoReturn

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
