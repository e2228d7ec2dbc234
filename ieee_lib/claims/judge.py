"""The paper's statements, judged: a measure with its interval, a criterion, a verdict.

Criteria are fixed in `STATEMENTS`, before any run. A difference counts only when its 95 %
interval lies on one side of the bound; otherwise the row says that this scale cannot tell. A
claim that does not hold is a finding.

    judged = [overfits(runs), decay_is_large(tuned)]
    verdicts.table(judged)
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from ieee_lib.claims.statements import MARGIN
from ieee_lib.claims.verdicts import (
    DOES_NOT,
    HOLDS,
    UNTESTABLE,
    Claim,
    above,
    below,
    claim,
    every,
    near_zero,
    not_far_below,
)
from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate, estimates
from ieee_lib.laws.power_law import Limit, PowerLaw
from ieee_lib.runs.frames import seed_means


def overfits(runs: pd.DataFrame) -> Claim:
    """At wd 0.1, more epochs over the same data end up worse (Sec. 2.1, Fig 2 left)."""
    means = seed_means(runs, ["epochs"]).dropna(subset="loss")
    last, best = means.iloc[-1], means.iloc[means.loss.argmin()]
    rise = _difference(last, best)
    detail = f"{last.epochs:.0f} epochs against {best.epochs:.0f}"
    verdict = above(rise, 0.0) if last.epochs > best.epochs else DOES_NOT
    return claim("overfits", rise, verdict, detail)


def memorizes(runs: pd.DataFrame) -> Claim:
    """Training loss keeps falling while validation loss rises (v1 Fig 15)."""
    val = seed_means(runs, ["epochs"]).dropna(subset="loss")
    train = seed_means(runs, ["epochs"], value="train_loss").dropna(subset="loss")
    fall = _difference(train.iloc[-1], train.iloc[val.loss.argmin()])
    return claim("memorizes", fall, below(fall, 0.0))


def standard_stalls(standard: pd.DataFrame) -> Claim:
    """Ten times the parameters improve the tuned standard recipe by less than 0.1 (Fig 2 right)."""
    table = standard.sort_values("N")
    gain = _difference(table.iloc[0], table.iloc[-1])
    detail = f"{table.N.iloc[-1] / table.N.iloc[0]:.0f}x the parameters"
    return claim("standard_stalls", gain, below(gain, 0.1), detail)


def decay_is_large(regularized: pd.DataFrame) -> Claim:
    """The tuned weight decay is far above 0.1 at every N (Sec. 3; 30x at most in the paper)."""
    smallest = float(regularized.wd.min())
    certified = not regularized.status.isin(["uncertified", "not searched"]).any()
    verdict = UNTESTABLE if not certified else HOLDS if smallest >= 0.4 else DOES_NOT
    return claim("decay_is_large", smallest, verdict)


def decay_helps(standard: pd.DataFrame, regularized: pd.DataFrame) -> Claim:
    """Tuned decay beats the tuned standard recipe at every N (Fig 3)."""
    pairs = regularized.merge(standard, on="N", suffixes=("", "_standard"))
    usual = pairs[["loss_standard", "se_standard"]].set_axis(["loss", "se"], axis=1)
    gains = [_difference(usual.loc[i], pairs.loc[i]) for i in pairs.index]
    verdict = every([above(gain, 0.0) for gain in gains])
    return claim("decay_helps", _extreme(gains, min), verdict)


def falls_with_size(regularized: pd.DataFrame) -> Claim:
    """The regularized loss falls with every step in N (Fig 3)."""
    table = regularized.sort_values("N")
    steps = [_difference(table.iloc[i + 1], table.iloc[i]) for i in range(len(table) - 1)]
    verdict = every([below(step, 0.0) for step in steps])
    return claim("falls_with_size", _extreme(steps, max), verdict)


def follows_power_law(law: PowerLaw) -> Claim:
    """A / N^alpha + E describes the tuned losses within their noise (Fig 3)."""
    if law.dof < 1:
        return claim("follows_power_law", law.chi2, UNTESTABLE, "no degree of freedom")
    detail = f"95 % point {law.chi2_bound:.2f} at {law.dof} degree(s) of freedom"
    verdict = HOLDS if law.chi2 < law.chi2_bound else DOES_NOT
    return claim("follows_power_law", law.chi2, verdict, detail)


def limit_below_standard(law: PowerLaw, standard: pd.DataFrame) -> Claim:
    """The limit of the regularized law lies below the best standard loss (Fig 1, Fig 3)."""
    best = standard.iloc[standard.loss.argmin()]
    ci_low, ci_high = law.interval("E")
    spread = 1.96 * best.se
    difference = _interval(
        law.E - best.loss, ci_low - best.loss - spread, ci_high - best.loss + spread
    )
    return claim("limit_below_standard", difference, below(difference, 0.0))


def ensemble_below_regularized(law: EnsembleLaw, regularized: Limit) -> Claim:
    """The K → ∞ limit of one small model passes the N → ∞ limit (Fig 4)."""
    difference = law.limit - regularized
    detail = f"{law.model}, {law.K} members"
    return claim("ensemble_below_regularized", difference, below(difference, 0.0), detail)


SLACK = 1.1
"""By which a model may be larger than the members that are held against it."""


def small_beat_big(law: EnsembleLaw, regularized: pd.DataFrame) -> Claim:
    """K members beat one tuned model of their total size (Sec. 4.1: two 300M beat one 600M).

    The largest tuned model that the members reach in size, at most `SLACK` times larger.
    """
    sizes = regularized[max(SLACK * law.K * law.N, law.N) >= regularized.N]
    row = sizes[sizes.N.max() == sizes.N]
    big, big_size = estimates(row)[0], int(row.N.iloc[0])
    k = min(law.K, int(SLACK * big_size / law.N))
    if k < 2:
        return claim("small_beat_big", math.nan, UNTESTABLE, "the models are too alike in size")
    difference = law.at(k) - big
    total = k * law.N / big_size
    detail = f"{k} x {law.model}, {total:.2f}x the parameters"
    return claim("small_beat_big", difference, below(difference, 0.0), detail)


def excess_is_one_over_k(laws: Sequence[EnsembleLaw]) -> Claim:
    """Excess over the limit falls about as 1/K (Sec. 4.1)."""
    exponents = [
        (law.model, _interval(law.free.alpha, *law.beta_interval)) for law in laws if law.free
    ]
    if not exponents:
        return claim("excess_is_one_over_k", math.nan, UNTESTABLE, "needs four members")
    model, farthest = max(exponents, key=lambda pair: abs(pair[1].value - 1))
    if all(beta.ci_low >= 0.75 and beta.ci_high <= 1.25 for _, beta in exponents):
        verdict = HOLDS
    elif any(beta.ci_high < 0.75 or beta.ci_low > 1.25 for _, beta in exponents):
        verdict = DOES_NOT
    else:
        verdict = UNTESTABLE
    return claim("excess_is_one_over_k", farthest, verdict, model)


def heuristic_helps(single_optimum: EnsembleLaw, heuristic: EnsembleLaw) -> Claim:
    """Doubled epochs and halved decay: worse members, better limit (Sec. 4.2)."""
    limit = heuristic.limit - single_optimum.limit
    member = heuristic.at(1) - single_optimum.at(1)
    verdict = every([below(limit, 0.0), above(member, 0.0)])
    return claim("heuristic_helps", limit, verdict, f"one member changes by {member!r}")


def heuristic_is_optimal(heuristic: EnsembleLaw, neighbours: Sequence[EnsembleLaw]) -> Claim:
    """No one-step neighbour has a lower limit beyond noise (Sec. 4.2; v1 Fig 17)."""
    differences = {law: law.limit - heuristic.limit for law in neighbours}
    lowest = min(neighbours, key=lambda law: differences[law].value)
    far = [not_far_below(difference, MARGIN) for difference in differences.values()]
    where = f"wd {lowest.settings['wd']:g}, {lowest.settings['epochs']} epochs"
    detail = f"{len(neighbours)} neighbours of {lowest.K} members, lowest at {where}"
    return claim("heuristic_is_optimal", differences[lowest], every(far), detail)


def either_seed_suffices(laws: Mapping[str, EnsembleLaw]) -> Claim:
    """New weights alone, or a new order alone, gives most of a second member's gain (Fig 16)."""
    both, *alone = (law.gain for law in laws.values())
    shares = [gain / both for gain in alone]
    smaller = min(shares, key=lambda share: share.value)
    detail = ", ".join(f"{n}: {s.value:.2f}" for n, s in zip(list(laws)[1:], shares, strict=True))
    return claim("either_seed_suffices", smaller, above(smaller, 0.5), detail)


def limits_fall_with_size(laws: Sequence[EnsembleLaw]) -> Claim:
    """The K → ∞ limit falls with every step in N (Sec. 4.3, Fig 6)."""
    laws = sorted(laws, key=lambda law: law.N)
    steps = [laws[i + 1].limit - laws[i].limit for i in range(len(laws) - 1)]
    verdict = every([below(step, 0.0) for step in steps])
    return claim("limits_fall_with_size", _extreme(steps, max), verdict)


def difference_below(key: str, a: Estimate, b: Estimate, detail: str = "") -> Claim:
    """Return the row of a statement "a lies below b"."""
    return claim(key, a - b, below(a - b, 0.0), detail)


def orders_agree(K_first: Estimate, N_first: Estimate) -> Claim:
    """The limits in K and N commute (Sec. 4.3)."""
    difference = K_first - N_first
    return claim("orders_agree", difference, near_zero(difference, 0.05))


def saves_data(key: str, efficiency: Estimate) -> Claim:
    """A recipe has a data efficiency above 1 (Sec. 5)."""
    return claim(key, efficiency, above(efficiency, 1.0))


def recipes_are_ordered(ladder: Sequence[tuple[Estimate, Estimate, Estimate]]) -> Claim:
    """Joint below regularized below standard at every D (Fig 7); one triple a D, in that order."""
    pairs = [pair for triple in ladder for pair in pairwise(triple)]
    differences = [a - b for a, b in pairs if a.exists and b.exists]
    verdicts = [below(difference, 0.0) for difference in differences]
    detail = f"{len(ladder)} D"
    if n_lost := len(pairs) - len(differences):
        verdicts.append(UNTESTABLE)
        detail += f", {n_lost} of {len(pairs)} pairs lack a limit"
    measure = _extreme(differences, max) if differences else math.nan
    return claim("recipes_are_ordered", measure, every(verdicts), detail)


def efficiency_is_constant(efficiencies: Sequence[Estimate], unresolved: Sequence[int]) -> Claim:
    """The joint recipe's multiplier is about the same at every D (Sec. 5.4).

    `unresolved`: the D at which the K → ∞ limits do not fall towards a bounded N → ∞ limit;
    with any of them there is no joint limit to compare.
    """
    draws = np.stack([e.draws for e in efficiencies])
    values = [e.value for e in efficiencies]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = Estimate(max(values) / min(values), draws.max(0) / draws.min(0))
    if unresolved:
        detail = f"no bounded joint limit at D = {', '.join(f'{d:,}' for d in unresolved)}"
        return claim("efficiency_is_constant", ratio, UNTESTABLE, detail)
    return claim("efficiency_is_constant", ratio, below(ratio, 1.5), f"{len(values)} D")


def exponents_agree(a: PowerLaw | None, b: PowerLaw) -> Claim:
    """Laws in D have similar exponents, so that the multiplier is constant (Sec. 5.4).

    Where the points do not bound both, two exponents at the edge of the scan agree for nothing.
    """
    if a is None:
        return claim("exponents_agree", math.nan, UNTESTABLE, "too few limits for a law")
    difference = a.limit.alpha - b.limit.alpha
    if not (a.has_bounded_limit and b.has_bounded_limit):
        return claim("exponents_agree", difference, UNTESTABLE, "the points do not bound both")
    return claim("exponents_agree", difference, near_zero(difference, 0.1))


def keeps_gain(retention: Estimate, gain: Estimate, detail: str) -> Claim:
    """A student keeps more than half of its ensemble's gain (Fig 9), if there surely is one."""
    verdict = above(retention, 0.5) if above(gain, 0.0) == HOLDS else UNTESTABLE
    return claim("student_keeps_gain", retention, verdict, detail)


def difference_above(key: str, a: Estimate, b: Estimate, detail: str) -> Claim:
    """Return the row of a statement "a lies above b"."""
    return claim(key, a - b, above(a - b, 0.0), detail)


def predicts_error(correlation: Estimate, detail: str) -> Claim:
    """Lower loss goes with lower downstream error (Fig 10)."""
    return claim("loss_predicts_error", correlation, above(correlation, 0.0), detail)


def helps_downstream(change: Estimate, detail: str) -> Claim:
    """The best ensemble errs less than the best single model (Table 5)."""
    return claim("ensembles_help_downstream", change, below(change, 0.0), detail)


def _interval(value: float, ci_low: float, ci_high: float) -> Estimate:
    """Return an estimate whose 95 % interval is given; without one nothing can be told."""
    if math.isnan(ci_low) or math.isnan(ci_high):
        return Estimate(value, np.full(3, math.nan))
    return Estimate(value, np.array([ci_low, value, ci_high]))


def _difference(a: pd.Series, b: pd.Series) -> Estimate:
    """Return a.loss - b.loss with its 95 % interval from the two standard errors."""
    value = float(a.loss - b.loss)
    error = 1.96 * float(np.hypot(a.se, b.se))
    return _interval(value, value - error, value + error)


def _extreme(differences: Sequence[Estimate], order: Callable[..., Estimate]) -> Estimate:
    """Return the smallest or largest by value (order: min or max); NaN comes before any."""
    for difference in differences:
        if math.isnan(difference.value):
            return difference
    return order(differences, key=lambda difference: difference.value)
