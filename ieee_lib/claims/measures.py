"""What a verdict is given on: a number with its 95 % interval, of one estimate or of a family.

    measured(a - b)                          # one estimate
    largest(steps), smallest(gains)          # the maximum or minimum over a family

The interval of a maximum is not that of the member that happened to be the largest. Of each member
let q_i(p) be the p quantile of its draws:

    upper end = max q_i(0.975)     each of them alone must lie below a bound
    lower end = max q_i(a),        a: 2.5 % point, over draws, of the lowest rank that a member has

so that "one of them lies above" pays for having been chosen among all, and the more the less their
noise is common. Simulated, three to twenty members: this covers 0.97 to 0.99, the interval of the
largest member 0.86 to 0.96, and quantiles of the maximum of every draw 0.30 to 0.97.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.scan import Floats

ALPHA = 0.05
"""One minus the level of every interval."""
DOFS = np.geomspace(1, 1000, 200)
"""Degrees of freedom that the tails of draws are compared with."""


@dataclass(frozen=True)
class Measure:
    """A number, its 95 % interval, and how heavy the tails beyond that are."""

    value: float
    ci_low: float
    ci_high: float
    dof: float = math.inf
    """Degrees of freedom of Student's t beyond the interval's ends."""
    problem: str = ""
    """Why there is no interval; empty where there is one."""

    def __neg__(self) -> "Measure":
        """Return the measure with its sign turned."""
        return Measure(-self.value, -self.ci_high, -self.ci_low, self.dof, self.problem)

    def p_below(self, bound: float) -> float:
        """Return the two-sided p-value against "it lies at or above the bound".

        The distance to the bound counts in units of the interval's half on that side:

            p = 2 P(t(dof) > t_0.975(dof) (bound - value) / (ci_high - value))

        so p < 0.05 exactly where the interval lies below the bound.
        """
        half, distance = self.ci_high - self.value, bound - self.value
        if not math.isfinite(half):  # no end, or a value that is infinite itself
            return ALPHA if self.ci_high < bound and math.isinf(self.value) else 1.0
        if half == 0:
            return 0.0 if distance > 0 else 1.0
        dof = min(self.dof, 1e9)
        return min(
            1.0, 2 * float(student_t.sf(student_t.isf(ALPHA / 2, dof) * distance / half, dof))
        )

    def p_above(self, bound: float) -> float:
        """Return the two-sided p-value against "it lies at or below the bound"."""
        return (-self).p_below(-bound)


def measured(number: "Estimate | Measure | float") -> Measure:
    """Return an estimate's measure; a plain number has no noise.

    Without a value there is no interval, nor where more than 2.5 % of the draws have none.
    """
    if isinstance(number, Measure):
        return number
    if not isinstance(number, Estimate):
        number = Estimate(float(number), np.array([float(number)]))
    missing = float(np.isnan(number.draws).mean())
    if math.isnan(number.value):
        return _nothing(math.nan, "there is no value")
    if missing == 1:
        return _nothing(number.value, "its noise is unknown")
    if missing >= ALPHA / 2:
        return _nothing(number.value, f"{missing:.0%} of its draws have no value")
    dof = number.dof if math.isfinite(number.dof) else _tail_dof(number)
    return Measure(number.value, number.ci_low, number.ci_high, dof)


def largest(family: Sequence[Estimate]) -> Measure:
    """Return the maximum of estimates with its interval; see the module.

    A member without a value bounds nothing above, but another may still lie above a bound.
    """
    parts = [measured(part) for part in family]
    valued = [part for part in parts if not math.isnan(part.value)]
    lost = [part.problem for part in parts if part.problem]
    if not valued:
        return parts[0]
    return Measure(
        max(part.value for part in valued),
        _lower_end_of_largest([part for part in family if math.isfinite(measured(part).ci_low)]),
        math.inf if lost else max(part.ci_high for part in parts),
        min(part.dof for part in parts),
        f"one of {len(parts)} has no interval, {lost[0]}" if lost else "",
    )


def smallest(family: Sequence[Estimate]) -> Measure:
    """Return the minimum of estimates with its interval; see the module."""
    return -largest([-part for part in family])


def _lower_end_of_largest(family: Sequence[Estimate]) -> float:
    """Return max q_i(a) of members whose lower ends are bounded; without any -inf."""
    if not family:
        return -math.inf
    draws = np.stack([part.draws for part in family])  # (family, draws)
    draws[np.isnan(draws)] = -math.inf
    lowest_rank = draws.argsort(axis=1).argsort(axis=1).min(axis=0)
    rank = int(np.quantile(lowest_rank, ALPHA / 2, method="nearest"))
    return float(np.sort(draws, axis=1)[:, rank].max())


def _tail_dof(number: Estimate) -> float:
    """Return the dof of the t whose 95 % and 68 % points are as far apart as those of draws."""
    draws: Floats = number.draws[~np.isnan(number.draws)]
    inner = np.quantile(draws, [0.16, 0.84], method="nearest")
    outer = (number.ci_low, number.ci_high)
    sides = [
        abs(far - number.value) / abs(near - number.value)
        for near, far in zip(inner, outer, strict=True)
        if math.isfinite(far) and near != number.value
    ]
    if not sides or not math.isfinite(number.value):
        return math.inf
    ratios = student_t.ppf(1 - ALPHA / 2, DOFS) / student_t.ppf(0.84, DOFS)  # falls with dof
    return float(DOFS[np.argmin(np.abs(ratios - np.mean(sides)))])


def _nothing(value: float, problem: str) -> Measure:
    """Return a measure that nothing bounds."""
    end = math.nan if math.isnan(value) else math.inf
    return Measure(value, -end, end, problem=problem)
