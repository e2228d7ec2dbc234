"""The scaling law A / x^alpha + E, with honest intervals (Sec. 3 to 5).

With 4 points and 3 parameters a least-squares error bar is empty, so the noise of a point comes
from seed replicates, and intervals from the profile of the likelihood under that noise. A law that
misses its points by more than that noise is known no better than it fits, and its intervals say so.

    law = fit_power_law(N / 1e9, loss, sigma=0.01)
    law                       # 0.047 / x^1.02 + 3.430 [3.414, 3.441]
    law(0.3), law.inverse(3.5), law.interval("E")
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import lmfit
import numpy as np
from scipy.stats import chi2 as chi2_distribution

from ieee_lib.errors import InputError, check

ALPHAS = np.geomspace(0.02, 6.0, 600)
"""Exponents scanned. Given alpha the law is linear in A and E, so a scan needs no start values."""

LEAST = 3
"""Points that a law needs: it has as many parameters."""

CHI2_95 = 3.841
"""95 % quantile of chi-square with one degree of freedom."""


def power_law(x, A, alpha, E):
    """Return A / x^alpha + E; A and E in nats/token, E the limit as x grows."""
    return A / np.asarray(x, dtype=float) ** alpha + E


@dataclass(frozen=True)
class PowerLaw:
    """A fitted law; keeps its points, so an interval can always be had."""

    A: float
    alpha: float
    E: float
    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    """Standard deviation of each point, known beforehand (nats/token)."""
    fixed_alpha: bool = False
    unit: str = "x"
    """What x counts, for the repr."""

    def __call__(self, x):
        return power_law(x, self.A, self.alpha, self.E)

    def inverse(self, loss):
        """Return x at which the law gives `loss`; inf at or below E, NaN for NaN."""
        excess = np.asarray(loss, dtype=float) - self.E
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.where(excess <= 0, np.inf, (self.A / excess) ** (1 / self.alpha))
        return float(x) if x.ndim == 0 else x

    @property
    def resolved(self) -> bool:
        """Whether the points bound the limit; where not, a logarithm fits them as well."""
        return all(map(math.isfinite, self.interval("E")))

    @property
    def n_point(self) -> int:
        return len(self.x)

    @property
    def freedom(self) -> int:
        """Points minus free parameters."""
        return self.n_point - (2 if self.fixed_alpha else 3)

    @property
    def chi2(self) -> float:
        """Sum of squared residuals in units of sigma."""
        return float(np.sum(((self.y - self(self.x)) / self.sigma) ** 2))

    @property
    def chi2_bound(self) -> float:
        """The 95 % point of chi2; NaN without a degree of freedom."""
        return float(chi2_distribution.ppf(0.95, self.freedom)) if self.freedom > 0 else math.nan

    @cached_property
    def scale(self) -> float:
        """Factor on the noise: the Birge ratio sqrt(chi2 / freedom) of a law beyond its bound."""
        return math.sqrt(self.chi2 / self.freedom) if self.chi2 > self.chi2_bound else 1.0

    def interval(self, name: str = "E") -> tuple[float, float]:
        """Return the 95 % profile-likelihood interval of E or alpha, at the noise times `scale`.

        A bound is infinite (E) or the edge of the scan (alpha) where the points do not bound it;
        NaN for a printed law, which has no points.
        """
        check(name in ("E", "alpha"), "name", name, "allowed are E, alpha")
        return self._intervals[name]

    @cached_property
    def _intervals(self) -> dict[str, tuple[float, float]]:
        if not self.n_point:
            return dict.fromkeys(("E", "alpha"), (math.nan, math.nan))
        alphas = np.array([self.alpha]) if self.fixed_alpha else np.append(ALPHAS, self.alpha)
        _, E, error, chi2 = _linear_fits(alphas, self.x, self.y[None], self.sigma)
        E, error, chi2 = E[:, 0], error[:, 0], chi2[:, 0]
        room = CHI2_95 * self.scale**2 - (chi2 - chi2.min())
        inside = room >= 0
        # Given alpha, chi2 is a parabola in E: its crossing of the limit is known exactly.
        reach = error[inside] * np.sqrt(room[inside])
        low, high = float(np.min(E[inside] - reach)), float(np.max(E[inside] + reach))
        allowed = alphas[inside]
        if not self.fixed_alpha and allowed.min() <= ALPHAS[0]:
            # As alpha -> 0 the law becomes a logarithm, without a limit below (A > 0) or above.
            flat = float(np.average(self.y, weights=1 / self.sigma**2))
            edge = int(np.flatnonzero(inside)[allowed.argmin()])
            reach = error[edge] * math.sqrt(room[edge])
            low = -math.inf if E[edge] - reach < flat else low
            high = math.inf if E[edge] + reach > flat else high
        return {"E": (low, high), "alpha": (float(allowed.min()), float(allowed.max()))}

    def bootstrap(self, n: int = 1000, *, seed: int = 0) -> tuple[np.ndarray, ...]:
        """Return A, alpha, E (each (n,)) of refits to the points with fresh noise times `scale`."""
        sigma = self.scale * self.sigma
        noise = np.random.default_rng(seed).normal(0, sigma, (n, self.n_point))
        alpha = self.alpha if self.fixed_alpha else None
        return fit_many(self.x, self.y + noise, self.sigma, alpha=alpha)

    def bootstrap_interval(self, n: int = 1000, *, seed: int = 0) -> tuple[float, float]:
        """Return the central 95 % of E over `bootstrap`, beside the profile's interval."""
        _, _, E = self.bootstrap(n, seed=seed)
        return tuple(float(q) for q in np.quantile(E, [0.025, 0.975]))

    def to_dict(self) -> dict[str, Any]:
        """Return coefficients, intervals and the options of the fit, ready for JSON."""
        return {
            "law": "A / x^alpha + E",
            "A": self.A,
            "alpha": self.alpha,
            "E": self.E,
            "E_interval_95": list(self.interval("E")),
            "E_bootstrap_95": list(self.bootstrap_interval()) if self.n_point else None,
            "alpha_interval_95": list(self.interval("alpha")),
            "x_unit": self.unit,
            "x": self.x.tolist(),
            "y": self.y.tolist(),
            "sigma": self.sigma.tolist(),
            "n_point": self.n_point,
            "degrees_of_freedom": self.freedom,
            "chi2": self.chi2,
            "noise_scale": self.scale,
            "alpha_fixed": self.fixed_alpha,
            "method": "lmfit least squares, weights 1/sigma, scale_covar off; profile of E",
        }

    def _repr_latex_(self) -> str:
        """Return the law as an equation with the interval of its limit, for notebooks."""
        (low, high), sign = self.interval("E"), "-" if self.A < 0 else ""
        known = rf"\;[{low:.3f},\, {high:.3f}]".replace("inf", r"\infty")
        base, _, unit = self.unit.partition("[")
        x = rf"({base} / 1\,\mathrm{{{unit[:-1]}}})" if unit else base
        law = rf"L({base}) = {sign}{abs(self.A):.3g}\, {x}^{{-{self.alpha:.2f}}} + {self.E:.3f}"
        return rf"${law}{known if self.n_point else ''}$"

    def __repr__(self) -> str:
        low, high = self.interval("E")
        sign = "-" if self.A < 0 else ""
        text = f"{sign}{abs(self.A):.3g} / {self.unit}^{self.alpha:.2f} + {self.E:.3f}"
        if not self.n_point:
            return f"{text} (as printed)"
        note = f" ({self.n_point} points)" if self.freedom < 2 else ""
        return f"{text} [{low:.3f}, {high:.3f}]{note}"


def fit_power_law(
    x: Sequence[float],
    y: Sequence[float],
    *,
    sigma: float | Sequence[float],
    alpha: float | None = None,
    unit: str = "x",
) -> PowerLaw:
    """Fit A / x^alpha + E by least squares with known noise.

    `x` in any unit, `y` in nats/token, `sigma` the standard deviation of each y. A given
    `alpha` is held fixed. Raises InputError for fewer points than free parameters, for x that
    is not positive and for sigma that is not.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    sigma = np.broadcast_to(np.asarray(sigma, dtype=float), y.shape).copy()
    n_free = LEAST if alpha is None else LEAST - 1
    check(len(np.unique(x)) >= n_free, "points", len(x), f"need at least {n_free} different x")
    check(x.shape == y.shape, "y", y.shape, f"must have the shape of x, {x.shape}")
    check(bool(np.all(np.isfinite(y))), "y", y.tolist(), "must be finite; drop diverged runs first")
    check(bool(np.all(x > 0)), "x", x.tolist(), "must be positive")
    check(
        bool(np.all(np.isfinite(sigma) & (sigma > 0))),
        "sigma",
        sigma.tolist(),
        "must be positive; take it from seed replicates or state an assumption",
    )
    A, exponent, E = (float(v[0]) for v in fit_many(x, y[None], sigma, alpha=alpha))
    parameters = lmfit.Parameters()
    parameters.add("A", A, min=0 if A >= 0 else -np.inf)
    exponent = min(max(exponent, ALPHAS[0]), ALPHAS[-1]) if alpha is None else alpha
    parameters.add("alpha", exponent, min=ALPHAS[0], max=ALPHAS[-1], vary=alpha is None)
    parameters.add("E", E)
    # Only polishes what the scan found; scale_covar off because the noise is known.
    result = lmfit.Model(power_law).fit(
        y, parameters, x=x, weights=1 / sigma, scale_covar=False, fit_kws={"xtol": 1e-12}
    )
    best = result.best_values
    if not result.chisqr <= np.sum(((y - power_law(x, A, exponent, E)) / sigma) ** 2):
        best = {"A": A, "alpha": exponent, "E": E}
    return PowerLaw(**best, x=x, y=y, sigma=sigma, fixed_alpha=alpha is not None, unit=unit)


def fit_many(
    x: np.ndarray, Y: np.ndarray, sigma: np.ndarray, *, alpha: float | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return A, alpha, E (each (n,)) of n data sets Y (n, points) on the same x and sigma.

    Scans the exponent, then refines it by a parabola through the three best: exact to about
    1e-4 in alpha, and fast enough for thousands of bootstrap draws.
    """
    rows = np.arange(len(Y))
    alphas = ALPHAS if alpha is None else np.array([alpha])
    A, E, _, chi2 = _linear_fits(alphas, x, Y, sigma)
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
    A, E, _, _ = _linear_fits(exponent, x, Y, sigma, paired=True)
    return A, exponent, E


def _linear_fits(alphas, x, Y, sigma, *, paired: bool = False):
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


def data_efficiency(standard: PowerLaw, loss, reference):
    """Return D_eff(loss) / D_eff(reference) by inverting the standard recipe's law (Sec. 5).

    `reference` is the standard recipe's own loss at the same D; the ratio says how many times
    the data the standard recipe would need.
    """
    with np.errstate(invalid="ignore"):
        return standard.inverse(loss) / standard.inverse(reference)


def published_law(A: float, alpha: float, E: float, *, unit: str) -> PowerLaw:
    """Return a law from printed coefficients; it has no points, so it has no interval."""
    if not (alpha > 0 and math.isfinite(A) and math.isfinite(E)):
        raise InputError("law", (A, alpha, E), "alpha must be positive, A and E finite")
    nothing = np.empty(0)
    return PowerLaw(A, alpha, E, nothing, nothing, nothing, unit=unit)
