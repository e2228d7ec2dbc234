"""A tuned recipe at one D, as the later sections use it: settings, points with noise, the law.

found = tuned(study, "regularized")
found.points[320064], found.limit
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ieee_lib.analysis import tables
from ieee_lib.analysis.laws import PowerLaw
from ieee_lib.analysis.uncertainty import Estimate, Limit, limit_of, mean_of, replicate_noise
from ieee_lib.recipes import single
from ieee_lib.recipes.search import NOT_SEARCHED, SearchResult, specs_of, tuned_frame
from ieee_lib.scale import UNITS, Settings
from ieee_lib.study import Study


@dataclass(frozen=True)
class Tuned:
    """A recipe tuned for every model it has at one D."""

    results: list[SearchResult]
    table: pd.DataFrame
    """One row a model: N, settings, loss, se, status."""
    points: dict[int, Estimate]
    """N -> mean loss over seeds."""
    unit: str
    """Unit of N in laws: M or B."""

    @property
    def centres(self) -> list[Settings]:
        return [result.centre for result in self.results]

    @cached_property
    def _fit(self) -> tuple[PowerLaw, Limit]:
        points = {n: p for n, p in self.points.items() if np.isfinite(p.value)}
        x = np.array(list(points)) / UNITS[self.unit]
        return limit_of(x, list(points.values()), unit=f"N[{self.unit}]")

    @property
    def law(self) -> PowerLaw:
        """The law in N through the points."""
        return self._fit[0]

    @property
    def limit(self) -> Limit:
        """Its limit, with draws."""
        return self._fit[1]

    @property
    def best(self) -> Estimate:
        """The lowest measured loss: no extrapolation."""
        return min(self.points.values(), key=lambda p: (np.isnan(p.value), p.value))


def tuned(study: Study, recipe: str, seed_tokens: int | None = None) -> Tuned:
    """Tune a recipe at one D (the base), training what is missing.

    The noise of a point is that of its own search; of points that were not searched, and have
    their seeds only, it is pooled over the models.
    """
    scale = study.scale
    results = single.tune(study, recipe, seed_tokens)
    table = tables.size_frame(scale.models, tuned_frame(results))
    specs = [spec for r in results for spec in specs_of(study, r.centre, scale.seeds)]
    runs = study.ensure(specs, label=f"{recipe} recipe")
    pooled = replicate_noise(runs, scale.assumed_noise)
    points = {}
    for row, result in zip(table.itertuples(), results, strict=True):
        own = runs[runs.N == row.N]
        n = (own.status == "done").sum()
        known = result.status != NOT_SEARCHED and result.se > 0
        points[row.N] = mean_of(own, sigma=result.se * np.sqrt(n) if known else pooled)
    table = table.assign(se=[p.se for p in points.values()])
    return Tuned(results, table, points, scale.unit)
