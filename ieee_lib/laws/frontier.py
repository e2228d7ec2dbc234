"""Loss against a budget: the lowest that each recipe reaches for its training FLOPs (Sec. 4 to 6).

A point is a setting that was run, K times as an ensemble, with what it costs. A recipe's frontier
is the lower envelope of its points, the best within a budget; after the last point it stays.

    frontiers = fit_frontiers(points)                # of `recipes.recorded_points`
    frontiers["ensemble"].at(1e12)                   # 4.294 [4.259, 4.328] nats/token
    overtakes(frontiers["ensemble"], frontiers["regularized"])   # from which budget on

Every draw of the runs' noise has envelopes of its own, and with them a budget at which they cross.
The loss at a budget is that of the point that was lowest, with its own noise. Simulated, 60 single
models and 25 ensembles: crossings cover 0.96 and losses 0.96; the lowest of every draw, 0.83.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np
import pandas as pd

from ieee_lib.laws.ensembles import EnsembleLaw, settings_label
from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.scan import Floats

AT_OPTIMUM = "ensemble, single-model optimum"
FOR_MANY = "ensemble, tuned for K → ∞"
OTHER = "ensemble, other settings"

FAMILIES = {
    "standard": ("standard",),
    "regularized": ("standard", "regularized"),
    AT_OPTIMUM: (AT_OPTIMUM,),
    FOR_MANY: (FOR_MANY,),
    "ensemble": (AT_OPTIMUM, FOR_MANY, OTHER),
    "distilled": ("distilled",),
}
"""Frontier -> the recipes of its points: weight decay 0.1 is one of those that tuning may choose,
and an ensemble is one whatever its members' settings."""

CROSSING_DIGITS = {"loss": 3, "loss of the other": 3}
"""Decimals of a table of crossings."""
CROSSING = ["recipe", "overtakes", "from", "point", "loss", "loss of the other", "other to"]

SAME = 1 + 1e-9
"""Budgets within this factor are one: sums of equal FLOPs differ in their last bit."""


@dataclass(frozen=True, eq=False)
class Frontier:
    """The lower envelope of points: the lowest loss within each budget."""

    points: pd.DataFrame
    """Rows by rising cost: `loss` (estimates, nats/token) and the cost `x`."""
    x: str = "flops"
    """What counts as the budget: flops of training, or parameters read a token."""

    @property
    def first(self) -> float:
        """Return the cost of the cheapest point."""
        return float(self.points[self.x].iloc[0])

    @property
    def last(self) -> float:
        """Return the cost of the costliest point."""
        return float(self.points[self.x].iloc[-1])

    @property
    def steps(self) -> pd.DataFrame:
        """Return the points of the envelope: each better than all that cost no more."""
        lowest = self._lowest[:, 0]
        is_step = np.append(True, lowest[1:] < lowest[:-1])
        return self.points[is_step].drop_duplicates(self.x, keep="last")

    def best(self, budget: float) -> pd.Series:
        """Return the best point within a budget, which must reach the cheapest one."""
        steps = self.steps
        return steps[steps[self.x] <= SAME * budget].iloc[-1]

    def at(self, budget: float) -> Estimate:
        """Return the loss of the best point within a budget, with that point's own noise."""
        return self.best(budget).loss

    @cached_property
    def _lowest(self) -> Floats:
        """Running minimum of losses: in column 0 as measured, then one column a draw."""
        losses = np.stack([np.append(loss.value, loss.draws) for loss in self.points.loss])
        return np.fmin.accumulate(losses, axis=0)

    def lowest_at(self, budgets: Floats) -> Floats:
        """Return the envelope (budgets, 1 + draws), measured first; NaN below the first point."""
        place = np.searchsorted(self.points[self.x].to_numpy(float), SAME * budgets, side="right")
        lowest = self._lowest[np.maximum(place - 1, 0)]
        return np.where(place[:, None] > 0, lowest, np.nan)


def ensemble_points(laws: Iterable[EnsembleLaw]) -> pd.DataFrame:
    """Return two or more members of each ensemble as points: settings, K, loss, costs, run_ids.

    flops: of training K members; parameters: N x K. A loss is the mean over all subsets of K.
    """
    rows = []
    for law in laws:
        flops = law.scores.groupby("k").flops.first()
        for K in law.points.k[law.points.k >= 2]:
            cost = {"K": int(K), "flops": float(flops[K]), "parameters": int(law.N * K)}
            rows.append({**law.settings, **cost, "loss": law.at(K), "run_ids": law.members})
    return pd.DataFrame(rows)


def fit_frontiers(points: pd.DataFrame, x: str = "flops") -> dict[str, Frontier]:
    """Return the frontier of every recipe that has points; see `FAMILIES`.

    points: recipe, loss (estimates, nats/token) and x, a cost: flops or parameters.
    """
    points = points[[not math.isnan(loss.value) for loss in points.loss]]
    points = points.sort_values(x, kind="stable")
    families = {name: points[points.recipe.isin(members)] for name, members in FAMILIES.items()}
    return {name: Frontier(rows, x) for name, rows in families.items() if len(rows)}


def overtakes(one: Frontier, other: Frontier) -> Estimate:
    """Return the budget from which one frontier lies below another for good.

    Infinite where it does not: at the largest recorded budget the other is as low.
    """
    costs = np.union1d(one.points[one.x], other.points[other.x]).astype(float)
    budgets = costs[costs >= max(one.first, other.first)]
    is_below = one.lowest_at(budgets) < other.lowest_at(budgets)
    for_good = np.logical_and.accumulate(is_below[::-1])[::-1]
    start = np.where(for_good.any(axis=0), budgets[for_good.argmax(axis=0)], math.inf)
    return Estimate(float(start[0]), start[1:])


def crossings(frontiers: Mapping[str, Frontier]) -> pd.DataFrame:
    """Return where one recipe overtakes another for good, one row a pair where it does.

    Columns: recipe, overtakes, from (estimate: FLOPs or parameters), point (the best there), loss
    (nats/token) there and that of the other, `other to`: the cost of the other's last point.
    """
    rows = []
    for name, other_name in permutations(frontiers, 2):
        one, other = frontiers[name], frontiers[other_name]
        start = overtakes(one, other)
        is_part = other_name in FAMILIES[name] and other_name != "standard"
        if is_part or math.isinf(start.value):
            continue
        best = one.best(start.value)
        rows.append(
            {
                "recipe": name,
                "overtakes": other_name,
                "from": start,
                "point": f"{best.K} x {best.model}, {settings_label(dict(best))}",
                "loss": best.loss,
                "loss of the other": other.at(start.value),
                "other to": other.last,
            }
        )
    return pd.DataFrame(rows, columns=CROSSING)


def cost_text(cost: Estimate) -> str:
    """Return a budget with its interval: 1.34e11 [1.34e11, 4.05e11]."""
    value, ci_low, ci_high = (f"{v:.2e}" for v in (cost.value, cost.ci_low, cost.ci_high))
    return f"{value} [{ci_low}, {ci_high}]".replace("e+", "e").replace("inf", "∞")


def leading_notes(crossings: pd.DataFrame) -> list[str]:
    """Return what a caption says of ensembles and single models at equal training FLOPs, if any."""
    rows = crossings.query("recipe == 'ensemble' and overtakes == 'regularized'")
    return [
        f"below single models from {cost_text(start)} training FLOPs on" for start in rows["from"]
    ]
