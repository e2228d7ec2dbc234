"""Laws in K: what an ensemble reaches with its K members, and with infinitely many (Sec. 4).

    laws = ensemble_laws(scores, noise=0.02)
    laws[0].limit                        # 4.151 [4.131, 4.170]: the loss as K grows
    laws[0].points                       # k, loss: means over all subsets of k members

A point is the mean over every subset of k members, which the luck of one order cannot bend.
Such points share their members, so their noise is common: it lifts the whole law, limit included.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from ieee_lib.errors import check
from ieee_lib.laws.estimates import N_DRAW, Estimate, noise_of
from ieee_lib.laws.power_law import PowerLaw, fit_many, fit_power_law


@dataclass(frozen=True, eq=False)
class EnsembleLaw:
    """Loss against K for members of one setting."""

    about: dict
    """What the members share: model, N, D, wd, lr, epochs."""
    members: tuple[str, ...]
    points: pd.DataFrame
    """k, loss (nats/token), se, n (subsets)."""
    limit: Estimate
    """Loss as K grows, by A / K + E."""
    A_draws: np.ndarray
    """A of every draw of the limit."""
    law: PowerLaw
    """A / K + E through the points."""
    free: PowerLaw | None
    """A / K^beta + E; None with fewer than 4 members."""
    beta: tuple[float, float]
    """95 % interval of the free exponent by the jackknife over members; NaN without it."""
    pair_gain: Estimate
    """What a second member gains, L(1) - L(2): mean over pairs, error from their spread."""
    sigma: float
    """Standard deviation of one member."""

    @property
    def K(self) -> int:
        return len(self.members)

    def at(self, k: int) -> Estimate:
        """Return the mean loss of k members."""
        value = float(self.points.set_index("k").loss[k])
        return Estimate(value, value + self.sigma * noise_of(self.members))

    def at_members(self, K: int) -> Estimate:
        """Return the loss that the law gives for K members, measured or not."""
        return Estimate(float(self.law(K)), self.limit.draws + self.A_draws / K)

    @property
    def best(self) -> Estimate:
        """Return the loss of all members: no extrapolation."""
        return self.at(self.K)


def ensemble_laws(scores: pd.DataFrame, *, noise: float) -> list[EnsembleLaw]:
    """Return the law of every ensemble of a frame of scored subsets, in its order.

    `noise`: standard deviation between single members (nats/token). Raises InputError where
    divergence left fewer than two members.
    """
    laws = []
    for name, group in scores.groupby("ensemble", sort=False):
        lost = group.n_diverged.iloc[0]
        check(group.K.iloc[0] >= 2, "ensemble", name, f"has lost {lost} members to divergence")
        laws.append(_law(group, noise))
    return laws


def _law(scores: pd.DataFrame, noise: float) -> EnsembleLaw:
    members = max(scores.members, key=len)
    sigma = noise / np.sqrt(len(members))
    table = scores.groupby("k").loss.agg(loss="mean", n="count").reset_index()
    table["se"] = sigma
    law = _fit(table, sigma, beta=1.0)
    A_draws, limit_draws = _draws(scores, members, noise)
    free = _fit(table, sigma, beta=None) if len(members) >= 4 else None
    about = {name: scores[name].iloc[0] for name in ("model", "N", "D", "wd", "lr", "epochs")}
    return EnsembleLaw(
        about=about,
        members=members,
        points=table,
        limit=Estimate(law.E, limit_draws),
        A_draws=A_draws,
        law=law,
        free=free,
        beta=_jackknife(scores, members, free.alpha) if free else (np.nan, np.nan),
        pair_gain=_pair_gain(scores),
        sigma=noise,
    )


def _fit(table: pd.DataFrame, sigma: float, *, beta: float | None) -> PowerLaw:
    return fit_power_law(table.k, table.loss, sigma=sigma, alpha=beta, unit="K")


def _coefficients(table: pd.DataFrame, *, beta: float | None) -> tuple[float, float, float]:
    """Return A, beta, E of a refit; the scan alone, which is enough for a resample."""
    x, y = table.k.to_numpy(float), table.loss.to_numpy()
    A, found, E = fit_many(x, y[None], np.ones(len(x)), alpha=beta)
    return float(A[0]), float(found[0]), float(E[0])


def _draws(
    scores: pd.DataFrame, members: Sequence[str], noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw A and the limit: leave a random member out, refit, and move it by the members' noise.

    With two members nobody can be left out; the draws are then their noise alone.
    """
    chosen = np.random.default_rng(int(scores.ensemble.iloc[0], 16)).integers(
        len(members), size=N_DRAW
    )
    moved = noise * noise_of(members)
    A_draws, draws = np.empty(N_DRAW), np.empty(N_DRAW)
    for i, member in enumerate(members):
        kept = [m for m in members if m != member] if len(members) > 2 else list(members)
        A, _, limit = _coefficients(_means(scores, kept), beta=1.0)
        here = chosen == i
        A_draws[here], draws[here] = A, limit + moved[here]
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
    reach = float(student_t.ppf(0.975, K - 1) * error)
    return beta - reach, beta + reach


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


def laws_frame(laws: Sequence[EnsembleLaw]) -> pd.DataFrame:
    """Return one row an ensemble: settings, K, member and ensemble loss, limit, free exponent."""
    rows = []
    for law in laws:
        rows.append(
            {**law.about, "K": law.K, "member": law.at(1).value, "ensemble": law.best.value}
            | {"limit": law.limit.value, "low": law.limit.low, "high": law.limit.high}
            | {"beta": law.free.alpha if law.free else np.nan, "beta low": law.beta[0]}
            | {"beta high": law.beta[1]}
            | {"limit, beta free": law.free.E if law.free else np.nan}
        )
    return pd.DataFrame(rows)
