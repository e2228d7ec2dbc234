"""Measurements beside the book; their tables and figures go to figures/bench/.

tables = write(BENCHMARKS["mfu"](Scale.load("gpu"), seconds=300), paths.figures("bench"))
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from ieee_lib.benchmarks import agreement, gpu, mfu, precision, speed
from ieee_lib.config.scale import Scale
from ieee_lib.laws.coverage import coverage_frame
from ieee_lib.plots.saving import SavedFigure, Table, save_figure, write_table

DATA_SETS = 200
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
