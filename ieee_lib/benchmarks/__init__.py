"""Measurements beside the book; their tables and figures go to figures/bench/.

tables = write(BENCHMARKS["mfu"](Scale.load("gpu"), seconds=300), paths.figures("bench"))
"""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ieee_lib import paths
from ieee_lib.benchmarks import agreement, gpu, mfu, precision, speed
from ieee_lib.config import check_number
from ieee_lib.config.scale import Scale
from ieee_lib.errors import check, check_choice
from ieee_lib.laws.coverage import coverage_frame
from ieee_lib.plots.saving import SavedFigure, Table, save_figure, write_table

DATA_SETS = 800
"""Synthetic ladders of each world of the coverage study."""

Results = Mapping[str, SavedFigure | Table]


def coverage(scale: Scale) -> dict[str, Table]:
    """Return how often 95 % intervals hold the truth, on synthetic ladders of four worlds."""
    caption = f"95 % intervals of {DATA_SETS} synthetic ladders a world; see laws/coverage.py"
    digits = {"coverage": 3, "median width": 3, "unbounded": 3}
    return {"tab_coverage": Table(coverage_frame(n=DATA_SETS), caption, digits)}


BENCHMARKS: dict[str, Callable[..., Results]] = {
    "agreement": agreement.run,
    "coverage": coverage,
    "gpu": gpu.run,
    "mfu": mfu.run,
    "precision": precision.run,
    "speed": speed.run,
}
"""Name -> function of a scale; its other arguments are options of the command line."""


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise InputError for an unknown benchmark, or an option that it does not take."""
    check_choice("bench", name, BENCHMARKS)
    taken = list(inspect.signature(BENCHMARKS[name]).parameters)[1:]
    allowed = " and ".join(f"--{option}" for option in taken) or "no option"
    check(set(options) <= set(taken), "bench", name, f"takes {allowed}")
    for option in {"seconds", "minutes"} & set(options):
        check_number(f"--{option}", options[option], least=0.0)


def measure(name: str, scale: Scale, options: Mapping[str, Any]) -> dict[str, Table]:
    """Run a benchmark, write its tables and figures to figures/bench/, return the tables."""
    return write(BENCHMARKS[name](scale, **options), paths.figures("bench"))


def write(results: Results, folder: Path) -> dict[str, Table]:
    """Write what a benchmark returns; return its tables."""
    tables = {}
    for name, item in results.items():
        if isinstance(item, Table):
            tables[name] = item
            write_table(item, folder, name)
        else:
            save_figure(item.figure, folder, name, data=item.data, caption=item.caption)
    return tables
