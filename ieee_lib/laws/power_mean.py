"""One surface in N and D: the power mean of a law in N and a law in D.

    L(N, D) = [(A N^-a)^q + (B D^-b)^q]^(1/q) + E

At q = 1 the two terms add; a larger q bends more sharply from curves that N limits to curves that
D limits, so that a model of N / D around 1 is nearer to its limit than a power law in N takes it
to be. Fitted to all cells (N, D) at once, it gives a law in N at every D.

    surface = fit_power_mean(tuned)              # one row a D and model: N, D, loss, sigma, run_ids
    surface.at(28_672).limit                     # N to infinity at one D
"""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from ieee_lib.errors import check
from ieee_lib.laws.equation import interval_latex, interval_text, rounded
from ieee_lib.laws.estimates import Estimate, estimates, t_quantile
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.scan import Floats
from ieee_lib.laws.units import scale_of, unit_of

N_PARAMETER = 6
STARTS = ((0.0, 0.5, 0.0, 0.3, 0.5, 2.0), (1.5, 0.15, 1.8, 0.1, 0.8, -3.0))
"""log A, a, log B, b, log q, E that fits begin at."""
BOUNDS = ((-9, 0.02, -9, 0.02, -2, -10), (9, 6, 9, 6, 3.5, 10))


def power_mean(parameters: Floats, N: ArrayLike, D: ArrayLike) -> Floats:
    """Return the loss (nats/token) of parameters log A, a, log B, b, log q, E; N may be inf."""
    log_A, a, log_B, b, log_q, E = parameters
    q = math.exp(log_q)
    by_N, by_D = log_A - a * np.log(N), log_B - b * np.log(D)
    return np.exp(np.logaddexp(q * by_N, q * by_D) / q) + E


def gradient(parameters: Floats, N: ArrayLike, D: ArrayLike) -> Floats:
    """Return the derivatives of `power_mean` by its six parameters, (..., 6)."""
    log_A, a, log_B, b, log_q, _ = parameters
    q = math.exp(log_q)
    log_N, log_D = np.log(np.minimum(N, 1e300)), np.log(D)  # 0 times the log of inf has no value
    by_N, by_D = q * (log_A - a * log_N), q * (log_B - b * log_D)
    both = np.logaddexp(by_N, by_D)
    excess, share_N, share_D = np.exp(both / q), np.exp(by_N - both), np.exp(by_D - both)
    by_log_q = excess * (share_N * by_N + share_D * by_D - both) / q
    columns = [
        excess * share_N, -excess * share_N * log_N, excess * share_D, -excess * share_D * log_D,
        by_log_q, np.ones_like(excess),
    ]  # fmt: skip
    return np.stack(columns, axis=-1)


@dataclass(frozen=True, eq=False)
class Surface:
    """A fitted surface; keeps its cells."""

    parameters: Floats
    """log A, a, log B, b, log q, E; N and D in the surface's units."""
    N: Floats
    D: Floats
    points: tuple[Estimate, ...]
    """The loss of every cell."""
    frame: pd.DataFrame
    columns: tuple[str, str]
    units: tuple[str, str]

    @property
    def dof(self) -> int:
        """Return the degrees of freedom: cells minus parameters."""
        return len(self.points) - N_PARAMETER

    @cached_property
    def _inverse(self) -> Floats:
        """Return how the parameters follow the weighted losses, (6, cells)."""
        sigma = np.array([point.se for point in self.points])
        jacobian = gradient(self.parameters, self.N, self.D) / sigma[:, None]
        return np.linalg.pinv(jacobian, rcond=1e-8) / sigma

    def response(self, N: float, D: float) -> Floats:
        """Return how the loss at one place follows the losses of the cells, (cells,)."""
        return gradient(self.parameters, N, D) @ self._inverse

    @property
    def chi2(self) -> float:
        """Return the sum of squared residuals in units of sigma."""
        loss = power_mean(self.parameters, self.N, self.D)
        return sum(((y.value - fit) / y.se) ** 2 for y, fit in zip(self.points, loss, strict=True))

    def at(self, D: int) -> "PowerMeanLaw":
        """Return the law in N at one D (tokens) among the cells'."""
        size = D / scale_of(self.units[1])
        here = np.isclose(self.D, size)
        check(bool(here.any()), "D", D, f"must be one of {sorted(set(self.frame.D))}")
        points = tuple(point for point, keep in zip(self.points, here, strict=True) if keep)
        return PowerMeanLaw(
            A=math.exp(self.parameters[0]),
            alpha=float(self.parameters[1]),
            E=float(power_mean(self.parameters, np.inf, size)),
            x=self.N[here],
            y=np.array([point.value for point in points]),
            sigma=np.array([point.se for point in points]),
            unit=self.units[0],
            noise_dof=min(point.dof for point in self.points),
            points=points,
            frame=self.frame[here],
            columns=("N", self.columns[1]),
            surface=self,
            size=size,
        )


@dataclass(frozen=True, repr=False, kw_only=True)
class PowerMeanLaw(PowerLaw):
    """The law in N that a surface gives at one D; `E` is its limit there."""

    surface: Surface = field(repr=False)
    size: float
    """D, in the surface's unit."""

    def __call__(self, x: ArrayLike) -> Any:
        """Return the surface's loss (nats/token) at N = x, in the law's unit."""
        return power_mean(self.surface.parameters, x, self.size)

    def inverse(self, loss: ArrayLike) -> Any:
        """Return N at which the law gives a loss; inf at or below its limit."""
        log_A, a, *_, log_q, E = self.surface.parameters
        q, loss = math.exp(log_q), np.asarray(loss, dtype=float)
        with np.errstate(invalid="ignore", divide="ignore"):
            rest = (loss - E) ** q - (self.E - E) ** q
            return np.where(loss <= self.E, np.inf, np.exp((log_A - np.log(rest) / q) / a))

    @property
    def dof(self) -> int:
        """Return the degrees of freedom of the whole surface."""
        return self.surface.dof

    @property
    def chi2(self) -> float:
        """Return chi2 over all cells of the surface."""
        return self.surface.chi2

    @property
    def is_at_edge(self) -> bool:
        """Say whether a parameter would lie outside those tried: the points hardly tell it."""
        low, high = np.array(BOUNDS, dtype=float)
        parameters = self.surface.parameters
        return bool(np.any(np.minimum(parameters - low, high - parameters) < 1e-3))

    @property
    def _note(self) -> str:
        return " (a parameter is at the edge of its range)" if self.is_at_edge else ""

    def _refits(self) -> tuple[Floats, Floats, Floats]:
        """Return A and alpha as they are, and E moved by the noise of every cell."""
        E = self.E + self._noise_at(np.inf)
        return np.full(len(E), self.A), np.full(len(E), self.alpha), E

    def _draws_at(self, x: float) -> Floats:
        return self(x) + self._noise_at(x)

    def noise_at(self, x: float) -> float:
        """Return the standard error at x by the noise of runs alone, to first order."""
        sigma = np.array([point.se for point in self.surface.points])
        return float(np.linalg.norm(self.surface.response(x, self.size) * sigma))

    def _noise_at(self, x: float) -> Floats:
        """Return the noise of the loss at N = x, (N_DRAW,), to first order."""
        return self._deviations(self.surface.points) @ self.surface.response(x, self.size)

    def limit_quantiles(self, p: ArrayLike) -> Floats:
        """Return quantiles of the limit: E + t F s, with s to first order; see `PowerLaw`."""
        distance = self.noise_factor * self.noise_at(np.inf) * t_quantile(p, self.scale_dof)
        if self.discrepancy:
            distance = np.sign(distance) * np.hypot(distance, self.discrepancy.quantiles(p))
        limits = self.E + distance
        return np.where((distance < 0) & (limits < 0), -np.inf, limits)

    @cached_property
    def _intervals(self) -> dict[str, tuple[float, float]]:
        ci_low, ci_high = self.limit_quantiles([0.025, 0.975])
        return {"E": (float(ci_low), float(ci_high)), "alpha": (math.nan, math.nan)}

    def _refitted(self, kept: NDArray[np.bool_]) -> "PowerLaw":
        """Return the law of the surface refitted without some cells of this D."""
        assert self.frame is not None
        rest = self.surface.frame.drop(index=self.frame.index[~kept])
        surface = fit_power_mean(rest, self.columns[1])
        return replace(surface.at(int(self.frame.D.iloc[0])), discrepancy=self.discrepancy)

    def to_dict(self) -> dict[str, Any]:
        """Return what `PowerLaw.to_dict` does, and the parameters of the surface."""
        names = ("log_A", "a", "log_B", "b", "log_q", "E")
        parameters = dict(zip(names, self.surface.parameters.tolist(), strict=True))
        law = "[(A N^-a)^q + (B D^-b)^q]^(1/q) + E"
        method = "least squares over all N and D, weights 1/sigma; first-order noise with t"
        return super().to_dict() | {"law": law, "surface": parameters, "method": method}

    @property
    def label(self) -> str:
        """Return the law for a legend: power mean, q = 2.4, limit 4.352."""
        return f"power mean, q = {math.exp(self.surface.parameters[4]):.2g}, limit {self.E:.3f}"

    @property
    def printed(self) -> list[str]:
        """Return A, a, q and the term of D with the digits that reproduce the loss at this D."""
        log_A, a, *_, log_q, E = self.surface.parameters
        coefficients = (math.exp(log_A), a, math.exp(log_q), self.E - E)
        return rounded(coefficients, lambda c: self._loss(*c))

    def _loss(self, A: float, a: float, q: float, by_D: float) -> Floats:
        """Return the loss at the points from the coefficients of the printed law."""
        terms = q * (np.log(A) - a * np.log(self.x)), q * np.log(by_D)
        return np.exp(np.logaddexp(*terms) / q) + self.surface.parameters[-1]

    def _repr_latex_(self) -> str:
        """Return the law as an equation with the interval of its limit, for notebooks."""
        A, a, q, by_D = self.printed
        base, _, unit = self.unit.partition("[")
        x = rf"({base} / 1\,\mathrm{{{unit[:-1]}}})"
        law = (
            rf"L({base}) = \left[({A}\, {x}^{{-{a}}})^{{q}} + {by_D}^{{q}}\right]^{{1/q}} "
            rf"{self.surface.parameters[-1]:+.3f},\; q = {q}"
        )
        interval = interval_latex(self.interval("E"))
        return rf"${law},\quad L(\infty) = {self.E:.3f}\;{interval}${self._note}"

    def __repr__(self) -> str:
        A, a, q, by_D = self.printed
        E = self.surface.parameters[-1]
        law = f"[({A} / {self.unit}^{a})^{q} + {by_D}^{q}]^(1/{q}) {'-' if E < 0 else '+'}"
        limit = f"limit {self.E:.3f} {interval_text(self.interval('E'))}"
        return f"{law} {abs(E):.3f}, {limit}{self._note}"


def fit_power_mean(frame: pd.DataFrame, y: str = "loss") -> Surface:
    """Fit the surface to all rows of a frame with a loss: N (parameters), D (tokens), y.

    y as in `fit_power_law`. Raises InputError for fewer cells than parameters, or a single D.
    """
    rows = estimates(frame, y)
    finite = [math.isfinite(row.value) for row in rows]
    frame, points = frame[finite], tuple(row for row in rows if math.isfinite(row.value))
    check(len(points) > N_PARAMETER, "cells", len(points), f"need more than {N_PARAMETER}")
    check(frame.D.nunique() > 1, "D", frame.D.unique().tolist(), "need at least two")
    units = unit_of(frame.N, "N"), unit_of(frame.D, "D")
    N = frame.N.to_numpy(float) / scale_of(units[0])
    D = frame.D.to_numpy(float) / scale_of(units[1])
    loss = np.array([point.value for point in points])
    sigma = np.array([point.se for point in points])

    def residuals(parameters: Floats) -> Floats:
        return (power_mean(parameters, N, D) - loss) / sigma

    def jacobian(parameters: Floats) -> Floats:
        return gradient(parameters, N, D) / sigma[:, None]

    options: dict[str, Any] = {"bounds": BOUNDS, "method": "dogbox", "max_nfev": 400}
    fits = [least_squares(residuals, start, jac=jacobian, **options) for start in STARTS]
    best = min(fits, key=lambda fit: fit.cost)
    return Surface(best.x, N, D, points, frame, ("N", y), units)
