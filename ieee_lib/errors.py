"""Errors that a user can correct: one line that names the field, the value and what is allowed.

check(epochs > 0, "epochs", epochs, "must be above 0")     # InputError: epochs = 0: must be above 0
"""

import difflib
from collections.abc import Iterable
from typing import Any

LONGEST = 400
"""Characters of a value that a message shows."""


class InputError(ValueError):
    """Bad input, detected before any long work starts; the command line ends with code 2."""

    def __init__(self, field: str, value: Any, allowed: str) -> None:
        super().__init__(f"{field} = {_shown(value)}: {allowed}")
        self.field, self.value, self.allowed = field, value, allowed


class MissingRuns(InputError):
    """Runs are missing from a source that never trains."""


class Unreachable(InputError):
    """Data of a task cannot be loaded here: no network, or a package that is missing."""


class TrainingError(RuntimeError):
    """Some runs could not be trained; what was trained is kept."""


class MachineWarning(UserWarning):
    """What this machine lacks; of several workers, the first one says it."""


def check(condition: bool, field: str, value: Any, allowed: str) -> None:
    """Raise InputError unless `condition` holds."""
    if not condition:
        raise InputError(field, value, allowed)


def check_choice(field: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise InputError unless `value` is one of `choices`; suggests the nearest spelling."""
    choices = list(choices)
    if any(_same(value, choice) for choice in choices):
        return
    near = []
    if isinstance(value, str):
        near = difflib.get_close_matches(value[:LONGEST], [str(c) for c in choices], n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise InputError(field, value, f"allowed are {', '.join(map(str, choices))}{hint}")


def _same(value: Any, choice: Any) -> bool:
    """Say whether a value is a choice: 1 may stand for 1.0, but True not for 1, nor 4.0 for 4."""
    kind = (int, float) if isinstance(choice, float) else type(choice)
    alike = isinstance(value, kind) and isinstance(value, bool) == isinstance(choice, bool)
    return alike and value == choice


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of more than 4,300 digits; deep nesting
        text = f"a whole number of {value.bit_length()} bits" if isinstance(value, int) else "…"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
