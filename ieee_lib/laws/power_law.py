"""The scaling law A / x^alpha + E, with its uncertainty (Sec. 3 to 5).

With 4 points and 3 parameters a least-squares error bar says nothing, so the noise of a point
comes from seed replicates, and intervals from the profile of the likelihood under that noise:

- noise from few replicates takes Student's t, and so do the residuals of a law that misses more;
- what a law's form may be wrong by (`Discrepancy`) adds to the interval of its limit.

    law = fit_power_law(tuned, x="N")            # a frame with loss, sigma and run_ids
    law                                          # 0.0046 / N[M]^1.21 + 4.360 [4.324, 4.384]
    law(0.3), law.inverse(4.5), law.interval("E"), law.limit, law.without("0.04M")
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import f as f_distribution

from ieee_lib.errors import check, check_choice
from ieee_lib.laws.discrepancy import Discrepancy
from ieee_lib.laws.equation import interval_latex, interval_text, rounded
from ieee_lib.laws.estimates import N_DRAW, Estimate, t_quantile, t_scale
from ieee_lib.laws.profile import exponent_interval, exponents_near, limit_ends
from ieee_lib.laws.scan import ALPHAS, Floats, fit_many, fit_one, power_law


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
    noise_dof: float = math.inf
    """Degrees of freedom behind sigma."""
    discrepancy: Discrepancy | None = None
    """What the form may be wrong by; None where no left-out point says it."""
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
        return self.n_point - (2 if self.fixed_alpha or self.is_at_edge else 3)

    @property
    def is_at_edge(self) -> bool:
        """Say whether the exponent would lie outside those scanned: it is held at their edge."""
        at_edge = np.isclose(self.alpha, ALPHAS[[0, -1]], rtol=1e-3).any()
        return bool(at_edge) and not self.fixed_alpha

    @property
    def chi2(self) -> float:
        """Return the sum of squared residuals in units of sigma."""
        return float(np.sum(((self.y - self(self.x)) / self.sigma) ** 2))

    @property
    def chi2_bound(self) -> float:
        """Return the 95 % point of chi2 under the noise: dof F(dof, noise dof); NaN at dof 0."""
        if self.dof < 1:
            return math.nan
        return self.dof * float(f_distribution.ppf(0.95, self.dof, min(self.noise_dof, 1e9)))

    @property
    def misfits(self) -> bool:
        """Say whether the law misses its points beyond their noise."""
        return self.chi2 > self.chi2_bound

    @property
    def noise_factor(self) -> float:
        """Return the factor on the noise: sqrt(chi2 / dof) of a law that misfits, else 1."""
        return math.sqrt(self.chi2 / self.dof) if self.misfits else 1.0

    @property
    def scale_dof(self) -> float:
        """Return the degrees of freedom of the noise in use: of the residuals or replicates."""
        return self.dof if self.misfits else self.noise_dof

    @cached_property
    def limit(self) -> "Limit":
        """Return the asymptote E with the whole law of every draw.

        Draws are ordered as refits to the points' draws, so that what two limits share cancels, and
        distributed as `limit_quantiles`. Raises InputError for a law of plain arrays: no draws.
        """
        check(bool(self.points), "law", str(self), "has no draws: fit it to a frame")
        A, alpha, E = self._refits()
        fitted = E + self._form_error("limit")
        dof = self.discrepancy.dof if self.discrepancy else self.scale_dof
        draws = np.full(N_DRAW, np.nan)
        ranked = np.argsort(fitted)[: np.count_nonzero(~np.isnan(fitted))]  # NaN is sorted last
        draws[ranked] = self.limit_quantiles((np.arange(len(ranked)) + 0.5) / len(ranked))
        low, high = np.nanquantile(fitted, [0.16, 0.84])
        refits = {"A_draws": A, "alpha_draws": alpha, "E_draws": E, "form_draws": fitted}
        return Limit(self.E, draws, (high - low) / 2, dof, law=self, **refits)

    def _form_error(self, place: str) -> Floats:
        """Return draws (N_DRAW,) of the form's error at a place; 0 if nothing says it."""
        name = " ".join([place, self.unit, *(f"{y:.6f}" for y in self.y)])
        return self.discrepancy.draws(name) if self.discrepancy else np.zeros(N_DRAW)

    def _refits(self) -> tuple[Floats, Floats, Floats]:
        """Return A, alpha and E, each (N_DRAW,), of the law through every draw of its points."""
        Y = self.y + self._deviations(self.points)
        kept = np.isfinite(Y).all(axis=1)
        A, alpha, E = (np.full(len(Y), np.nan) for _ in range(3))
        fixed = self.alpha if self.fixed_alpha else None
        A[kept], alpha[kept], E[kept] = fit_many(self.x, Y[kept], self.sigma, alpha=fixed)
        return A, alpha, E

    def _deviations(self, points: Sequence[Estimate]) -> Floats:
        """Return the noise of points in every draw, (N_DRAW, points), times its factor."""
        noise = np.stack([point.fitted_draws - point.value for point in points], axis=1)
        factor = self.noise_factor * t_scale(self.scale_dof) / t_scale(self.noise_dof)
        return factor[:, None] * noise

    def limit_quantiles(self, p: ArrayLike) -> Floats:
        """Return quantiles of E: the ends of its one-sided confidence intervals.

            end(p)^2 = (profile at F t(p; dof))^2 + (the form's error at p)^2,   as distances from E

        An end is infinite where the points do not bound E on that side, or where it is below zero.
        """
        p = np.atleast_1d(np.asarray(p, dtype=float))
        reach = self.noise_factor * np.abs(t_quantile(p, self.scale_dof))
        low, high = limit_ends(self._alphas, self.x, self.y, self.sigma, reach)
        distance = np.where(p < 0.5, self.E - low, high - self.E)
        if self.discrepancy:
            distance = np.hypot(distance, self.discrepancy.quantiles(p))
        low, high = self.E - distance, self.E + distance
        return np.where(p < 0.5, np.where(low < 0, -np.inf, low), high)

    def at(self, x: float) -> Estimate:
        """Return the law's loss at x, in the law's unit; beyond its points with its discrepancy."""
        draws = self._draws_at(x)
        if x > self.x.max():
            draws = draws + self._form_error(f"{x:g}")
        return Estimate(float(self(x)), draws)

    def noise_at(self, x: float) -> float:
        """Return the standard error at x by the noise of runs alone, as if the form were exact."""
        return replace(self, y=self(self.x), discrepancy=None).at(x).se

    def _draws_at(self, x: float) -> Floats:
        return power_law(x, *self._refits())

    @property
    def _alphas(self) -> Floats:
        return np.array([self.alpha]) if self.fixed_alpha else exponents_near(self.alpha)

    def interval(self, name: str = "E") -> tuple[float, float]:
        """Return the 95 % interval of E or alpha; see `limit_quantiles`.

        A bound is infinite (E) or the edge of the scan (alpha) where the points do not bound it;
        NaN for a printed law, which has no points.
        """
        check_choice("name", name, ("E", "alpha"))
        return self._intervals[name]

    @cached_property
    def _intervals(self) -> dict[str, tuple[float, float]]:
        if not self.n_point:
            return dict.fromkeys(("E", "alpha"), (math.nan, math.nan))
        ci_low, ci_high = self.limit_quantiles([0.025, 0.975])
        reach = self.noise_factor * float(t_quantile(0.975, self.scale_dof))
        alpha = exponent_interval(self._alphas, self.x, self.y, self.sigma, reach)
        return {"E": (float(ci_low), float(ci_high)), "alpha": alpha}

    def to_dict(self) -> dict[str, Any]:
        """Return coefficients, intervals and the options of the fit, ready for JSON."""
        return {
            "law": "A / x^alpha + E",
            "A": self.A,
            "alpha": self.alpha,
            "E": self.E,
            "E_interval_95": list(self.interval("E")),
            "alpha_interval_95": list(self.interval("alpha")),
            "x_unit": self.unit,
            "x": self.x.tolist(),
            "y": self.y.tolist(),
            "sigma": self.sigma.tolist(),
            "n_point": self.n_point,
            "degrees_of_freedom": self.dof,
            "chi2": self.chi2,
            "noise_scale": self.noise_factor,
            "noise_degrees_of_freedom": self.noise_dof,
            "discrepancy": self.discrepancy and self.discrepancy.to_dict(),
            "alpha_fixed": self.fixed_alpha,
            "method": "lmfit least squares, weights 1/sigma, scale_covar off; profile of E with t",
        }

    @property
    def labels(self) -> list[Any]:
        """Return the name of each point: its model in a law in N, else its x."""
        check(self.frame is not None, "law", str(self), "has no frame that names its points")
        assert self.frame is not None
        x = self.columns[0]
        return list(self.frame["model"] if "model" in self.frame and x == "N" else self.frame[x])

    def without(self, *labels: str | float) -> "PowerLaw":
        """Return the law refitted without some points, named by model or by their x.

        law.without("0.04M") leaves out a model, law.without(14336) a D; the discrepancy stays.
        Raises InputError for a label that names no point.
        """
        for label in labels:
            check_choice("point", label, self.labels)
        return self._refitted(np.array([label not in labels for label in self.labels]))

    def _refitted(self, kept: NDArray[np.bool_]) -> "PowerLaw":
        """Return the law through the points kept, (points,)."""
        assert self.frame is not None
        x, y, sigma = self.x[kept], self.y[kept], self.sigma[kept]
        A, alpha, E = fit_one(x, y, sigma, alpha=self.alpha if self.fixed_alpha else None)
        points = tuple(point for point, keep in zip(self.points, kept, strict=True) if keep)
        law = replace(self, A=A, alpha=alpha, E=E, x=x, y=y, sigma=sigma, points=points)
        return replace(law, frame=self.frame[kept])

    def only(self, *labels: str | float) -> "PowerLaw":
        """Return the law refitted to some points alone; labels as in `without`."""
        return self.without(*(label for label in self.labels if label not in labels))

    @property
    def printed(self) -> list[str]:
        """Return A and alpha with the digits that reproduce the loss at the points."""
        return rounded((self.A, self.alpha), lambda c: power_law(self.x, c[0], c[1], self.E))

    @property
    def label(self) -> str:
        """Return the law for a legend: 0.0046 / N[M]$^{1.21}$ + 4.360."""
        A, alpha = self.printed
        sign = "-" if self.E < 0 else "+"
        return f"{A} / {self.unit}$^{{{alpha}}}$ {sign} {abs(self.E):.3f}"

    def _repr_latex_(self) -> str:
        """Return the law as an equation with the interval of its limit, for notebooks."""
        base, _, unit = self.unit.partition("[")
        x = rf"({base} / 1\,\mathrm{{{unit[:-1]}}})" if unit else base
        A, alpha = self.printed
        law = rf"L({base}) = {A}\, {x}^{{-{alpha}}} {self.E:+.3f}"
        return rf"${law}\;{interval_latex(self.interval('E'))}$" if self.n_point else f"${law}$"

    def __repr__(self) -> str:
        A, alpha = self.printed
        law = f"{A} / {self.unit}^{alpha} {'-' if self.E < 0 else '+'} {abs(self.E):.3f}"
        if not self.n_point:
            return f"{law} (as printed)"
        notes = [f"{self.n_point} points"] if self.dof < 2 else []
        if self.is_at_edge:
            notes.append("the exponent is at the edge of the scan")
        if self.A < 0:
            notes.append("rises: no limit")
        elif not self.has_bounded_limit:
            notes.append("the points bound no limit")
        note = f" ({'; '.join(notes)})" if notes else ""
        return f"{law} {interval_text(self.interval('E'))}{note}"


@dataclass(frozen=True, repr=False, kw_only=True)
class Limit(Estimate):
    """The asymptote of a law, with the whole law of every draw."""

    law: PowerLaw
    A_draws: Floats
    alpha_draws: Floats
    E_draws: Floats
    form_draws: Floats
    """E_draws as fitted, form_draws with the form's error; `draws` are those of the interval."""

    @property
    def ci_low(self) -> float:
        """Return the lower end of the law's 95 % interval."""
        return self.law.interval("E")[0]

    @property
    def ci_high(self) -> float:
        """Return the upper end of the law's 95 % interval."""
        return self.law.interval("E")[1]

    @property
    def fitted_draws(self) -> Floats:
        """Return finite draws of the limit, for laws of limits."""
        return self.form_draws

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

    def inverse(self, loss: Estimate) -> Estimate:
        """Return x with a loss, beyond the points with the discrepancy; inf below the limit."""
        x, other = self._at(loss.draws), self._at(loss.draws - self.law._form_error("inverse"))
        return Estimate(self.law.inverse(loss.value), np.where(x > self.law.x.max(), other, x))

    def _at(self, losses: Floats) -> Floats:
        excess = losses - self.E_draws
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(excess <= 0, np.inf, (self.A_draws / excess) ** (1 / self.alpha_draws))
