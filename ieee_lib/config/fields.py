"""Fields of specs and tables: checked by what their types say, built from TOML or JSON, hashed.

@dataclass(frozen=True, kw_only=True)
class Search(Checked, prefix="search."):
    seeds: Annotated[int, whole(1, MANY)]
    ladder: bool = True

build(Search, {"seeds": 0}, "search")    # InputError: search.seeds = 0: must be a whole number…
"""

import dataclasses
import functools
import hashlib
import json
import math
import re
import sys
import types
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ieee_lib.errors import InputError, check, check_choice

SEMANTICS = 1
"""Bumped whenever training code changes what a field of RunSpec means."""

MOST = 2**40
"""Largest whole number of any field: a trillion tokens; more is a slip."""

MANY = 10_000
"""Most seeds, members, moves or workers: each is a loop somewhere."""

T = TypeVar("T")
Rule = Callable[[str, Any], None]
"""Takes a field's name and value; raises InputError for a value that is not allowed."""


def check_integer(name: str, value: Any, least: int, most: int = MOST) -> None:
    """Raise InputError unless `value` is a whole number from `least` to `most`."""
    is_intact = isinstance(value, int) and not isinstance(value, bool)
    above = f" and at most {most:,}" if is_intact and value > most else ""
    allowed = f"must be a whole number of at least {least}{above}"
    check(is_intact and least <= value <= most, name, value, allowed)


def check_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> None:
    """Raise InputError unless `value` is a finite number within the bounds."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # False for NaN, exact for huge integers
    is_finite = is_number and abs(value) <= sys.float_info.max
    if is_finite and value >= least and above < value < below:
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
    is_id = isinstance(value, str) and re.fullmatch("[0-9a-f]{16}", value) is not None
    check(is_id, name, value, f"must be {what} of 16 hexadecimal digits")


def whole(least: int, most: int = MOST) -> Rule:
    """Return the rule of a whole number from `least` to `most`."""
    return functools.partial(check_integer, least=least, most=most)


def number(*, least: float = -math.inf, above: float = -math.inf, below: float = math.inf) -> Rule:
    """Return the rule of a finite number within bounds."""
    return functools.partial(check_number, least=least, above=above, below=below)


def one_of(choices: Iterable[Any]) -> Rule:
    """Return the rule of one value out of several."""
    return functools.partial(check_choice, choices=choices)


def empty_or(rule: Callable[[str, str], object]) -> Rule:
    """Return the rule of an empty text, or of one that another rule allows."""

    def checked(name: str, value: Any) -> None:
        if value != "":
            rule(name, value)

    return checked


Count = Annotated[int, whole(1)]
ZeroOrMore = Annotated[int, whole(0, MANY)]
OneOrMore = Annotated[int, whole(1, MANY)]
Positive = Annotated[float, number(above=0.0)]
NotNegative = Annotated[float, number(least=0.0)]
Text = Annotated[str, check_text]


class Checked:
    """Base of frozen dataclasses: raises InputError for a field that its type does not allow.

    `prefix` is what messages put before a field's name. `Annotated` types carry rules, `Literal`
    ones list what is allowed, a `tuple` holds one item or more, each checked. Whole numbers in
    float fields become floats, so that 1 and 1.0 hash alike.
    """

    _prefix = ""

    def __init_subclass__(cls, prefix: str = "") -> None:
        cls._prefix = prefix

    def __post_init__(self) -> None:
        for name, hint in _hints(type(self)).items():
            value = getattr(self, name)
            _check_value(f"{self._prefix}{name}", value, hint)
            if hint is float or (get_origin(hint) is Annotated and get_args(hint)[0] is float):
                object.__setattr__(self, name, float(value))


_hints: Callable[[Any], dict[str, Any]] = functools.cache(
    functools.partial(get_type_hints, include_extras=True)
)


def _is_dataclass(hint: Any) -> bool:
    return dataclasses.is_dataclass(hint)


def _check_value(name: str, value: Any, hint: Any) -> None:
    if get_origin(hint) is Annotated:
        for rule in hint.__metadata__:
            rule(name, value)
    elif get_origin(hint) is tuple:
        listed = isinstance(value, tuple) and len(value) > 0
        check(listed, name, value, "must be a list of at least one value")
        for item in value:
            _check_value(name, item, get_args(hint)[0])
    elif get_origin(hint) is Literal:
        check_choice(name, value, get_args(hint))
    elif hint is bool:
        check_choice(name, value, (True, False))
    elif _is_dataclass(hint):
        check(isinstance(value, hint), name, value, f"must be a {hint.__name__}")


def build(cls: type[T], table: Any, where: str, *, prefix: str | None = None) -> T:
    """Build dataclass `cls` from a table of fields, and what it nests from tables within.

    Raises InputError for unknown and missing names, and for values that are not allowed.
    `prefix` is what messages put before a field's name: `where` and a dot.
    """
    check(isinstance(table, dict), where, table, "must be a table of fields")
    prefix = f"{where}." if prefix is None else prefix
    hints = _hints(cls)
    for name in table:
        check_choice(f"{where}: field", name, hints)
    values = {}
    for f in dataclasses.fields(cls):  # type: ignore[arg-type] # T is a dataclass
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if f.name in table or (required and _is_nested(hints[f.name])):
            values[f.name] = _nested(hints[f.name], table.get(f.name), f"{prefix}{f.name}")
        else:
            check(not required, f"{where}.{f.name}", None, "is required")
    try:
        return cls(**values)
    except InputError as error:
        if "." in error.field or error.field.startswith(where):
            raise
        raise InputError(f"{prefix}{error.field}", error.value, error.allowed) from None


def _is_nested(hint: Any) -> bool:
    return _is_dataclass(hint) or get_origin(hint) is tuple


def _nested(hint: Any, value: Any, where: str) -> Any:
    """Return what a field holds: dataclasses from tables, tuples from lists, all else as it is."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Annotated, types.UnionType):
        return _nested(inner[0], value, where)
    if _is_dataclass(hint):
        return value if isinstance(value, hint) else build(hint, value, where)
    if origin is dict and _is_dataclass(inner[1]):
        return {key: _nested(inner[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is tuple and _is_dataclass(inner[0]):
        listed = isinstance(value, list) and len(value) > 0
        check(listed, where, value, "must be a list of at least one value")
        return tuple(_nested(inner[0], row, f"{where}[{i}]") for i, row in enumerate(value))
    return tuple(value) if origin is tuple and isinstance(value, list) else value


def content_id(kind: str, content: dict[str, Any]) -> str:
    """Return the 16-digit name of a piece of content of some kind."""
    text = json.dumps([kind, SEMANTICS, content], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def without_defaults(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults, nested."""
    kept = {}
    for f in dataclasses.fields(value):
        item = getattr(value, f.name)
        if dataclasses.is_dataclass(item):
            kept[f.name] = without_defaults(item)
        elif item != f.default:
            kept[f.name] = item
    return kept
