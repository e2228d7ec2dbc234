"""The noise of a law in K: what each member adds to it, by the jackknife.

For a statistic theta of K members (A and E of the law, the gain of a second member) and theta(-i)
of all but member i, the pseudo-values and the draws are

    p_i = K theta - (K - 1) theta(-i)
    draws = theta + s sum_i z_i (p_i - mean p) / sqrt(K (K - 1)),      z_i: the noise draws of run i

so that their variance is the jackknife's, sum (p_i - mean p)^2 / (K (K - 1)), and runs that two
laws share cancel. With three to five members a variance of one's own is worth little: the size of
the deviations is pooled over the ensembles of one question, or over those of one N where they
differ between N by more than chance, and s takes Student's t for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from ieee_lib.errors import check
from ieee_lib.laws.estimates import Estimate, normal_draws, t_scale
from ieee_lib.laws.scan import Floats, fit_many
from ieee_lib.runs.frames import Noise

STATISTICS = ("A", "E", "gain")
"""Of A / K + E, and the gain L(1) - L(2)."""
BARTLETT = 0.05
"""Level of Bartlett's test; below it the ensembles of each N are pooled by themselves."""
MIN_MEMBERS = 3
"""Members that an ensemble needs for a variance of its own."""


@dataclass(frozen=True, eq=False)
class Influence:
    """Statistics of an ensemble with what each member adds to their noise."""

    members: tuple[str, ...]
    """Run ids."""
    values: Floats
    """(3,) A, E and gain (nats/token)."""
    deviations: Floats | None
    """(K, 3) pseudo-values minus their mean; None with fewer than three members."""
    sigma: Floats
    """(3,) standard deviation of one member's deviation; infinite where nothing says it."""
    dof: float
    """Degrees of freedom behind sigma."""
    source: str
    """Where sigma comes from: its members, all ensembles, ensembles of its N, single runs, or
    nothing."""

    def estimate(self, *coefficients: float) -> Estimate:
        """Return the estimate of a A + b E + c gain for three coefficients."""
        combine = np.array(coefficients)
        z = np.stack([normal_draws(run_id) for run_id in self.members])
        value = float(self.values @ combine)
        if not np.isfinite(self.sigma).all():
            unbounded = np.where(z.sum(axis=0) < 0, -np.inf, np.inf)
            return Estimate(value, unbounded, math.inf, self.dof)
        weights = self._weights @ combine  # (K,)
        noise = t_scale(self.dof) * (weights @ z)
        return Estimate(value, value + noise, float(np.sqrt((weights**2).sum())), self.dof)

    @property
    def _weights(self) -> Floats:
        """Return what one unit of each member's noise adds, (K, 3)."""
        K = len(self.members)
        if self.deviations is None:  # all members alike
            return np.full((K, len(STATISTICS)), self.sigma / K)
        unpooled = _deviation(self.deviations)
        scale = np.divide(self.sigma, unpooled, out=np.zeros_like(unpooled), where=unpooled > 0)
        return self.deviations * scale / math.sqrt(K * (K - 1))


def influence(
    scores: pd.DataFrame, members: Sequence[str], *, exchangeable: bool = True
) -> Influence:
    """Return the statistics of one ensemble's scored subsets with their own noise.

    Fewer than three members, and members that are not exchangeable, have none of their own.
    """
    among = Subsets.of(scores, members)
    values = among.statistics()
    K = len(members)
    if K < MIN_MEMBERS or not exchangeable:
        unknown = np.full(len(STATISTICS), np.inf)
        return Influence(tuple(members), values, None, unknown, 1.0, "nothing")
    others = [among.without(i) for i in range(K)]
    enough = all({1, 2} <= set(each.contains.sum(axis=1)) for each in others)
    needs = "must include members and pairs without each one, or not be called exchangeable"
    check(enough, "subsets", len(scores), needs)
    left_out = np.stack([each.statistics() for each in others])
    pseudo = K * values - (K - 1) * left_out
    deviations = pseudo - pseudo.mean(axis=0)
    return Influence(
        tuple(members), values, deviations, _deviation(deviations), K - 1.0, "its members"
    )


def pool(
    influences: Sequence[Influence], sizes: Sequence[int], fallback: Noise | None
) -> list[Influence]:
    """Return the influences of ensembles of these N with a size of noise that is pooled.

        sigma^2 = sum of (K - 1) sigma_e^2 / sum of (K - 1)

    over all ensembles e that have their own; over those of one N where Bartlett's test of the
    limits' variances, at 5 %, says that they differ between N. An N of which no ensemble has three
    members takes that of all. Where no ensemble has, sigma is `fallback`: the noise between single
    runs, more than what an ensemble inherits of it; without that it is infinite.
    """
    squares = [
        [N, len(each.members) - 1.0, *(each.deviations**2).sum(axis=0)]
        for N, each in zip(sizes, influences, strict=True)
        if each.deviations is not None
    ]
    if not squares:
        return [_of_single_runs(each, fallback) if fallback else each for each in influences]
    varied = pd.DataFrame(squares, columns=["N", "dof", *STATISTICS])
    by_N = varied.groupby("N").sum()
    differ = variances_differ(by_N["E"].to_numpy(), by_N.dof.to_numpy())
    every = varied.drop(columns="N").sum()
    pooled = []
    for N, each in zip(sizes, influences, strict=True):
        of_N = differ and N in by_N.index
        row, source = (by_N.loc[N], "ensembles of its N") if of_N else (every, "all ensembles")
        dof, *sums = row[["dof", *STATISTICS]].to_numpy(float)
        pooled.append(
            replace(each, sigma=np.sqrt(np.array(sums) / dof), dof=float(dof), source=source)
        )
    return pooled


def _of_single_runs(each: Influence, noise: Noise) -> Influence:
    sigma = np.full(len(STATISTICS), noise.sigma)
    return replace(each, sigma=sigma, dof=noise.dof, source="single runs")


def variances_differ(squares: Floats, dof: Floats) -> bool:
    """Say whether the variances of groups differ by more than chance, by Bartlett's test at 5 %.

        T = (d ln s^2 - sum of d_g ln s_g^2) / (1 + (sum of 1 / d_g - 1 / d) / (3 (g - 1)))

    squares: the sum of squares of each of the g groups, dof: its degrees of freedom d_g, both (g,).
    d and s^2 are those of all groups together.
    """
    if len(dof) < 2 or not (squares > 0).all():
        return False
    total = dof.sum()
    excess = total * np.log(squares.sum() / total) - (dof * np.log(squares / dof)).sum()
    correction = 1 + ((1 / dof).sum() - 1 / total) / (3 * (len(dof) - 1))
    return bool(chi2.sf(excess / correction, len(dof) - 1) < BARTLETT)


def _deviation(deviations: Floats) -> Floats:
    """Return the standard deviation (3,) of a member's deviations (K, 3)."""
    return np.sqrt((deviations**2).sum(axis=0) / (len(deviations) - 1))


@dataclass(frozen=True, eq=False)
class Subsets:
    """Losses of member subsets as arrays, to leave members out quickly."""

    loss: Floats
    """Of every subset, nats/token, (subsets,)."""
    contains: NDArray[np.bool_]
    """Whether a subset has a member, (subsets, members)."""

    @classmethod
    def of(cls, scores: pd.DataFrame, members: Sequence[str]) -> "Subsets":
        """Return the scored subsets of some members."""
        contains = np.array([[m in subset for m in members] for subset in scores.members])
        return cls(scores.loss.to_numpy(float), contains)

    def without(self, i: int) -> "Subsets":
        """Return the subsets that member i is not in, of the others alone."""
        rows = ~self.contains[:, i]
        return Subsets(self.loss[rows], np.delete(self.contains[rows], i, axis=1))

    def means(self) -> tuple[Floats, Floats]:
        """Return k and the mean loss of all subsets of k members, each (sizes,)."""
        size = self.contains.sum(axis=1)
        counts = np.bincount(size)[1:]
        sums = np.bincount(size, weights=self.loss)[1:]
        k = np.flatnonzero(counts) + 1
        return k.astype(float), sums[k - 1] / counts[k - 1]

    def fit(self, beta: float | None) -> tuple[float, float, float]:
        """Return A, beta and E of the law through the means, by the scan alone."""
        k, loss = self.means()
        A, exponent, E = fit_many(k, loss[None], np.ones(len(k)), alpha=beta)
        return float(A[0]), float(exponent[0]), float(E[0])

    def statistics(self) -> Floats:
        """Return A, E and gain, (3,)."""
        A, _, E = self.fit(1.0)
        _, loss = self.means()
        return np.array([A, E, loss[0] - loss[1]])
