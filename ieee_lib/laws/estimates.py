"""Numbers that carry their uncertainty from single runs to the last multiplier (Sec. 4 and 5).

Every run has one vector of noise draws that follows from its run id, so two numbers that share a
run share its noise, and the noise cancels in their difference. Everything later (means,
asymptotes in K, N and D, multipliers) is computed once on the values and once per draw:

    value_i = f(loss_1, ...),    draw_i[j] = f(loss_1 + s[j] sigma z_1[j], ...),    z ~ N(0, 1)

A sigma from few replicates is itself uncertain. The scale s[j] = sqrt(dof / chi2[j]) makes a draw
one of Student's t; all estimates share the quantile of chi2 in draw j.

    small, large = estimates(tuned)[:2]      # one a row of a frame: loss, sigma, run_ids
    small - large                            # 0.031 [0.004, 0.058]
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import t as student_t

from ieee_lib.laws.scan import Floats
from ieee_lib.runs.frames import Noise, pooled_noise

N_DRAW = 1000
TAIL = 0.03
"""Share of draws that stand for an end that nothing bounds: a little more than 2.5 %."""
SETTINGS = [
    "N", "D", "wd", "lr", "epochs", "batch_size", "start", "synthetic", "synthetic_weight",
    "synthetic_only", "decay_mask", "optimizer", "dropout", "reshuffle", "options",
]  # fmt: skip
"""Runs that agree in these are replicates."""


@dataclass(frozen=True)
class Estimate:
    """A value and its draws under fresh noise of every run that it rests on."""

    value: float
    draws: Floats
    """(N_DRAW,) values; infinite where a draw is unbounded, NaN where it has no value."""
    error: float | None = None
    """The standard error where it is known; else the draws give it."""
    dof: float = math.inf
    """Degrees of freedom behind the standard error."""

    @property
    def exists(self) -> bool:
        """Say whether there is such a number; the limit of a rising law is none."""
        return True

    @property
    def fitted_draws(self) -> Floats:
        """Return (N_DRAW,) draws for a law through this estimate: finite where it has a fit."""
        return self.draws

    @property
    def ci_low(self) -> float:
        """Return the lower end of the 95 % interval."""
        return self._quantile(0.025)

    @property
    def ci_high(self) -> float:
        """Return the upper end of the 95 % interval."""
        return self._quantile(0.975)

    @property
    def se(self) -> float:
        """Return the standard error; from draws, half of the central 68 %, robust to outliers."""
        if self.error is not None:
            return self.error
        return (self._quantile(0.84) - self._quantile(0.16)) / 2

    def _quantile(self, q: float) -> float:
        draws = self.draws[~np.isnan(self.draws)]  # infinite ones count, at their end
        return float(np.quantile(draws, q, method="nearest")) if len(draws) else math.nan

    def __sub__(self, other: "Estimate | float") -> "Estimate":
        """Return the difference; what both rest on cancels in every draw."""
        if not isinstance(other, Estimate):
            return Estimate(self.value - other, self.draws - other)
        with np.errstate(invalid="ignore"):  # two infinite ends have no difference
            draws = self.draws - other.draws
        below = self.ci_low == -np.inf or other.ci_high == np.inf
        above = self.ci_high == np.inf or other.ci_low == -np.inf
        return Estimate(
            self.value - other.value, with_unbounded_tails(draws, below=below, above=above)
        )

    def __truediv__(self, other: "Estimate | float") -> "Estimate":
        """Return the ratio, draw by draw."""
        if not isinstance(other, Estimate):
            return Estimate(self.value / other, self.draws / other)
        return Estimate(self.value / other.value, self.draws / other.draws)

    def __rmul__(self, factor: float) -> "Estimate":
        """Return the estimate in another unit: 100 * share is in percent."""
        return Estimate(factor * self.value, factor * self.draws)

    def __add__(self, other: "Estimate | float") -> "Estimate":
        """Return the sum; what both share of their noise adds up draw by draw."""
        return self - (-other)

    def __neg__(self) -> "Estimate":
        """Return the estimate with its sign turned."""
        return Estimate(-self.value, -self.draws)

    def __repr__(self) -> str:
        text = f"{self.value:.3f} [{self.ci_low:.3f}, {self.ci_high:.3f}]"
        return text.replace("inf", "∞").replace("-∞", "−∞")


NO_VALUE = Estimate(math.nan, np.full(N_DRAW, np.nan))
"""Of what has no value: the mean of diverged runs, the limit of a law that rises."""


def noise_of(run_ids: Iterable[str]) -> Floats:
    """Return the mean standard-normal draws (N_DRAW,) of runs; the same run, the same draws."""
    return np.mean([normal_draws(run_id) for run_id in run_ids], axis=0)


def normal_draws(run_id: str) -> Floats:
    """Return the standard-normal draws (N_DRAW,) of one run."""
    return np.random.default_rng(int(run_id, 16)).standard_normal(N_DRAW)


@lru_cache
def t_scale(dof: float) -> Floats:
    """Return sqrt(dof / chi2) (N_DRAW,): a normal draw times it is one of Student's t."""
    if math.isinf(dof):
        return np.ones(N_DRAW)
    quantiles = (np.arange(N_DRAW) + 0.5) / N_DRAW  # exact, in an order of no meaning
    quantiles = named_generator("scale of the noise").permutation(quantiles)
    return np.sqrt(dof / chi2_distribution.ppf(quantiles, dof))


def t_quantile(p: ArrayLike, dof: float) -> Floats:
    """Return quantiles of Student's t; of the normal distribution at infinite dof."""
    return np.asarray(student_t.ppf(np.asarray(p, dtype=float), min(dof, 1e9)))


def replicate_noise(runs: pd.DataFrame, assumed: float) -> Noise:
    """Return the noise between seeds of equal settings; without replicates the assumed one."""
    noise = pooled_noise(runs, SETTINGS)
    return noise if noise.sigma > 0 else Noise(assumed, math.inf)


def seed_mean(runs: pd.DataFrame, noise: Noise) -> Estimate:
    """Return the mean validation loss of replicates, given the noise between seeds.

    Diverged runs are left out; without any other the value is NaN.
    """
    done = runs[runs.status == "done"]
    if done.empty:
        return NO_VALUE
    return measured_mean(float(done.val_loss.mean()), noise, list(done.run_id))


def measured_mean(value: float, noise: Noise, run_ids: Sequence[str]) -> Estimate:
    """Return the mean loss of runs as an estimate, given the noise of one of them."""
    sigma, dof = noise
    draws = value + sigma * t_scale(dof) * noise_of(run_ids)
    return Estimate(value, draws, sigma / math.sqrt(len(run_ids)), dof)


def estimates(frame: pd.DataFrame, y: str = "loss") -> list[Estimate]:
    """Return one estimate a row: a column of estimates as it is, else from loss and noise.

    A column of numbers needs `sigma` (standard deviation of one run, nats/token) and `run_ids`
    beside it, as the frames of `ieee_lib.recipes` have; `dof` says from how many replicates sigma
    comes (without it: sigma is known).
    """
    if frame[y].map(lambda value: isinstance(value, Estimate)).all():
        return list(frame[y])
    dof = frame["dof"] if "dof" in frame else pd.Series(math.inf, frame.index)
    columns = (frame[y], frame["sigma"], dof, frame["run_ids"])
    return [
        NO_VALUE if math.isnan(value) else measured_mean(float(value), Noise(sigma, dof), ids)
        for value, sigma, dof, ids in zip(*columns, strict=True)
    ]


def lowest(frame: pd.DataFrame, y: str = "loss") -> Estimate:
    """Return the estimate of a frame's lowest row: the best measured loss, not extrapolated."""
    return min(estimates(frame, y), key=lambda row: (math.isnan(row.value), row.value))


def estimates_frame(values: Mapping[Any, Estimate], name: str) -> pd.DataFrame:
    """Return named estimates as a frame: a column of names, and `loss`."""
    return pd.DataFrame({name: list(values), "loss": list(values.values())})


def assumed(value: float, *, sigma: float, name: str) -> Estimate:
    """Return a value with a stated standard deviation; the name fixes its draws."""
    return Estimate(value, value + sigma * named_generator(name).standard_normal(N_DRAW), sigma)


def mean(parts: Sequence[Estimate]) -> Estimate:
    """Return the mean of estimates, such as errors over tasks."""
    draws = np.mean([part.draws for part in parts], axis=0)
    return Estimate(float(np.mean([part.value for part in parts])), draws)


def named_generator(name: str) -> np.random.Generator:
    """Return random numbers that follow from a name."""
    return np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:16], 16))


def with_unbounded_tails(draws: Floats, *, below: bool, above: bool) -> Floats:
    """Return draws with an infinite tail at each side where nothing bounds the number.

    A 95 % interval leaves out 2.5 % of the draws at either end. With a tail of 3 % the interval's
    end is infinite, and so is the end of whatever is computed from these draws.
    """
    draws = draws.copy()
    order = np.argsort(draws)[: np.count_nonzero(~np.isnan(draws))]  # NaN is sorted last
    n_tail = math.ceil(TAIL * len(order))
    if below:
        draws[order[:n_tail]] = -np.inf
    if above:
        draws[order[len(order) - n_tail :]] = np.inf
    return draws


def expand(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of plain numbers: each column of estimates becomes three.

    A column `limit` gives `limit`, `limit ci_low` and `limit ci_high`.
    """
    columns: dict[str, Sequence] = {}
    for name in frame.columns:
        values = list(frame[name])
        if values and all(isinstance(value, Estimate) for value in values):
            columns[name] = [value.value for value in values]
            columns[f"{name} ci_low"] = [value.ci_low for value in values]
            columns[f"{name} ci_high"] = [value.ci_high for value in values]
        else:
            columns[name] = values
    return pd.DataFrame(columns)
