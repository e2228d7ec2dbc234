"""Least squares for A / x^alpha + E by a scan over alpha: exact, and fast enough for bootstraps.

Given alpha the law is linear in A and E, so a scan needs no start values and misses no minimum.

    A, alpha, E = fit_many(x, Y, sigma)      # Y (n, points): n data sets on the same x
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

ALPHAS = np.geomspace(0.02, 6.0, 600)
"""Exponents scanned."""


def power_law(x: ArrayLike, A: ArrayLike, alpha: ArrayLike, E: ArrayLike) -> Floats:
    """Return A / x^alpha + E; A and E in nats/token, E the asymptote as x grows."""
    return np.asarray(A) / np.asarray(x, dtype=float) ** np.asarray(alpha) + np.asarray(E)


def fit_many(
    x: Floats, Y: Floats, sigma: Floats, *, alpha: float | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return A, alpha, E (each (n,)) of n data sets Y (n, points) on the same x and sigma.

    Scans the exponent, then refines it by a parabola through the three best values: exact to
    about 1e-4 in alpha. A given `alpha` is held fixed.
    """
    rows = np.arange(len(Y))
    alphas = ALPHAS if alpha is None else np.array([alpha])
    A, E, _, chi2 = linear_fits(alphas, x, Y, sigma)
    best = chi2.argmin(axis=0)
    if alpha is not None:
        return A[0], np.full(len(Y), alpha), E[0]
    inner = np.clip(best, 1, len(alphas) - 2)
    left, middle, right = (chi2[inner + i, rows] for i in (-1, 0, 1))
    curvature = left - 2 * middle + right
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(curvature > 0, 0.5 * (left - right) / curvature, 0.0)
    shift = np.where(best == inner, np.clip(shift, -1, 1), best - inner)
    step = math.log(alphas[1] / alphas[0])
    exponent = alphas[inner] * np.exp(shift * step)
    A, E, _, _ = linear_fits(exponent, x, Y, sigma, paired=True)
    return A, exponent, E


def linear_fits(
    alphas: Floats, x: Floats, Y: Floats, sigma: Floats, *, paired: bool = False
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return A, E, the standard error of E given alpha, and chi2, each (alphas, data sets).

    `paired` takes one alpha a data set, and returns (data sets,).
    """
    w = 1 / sigma**2
    Z = x[None, :] ** -alphas[:, None]  # (alphas, points)
    sw, szz, sz = w.sum(), (Z**2 * w).sum(1), (Z * w).sum(1)
    sy, syy = (Y * w).sum(1), (Y**2 * w).sum(1)
    if paired:
        szy = (Z * Y * w).sum(1)
    else:
        szy = (Z * w) @ Y.T  # (alphas, data sets)
        szz, sz = szz[:, None], sz[:, None]
    determinant = sw * szz - sz**2
    A = (sw * szy - sz * sy) / determinant
    E = (szz * sy - sz * szy) / determinant
    chi2 = syy - A * szy - E * sy
    error = np.broadcast_to(np.sqrt(szz / determinant), E.shape)
    return A, E, error, chi2
