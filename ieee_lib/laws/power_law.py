"""The scaling law A / x^alpha + E, with its uncertainty (Sec. 3 to 5).

With 4 points and 3 parameters a least-squares error bar says nothing, so the noise of a point
comes from seed replicates, and intervals from the profile of the likelihood under that noise. A
law that misses its points by more than that noise is known no better than it fits.

    law = fit_power_law(tuned, x="N")            # a frame with loss, sigma and run_ids
    law                                          # 0.0046 / N[M]^1.21 + 4.360 [4.324, 4.384]
    law(0.3), law.inverse(4.5), law.interval("E"), law.limit, law.without("0.04M")
    fit_power_law(N / 1e9, loss, sigma=0.01)     # plain arrays
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, overload

import lmfit
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import chi2 as chi2_distribution

from ieee_lib.errors import InputError, check, check_choice
from ieee_lib.laws.estimates import Estimate, estimates, with_unbounded_tails
from ieee_lib.laws.profile import profile_intervals
from ieee_lib.laws.scan import ALPHAS, Floats, fit_many, power_law
from ieee_lib.laws.units import scale_of, unit_of

MIN_POINTS = 3
"""Points that a law needs: it has as many parameters."""


@dataclass(frozen=True, repr=False)
class PowerLaw:
    """A fitted law; keeps its points, so that an interval or a refit can always be had."""

    A: float
    alpha: float
    E: float
    x: Floats
    y: Floats
    sigma: Floats
    """Standard deviation of each point (nats/token)."""
    fixed_alpha: bool = False
    unit: str = "x"
    """What x counts: K, N[M], D[B]."""
    points: tuple[Estimate, ...] = ()
    """The points with their draws, where the law was fitted to a frame."""
    frame: pd.DataFrame | None = None
    """The frame that it was fitted to, one row a point."""
    columns: tuple[str, str] = ("x", "y")
    """The frame's columns of x and y."""

    def __call__(self, x: ArrayLike) -> Any:
        """Return the law's loss (nats/token) at x, in the law's unit."""
        return power_law(x, self.A, self.alpha, self.E)

    def inverse(self, loss: ArrayLike) -> Any:
        """Return x at which the law gives `loss`; inf at or below E, NaN for NaN."""
        excess = np.asarray(loss, dtype=float) - self.E
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.where(excess <= 0, np.inf, (self.A / excess) ** (1 / self.alpha))
        return float(x) if x.ndim == 0 else x

    @property
    def has_bounded_limit(self) -> bool:
        """Say whether the points bound E; where not, a logarithm fits them as well."""
        return all(map(math.isfinite, self.interval("E")))

    @property
    def n_point(self) -> int:
        """Return the number of points."""
        return len(self.x)

    @property
    def dof(self) -> int:
        """Return the degrees of freedom: points minus free parameters."""
        return self.n_point - (2 if self.fixed_alpha else 3)

    @property
    def chi2(self) -> float:
        """Return the sum of squared residuals in units of sigma."""
        return float(np.sum(((self.y - self(self.x)) / self.sigma) ** 2))

    @property
    def chi2_bound(self) -> float:
        """Return the 95 % point of chi2; NaN without a degree of freedom."""
        return float(chi2_distribution.ppf(0.95, self.dof)) if self.dof > 0 else math.nan

    @cached_property
    def noise_factor(self) -> float:
        """Return the factor on the noise: Birge's sqrt(chi2 / dof) of a law beyond its bound."""
        return math.sqrt(self.chi2 / self.dof) if self.chi2 > self.chi2_bound else 1.0

    @cached_property
    def limit(self) -> "Limit":
        """Return the asymptote E with the whole law of every draw.

        The profile's interval takes points as independent; the draws also know which runs they
        share. Raises InputError for a law fitted to plain arrays, which have no draws.
        """
        check(bool(self.points), "law", str(self), "has no draws: fit it to a frame")
        Y = np.stack([point.fitted_draws for point in self.points], axis=1)
        Y = self.y + self.noise_factor * (Y - self.y)
        kept = np.isfinite(Y).all(axis=1)
        A, alpha, E = (np.full(len(Y), np.nan) for _ in range(3))
        fixed = self.alpha if self.fixed_alpha else None
        A[kept], alpha[kept], E[kept] = fit_many(self.x, Y[kept], self.sigma, alpha=fixed)
        draws = unbounded(E, self)
        return Limit(self.E, draws, law=self, A_draws=A, alpha_draws=alpha, E_draws=E)

    def without(self, *labels: str | float) -> "PowerLaw":
        """Return the law refitted without some points, named by model or by their x.

        law.without("0.04M") leaves out a model, law.without(14336) a D. Raises InputError for a
        label that names no point.
        """
        names, (x, y) = self.labels, self.columns
        assert self.frame is not None
        for label in labels:
            check_choice("point", label, names)
        kept = self.frame[[name not in labels for name in names]]
        alpha = self.alpha if self.fixed_alpha else None
        return fit_power_law(kept, y, x=x, unit=self.unit, alpha=alpha)

    def only(self, *labels: str | float) -> "PowerLaw":
        """Return the law refitted to some points alone; labels as in `without`."""
        return self.without(*(label for label in self.labels if label not in labels))

    @property
    def labels(self) -> list[Any]:
        """Return the name of each point: its model in a law in N, else its x."""
        check(self.frame is not None, "law", str(self), "has no frame that names its points")
        assert self.frame is not None
        x = self.columns[0]
        return list(self.frame["model"] if "model" in self.frame and x == "N" else self.frame[x])

    def interval(self, name: str = "E") -> tuple[float, float]:
        """Return the 95 % profile-likelihood interval of E or alpha, at the noise times its factor.

        A bound is infinite (E) or the edge of the scan (alpha) where the points do not bound it;
        NaN for a printed law, which has no points.
        """
        check_choice("name", name, ("E", "alpha"))
        return self._intervals[name]

    @cached_property
    def _intervals(self) -> dict[str, tuple[float, float]]:
        """Return both intervals; profiling one gives the other."""
        if not self.n_point:
            return dict.fromkeys(("E", "alpha"), (math.nan, math.nan))
        alphas = np.array([self.alpha]) if self.fixed_alpha else np.append(ALPHAS, self.alpha)
        return profile_intervals(alphas, self.x, self.y, self.sigma, factor=self.noise_factor)

    def bootstrap(self, n: int = 1000, *, seed: int = 0) -> tuple[Floats, Floats, Floats]:
        """Return A, alpha, E (each (n,)) of refits to the points with fresh noise."""
        sigma = self.noise_factor * self.sigma
        noise = np.random.default_rng(seed).normal(0, sigma, (n, self.n_point))
        alpha = self.alpha if self.fixed_alpha else None
        return fit_many(self.x, self.y + noise, self.sigma, alpha=alpha)

    def bootstrap_interval(self, n: int = 1000, *, seed: int = 0) -> tuple[float, float]:
        """Return the central 95 % of E over `bootstrap`, beside the profile's interval."""
        _, _, E = self.bootstrap(n, seed=seed)
        ci_low, ci_high = np.quantile(E, [0.025, 0.975])
        return float(ci_low), float(ci_high)

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
            "degrees_of_freedom": self.dof,
            "chi2": self.chi2,
            "noise_scale": self.noise_factor,
            "alpha_fixed": self.fixed_alpha,
            "method": "lmfit least squares, weights 1/sigma, scale_covar off; profile of E",
        }

    def _repr_latex_(self) -> str:
        """Return the law as an equation with the interval of its limit, for notebooks."""
        ci_low, ci_high = self.interval("E")
        interval = rf"\;[{ci_low:.3f},\, {ci_high:.3f}]".replace("inf", r"\infty")
        sign = "-" if self.A < 0 else ""
        base, _, unit = self.unit.partition("[")
        x = rf"({base} / 1\,\mathrm{{{unit[:-1]}}})" if unit else base
        law = rf"L({base}) = {sign}{abs(self.A):.3g}\, {x}^{{-{self.alpha:.2f}}} + {self.E:.3f}"
        return f"${law}{interval if self.n_point else ''}$"

    def __repr__(self) -> str:
        sign = "-" if self.A < 0 else ""
        text = f"{sign}{abs(self.A):.3g} / {self.unit}^{self.alpha:.2f} + {self.E:.3f}"
        if not self.n_point:
            return f"{text} (as printed)"
        ci_low, ci_high = self.interval("E")
        note = f" ({self.n_point} points)" if self.dof < 2 else ""
        return f"{text} [{ci_low:.3f}, {ci_high:.3f}]{note}"


@dataclass(frozen=True, repr=False, kw_only=True)
class Limit(Estimate):
    """The asymptote of a law, with the whole law of every draw."""

    law: PowerLaw
    A_draws: Floats
    alpha_draws: Floats
    E_draws: Floats
    """As fitted; in `draws` an end that nothing bounds is infinite."""

    @property
    def fitted_draws(self) -> Floats:
        """Return E of every draw as it was fitted: for laws of limits."""
        return self.E_draws

    @property
    def exists(self) -> bool:
        """Say whether the law falls; what a rising one would come from is no limit."""
        return self.law.A > 0

    @property
    def is_bounded(self) -> bool:
        """Say whether the law falls to a limit that the points bound."""
        return self.exists and self.law.has_bounded_limit

    @property
    def alpha(self) -> Estimate:
        """Return the law's exponent."""
        return Estimate(self.law.alpha, self.alpha_draws)

    def at(self, x: float) -> Estimate:
        """Return the law's loss at x, in the law's unit."""
        draws = power_law(x, self.A_draws, self.alpha_draws, self.E_draws)
        return Estimate(float(self.law(x)), draws)

    def inverse(self, loss: Estimate) -> Estimate:
        """Return x at which the law gives a loss; inf at or below its limit."""
        excess = loss.draws - self.E_draws
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x = np.where(excess <= 0, np.inf, (self.A_draws / excess) ** (1 / self.alpha_draws))
        return Estimate(self.law.inverse(loss.value), x)


@overload
def fit_power_law(
    points: pd.DataFrame, y: str = ..., *, x: str = ..., alpha: float | None = ..., unit: str = ...
) -> PowerLaw: ...
@overload
def fit_power_law(
    points: ArrayLike, y: ArrayLike, *, sigma: ArrayLike, alpha: float | None = ..., unit: str = ...
) -> PowerLaw: ...
def fit_power_law(points, y="loss", *, x="N", sigma=None, alpha=None, unit=""):
    """Fit A / x^alpha + E by least squares with known noise.

    `points` is a frame with a column x ("N", "D" or "k") and a column y: numbers with `sigma` and
    `run_ids` beside them, or estimates; rows without a finite y are left out. N and D are fitted
    in millions, from 1e8 on in billions. Or `points` and `y` are arrays, x in any unit, y in
    nats/token, with `sigma` the standard deviation of each y. A given `alpha` is held fixed.

    Raises InputError for fewer points than free parameters, for x that is not positive and for
    sigma that is not.
    """
    if not isinstance(points, pd.DataFrame):
        return _fit(points, y, sigma=sigma, alpha=alpha, unit=unit or "x")
    rows = estimates(points, y)
    finite = np.array([math.isfinite(row.value) for row in rows], dtype=bool)
    frame, unit = points[finite], unit or unit_of(points[x], x)
    law = fit_through(
        frame[x].to_numpy(dtype=float) / scale_of(unit),
        [row for row in rows if math.isfinite(row.value)],
        unit=unit,
        alpha=alpha,
    )
    return replace(law, frame=frame, columns=(x, y))


def fit_through(
    x: ArrayLike, points: Sequence[Estimate], *, unit: str, alpha: float | None = None
) -> PowerLaw:
    """Fit a law through estimates at x, in the law's unit."""
    sigma = np.maximum([point.se for point in points], 1e-6)
    law = _fit(x, [point.value for point in points], sigma=sigma, alpha=alpha, unit=unit)
    return replace(law, points=tuple(points))


def _fit(
    x: ArrayLike, y: ArrayLike, *, sigma: ArrayLike, alpha: float | None, unit: str
) -> PowerLaw:
    """Fit arrays: the scan finds the minimum, lmfit polishes it; see `fit_power_law`."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    sigma = np.broadcast_to(np.asarray(sigma, dtype=float), y.shape).copy()
    n_free = MIN_POINTS if alpha is None else MIN_POINTS - 1
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
    # lmfit polishes what the scan gave; scale_covar is off because the noise is known.
    result = lmfit.Model(power_law).fit(
        y, parameters, x=x, weights=1 / sigma, scale_covar=False, fit_kws={"xtol": 1e-12}
    )
    best = result.best_values
    if not result.chisqr <= np.sum(((y - power_law(x, A, exponent, E)) / sigma) ** 2):
        best = {"A": A, "alpha": exponent, "E": E}
    return PowerLaw(**best, x=x, y=y, sigma=sigma, fixed_alpha=alpha is not None, unit=unit)


def unbounded(draws: Floats, *laws: PowerLaw) -> Floats:
    """Return draws with an infinite tail at each end that the points of some law do not bound."""
    ends = [law.interval("E") for law in laws]
    below = any(ci_low == -np.inf for ci_low, _ in ends)
    above = any(ci_high == np.inf for _, ci_high in ends)
    return with_unbounded_tails(draws, below=below, above=above)


def published_law(A: float, alpha: float, E: float, *, unit: str) -> PowerLaw:
    """Return a law from printed coefficients; it has no points, so it has no interval."""
    if not (alpha > 0 and math.isfinite(A) and math.isfinite(E)):
        raise InputError("law", (A, alpha, E), "alpha must be positive, A and E finite")
    nothing = np.empty(0)
    return PowerLaw(A, alpha, E, nothing, nothing, nothing, unit=unit)
