"""The noise between seeds of tuned models, from two or three seeds a point (Sec. 3).

The variance s^2 of a few seeds hardly tells anything alone; pooled over models it is too small for
one and too large for another. That of one N, over the D at hand, has d degrees of freedom. It is
drawn towards what all N share, the more so the less they differ beyond chance (Smyth 2004):

    sigma^2(N) = (d0 s0^2 + d s^2) / (d0 + d),      with min(d0 + d, sum of d) degrees of freedom
    trigamma(d0 / 2) = var(e) - mean trigamma(d / 2),   e = ln s^2 - digamma(d / 2) + ln(d / 2)
    ln s0^2 = mean(e) + digamma(d0 / 2) - ln(d0 / 2)

Where chance alone explains how they differ, d0 is infinite and the noise is pooled. A point whose
seeds differ far more than all others' is set apart first.

    seed_noise(cells, assumed=0.01)      # one row an N and D: variance between its seeds, dof
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import f as f_distribution

from ieee_lib.laws.scan import Floats

OUTLIER = 0.01
"""Chance that the largest of all cells is set apart where all have the same noise."""
SMALLEST = 0.01
"""Least variance that the prior sees, in units of the pooled one: seeds may agree by chance."""
LARGEST = 1e4
"""Half of d0 from which it counts as infinite."""


def seed_noise(cells: pd.DataFrame, *, assumed: float) -> pd.DataFrame:
    """Return cells with sigma (nats/token) of one run, and its degrees of freedom `sigma dof`.

    cells: N, D, variance between seeds (NaN without replicates), dof. A cell whose variance lies
    beyond the point 1 - 0.01 / cells of F of all others keeps its own, which is then not theirs.
    Where nothing is replicated, sigma is the assumed one.
    """
    squares = (cells.variance * cells.dof).fillna(0.0)
    is_outlier = _outliers(squares.to_numpy(), cells.dof.to_numpy(dtype=float))
    by_N = pd.DataFrame({"squares": squares, "dof": cells.dof})[~is_outlier].groupby(cells.N).sum()
    dof = by_N.dof.to_numpy(dtype=float)
    variance, posterior_dof = moderated(by_N.squares.to_numpy(), dof, assumed=assumed)
    noise = pd.DataFrame({"sigma": np.sqrt(variance), "sigma dof": posterior_dof}, by_N.index)
    table = cells.join(noise, on="N")
    table["sigma"] = table.sigma.mask(is_outlier, cells.variance**0.5)
    table["sigma dof"] = table["sigma dof"].mask(is_outlier, cells.dof)
    return table


def moderated(squares: Floats, dof: Floats, *, assumed: float) -> tuple[Floats, Floats]:
    """Return variances of groups, drawn to one another, and their degrees of freedom.

    squares: sums of squares of each group, dof: its degrees of freedom, both (groups,).
    """
    total = dof.sum()
    if not squares.sum() > 0:
        return np.full(len(dof), assumed**2), np.full(len(dof), math.inf)
    pooled = squares.sum() / total
    d0, s0_squared = _prior(np.maximum(squares, SMALLEST * pooled * dof)[dof > 0], dof[dof > 0])
    if math.isinf(d0):
        return np.full(len(dof), pooled), np.full(len(dof), total)
    variance = (d0 * s0_squared + squares) / (d0 + dof)
    return variance, np.minimum(d0 + dof, total)


def _prior(squares: Floats, dof: Floats) -> tuple[float, float]:
    """Return d0 and s0^2; d0 is infinite where chance explains how groups differ."""
    half = dof / 2
    e = np.log(squares / dof) - digamma(half) + np.log(half)
    excess = e.var(ddof=1) - polygamma(1, half).mean() if len(e) > 1 else 0.0
    if excess <= polygamma(1, LARGEST):
        return math.inf, math.nan
    half_d0 = brentq(lambda half: polygamma(1, half) - excess, 1e-3, LARGEST)
    return 2 * half_d0, float(np.exp(e.mean() + digamma(half_d0) - np.log(half_d0)))


def _outliers(squares: Floats, dof: Floats) -> NDArray[np.bool_]:
    """Return which cells vary far more than all others, (cells,); see `seed_noise`."""
    others, others_dof = squares.sum() - squares, dof.sum() - dof
    judged = (dof > 0) & (others > 0)
    ratio = np.ones(len(dof))
    ratio[judged] = (squares[judged] / dof[judged]) / (others[judged] / others_dof[judged])
    bound = np.full(len(dof), math.inf)
    point = 1 - OUTLIER / len(dof)
    bound[judged] = f_distribution.ppf(point, dof[judged], others_dof[judged])
    return ratio > bound
