"""Laws in K: what an ensemble reaches with its K members, and as K grows without end (Sec. 4).

    laws = fit_ensembles(scores)             # a frame of scored member subsets -> one law a row
    laws["0.14M"].limit                      # 4.151 [4.131, 4.170]: the asymptote as K grows
    laws["0.14M"].points                     # k, loss: means over all subsets of k members
    laws["0.14M"].without(run_id)            # refitted without one member

    L(K) = A / K + E                         with beta = 1; A / K^beta + E beside it

A point is the mean over every subset of k members, which the luck of one order cannot bend.
Replicates are exchangeable, so beta = 1: the loss of a subset is a mean over its members and over
their pairs, of which all but E falls as 1 / k. Members that come out of one another (snapshots,
chains) are not exchangeable: their law has a free beta, through the subsets of the first k.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from ieee_lib.errors import check, check_choice
from ieee_lib.laws.equation import interval_latex
from ieee_lib.laws.estimates import (
    N_DRAW,
    NO_VALUE,
    Estimate,
    named_generator,
    noise_of,
    t_scale,
)
from ieee_lib.laws.fit import fit_power_law
from ieee_lib.laws.influence import Influence, Subsets, influence, pool
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.scan import MIN_POINTS
from ieee_lib.runs.frames import Noise


@dataclass(frozen=True, eq=False, repr=False)
class EnsembleLaw:
    """Loss against K for members of one setting."""

    settings: dict[str, Any]
    """What the members share: model, N, D, wd, lr, epochs."""
    scores: pd.DataFrame
    """Every scored subset."""
    members: tuple[str, ...]
    """Run ids, in order."""
    influence: Influence
    """A, E and the gain of a second member, with what each member adds to their noise."""
    exchangeable: bool = True
    """Whether the members are replicates."""

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

    @cached_property
    def points(self) -> pd.DataFrame:
        """Return k, loss (nats/token, mean over subsets), se, n (subsets).

        Of members that are not exchangeable only the first k count.
        """
        scores = self.scores
        if not self.exchangeable:
            is_first = [subset == self.members[: len(subset)] for subset in scores.members]
            scores = scores[is_first]
        table = scores.groupby("k").loss.agg(loss="mean", n="count").reset_index()
        return table.assign(se=[self.influence.estimate(1 / k, 1, 0).se for k in table.k])

    @cached_property
    def law(self) -> PowerLaw:
        """Return the law through the points: A / K + E, or A / K^beta + E; see the module."""
        return self.from_first(self.K)

    @cached_property
    def free(self) -> PowerLaw | None:
        """Return A / K^beta + E; None with fewer than 4 members."""
        return self._fit(None, self.K) if self.K > MIN_POINTS else None

    def from_first(self, n: int) -> PowerLaw:
        """Return the law fitted to the points of up to n members alone."""
        return self._fit(1.0 if self.exchangeable or n <= MIN_POINTS else None, n)

    def _fit(self, beta: float | None, n: int) -> PowerLaw:
        """Fit points up to n, all of one weight: their noise is common. It is the residuals'."""
        points = self.points[self.points.k <= n]
        k, loss = points.k.to_numpy(float), points.loss.to_numpy(float)
        law = fit_power_law(k, loss, sigma=1.0, alpha=beta, unit="K")
        residual = np.sqrt(law.chi2 / law.dof) if law.dof > 0 else 0.0
        sigma = np.full(len(k), max(float(residual), 1e-9))
        return replace(law, sigma=sigma, noise_dof=max(law.dof, 1))

    @cached_property
    def limit(self) -> Estimate:
        """Return the asymptote as K grows: E of the law.

        Of replicates with the influence of the members; of others with the residuals of the law,
        unbounded with fewer than five members.
        """
        if self.exchangeable:
            return replace(self.influence.estimate(0, 1, 0), value=self.law.E)
        p = named_generator(" ".join(self.members)).uniform(size=N_DRAW)
        if self.law.dof < 1 or self.free is None:
            return Estimate(self.law.E, np.where(p < 0.5, -np.inf, np.inf))
        return Estimate(self.law.E, self.law.limit_quantiles(p))

    @property
    def form_error(self) -> float:
        """Return the limit at a free beta minus that at beta = 1; NaN with fewer than 4 members."""
        return self.free.E - self._fit(1.0, self.K).E if self.free else np.nan

    @property
    def beta_interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the free exponent by the jackknife; NaN without one.

        se^2 = (K - 1) / K * sum over m of (beta without m - their mean)^2,  beta ± t(K - 1) se
        """
        if self.free is None or not self.exchangeable:
            return np.nan, np.nan
        subsets = Subsets.of(self.scores, self.members)
        betas = np.array([subsets.without(i).fit(None)[1] for i in range(self.K)])
        error = np.sqrt((self.K - 1) / self.K * np.sum((betas - betas.mean()) ** 2))
        half_width = float(student_t.ppf(0.975, self.K - 1) * error)
        return self.free.alpha - half_width, self.free.alpha + half_width

    @property
    def gain(self) -> Estimate:
        """Return what a second member gains, L(1) - L(2): the mean over all pairs."""
        return self.influence.estimate(0, 0, 1)

    def at(self, k: int) -> Estimate:
        """Return the mean loss of k members over all subsets of that size."""
        value = float(self.points.set_index("k").loss[k])
        noise = self.influence.estimate(1 / k, 1, 0)
        return replace(noise, value=value, draws=noise.draws + (value - noise.value))

    def at_members(self, K: int) -> Estimate:
        """Return the loss that A / K + E gives for K replicates, measured or not."""
        check(
            self.exchangeable, "ensemble", str(self), "is a chain: take law(K), which has no draws"
        )
        return self.influence.estimate(1 / K, 1, 0)

    def with_members(self, run_ids: Sequence[str]) -> Estimate:
        """Return the loss that the law predicts of more members, of which its own are the first.

            L(K) = A / K + E,   error = influence of all K members minus that of the first k

        The luck of the first k lifts every measured loss, and the law with them, so it is no error
        of the prediction; what is left has the variance s^2 (1 / k - 1 / K) at an influence s.
        """
        loss = self.at_members(len(run_ids))
        influence = loss.se * np.sqrt(self.K) * t_scale(loss.dof)
        change = influence * (noise_of(run_ids) - noise_of(self.members))
        return Estimate(loss.value, loss.value + change)

    @property
    def measured(self) -> Estimate:
        """Return the loss of all members together: no extrapolation."""
        return self.at(self.K)

    def without(self, *run_ids: str) -> "EnsembleLaw":
        """Return the law refitted without some members. Raises InputError for an unknown one."""
        for run_id in run_ids:
            check_choice("member", run_id, self.members)
        kept = self.scores[[not set(run_ids) & set(subset) for subset in self.scores.members]]
        members = tuple(member for member in self.members if member not in run_ids)
        measured = influence(kept, members, exchangeable=self.exchangeable)
        same_noise = replace(measured, sigma=self.influence.sigma, dof=self.influence.dof)
        return replace(self, scores=kept, members=members, influence=same_noise)

    def _repr_latex_(self) -> str:
        """Return the law as an equation with the interval of its limit, for notebooks."""
        A, beta = self.law.printed
        exponent = "" if self.law.fixed_alpha else f"^{{{beta}}}"
        interval = interval_latex((self.limit.ci_low, self.limit.ci_high))
        return f"$L(K) = {A} / K{exponent} + {self.limit.value:.3f}\\;{interval}$"

    def __repr__(self) -> str:
        A, beta = self.law.printed
        exponent = "" if self.law.fixed_alpha else f"^{beta}"
        note = f"{self.K} members of {self.model}"
        if not self.exchangeable:
            note += ", not exchangeable"
        elif self.influence.deviations is None:
            note += f", noise of {self.influence.source}"
        return f"{A} / K{exponent} + {self.limit!r} ({note})"


def fit_ensembles(
    scores: pd.DataFrame, *, by: str | None = None, noise_from: Iterable[EnsembleLaw] = ()
) -> dict[str, EnsembleLaw]:
    """Return the law in K of every ensemble of a frame of scored subsets, in its order.

    scores: columns as in `runs.frames.subsets_frame`; `exchangeable`, false for members that are
    no replicates; `noise` between single members (nats/token; known without `noise_dof`), taken
    where no ensemble has three. With `by` there is one law a value of that column, which is its
    key; else one an ensemble, by model where each has one, or by `settings_label`.

    The size of the noise is pooled over all these ensembles and those of `noise_from`, by N where
    sizes differ; see `influence.pool`. Raises InputError where divergence left an ensemble fewer
    than two members.
    """
    laws = []
    for name, group in scores.groupby(by or "ensemble", sort=False):
        lost = group.n_diverged.iloc[0]
        check(group.K.iloc[0] >= 2, "ensemble", name, f"has lost {lost} members to divergence")
        laws.append((name, _unpooled(group)))
    replicates = [law for _, law in laws if law.exchangeable]
    members = {law.members for law in replicates}
    others = [law for law in noise_from if law.members not in members]
    every = [*replicates, *others]
    own, sizes = [law.influence for law in every], [law.N for law in every]
    pooled = iter(pool(own, sizes, _single_noise(scores)))
    laws = [
        (name, replace(law, influence=next(pooled)) if law.exchangeable else law)
        for name, law in laws
    ]
    if by is None:
        models = [law.model for _, law in laws]
        unique = len(set(models)) == len(models)
        return {law.model if unique else settings_label(law.settings): law for _, law in laws}
    return {str(name): law for name, law in laws}


def fit_ensembles_by_data(scores: pd.DataFrame) -> dict[int, dict[str, EnsembleLaw]]:
    """Return D (tokens) -> model -> the law in K, of one ensemble a D and model.

    Columns as in `fit_ensembles`; the size of the noise is pooled over them as there.
    """
    by_data: dict[int, dict[str, EnsembleLaw]] = {}
    for law in fit_ensembles(scores, by="ensemble").values():
        by_data.setdefault(int(law.settings["D"]), {})[law.model] = law
    return by_data


def _unpooled(scores: pd.DataFrame) -> EnsembleLaw:
    """Return the law of one ensemble's scored subsets, with its own noise alone."""
    members = max(scores.members, key=len)
    names = ("model", "N", "D", "wd", "lr", "epochs")
    settings = {name: scores[name].iloc[0] for name in names}
    exchangeable = bool(scores.exchangeable.iloc[0]) if "exchangeable" in scores else True
    noise = influence(scores, members, exchangeable=exchangeable)
    if not exchangeable:  # one chain: no other ensemble tells its noise
        (noise,) = pool([noise], [settings["N"]], _single_noise(scores))
    return EnsembleLaw(settings, scores, members, noise, exchangeable)


def _single_noise(scores: pd.DataFrame) -> Noise | None:
    """Return the noise between single members, where the frame has it."""
    if "noise" not in scores:
        return None
    dof = float(scores.noise_dof.iloc[0]) if "noise_dof" in scores else math.inf
    return Noise(float(scores.noise.iloc[0]), dof)


def best_ensemble(laws: Iterable[EnsembleLaw]) -> EnsembleLaw:
    """Return the ensemble with the lowest measured loss of all its members."""
    return min(laws, key=lambda law: law.measured.value)


def settings_label(settings: dict[str, Any]) -> str:
    """Return what tells member settings of one model apart: 32 epochs, wd 0.8."""
    return f"{settings['epochs']:g} epochs, wd {settings['wd']:g}"


ENSEMBLE_DIGITS = {
    "one member": 3, "all members": 3, "limit": 3, "limit, beta free": 3, "beta": 2,
    "form error": 4,
}  # fmt: skip
"""Decimals of a table of laws in K."""


def concat(frames: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Return frames below one another, with a first column that names each."""
    parts = [frame.assign(**{name: key}) for key, frame in frames.items()]
    table = pd.concat(parts, ignore_index=True)
    return table[[name, *(column for column in table.columns if column != name)]]


def ensembles_frame(laws: dict[str, EnsembleLaw]) -> pd.DataFrame:
    """Return one row an ensemble: settings, K, member and ensemble loss, limit, free exponent.

    A chain whose loss rises with K has no limit.
    """
    rows = []
    for law in laws.values():
        falls = law.law.A > 0
        beta_low, beta_high = law.beta_interval
        rows.append(
            {
                **law.settings,
                "K": law.K,
                "one member": law.at(1).value,
                "all members": law.measured.value,
                "limit": law.limit if falls else NO_VALUE,
                "beta": law.free.alpha if law.free else np.nan,
                "beta ci_low": beta_low,
                "beta ci_high": beta_high,
                "limit, beta free": law.free.E if law.free and falls else np.nan,
                "form error": law.form_error if falls else np.nan,
                "noise of": law.influence.source,
                "run_ids": law.members,
            }
        )
    return pd.DataFrame(rows)
