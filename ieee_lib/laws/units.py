"""Units of N and D in laws: millions up to 1e8, billions beyond, as in the paper.

unit_of([38_720, 320_256], "N")          # N[M]
scale_of("N[M]")                         # 1e6
"""

from collections.abc import Sequence

import pandas as pd

UNITS = {"M": 1e6, "B": 1e9}
BILLIONS_FROM = 1e8
"""Largest N or D that is fitted in millions."""


def unit_of(x: Sequence[float] | pd.Series, name: str) -> str:
    """Return what a law in N or D counts: N[M], or N[B] for sizes beyond 1e8; else the name."""
    if name not in ("N", "D"):
        return name
    return f"{name}[{'B' if max(x, default=0) > BILLIONS_FROM else 'M'}]"


def scale_of(unit: str) -> float:
    """Return how many parameters or tokens one unit of a law's x is: 1e6 for N[M]."""
    return UNITS.get(unit.partition("[")[2][:-1], 1.0)
