"""The book: which notebook is which, how its cells are run, judged, planned, costed, published.

    ran = run_records(study)                 # the notebooks' cells on what is recorded
    judged(ran), cost_frame(ran)             # verdicts, and what the records cost
    plan_frame(study)                        # what is left to train, by section

Names are imported when they are first used: importing the room costs little.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ieee_lib.book.plan import plan_frame
    from ieee_lib.book.verdicts import cost_frame, judged, run_records

__all__ = [
    "cost_frame",
    "judged",
    "plan_frame",
    "run_records",
]

_HOMES = {
    "cost_frame": "verdicts",
    "judged": "verdicts",
    "plan_frame": "plan",
    "run_records": "verdicts",
}
"""Name -> the module that defines it."""


def __getattr__(name: str) -> Any:
    """Import a name when it is first used."""
    if name in _HOMES:
        return getattr(import_module(f"ieee_lib.book.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name everything that can be imported, for tab completion."""
    return sorted({*globals(), *__all__})
