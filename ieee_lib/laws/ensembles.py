"""Laws in K: what an ensemble reaches with its K members, and as K grows without end (Sec. 4).

    laws = fit_ensembles(scores)             # a frame of scored member subsets -> one law a row
    laws["0.14M"].limit                      # 4.151 [4.131, 4.170]: the asymptote as K grows
    laws["0.14M"].points                     # k, loss: means over all subsets of k members
    laws["0.14M"].without(run_id)            # refitted without one member

    L(K) = A / K + E                         with beta = 1; A / K^beta + E beside it

A point is the mean over every subset of k members, which the luck of one order cannot bend.
Such points share their members, so their noise is common: it lifts the whole law, limit included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from ieee_lib.errors import check, check_choice
from ieee_lib.laws.estimates import N_DRAW, Estimate, noise_of
from ieee_lib.laws.power_law import PowerLaw, fit_power_law
from ieee_lib.laws.scan import Floats, fit_many


@dataclass(frozen=True, eq=False, repr=False)
class EnsembleLaw:
    """Loss against K for members of one setting."""

    settings: dict[str, Any]
    """What the members share: model, N, D, wd, lr, epochs."""
    members: tuple[str, ...]
    """Run ids, in order."""
    points: pd.DataFrame
    """k, loss (nats/token), se, n (subsets)."""
    limit: Estimate
    """Asymptote as K grows, of A / K + E."""
    A_draws: Floats
    """A of every draw of the limit."""
    law: PowerLaw
    """A / K + E through the points."""
    free: PowerLaw | None
    """A / K^beta + E; None with fewer than 4 members."""
    beta_interval: tuple[float, float]
    """95 % interval of the free exponent by the jackknife over members; NaN without it."""
    pair_gain: Estimate
    """What a second member gains, L(1) - L(2): mean over pairs, error from their spread."""
    sigma: float
    """Standard deviation of one member (nats/token)."""
    scores: pd.DataFrame
    """Every scored subset."""

    @property
    def K(self) -> int:
        """Return the number of members."""
        return len(self.members)

    @property
    def model(self) -> str:
        """Return the name of the members' model."""
        return self.settings["model"]

    @property
    def N(self) -> int:
        """Return the parameters of one member."""
        return self.settings["N"]

    def at(self, k: int) -> Estimate:
        """Return the mean loss of k members over all subsets of that size."""
        value = float(self.points.set_index("k").loss[k])
        return Estimate(value, value + self.sigma * noise_of(self.members))

    def at_members(self, K: int) -> Estimate:
        """Return the loss that the law gives for K members, measured or not."""
        return Estimate(float(self.law(K)), self.limit.draws + self.A_draws / K)

    @property
    def measured(self) -> Estimate:
        """Return the loss of all members together: no extrapolation."""
        return self.at(self.K)

    def without(self, *run_ids: str) -> "EnsembleLaw":
        """Return the law refitted without some members. Raises InputError for an unknown one."""
        for run_id in run_ids:
            check_choice("member", run_id, self.members)
        kept = [not set(run_ids) & set(subset) for subset in self.scores.members]
        return _fit_ensemble(self.scores[kept], self.sigma)

    def from_first(self, n: int) -> PowerLaw:
        """Return A / K + E fitted to the points of up to n members alone."""
        few = self.points[self.points.k <= n]
        return fit_power_law(few.k, few.loss, sigma=few.se, alpha=1.0, unit="K")

    def _repr_latex_(self) -> str:
        """Return the law as an equation with the interval of its limit, for notebooks."""
        interval = f"[{self.limit.ci_low:.3f},\\, {self.limit.ci_high:.3f}]"
        return f"$L(K) = {self.law.A:.3g} / K + {self.limit.value:.3f}\\;{interval}$"

    def __repr__(self) -> str:
        return f"{self.law.A:.3g} / K + {self.limit!r} ({self.K} members of {self.model})"


def fit_ensembles(
    scores: pd.DataFrame, *, noise: float | None = None, by: str | None = None
) -> dict[str, EnsembleLaw]:
    """Return the law in K of every ensemble of a frame of scored subsets, in its order.

    scores: columns as in `runs.frames.subsets_frame`, and `noise`, the standard deviation between
    single members (nats/token), unless it is given. Keys are the values of a column `by`; without
    it, models where each has one ensemble, else `settings_label`. Raises InputError where
    divergence left an ensemble fewer than two members.
    """
    laws = []
    for name, group in scores.groupby("ensemble", sort=False):
        lost = group.n_diverged.iloc[0]
        check(group.K.iloc[0] >= 2, "ensemble", name, f"has lost {lost} members to divergence")
        sigma = float(group.noise.iloc[0]) if noise is None else noise
        laws.append((group.iloc[0], _fit_ensemble(group, sigma)))
    if by is None:
        models = [law.model for _, law in laws]
        unique = len(set(models)) == len(models)
        return {law.model if unique else settings_label(law.settings): law for _, law in laws}
    return {str(row[by]): law for row, law in laws}


def best_ensemble(laws: Mapping[str, EnsembleLaw]) -> EnsembleLaw:
    """Return the ensemble with the lowest measured loss of all its members."""
    return min(laws.values(), key=lambda law: law.measured.value)


def settings_label(settings: dict[str, Any]) -> str:
    """Return what tells member settings of one model apart: 32 epochs, wd 0.8."""
    return f"{settings['epochs']:g} epochs, wd {settings['wd']:g}"


def _fit_ensemble(scores: pd.DataFrame, noise: float) -> EnsembleLaw:
    members = max(scores.members, key=len)
    sigma = noise / np.sqrt(len(members))
    table = scores.groupby("k").loss.agg(loss="mean", n="count").reset_index()
    table["se"] = sigma
    law = _fit(table, sigma, beta=1.0)
    A_draws, limit_draws = _draws(scores, members, noise)
    free = _fit(table, sigma, beta=None) if len(members) >= 4 else None
    names = ("model", "N", "D", "wd", "lr", "epochs")
    return EnsembleLaw(
        settings={name: scores[name].iloc[0] for name in names},
        members=members,
        points=table,
        limit=Estimate(law.E, limit_draws),
        A_draws=A_draws,
        law=law,
        free=free,
        beta_interval=_jackknife(scores, members, free.alpha) if free else (np.nan, np.nan),
        pair_gain=_pair_gain(scores),
        sigma=noise,
        scores=scores,
    )


def _fit(table: pd.DataFrame, sigma: float, *, beta: float | None) -> PowerLaw:
    return fit_power_law(table.k, table.loss, sigma=sigma, alpha=beta, unit="K")


def _coefficients(table: pd.DataFrame, *, beta: float | None) -> tuple[float, float, float]:
    """Return A, beta, E of a refit; the scan alone, which is enough for a resample."""
    x, y = table.k.to_numpy(float), table.loss.to_numpy()
    A, exponent, E = fit_many(x, y[None], np.ones(len(x)), alpha=beta)
    return float(A[0]), float(exponent[0]), float(E[0])


def _draws(scores: pd.DataFrame, members: Sequence[str], noise: float) -> tuple[Floats, Floats]:
    """Draw A and the limit: leave a random member out, refit, and add the members' mean noise.

    With two members none can be left out; the draws are then their noise alone.
    """
    left_out = np.random.default_rng(int(scores.ensemble.iloc[0], 16)).integers(
        len(members), size=N_DRAW
    )
    shift = noise * noise_of(members)
    A_draws, draws = np.empty(N_DRAW), np.empty(N_DRAW)
    for i, member in enumerate(members):
        kept = [m for m in members if m != member] if len(members) > 2 else list(members)
        A, _, limit = _coefficients(_means(scores, kept), beta=1.0)
        is_drawn = left_out == i
        A_draws[is_drawn], draws[is_drawn] = A, limit + shift[is_drawn]
    return A_draws, draws


def _jackknife(scores: pd.DataFrame, members: Sequence[str], beta: float) -> tuple[float, float]:
    """Return the 95 % interval of the free exponent from fits without each member.

    Noise that all points share cannot bend the law, so the points' own error bars say nothing
    about its exponent; how much it moves from member to member does.
    """
    K = len(members)
    without = [_means(scores, [m for m in members if m != left]) for left in members]
    betas = np.array([_coefficients(table, beta=None)[1] for table in without])
    error = np.sqrt((K - 1) / K * np.sum((betas - betas.mean()) ** 2))
    half_width = float(student_t.ppf(0.975, K - 1) * error)
    return beta - half_width, beta + half_width


def _pair_gain(scores: pd.DataFrame) -> Estimate:
    single = {subset[0]: loss for subset, loss in zip(*_of_size(scores, 1), strict=True)}
    pairs = zip(*_of_size(scores, 2), strict=True)
    gains = np.array([np.mean([single[m] for m in pair]) - loss for pair, loss in pairs])
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
    draws = np.random.default_rng(int(scores.ensemble.iloc[0], 16)).standard_normal(N_DRAW)
    return Estimate(float(gains.mean()), gains.mean() + error * draws)


def _of_size(scores: pd.DataFrame, k: int) -> tuple[pd.Series, pd.Series]:
    part = scores[scores.k == k]
    return part.members, part.loss


def _means(scores: pd.DataFrame, members: Sequence[str]) -> pd.DataFrame:
    """Return the mean loss over all subsets of the given members, by size."""
    among = scores[[set(subset) <= set(members) for subset in scores.members]]
    return among.groupby("k").loss.mean().reset_index()


ENSEMBLE_DIGITS = {
    "one member": 3, "all members": 3, "limit": 3, "limit, beta free": 3, "beta": 2,
}  # fmt: skip
"""Decimals of a table of laws in K."""


def concat(frames: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Return frames below one another, with a first column that names each."""
    parts = [frame.assign(**{name: key}) for key, frame in frames.items()]
    table = pd.concat(parts, ignore_index=True)
    return table[[name, *(column for column in table.columns if column != name)]]


def ensembles_frame(laws: dict[str, EnsembleLaw]) -> pd.DataFrame:
    """Return one row an ensemble: settings, K, member and ensemble loss, limit, free exponent."""
    rows = []
    for law in laws.values():
        rows.append(
            {
                **law.settings,
                "K": law.K,
                "one member": law.at(1).value,
                "all members": law.measured.value,
                "limit": law.limit,
                "beta": law.free.alpha if law.free else np.nan,
                "beta ci_low": law.beta_interval[0],
                "beta ci_high": law.beta_interval[1],
                "limit, beta free": law.free.E if law.free else np.nan,
                "run_ids": law.members,
            }
        )
    return pd.DataFrame(rows)
