"""What is done to the code on purpose: kills, concurrent writers, full disks, flipped bits, text.

    run(seconds=600)                     # every scenario that begins in time, as one table

Each scenario works below a folder of its own, with the code and the scales that users have, and
reports for each of its claims what it expected and what it found. `make stress` runs all of it.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

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
    from tests.stress import concurrent_writers, corruption, disk, kills, large_corpus

    return {
        "concurrent writers": concurrent_writers.run,
        "disk": disk.run,
        "corruption": corruption.run,
        "kills": kills.run,
        "large corpus": large_corpus.run,
    }


def run(seconds: float) -> Table:
    """Run scenarios, none of which begins after so many seconds; return one row a claim."""
    began = time.monotonic()
    rows: list[Outcome] = []
    for name, scenario in scenarios().items():
        if time.monotonic() - began < seconds:
            with tempfile.TemporaryDirectory(prefix="stress-") as folder:
                rows += scenario(Path(folder))
        else:
            rows.append(Outcome(name, "nothing: no time left", "", "not run", False, 0.0))
    frame = pd.DataFrame([asdict(row) for row in rows])
    caption = f"stress · {len(frame)} claims, {int(frame.holds.sum())} hold"
    return Table(frame, caption, {"seconds": 0})
