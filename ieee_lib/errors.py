"""Errors a user can mend: one line that names the field, the value and what is allowed."""

import difflib
from collections.abc import Iterable
from typing import Any


class InputError(ValueError):
    """Bad input, found before any long work starts; the command line ends with code 2."""

    def __init__(self, field: str, value: Any, allowed: str) -> None:
        super().__init__(f"{field} = {value!r}: {allowed}")
        self.field, self.value, self.allowed = field, value, allowed


class MissingRuns(InputError):
    """Runs are asked for that are not recorded, from a source that never trains."""


class TrainingError(RuntimeError):
    """Some runs could not be trained; what was trained is kept."""


def check(condition: bool, field: str, value: Any, allowed: str) -> None:
    """Raise InputError unless `condition` holds."""
    if not condition:
        raise InputError(field, value, allowed)


def check_choice(field: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise InputError unless `value` is one of `choices`; suggests the nearest spelling."""
    choices = list(choices)
    if value in choices:
        return
    near = difflib.get_close_matches(str(value), [str(c) for c in choices], n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise InputError(field, value, f"allowed are {', '.join(map(str, choices))}{hint}")
