"""Do 95 % intervals hold the truth 95 % of the time? On synthetic data we can tell.

coverage_frame(n=100)       # one row a world and number; `ieee_lib bench coverage` writes it

Every data set is a ladder like the `laptop` scale's, as many seeds and members, put through the
book's own estimators: subsets of members at four N and three D, the standard recipe at four D (one
N, at the base D all). What it is drawn from is what the estimators assume, or not:

    assumed            A / N + E at every D; members differ by one number each
    interaction        a subset S of k members has E + mean l_i + sum q_i / k^2 + sum w_ij / k^2
    unequal noise      the same, and seeds of one size vary three times as much as of another
    inexact law        the same, each data set with another exponent or bend in N, and every point
                       a little badly tuned
"""

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from ieee_lib.config.scale import Scale
from ieee_lib.laws.data_efficiency import data_efficiency, fit_data
from ieee_lib.laws.ensembles import ensembles_frame, fit_ensembles, fit_ensembles_by_data
from ieee_lib.laws.estimates import Estimate, estimates, estimates_frame
from ieee_lib.laws.forms import fit_sizes
from ieee_lib.laws.noise import seed_noise
from ieee_lib.laws.power_law import Limit
from ieee_lib.laws.units import scale_of

SIZES = np.array([0.04, 0.07, 0.14, 0.32]) * 1e6
NEXT_SIZE = 0.75e6
LADDER = (14_336, 28_672, 57_344)
BASE, LARGEST_D = 28_672, 114_688
"""The D of the `laptop` scale, tokens."""
L_NOISE, Q_NOISE, W_NOISE = 0.02, 0.02, 0.012
"""Standard deviations of l, q and w, about those of the recorded ensembles (nats/token)."""
SEED_NOISE = 0.012


@dataclass(frozen=True)
class World:
    """What data sets are drawn from."""

    interaction: bool = False
    unequal: bool = False
    exact: bool = True

    def truth(self, rng: np.random.Generator) -> "Truth":
        """Return the curve behind one data set: exponent 1, or any exponent or power mean."""
        if self.exact:
            return Truth(alpha=1.0, q=None)
        alpha, q = rng.choice([0.6, 0.8, 1.3, 1.6]), rng.choice([0.0, 1.5, 2.0, 3.0])
        return Truth(alpha=float(alpha), q=float(q) or None)

    def spread(self, N: float) -> float:
        """Return the factor on the noise of one size: 1, or from sqrt(3) down to 1 / sqrt(3)."""
        place = int(np.abs(SIZES - N).argmin()) / (len(SIZES) - 1)
        return 3.0 ** (0.5 - place) if self.unequal else 1.0


@dataclass(frozen=True)
class Truth:
    """Losses (nats/token) without noise; N may be inf."""

    alpha: float
    """Exponent in N."""
    q: float | None
    """Of the power mean; None where the terms in N and D are a law in N at each D."""

    def single(self, N: Any, D: Any) -> Any:
        """Return the tuned single model's loss."""
        by_N = 0.4 * (N / 4e4) ** -self.alpha
        if self.q is None:
            return 3.7 + 0.6 * (D / BASE) ** -0.35 + by_N * (D / BASE) ** 0.2
        return 3.6 + (by_N**self.q + (0.7 * (D / BASE) ** -0.35) ** self.q) ** (1 / self.q)

    def limit(self, N: Any, D: Any) -> Any:
        """Return the K to infinity limit of members of N."""
        return self.single(N, D) - 0.16 - 0.003e6 / N

    def standard(self, D: Any) -> Any:
        """Return the best loss of the standard recipe."""
        return 1.2 + 3.3 * (D / BASE) ** -0.2

    def standard_data(self, loss: float) -> float:
        """Return the D at which the standard recipe has a loss."""
        return BASE * ((loss - 1.2) / 3.3) ** (-1 / 0.2)


WORLDS = {
    "assumed": World(),
    "interaction": World(interaction=True),
    "unequal noise": World(interaction=True, unequal=True),
    "inexact law": World(interaction=True, unequal=True, exact=False),
}


def coverage_frame(*, n: int = 100, seed: int = 0) -> pd.DataFrame:
    """Return one row a world and number: share of intervals with the truth, width, unbounded.

    Numbers: the limit in K of one model, the regularized and the joint limit at the base D, the
    data efficiency of the joint limit, and the loss of the next N. The limit in K is compared with
    that of the members as they are tuned, the others with those of the best settings. `coverage` is
    of all data sets, `median width` (nats/token, or times) of those whose interval is bounded.
    """
    rows: list[dict[str, Any]] = []
    for name, world in WORLDS.items():
        rng = np.random.default_rng([seed, len(rows)])
        results = [_one_book(rng, world) for _ in range(n)]
        for number in results[0]:
            ends = np.array([(r[number][0].ci_low, r[number][0].ci_high) for r in results])
            truth = np.array([r[number][1] for r in results])
            covered = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
            is_bounded = np.isfinite(ends).all(axis=1)
            width = np.ptp(ends[is_bounded], axis=1) if is_bounded.any() else np.array([np.nan])
            row = {"world": name, "number": number, "data sets": n, "coverage": covered.mean()}
            rows.append(
                {**row, "median width": np.median(width), "unbounded": 1 - is_bounded.mean()}
            )
    return pd.DataFrame(rows)


def _one_book(rng: np.random.Generator, world: World) -> dict[str, tuple[Estimate, float]]:
    """Return the estimates of one data set, each with the truth."""
    truth = world.truth(rng)
    scores = _scores(rng, world, truth)
    laws_in_K = fit_ensembles_by_data(scores)
    limits = pd.concat([ensembles_frame(group) for group in laws_in_K.values()], ignore_index=True)
    sizes, joint = fit_sizes(_tuned(rng, world, truth)), fit_sizes(limits, "limit")
    small, limit = SIZES[1], truth.limit(np.inf, BASE)
    members = scores[scores.D.eq(BASE) & scores.N.eq(small)]
    standard, reference = _standard(rng, world, truth)
    return {
        "limit in K": (laws_in_K[BASE][f"{small:g}"].limit, members["true limit"].iloc[0]),
        "limit in N": (sizes[BASE].limit, truth.single(np.inf, BASE)),
        "joint limit": (joint[BASE].limit, limit),
        "data efficiency": (
            data_efficiency(standard, joint[BASE].limit, reference),
            truth.standard_data(limit) / BASE,
        ),
        "more members": _more_members(rng, world, truth),
        "next N": (
            sizes[BASE].at(NEXT_SIZE / scale_of(sizes[BASE].unit)),
            truth.single(NEXT_SIZE, BASE),
        ),
    }


def _more_members(rng: np.random.Generator, world: World, truth: Truth) -> tuple[Estimate, float]:
    """Return the loss of five members as the first three predict it, and the loss they have."""
    frames = [
        synthetic_scores(rng, world, N=N, D=BASE, K=5, limit=truth.limit(N, BASE)) for N in SIZES
    ]
    all_five = frames[1]
    members = max(all_five.members, key=len)
    first = [
        frame[[set(subset) <= set(max(frame.members, key=len)[:3]) for subset in frame.members]]
        for frame in frames
    ]
    laws = fit_ensembles(pd.concat(first).assign(K=3))
    loss = all_five.loss[all_five.k == 5].iloc[0]
    return laws[f"{SIZES[1]:g}"].with_members(members), float(loss)


def _standard(rng: np.random.Generator, world: World, truth: Truth) -> tuple[Limit, Estimate]:
    """Return the standard recipe's law in D, and its loss at the base D.

    It is judged by one N; at the base D the others say what seeds vary by.
    """
    points = []
    for D in (*LADDER, LARGEST_D):
        for N in SIZES if D == BASE else SIZES[-1:]:
            point = {"D": D, "N": N, "loss": truth.standard(D)}
            points.append(_measured(rng, point, SEED_NOISE * world.spread(N)))
    frame = _with_noise(points)
    frame = frame[frame.N.eq(SIZES[-1])]
    losses = dict(zip(frame.D, estimates(frame), strict=True))
    recipe = estimates_frame(losses, "D").assign(recipe="standard")
    return fit_data(recipe)["standard"].limit, losses[BASE]


def _tuned(rng: np.random.Generator, world: World, truth: Truth) -> pd.DataFrame:
    """Return the regularized recipe at every D and N."""
    points = []
    for D, N in itertools.product(LADDER, SIZES):
        loss = truth.single(N, D) + _mistuned(rng, world)
        point = {"D": D, "N": N, "model": f"{N:g}", "loss": loss}
        points.append(_measured(rng, point, SEED_NOISE * world.spread(N)))
    return _with_noise(points)


def _measured(rng: np.random.Generator, point: dict[str, Any], sigma: float) -> dict[str, Any]:
    """Return a point with the noise of its seeds, and their variance as estimated."""
    n_seed = _laptop().seeds_at(point["D"])
    dof = n_seed - 1.0
    noise = float(rng.normal(0, sigma, n_seed).mean())
    variance = sigma**2 * rng.chisquare(dof) / dof
    seeds = {"run_ids": _run_ids(rng, n_seed), "variance": variance, "dof": dof}
    return {**point, "loss": point["loss"] + noise, **seeds}


def _with_noise(points: list[dict[str, Any]]) -> pd.DataFrame:
    """Return points with their noise as the book takes it: from their D and the base D."""
    frame = pd.DataFrame(points)
    parts = []
    for D, rows in frame.groupby("D"):
        cells = frame[frame.D.isin([D, BASE])]
        parts.append(seed_noise(cells, assumed=SEED_NOISE).loc[rows.index])
    noisy = pd.concat(parts).sort_index()
    return noisy.assign(dof=noisy["sigma dof"])


@cache
def _laptop() -> Scale:
    return Scale.load("laptop")


def _mistuned(rng: np.random.Generator, world: World) -> float:
    return 0.0 if world.exact else float(rng.exponential(0.005))


def _run_ids(rng: np.random.Generator, n: int) -> tuple[str, ...]:
    return tuple(f"{number:016x}" for number in rng.integers(0, 2**62, n))


def _scores(rng: np.random.Generator, world: World, truth: Truth) -> pd.DataFrame:
    """Return the scored subsets of one ensemble at every D and N."""
    frames = [
        synthetic_scores(
            rng,
            world,
            N=N,
            D=D,
            K=_laptop().members_at(D),
            limit=truth.limit(N, D) + _mistuned(rng, world),
        )
        for D, N in itertools.product(LADDER, SIZES)
    ]
    return pd.concat(frames, ignore_index=True)


def synthetic_scores(
    rng: np.random.Generator, world: World, *, N: float, D: int, K: int, limit: float
) -> pd.DataFrame:
    """Return the losses of all subsets of K members around limit + 0.5 / k (nats/token).

    Without interaction a member adds the mean of its l alone; see the module.
    """
    spread, interaction = world.spread(N), world.interaction
    l_i = rng.normal(0, L_NOISE * spread, K)
    q_i = rng.normal(0, Q_NOISE * spread, K) if interaction else np.zeros(K)
    w_ij = rng.normal(0, W_NOISE * spread, (K, K)) if interaction else np.zeros((K, K))
    members = _run_ids(rng, K)
    rows = []
    for k in range(1, K + 1):
        for subset in map(list, itertools.combinations(range(K), k)):
            pairs = np.triu(w_ij, 1)[np.ix_(subset, subset)].sum()
            noise = l_i[subset].mean() + (q_i[subset].sum() + pairs) / k**2
            loss = limit + 0.5 / k + noise
            rows.append({"k": k, "members": tuple(members[i] for i in subset), "loss": loss})
    settings: dict[str, Any] = {"N": N, "D": D, "model": f"{N:g}", "wd": 0.0, "lr": 0.0}
    frame = pd.DataFrame(rows).assign(ensemble=members[0], K=K, n_diverged=0, epochs=0, **settings)
    return frame.assign(**{"true limit": limit})
