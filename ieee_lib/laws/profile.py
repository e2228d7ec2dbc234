"""Intervals of E and alpha by the profile of the likelihood (few points).

For every exponent the best A and E give chi2(alpha). A region of reach r is where

    chi2(alpha, E) - min chi2 <= r^2,    chi2(alpha, E) = chi2(alpha) + ((E - E(alpha)) / s)^2

with E(alpha) and its standard error s from the linear fit. At r = F t, with t a quantile of
Student's t and F the factor on the noise, the region is an interval of that t's confidence.

    low, high = limit_ends(ALPHAS, x, y, sigma, np.array([1.96]))      # (4.324,), (4.384,)
"""

import math

import numpy as np

from ieee_lib.laws.scan import ALPHAS, Floats, linear_fits


def exponents_near(alpha: float) -> Floats:
    """Return the scan's exponents and finer steps around the best one, for regions of any size."""
    steps = np.geomspace(1e-8, 0.1, 60)
    near = alpha * np.exp(np.concatenate([-steps, [0.0], steps]))
    return np.append(ALPHAS, np.clip(near, ALPHAS[0], ALPHAS[-1]))


def limit_ends(
    alphas: Floats, x: Floats, y: Floats, sigma: Floats, reach: Floats
) -> tuple[Floats, Floats]:
    """Return the lower and upper end of E, each (n,), for every reach (n,).

    alphas: exponents, one alone where it is held fixed; x, y, sigma: (points,). Where a region
    includes the scan's smallest exponent, the law is as good as a logarithm, which has no limit:
    the end of E on that side is then infinite.
    """
    E, error, room = _regions(alphas, x, y, sigma, reach)
    half_width = error * np.sqrt(np.maximum(room, 0.0))
    low = np.where(room >= 0, E - half_width, np.inf).min(axis=1)
    high = np.where(room >= 0, E + half_width, -np.inf).max(axis=1)
    edge = int(alphas.argmin())
    if len(alphas) > 1 and alphas[edge] <= ALPHAS[0]:
        # As alpha -> 0 the logarithm falls without end (E below the points) or rises (above).
        level = float(np.average(y, weights=1 / sigma**2))
        is_inside = room[:, edge] >= 0
        low[is_inside & (E[edge] - half_width[:, edge] < level)] = -math.inf
        high[is_inside & (E[edge] + half_width[:, edge] > level)] = math.inf
    return low, high


def exponent_interval(
    alphas: Floats, x: Floats, y: Floats, sigma: Floats, reach: float
) -> tuple[float, float]:
    """Return the smallest and largest exponent within a reach; the scan's edge where unbounded."""
    _, _, room = _regions(alphas, x, y, sigma, np.array([reach]))
    inside = alphas[room[0] >= 0]
    return float(inside.min()), float(inside.max())


def _regions(
    alphas: Floats, x: Floats, y: Floats, sigma: Floats, reach: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return E and its error, each (alphas,), and reach^2 - (chi2 - min chi2), (n, alphas)."""
    _, E, error, chi2 = (values[..., 0] for values in linear_fits(alphas, x, y[None], sigma))
    return E, error, reach[:, None] ** 2 - (chi2 - chi2.min())
