"""A tuned recipe at one D, as the later sections use it: settings, points with noise, the law.

found = tuned(study, "regularized")
found.points[320064], found.limit
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ieee_lib.config.scale import UNITS
from ieee_lib.config.scale_tables import Settings
from ieee_lib.laws.estimates import Estimate, Limit, limit_of, mean_of, replicate_noise
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots import tables
from ieee_lib.recipes import single
from ieee_lib.recipes.search import NOT_SEARCHED, SearchResult, specs_of, tuned_frame
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
    def limit(self) -> Limit:
        """The limit of the law in N through the points, with draws."""
        points = {n: p for n, p in self.points.items() if np.isfinite(p.value)}
        x = np.array(list(points)) / UNITS[self.unit]
        return limit_of(x, list(points.values()), unit=f"N[{self.unit}]")

    @property
    def law(self) -> PowerLaw:
        """The law in N through the points."""
        return self.limit.law

    @property
    def best(self) -> Estimate:
        """The lowest measured loss: no extrapolation."""
        return min(self.points.values(), key=lambda p: (np.isnan(p.value), p.value))


def tuned(study: Study, recipe: str, seed_tokens: int | None = None) -> Tuned:
    """Tune a recipe at one D (the base), training what is missing.

    The noise of a point is that of its own search. Points that were not searched have too few
    runs to tell, and take the noise of the base D.
    """
    seed_tokens = seed_tokens or study.scale.base_tokens
    asked = ("tuned", recipe, seed_tokens)
    return study.once(asked, lambda study: _tuned(study, recipe, seed_tokens))


def _tuned(study: Study, recipe: str, seed_tokens: int) -> Tuned:
    scale = study.scale
    results = single.tune(study, recipe, seed_tokens)
    table = tables.size_frame(scale.models, tuned_frame(results))
    seeds = scale.seeds_at(seed_tokens)
    specs = [spec for r in results for spec in specs_of(study, r.centre, seeds)]
    runs = study.ensure(specs, label=f"{recipe} recipe")
    searched = all(result.status != NOT_SEARCHED for result in results)
    shared = None
    if not searched and seed_tokens == scale.base_tokens:
        shared = replicate_noise(runs, scale.assumed_noise)
    elif not searched:
        shared = base_noise(study, recipe)
    points = {}
    for row, result in zip(table.itertuples(), results, strict=True):
        own = runs[runs.N == row.N]
        sigma = shared or result.se * np.sqrt((own.status == "done").sum())
        points[row.N] = mean_of(own, sigma=sigma if sigma > 0 else scale.assumed_noise)
    table = table.assign(se=[p.se for p in points.values()])
    return Tuned(results, table, points, scale.unit)


def base_noise(study: Study, recipe: str) -> float:
    """Return the standard deviation between seeds at the base D, pooled over its models."""
    base = tuned(study, recipe)
    variances = [study.scale.seeds * point.se**2 for point in base.points.values()]
    return float(np.sqrt(np.nanmean(variances)))
