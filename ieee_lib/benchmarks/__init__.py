"""Measurements beside the book; their tables and figures go to figures/bench/.

BENCHMARKS["sampling"](Scale.load("laptop"))["tab_sampling"]
"""

from collections.abc import Callable

from ieee_lib.benchmarks import agreement, mfu, records, sampling, speed, text, textbook
from ieee_lib.config.scale import Scale
from ieee_lib.laws.coverage import TRUTH, coverage_frame
from ieee_lib.plots.saving import Drawing, Table

DATA_SETS = 500
"""Synthetic data sets of each case of the coverage study."""


def coverage(scale: Scale) -> dict[str, Table]:
    """Return how often 95 % intervals of a limit cover it, on data of known noise."""
    caption = f"95 % intervals of a limit on synthetic data sets with known noise; truth {TRUTH}"
    digits = {"coverage": 3, "median width": 3, "unbounded": 3}
    return {"tab_coverage": Table(coverage_frame(n=DATA_SETS), caption, digits)}


BENCHMARKS: dict[str, Callable[..., dict[str, Drawing | Table]]] = {
    "agreement": agreement.run,
    "coverage": coverage,
    "mfu": mfu.run,
    "records": records.run,
    "sampling": sampling.run,
    "speed": speed.run,
    "text": text.run,
    "textbook": textbook.run,
}
