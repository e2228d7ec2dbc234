"""Least squares for A / x^alpha + E by a scan over alpha: exact, and fast enough for bootstraps.

Given alpha the law is linear in A and E, so a scan needs no start values and misses no minimum.

    A, alpha, E = fit_many(x, Y, sigma)      # Y (n, points): n data sets on the same x
    A, alpha, E = fit_one(x, y, sigma)       # one data set, checked, and polished by lmfit
"""

import math

import lmfit
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ieee_lib.errors import check

Floats = NDArray[np.floating]

ALPHAS = np.geomspace(0.02, 6.0, 600)
"""Exponents scanned."""
MIN_POINTS = 3
"""Points that a law needs: it has as many parameters."""


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


def fit_one(
    x: Floats, y: Floats, sigma: Floats, *, alpha: float | None = None
) -> tuple[float, float, float]:
    """Return A, alpha, E of one data set: the scan finds the minimum, lmfit polishes it.

    Raises InputError for fewer points than free parameters, for x or sigma that is not positive,
    for y that is not finite, and for a fixed alpha outside the exponents scanned.
    """
    n_free = MIN_POINTS if alpha is None else MIN_POINTS - 1
    check(x.ndim == 1, "x", x.tolist(), "must be a list of numbers")
    check(x.shape == y.shape, "y", y.shape, f"must have the shape of x, {x.shape}")
    check(x.shape == sigma.shape, "sigma", sigma.shape, f"must have the shape of x, {x.shape}")
    check(len(np.unique(x)) >= n_free, "points", len(x), f"need at least {n_free} different x")
    check(bool(np.all(np.isfinite(y))), "y", y.tolist(), "must be finite; drop diverged runs first")
    check(bool(np.all((x > 0) & np.isfinite(x))), "x", x.tolist(), "must be positive and finite")
    check(
        bool(np.all(np.isfinite(sigma) & (sigma > 0))),
        "sigma",
        sigma.tolist(),
        "must be positive; take it from seed replicates or state an assumption",
    )
    if alpha is not None:
        check_exponent(alpha)
    A, exponent, E = (float(v[0]) for v in fit_many(x, y[None], sigma, alpha=alpha))
    parameters = lmfit.Parameters()
    parameters.add("A", A, min=0 if A >= 0 else -np.inf)
    exponent = min(max(exponent, ALPHAS[0]), ALPHAS[-1])
    parameters.add("alpha", exponent, min=ALPHAS[0], max=ALPHAS[-1], vary=alpha is None)
    parameters.add("E", E)
    # lmfit polishes what the scan gave; scale_covar is off because the noise is known.
    result = lmfit.Model(power_law).fit(
        y, parameters, x=x, weights=1 / sigma, scale_covar=False, fit_kws={"xtol": 1e-12}
    )
    best = result.best_values
    if result.chisqr <= np.sum(((y - power_law(x, A, exponent, E)) / sigma) ** 2):
        return best["A"], best["alpha"], best["E"]
    return A, exponent, E


def check_exponent(alpha: float) -> None:
    """Raise InputError for an exponent outside those scanned."""
    allowed = f"must lie between {ALPHAS[0]:g} and {ALPHAS[-1]:g}"
    check(bool(ALPHAS[0] <= alpha <= ALPHAS[-1]), "alpha", alpha, allowed)


def linear_fits(
    alphas: Floats, x: Floats, Y: Floats, sigma: Floats, *, paired: bool = False
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return A, E, the standard error of E given alpha, and chi2, each (alphas, data sets).

    `paired` takes one alpha a data set, and returns (data sets,).
    """
    w = 1 / sigma**2
    Z = x[None, :] ** -alphas[:, None]  # (alphas, points)
    z, y = Z @ w / w.sum(), Y @ w / w.sum()
    Z, Y = Z - z[:, None], Y - y[:, None]  # centred, or digits are lost at small alpha and sigma
    szz, syy = Z**2 @ w, Y**2 @ w
    if paired:
        szy = (Z * Y) @ w
    else:
        szy = (Z * w) @ Y.T  # (alphas, data sets)
        szz, z = szz[:, None], z[:, None]
    A = szy / szz
    error = np.sqrt(1 / w.sum() + z**2 / szz)
    E = y - A * z
    return A, E, np.broadcast_to(error, E.shape), syy - A * szy
