"""The paper's statements, judged: a measure with its interval, a criterion, a verdict.

Criteria are fixed in `STATEMENTS`, before any run. A difference counts only when its 95 %
interval lies on one side of the bound; otherwise the row says that this scale cannot tell. A
claim that does not hold is a finding.

    judged = [overfits(runs), decay_is_large(tuned)]
    verdicts.table(judged)
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import f as f_distribution
from scipy.stats import ncf as noncentral_f
from scipy.stats import t as student_t

from ieee_lib.claims.measures import largest, smallest
from ieee_lib.claims.statements import MARGIN
from ieee_lib.claims.verdicts import (
    DOES_NOT,
    HOLDS,
    UNTESTABLE,
    Claim,
    Verdict,
    above,
    below,
    claim,
    if_sure,
    near_zero,
    untestable,
)
from ieee_lib.laws.ensembles import EnsembleLaw, best_ensemble
from ieee_lib.laws.estimates import Estimate, estimates, measured_mean
from ieee_lib.laws.fit import fit_power_law
from ieee_lib.laws.frontier import SAME, Frontier, ensemble_points
from ieee_lib.laws.power_law import Limit, PowerLaw
from ieee_lib.runs.frames import Noise, pooled_noise


def overfits(runs: pd.DataFrame) -> Claim:
    """At wd 0.1, more epochs over the same data end up worse (Sec. 2.1, Fig 2 left)."""
    *fewer, last = _by_epochs(runs, "val_loss")
    rises = {epochs: last[1] - loss for epochs, loss in fewer}
    best = max(rises, key=lambda epochs: rises[epochs].value)
    rise = largest(list(rises.values()))
    detail = f"{last[0]} epochs against {best}, the best of {len(fewer)}"
    return claim("overfits", rise, above(rise, 0.0), detail)


def memorizes(runs: pd.DataFrame) -> Claim:
    """Training loss keeps falling while validation loss rises (v1 Fig 15)."""
    val, train = (dict(_by_epochs(runs, value)) for value in ("val_loss", "train_loss"))
    best, last = min(val, key=lambda epochs: val[epochs].value), max(val)
    if best == last:
        reason = "the validation loss is lowest at the most epochs"
        return claim("memorizes", math.nan, untestable(reason))
    fall = train[last] - train[best]
    return claim("memorizes", fall, below(fall, 0.0), f"{last} epochs against {best}")


def standard_stalls(standard: pd.DataFrame) -> Claim:
    """Ten times the parameters improve the tuned standard recipe by less than 0.1 (Fig 2 right)."""
    table = standard.sort_values("N")
    first, *_, last = estimates(table)
    detail = f"{table.N.iloc[-1] / table.N.iloc[0]:.0f}x the parameters"
    return claim("standard_stalls", first - last, below(first - last, 0.1), detail)


def decay_is_large(regularized: pd.DataFrame) -> Claim:
    """The tuned weight decay is far above 0.1 at every N (Sec. 3; 30x at most in the paper)."""
    smallest_wd = float(regularized.wd.min())
    open_searches = regularized[regularized.status.isin(["uncertified", "not searched"])]
    if len(open_searches):
        names = [f"{row.model} is {row.status}" for row in open_searches.itertuples()]
        verdict = Verdict(UNTESTABLE, ", ".join(names))
    elif smallest_wd >= 0.4:
        verdict = Verdict(HOLDS, "it is at least 0.4 and every search is certified")
    else:
        verdict = Verdict(DOES_NOT, "it is below 0.4 and every search is certified")
    return claim("decay_is_large", smallest_wd, verdict)


def decay_helps(standard: pd.DataFrame, regularized: pd.DataFrame) -> Claim:
    """Tuned decay beats the tuned standard recipe at every N (Fig 3)."""
    usual = dict(zip(standard.N, estimates(standard), strict=True))
    tuned = dict(zip(regularized.N, estimates(regularized), strict=True))
    gain = smallest([usual[N] - tuned[N] for N in tuned if N in usual])
    return claim("decay_helps", gain, above(gain, 0.0))


def falls_with_size(regularized: pd.DataFrame) -> Claim:
    """The regularized loss falls with every step in N (Fig 3)."""
    step = largest(_steps(estimates(regularized.sort_values("N"))))
    return claim("falls_with_size", step, below(step, 0.0))


def follows_power_law(law: PowerLaw) -> Claim:
    """A / N^alpha + E describes the tuned losses within their noise (Fig 3).

    It holds only where the noise would have let a misfit show: one point `MARGIN` off the law
    exceeds the bound with a chance of at least 95 %. That is the point where it shows most, one
    in the middle; the law can bend towards the first and the last.
    """
    if law.dof < 1:
        return claim("follows_power_law", law.chi2, untestable("no degree of freedom"))
    detail = f"95 % point {law.chi2_bound:.2f} at {law.dof} degree(s) of freedom"
    power = _power(law)
    seen = f"a middle point {MARGIN} off the law would show with a chance of {power:.0%}"
    if law.misfits:
        p = float(f_distribution.sf(law.chi2 / law.dof, law.dof, min(law.noise_dof, 1e9)))
        verdict = Verdict(DOES_NOT, "the points miss the law by more than their noise", p)
    elif power >= 0.95:
        verdict = Verdict(HOLDS, f"the points lie on the law within their noise; {seen}", 1 - power)
    else:
        verdict = untestable(seen)
    return claim("follows_power_law", law.chi2, verdict, detail)


def _power(law: PowerLaw) -> float:
    """Return the chance that chi2 shows one point `MARGIN` off the law, where it shows most.

    Refitted to the law with that point moved, chi2 is the noncentrality of the chi2 measured.
    """
    alpha = law.alpha if law.fixed_alpha else None
    shifts = [
        fit_power_law(law.x, law(law.x) + moved, sigma=law.sigma, alpha=alpha).chi2
        for moved in MARGIN * np.eye(law.n_point)
    ]
    bound, noise_dof = law.chi2_bound / law.dof, min(law.noise_dof, 1e9)
    return float(noncentral_f.sf(bound, law.dof, noise_dof, max(shifts)))


def limit_below_standard(law: PowerLaw, standard: pd.DataFrame) -> Claim:
    """The limit of the regularized law lies below the best standard loss (Fig 1, Fig 3)."""
    measured = [loss for loss in estimates(standard) if not math.isnan(loss.value)]
    difference = largest([law.limit - loss for loss in measured])
    return claim("limit_below_standard", difference, below(difference, 0.0))


def ensemble_below_regularized(law: EnsembleLaw, regularized: Limit) -> Claim:
    """The K → ∞ limit of one small model passes the N → ∞ limit (Fig 4)."""
    difference = law.limit - regularized
    detail = f"{law.model}, {law.K} members"
    return claim("ensemble_below_regularized", difference, below(difference, 0.0), detail)


SLACK = 1.1
"""Factor by which a model may be larger than the members that are held against it."""


def small_beat_big(law: EnsembleLaw, regularized: pd.DataFrame) -> Claim:
    """K members beat one tuned model of their total size (Sec. 4.1: two 300M beat one 600M).

    The largest tuned model that the members reach in size, at most `SLACK` times larger.
    """
    sizes = regularized[regularized.N <= SLACK * law.K * law.N]
    row = sizes[sizes.N.max() == sizes.N]
    big, big_size = estimates(row)[0], int(row.N.iloc[0])
    k = min(law.K, int(SLACK * big_size / law.N))
    if k < 2:
        verdict = untestable("the models are too alike in size")
        return claim("small_beat_big", math.nan, verdict)
    difference = law.at(k) - big
    detail = f"{k} x {law.model}, {k * law.N / big_size:.2f}x the parameters"
    return claim("small_beat_big", difference, below(difference, 0.0), detail)


def excess_is_one_over_k(laws: Sequence[EnsembleLaw]) -> Claim:
    """Excess over the limit falls about as 1/K (Sec. 4.1)."""
    exponents = {law.model: _free_exponent(law) for law in laws if law.free}
    if not exponents:
        return claim("excess_is_one_over_k", math.nan, untestable("needs four members"))
    distances = [beta - 1.0 for beta in exponents.values()]
    distance = largest([*distances, *(-each for each in distances)])
    detail = ", ".join(f"{model}: {beta.value:.2f}" for model, beta in exponents.items())
    return claim("excess_is_one_over_k", distance, below(distance, 0.25), detail)


def _free_exponent(law: EnsembleLaw) -> Estimate:
    """Return the free exponent of K, its draws with the jackknife's error and Student's t."""
    assert law.free
    ci_low, ci_high = law.beta_interval
    error = (ci_high - ci_low) / 2 / float(student_t.ppf(0.975, law.K - 1))
    noise = Noise(error * math.sqrt(law.K), law.K - 1)
    return measured_mean(law.free.alpha, noise, law.members)


def heuristic_helps(single_optimum: EnsembleLaw, heuristic: EnsembleLaw) -> Claim:
    """Doubled epochs and halved decay: worse members, better limit (Sec. 4.2)."""
    limit = heuristic.limit - single_optimum.limit
    member = heuristic.at(1) - single_optimum.at(1)
    verdict = below(largest([limit, -member]), 0.0)
    reasons = f"limit: {below(limit, 0.0).reason}; member: {above(member, 0.0).reason}"
    detail = f"one member changes by {member!r}"
    return claim("heuristic_helps", limit, verdict._replace(reason=reasons), detail)


def heuristic_gains_in_limit_only(
    single_optimum: Sequence[EnsembleLaw], heuristic: Sequence[EnsembleLaw]
) -> Claim:
    """The single-model optimum wins within each recorded budget, the heuristic as K → ∞ (Sec. 4.2).

    Budgets are the training FLOPs of the heuristic's ensembles, from the cheapest to the costliest
    that is recorded at the single-model optimum; each recipe has its best within a budget.
    """
    key = "heuristic_gains_in_limit_only"
    optimum, doubled = (
        Frontier(ensemble_points(laws).sort_values("flops")) for laws in (single_optimum, heuristic)
    )
    points = doubled.points[doubled.points.flops.between(optimum.first, SAME * optimum.last)]
    if points.empty:
        return claim(key, math.nan, untestable("no budget is recorded at both settings"))
    differences = [optimum.at(flops) - doubled.at(flops) for flops in points.flops]
    limits = [
        min((law.limit for law in laws), key=lambda limit: limit.value)
        for laws in (heuristic, single_optimum)
    ]
    limit, difference = limits[0] - limits[1], largest(differences)
    verdict = below(largest([*differences, limit]), 0.0)
    reasons = f"budgets: {below(difference, 0.0).reason}; limit: {below(limit, 0.0).reason}"
    ahead = sum(each.value < 0 for each in differences)
    detail = f"ahead at {ahead} of {len(points)} budgets; limits differ by {limit!r}"
    return claim(key, difference, verdict._replace(reason=reasons), detail)


def heuristic_is_optimal(heuristic: EnsembleLaw, neighbours: Sequence[EnsembleLaw]) -> Claim:
    """No one-step neighbour has a lower limit beyond noise (Sec. 4.2; v1 Fig 17)."""
    lowest = min(neighbours, key=lambda law: law.limit.value)
    difference = smallest([law.limit - heuristic.limit for law in neighbours])
    where = f"wd {lowest.settings['wd']:g}, {lowest.settings['epochs']} epochs"
    detail = f"{len(neighbours)} neighbours of {lowest.K} members, lowest at {where}"
    return claim("heuristic_is_optimal", difference, above(difference, -MARGIN), detail)


def either_seed_suffices(laws: Mapping[str, EnsembleLaw]) -> Claim:
    """New weights alone, or a new order alone, gives most of a second member's gain (Fig 16)."""
    both, *alone = (law.gain for law in laws.values())
    shares = [gain / both for gain in alone]
    share = smallest(shares)
    verdict = if_sure(above(both, 0.0), above(share, 0.5), "the gain of a second member is unsure")
    detail = ", ".join(f"{n}: {s.value:.2f}" for n, s in zip(list(laws)[1:], shares, strict=True))
    return claim("either_seed_suffices", share, verdict, detail)


def limits_fall_with_size(laws: Sequence[EnsembleLaw]) -> Claim:
    """The K → ∞ limit falls with every step in N (Sec. 4.3, Fig 6)."""
    step = largest(_steps([law.limit for law in sorted(laws, key=lambda law: law.N)]))
    return claim("limits_fall_with_size", step, below(step, 0.0))


def best_ensemble_below_limit(ensembles: Sequence[EnsembleLaw], limit: Limit) -> Claim:
    """The best of the recorded ensembles lies below the regularized limit (Sec. 4.3)."""
    difference = smallest([law.measured - limit for law in ensembles])
    best = best_ensemble(ensembles)
    detail = f"{best.K} x {best.model}, the best of {len(ensembles)} ensembles"
    return claim("best_ensemble_below_limit", difference, below(difference, 0.0), detail)


def difference_below(key: str, a: Estimate, b: Estimate, detail: str = "") -> Claim:
    """Return the row of a statement "a lies below b"."""
    return claim(key, a - b, below(a - b, 0.0), detail)


def difference_above(key: str, a: Estimate, b: Estimate, detail: str) -> Claim:
    """Return the row of a statement "a lies above b"."""
    return claim(key, a - b, above(a - b, 0.0), detail)


def orders_agree(K_first: Estimate, N_first: Estimate) -> Claim:
    """The limits in K and N commute (Sec. 4.3)."""
    difference = K_first - N_first
    return claim("orders_agree", difference, near_zero(difference, 0.05))


def _steps(losses: Sequence[Estimate]) -> list[Estimate]:
    """Return the change from each loss to the next."""
    return [after - before for before, after in pairwise(losses)]


def _by_epochs(runs: pd.DataFrame, value: str) -> Iterator[tuple[int, Estimate]]:
    """Return the mean over seeds at every number of epochs, one noise for all of them."""
    done = runs[runs.status == "done"]
    noise = pooled_noise(done, ["epochs"], value=value)
    for epochs in sorted(done.epochs.unique()):
        rows = done[done.epochs == epochs]
        yield int(epochs), measured_mean(float(rows[value].mean()), noise, tuple(rows.run_id))
