"""Numbers that carry their uncertainty from single runs to the last multiplier (Sec. 4 and 5).

Every run has one vector of noise draws, named by its run id, so two numbers that share a run
share its noise, and their difference loses it. Everything later (means, limits in K, laws in N
and D, multipliers) is computed once on the values and once per draw.

    small, large = mean_of(runs_a, sigma=0.02), mean_of(runs_b, sigma=0.02)
    small - large                        # 0.031 [0.004, 0.058]
    limit = limit_of(sizes, [small, large, ...], unit="N[M]")
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ieee_lib.laws.power_law import PowerLaw, fit_many, fit_power_law, power_law
from ieee_lib.runs.frames import pooled_noise

N_DRAW = 1000
SETTINGS = ["N", "D", "wd", "lr", "epochs", "batch_size", "start"]
SETTINGS += ["synthetic", "synthetic_weight", "synthetic_only"]
SETTINGS += ["decay_mask", "optimizer", "dropout", "reshuffle"]
"""Runs that agree in these are replicates."""


@dataclass(frozen=True)
class Estimate:
    """A value and its draws under fresh noise of every run that it rests on."""

    value: float
    draws: np.ndarray
    """(N_DRAW,) values; not finite where a draw has none."""
    error: float | None = None
    """The standard error where it is known; else the draws tell it."""

    @property
    def exists(self) -> bool:
        """Whether there is such a number; see `Limit`."""
        return True

    @property
    def bounded(self) -> np.ndarray:
        """(N_DRAW,) draws, an unbounded limit's as they were fitted: for laws of limits."""
        return self.draws

    @property
    def low(self) -> float:
        """Lower end of the central 95 %."""
        return self._quantile(0.025)

    @property
    def high(self) -> float:
        """Upper end of the central 95 %."""
        return self._quantile(0.975)

    @property
    def se(self) -> float:
        """Standard error; from draws, half the central 68 %, which no wild draw can move."""
        if self.error is not None:
            return self.error
        return (self._quantile(0.84) - self._quantile(0.16)) / 2

    def _quantile(self, q: float) -> float:
        draws = self.draws[~np.isnan(self.draws)]  # infinite ones count, at their end
        return float(np.quantile(draws, q, method="nearest")) if len(draws) else float("nan")

    def __sub__(self, other: "Estimate | float") -> "Estimate":
        if not isinstance(other, Estimate):
            return Estimate(self.value - other, self.draws - other)
        with np.errstate(invalid="ignore"):  # two infinite ends have no difference
            draws = self.draws - other.draws
        below = self.low == -np.inf or other.high == np.inf
        above = self.high == np.inf or other.low == -np.inf
        return Estimate(self.value - other.value, opened(draws, below=below, above=above))

    def __truediv__(self, other: "Estimate | float") -> "Estimate":
        if not isinstance(other, Estimate):
            return Estimate(self.value / other, self.draws / other)
        return Estimate(self.value / other.value, self.draws / other.draws)

    def __repr__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def noise_of(run_ids: Sequence[str]) -> np.ndarray:
    """Return the mean standard-normal draws (N_DRAW,) of runs; the same run, the same draws."""
    draws = [np.random.default_rng(int(i, 16)).standard_normal(N_DRAW) for i in run_ids]
    return np.mean(draws, axis=0)


def replicate_noise(runs: pd.DataFrame, assumed: float) -> float:
    """Return the pooled standard deviation between seeds of equal settings, or the assumed."""
    noise = pooled_noise(runs, SETTINGS)
    return noise if noise > 0 else assumed


def mean_of(runs: pd.DataFrame, *, sigma: float) -> Estimate:
    """Return the mean validation loss of replicates; diverged runs are left out."""
    done = runs[runs.status == "done"]
    if done.empty:
        return Estimate(float("nan"), np.full(N_DRAW, np.nan))
    value = float(done.val_loss.mean())
    return Estimate(value, value + sigma * noise_of(done.run_id), sigma / np.sqrt(len(done)))


def assumed(value: float, *, sigma: float, name: str) -> Estimate:
    """Return a value with a stated standard deviation; the name fixes its draws."""
    return Estimate(value, value + sigma * named_generator(name).standard_normal(N_DRAW), sigma)


def named_generator(name: str) -> np.random.Generator:
    """Return random numbers that follow from a name."""
    return np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:16], 16))


def limit_of(x: Sequence[float], points: Sequence[Estimate], *, unit: str) -> "Limit":
    """Fit A / x^alpha + E through estimates; return the limit, with its law and draws.

    The law's noise is each point's own standard error, so its profile interval treats points as
    independent; the draws also know which runs they share. Both grow with the law's `scale`.
    """
    x, y = np.asarray(x, dtype=float), np.array([p.value for p in points])
    sigma = np.maximum([p.se for p in points], 1e-6)
    law = fit_power_law(x, y, sigma=sigma, unit=unit)
    Y = y + law.scale * (np.stack([p.bounded for p in points], axis=1) - y)
    kept = np.isfinite(Y).all(axis=1)
    A, alpha, E = (np.full(len(Y), np.nan) for _ in range(3))
    A[kept], alpha[kept], E[kept] = fit_many(x, Y[kept], sigma)
    return Limit(law.E, unbounded(E, law), law=law, A_draws=A, alpha_draws=alpha, E_draws=E)


def unbounded(draws: np.ndarray, *laws: PowerLaw) -> np.ndarray:
    """Return draws that are open on each side where the points of a law bound nothing."""
    ends = [law.interval("E") for law in laws]
    below, above = any(low == -np.inf for low, _ in ends), any(high == np.inf for _, high in ends)
    return opened(draws, below=below, above=above)


def opened(draws: np.ndarray, *, below: bool, above: bool) -> np.ndarray:
    """Return draws with an infinite tail, so that what is computed from them is unbounded too.

    It holds 3 %: what a 95 % interval leaves out at either end, and a little.
    """
    draws, order = draws.copy(), np.argsort(draws)  # NaN is sorted last
    n = np.count_nonzero(~np.isnan(draws))
    tail = math.ceil(0.03 * n)
    if below:
        draws[order[:tail]] = -np.inf
    if above:
        draws[order[n - tail : n]] = np.inf
    return draws


@dataclass(frozen=True, repr=False, kw_only=True)
class Limit(Estimate):
    """The asymptote of a law, with the whole law of every draw."""

    law: PowerLaw
    A_draws: np.ndarray
    alpha_draws: np.ndarray
    E_draws: np.ndarray
    """As fitted; in `draws` an end that nothing bounds is infinite."""

    @property
    def bounded(self) -> np.ndarray:
        return self.E_draws

    @property
    def exists(self) -> bool:
        """Whether the law falls; what a rising one would come from is no limit."""
        return self.law.A > 0

    @property
    def reached(self) -> bool:
        """Whether the law falls to a limit that the points bound."""
        return self.exists and self.law.resolved

    @property
    def alpha(self) -> Estimate:
        """The law's exponent."""
        return Estimate(self.law.alpha, self.alpha_draws)

    def at(self, x: float) -> Estimate:
        """Return the law's loss at x."""
        draws = power_law(x, self.A_draws, self.alpha_draws, self.E_draws)
        return Estimate(float(self.law(x)), draws)

    def inverse(self, loss: Estimate) -> Estimate:
        """Return x at which the law gives a loss; inf at or below its limit."""
        excess = loss.draws - self.E_draws
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x = np.where(excess <= 0, np.inf, (self.A_draws / excess) ** (1 / self.alpha_draws))
        return Estimate(self.law.inverse(loss.value), x)
