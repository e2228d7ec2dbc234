"""Fields of specs: checked, hashed into names, built from tables.

check_integer("epochs", 3, 1)
build(ModelConfig, table, "model")
"""

import dataclasses
import hashlib
import json
import math
import re
import sys
from typing import Any, TypeVar

from ieee_lib.errors import InputError, check, check_choice

SEMANTICS = 1
"""Bumped whenever training code changes what a field of RunSpec means."""

MOST = 2**40
"""Largest whole number of any field: a trillion tokens; more is a slip."""

T = TypeVar("T")


def content_id(kind: str, content: dict[str, Any]) -> str:
    """Return the 16-digit name of a piece of content of some kind."""
    text = json.dumps([kind, SEMANTICS, content], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build(cls: type[T], fields: Any, where: str) -> T:
    """Build dataclass `cls` from a mapping; unknown and missing names raise InputError."""
    check(isinstance(fields, dict), where, fields, "must be a table of fields")
    known = {f.name: f for f in dataclasses.fields(cls)}
    for name in fields:
        check_choice(f"{where}: field", name, known)
    for name, f in known.items():
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            check(name in fields, f"{where}.{name}", None, "is required")
    try:
        return cls(**fields)
    except InputError as error:
        if "." in error.field or error.field.startswith(where):
            raise
        raise InputError(f"{where}.{error.field}", error.value, error.allowed) from None


def without_defaults(value: Any) -> dict[str, Any]:
    kept = {}
    for f in dataclasses.fields(value):
        item = getattr(value, f.name)
        if dataclasses.is_dataclass(item):
            kept[f.name] = without_defaults(item)
        elif item != f.default:
            kept[f.name] = item
    return kept


def as_floats(value: Any) -> None:
    """Store whole numbers in float fields as floats: 1 and 1.0 must hash alike."""
    for f in dataclasses.fields(value):
        if f.type is float:
            object.__setattr__(value, f.name, float(getattr(value, f.name)))


def check_integer(name: str, value: Any, least: int, most: int = MOST) -> None:
    """Raise InputError unless `value` is a whole number from `least` to `most`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    above = f" and at most {most:,}" if whole and value > most else ""
    allowed = f"must be a whole number of at least {least}{above}"
    check(whole and least <= value <= most, name, value, allowed)


def check_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> None:
    """Raise InputError unless `value` is a finite number within the bounds."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    finite = number and abs(value) <= sys.float_info.max  # False for NaN, exact for huge integers
    if finite and value >= least and above < value < below:
        return
    bounds = [f"at least {least:g}"] if least > -math.inf else []
    bounds += [f"above {above:g}"] if above > -math.inf else []
    bounds += [f"below {below:g}"] if below < math.inf else []
    raise InputError(name, value, f"must be a number {' and '.join(bounds) or 'that is finite'}")


def check_text(name: str, value: Any) -> None:
    """Raise InputError unless `value` is text."""
    check(isinstance(value, str), name, value, "must be text")


def check_id(name: str, value: Any, what: str) -> None:
    """Raise InputError unless `value` names content: 16 digits, which lead out of no folder."""
    found = isinstance(value, str) and re.fullmatch("[0-9a-f]{16}", value)
    check(bool(found), name, value, f"must be {what} of 16 hexadecimal digits")
