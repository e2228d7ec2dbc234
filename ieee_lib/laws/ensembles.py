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
    single members (nats/token), unless it is given. With `by` there is one law a value of that
    column, which is its key; else one an ensemble, by model where each has one, or by
    `settings_label`. Raises InputError where divergence left an ensemble fewer than two members.
    """
    laws = []
    for name, group in scores.groupby(by or "ensemble", sort=False):
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
    """Return the law of one ensemble's scored subsets; noise: deviation of a single member."""
    members = max(scores.members, key=len)
    sigma = noise / np.sqrt(len(members))
    table = scores.groupby("k").loss.agg(loss="mean", n="count").reset_index()
    table["se"] = sigma
    law = _fit(table, sigma, beta=1.0)
    A_draws, limit_draws = _law_draws(scores, members, noise)
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
        beta_interval=_beta_interval(scores, members, free.alpha) if free else (np.nan, np.nan),
        pair_gain=_pair_gain(scores),
        sigma=noise,
        scores=scores,
    )


def _fit(table: pd.DataFrame, sigma: float, *, beta: float | None) -> PowerLaw:
    """Fit A / k^beta + E to mean losses; a given beta is held fixed."""
    return fit_power_law(table.k, table.loss, sigma=sigma, alpha=beta, unit="K")


def _law_draws(scores: pd.DataFrame, members: Sequence[str], noise: float) -> tuple[Floats, Floats]:
    """Return A and E, each (N_DRAW,): a random member left out, refitted, plus the shared noise.

        E[j] = E without member m_j + noise * mean over members of z_m[j]

    With two members none can be left out; the draws are then their noise alone.
    """
    rng = np.random.default_rng(int(scores.ensemble.iloc[0], 16))
    left_out = rng.integers(len(members), size=N_DRAW)
    if len(members) > 2:
        A, _, E = _leave_one_out(scores, members, beta=1.0)
    else:
        A, _, E = (np.repeat(value, len(members)) for value in _coefficients(scores, members, 1.0))
    return A[left_out], E[left_out] + noise * noise_of(members)


def _beta_interval(
    scores: pd.DataFrame, members: Sequence[str], beta: float
) -> tuple[float, float]:
    """Return the 95 % interval of the free exponent by the jackknife over the K members.

        se^2 = (K - 1) / K * sum over m of (beta without m - their mean)^2,    beta ± t(K - 1) se

    Noise that all points share cannot bend the law, so the points' own error bars say nothing
    about its exponent; how much it moves from member to member does.
    """
    K = len(members)
    _, betas, _ = _leave_one_out(scores, members, beta=None)
    error = np.sqrt((K - 1) / K * np.sum((betas - betas.mean()) ** 2))
    half_width = float(student_t.ppf(0.975, K - 1) * error)
    return beta - half_width, beta + half_width


def _leave_one_out(
    scores: pd.DataFrame, members: Sequence[str], *, beta: float | None
) -> tuple[Floats, Floats, Floats]:
    """Return A, beta and E, each (members,), of the law refitted without each member."""
    fits = [
        _coefficients(scores, [kept for kept in members if kept != member], beta)
        for member in members
    ]
    A, betas, E = np.array(fits).T
    return A, betas, E


def _coefficients(
    scores: pd.DataFrame, members: Sequence[str], beta: float | None
) -> tuple[float, float, float]:
    """Return A, beta and E of the law through the mean losses of all subsets of some members.

    By the scan alone (`fit_many`), which is enough for a resample.
    """
    among = scores[[set(subset) <= set(members) for subset in scores.members]]
    table = among.groupby("k").loss.mean().reset_index()
    x, y = table.k.to_numpy(float), table.loss.to_numpy()
    A, exponent, E = fit_many(x, y[None], np.ones(len(x)), alpha=beta)
    return float(A[0]), float(exponent[0]), float(E[0])


def _pair_gain(scores: pd.DataFrame) -> Estimate:
    """Return L(1) - L(2), the mean over pairs; its error is their spread over sqrt(pairs)."""
    single, pairs = scores[scores.k == 1], scores[scores.k == 2]
    alone = {members[0]: loss for members, loss in zip(single.members, single.loss, strict=True)}
    gains = np.array(
        [
            np.mean([alone[member] for member in pair]) - loss
            for pair, loss in zip(pairs.members, pairs.loss, strict=True)
        ]
    )
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
    draws = np.random.default_rng(int(scores.ensemble.iloc[0], 16)).standard_normal(N_DRAW)
    return Estimate(float(gains.mean()), gains.mean() + error * draws)


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


def compare_limits(laws: dict[str, EnsembleLaw], base: str) -> pd.DataFrame:
    """Return one row a law: its losses, its limit, and how far that is from the limit of the base.

    Columns: recipe (the law's key), K, one member, all members, limit and difference (estimates,
    nats/token; members that two laws share cancel in the difference), verdict (helps: the 95 %
    interval of the difference is below 0; does not help: above; inconclusive), run_ids.
    """
    rows = []
    for name, law in laws.items():
        difference = law.limit - laws[base].limit
        verdict = "inconclusive"
        if difference.ci_high < 0:
            verdict = "helps"
        elif difference.ci_low > 0:
            verdict = "does not help"
        rows.append(
            {
                "recipe": name,
                "K": law.K,
                "one member": law.at(1).value,
                "all members": law.measured.value,
                "limit": law.limit,
                "difference": difference,
                "verdict": "base" if name == base else verdict,
                "run_ids": law.members,
            }
        )
    return pd.DataFrame(rows)
