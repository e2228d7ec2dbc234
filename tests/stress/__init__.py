"""What is done to the code on purpose: kills, crowds, full disks, flipped bits, much text.

    run(seconds=600)                     # every scenario that begins in time, as one table

Each scenario works below a folder of its own, with the code and the scales that users have, and
says for each of its claims what it expected and what it found.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from ieee_lib.errors import check_choice
from ieee_lib.plots.saving import Table


@dataclass(frozen=True)
class Outcome:
    """One claim of a scenario."""

    scenario: str
    what: str
    """What was done."""
    expected: str
    found: str
    holds: bool
    seconds: float


Scenario = Callable[[Path], list[Outcome]]


def scenarios() -> dict[str, Scenario]:
    """Return every scenario by name, the short ones first."""
    from tests.stress import crowd, damage, disk, kills, stand_in

    return {
        "crowd": crowd.run,
        "disk": disk.run,
        "damage": damage.run,
        "kills": kills.run,
        "stand_in": stand_in.run,
    }


def run(seconds: float, only: Sequence[str] = ()) -> Table:
    """Run scenarios, none of which begins after so many seconds; return one row a claim.

    Raises InputError for an unknown scenario.
    """
    known, began = scenarios(), time.monotonic()
    for name in only:
        check_choice("only", name, known)
    rows: list[Outcome] = []
    for name in only or known:
        if time.monotonic() - began < seconds:
            with tempfile.TemporaryDirectory(prefix=f"stress-{name}-") as folder:
                rows += known[name](Path(folder))
        else:
            rows.append(Outcome(name, "nothing: no time left", "", "not run", False, 0.0))
    frame = pd.DataFrame([asdict(row) for row in rows])
    caption = f"stress · {len(frame)} claims, {int(frame.holds.sum())} hold"
    return Table(frame, caption, {"seconds": 0})
