"""The statements about data, students, downstream tasks and continued pre-training (Sec. 5 to 7).

As in `judge`: a measure with its interval, a criterion fixed in `STATEMENTS`, a verdict.

    saves_data("joint_saves_data", efficiency)
    exponents_agree(laws_in_data["regularized"], laws_in_data["standard"], base)
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from ieee_lib.claims.measures import largest
from ieee_lib.claims.verdicts import (
    HOLDS,
    Claim,
    above,
    below,
    claim,
    if_sure,
    near_zero,
    untestable,
    within,
)
from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.units import scale_of


def saves_data(key: str, efficiency: Estimate) -> Claim:
    """A recipe has a data efficiency above 1 (Sec. 5)."""
    detail = "no amount of the other recipe's data is known to reach this loss"
    return claim(
        key, efficiency, above(efficiency, 1.0), detail if math.isinf(efficiency.value) else ""
    )


def recipes_are_ordered(ladder: Sequence[tuple[Estimate, Estimate, Estimate]]) -> Claim:
    """Joint below regularized below standard at every D (Fig 7); one triple a D, in that order."""
    pairs = [pair for triple in ladder for pair in pairwise(triple)]
    differences = [a - b for a, b in pairs if a.exists and b.exists]
    detail, lost = f"{len(ladder)} D", f"{len(pairs) - len(differences)} of {len(pairs)} pairs"
    if not differences:
        return claim("recipes_are_ordered", math.nan, untestable("no pair has both limits"), detail)
    difference = largest(differences)
    verdict = below(difference, 0.0)
    if verdict.word == HOLDS and len(differences) < len(pairs):
        verdict = untestable(f"{lost} lack a limit, which the others cannot stand for")
    return claim("recipes_are_ordered", difference, verdict, detail)


FACTOR = 1.5
"""Factor by which the data efficiency may change over the ladder and be called similar."""


def efficiency_is_constant(
    efficiencies: Mapping[int, Estimate], unresolved: Sequence[int] = ()
) -> Claim:
    """The joint recipe's multiplier is about the same at every D (Sec. 5.4).

    efficiencies: D -> multiplier. The change over the ladder is that of a fitted power of D,

        ln multiplier = slope ln D + constant,    factor = (largest D / smallest D)^slope

    `unresolved`: the D at which the K → ∞ limits do not fall towards a bounded N → ∞ limit;
    with any of them there is no joint limit to compare.
    """
    x = np.log(list(efficiencies))
    weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2) * (x.max() - x.min())
    values = np.array([each.value for each in efficiencies.values()])
    draws = np.stack([each.draws for each in efficiencies.values()])
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = Estimate(float(np.exp(weights @ np.log(values))), np.exp(weights @ np.log(draws)))
    verdict = within(factor, 1 / FACTOR, FACTOR)
    if unresolved:
        at = ", ".join(f"{D:,}" for D in unresolved)
        verdict = untestable(f"no bounded joint limit at D = {at}")
    detail = f"{len(x)} D"
    if 0 < factor.value < math.inf:
        slope = math.log(factor.value) / (x.max() - x.min())
        detail = f"slope {slope:.2f} of ln multiplier on ln D, {detail}"
    return claim("efficiency_is_constant", factor, verdict, detail)


def exponents_agree(a: PowerLaw | None, b: PowerLaw, D: int) -> Claim:
    """Laws in D have similar exponents, so that the multiplier is constant (Sec. 5.4).

    Where the points do not bound both, two exponents at the edge of the scan agree for nothing.
    The detail compares what the points do determine, dL / d ln D at one D (tokens).
    """
    if a is None:
        return claim("exponents_agree", math.nan, untestable("too few limits for a law"))
    difference = a.limit.alpha - b.limit.alpha
    one, other = _log_slope(a, D), _log_slope(b, D)
    detail = f"dL/d ln D at {D:,}: {one!r} and {other!r}, difference {one - other!r}"
    verdict = near_zero(difference, 0.1)
    if not (a.has_bounded_limit and b.has_bounded_limit):
        verdict = untestable("the points do not bound both")
    return claim("exponents_agree", difference, verdict, detail)


def _log_slope(law: PowerLaw, D: int) -> Estimate:
    """Return dL / d ln D = -alpha A D^-alpha at D tokens (nats/token), with its draws."""
    x, limit = D / scale_of(law.unit), law.limit
    with np.errstate(over="ignore", invalid="ignore"):
        draws = -limit.alpha_draws * limit.A_draws * x**-limit.alpha_draws
    return Estimate(-law.alpha * law.A * x**-law.alpha, draws)


def keeps_gain(retention: Estimate, gain: Estimate, detail: str) -> Claim:
    """A student keeps more than half of its ensemble's gain (Fig 9), if there surely is one."""
    verdict = if_sure(above(gain, 0.0), above(retention, 0.5), "the ensemble's gain is unsure")
    return claim("student_keeps_gain", retention, verdict, detail)


def predicts_error(correlation: Estimate, detail: str) -> Claim:
    """Lower loss goes with lower downstream error (Fig 10)."""
    return claim("loss_predicts_error", correlation, above(correlation, 0.0), detail)


def helps_downstream(change: Estimate, detail: str) -> Claim:
    """The best ensemble errs less than the best single model (Table 5)."""
    return claim("ensembles_help_downstream", change, below(change, 0.0), detail)
