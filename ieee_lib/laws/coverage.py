"""Do 95 % intervals of a limit hold the truth 95 % of the time? On synthetic data we can tell.

coverage_frame(n=500)       # one row a case; written to figures/bench/ by `ieee_lib bench coverage`
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ieee_lib.laws.ensembles import EnsembleLaw, fit_ensembles
from ieee_lib.laws.power_law import fit_power_law, fit_through
from ieee_lib.laws.scan import power_law

SIZES = np.array([0.15, 0.3, 0.6, 1.4])
"""The paper's N, billions."""
COUNTS = np.arange(1.0, 6.0)
TRUTH = 3.4
"""The limit behind every data set, nats/token."""

Interval = tuple[float, float]
Draw = Callable[[np.random.Generator, float], Interval]
"""Makes one data set with a given noise and returns the interval of its limit."""


def synthetic_scores(
    rng: np.random.Generator, *, N: float, limit: float, gain: float, noise: float, K: int = 5
) -> pd.DataFrame:
    """Return subset losses limit + gain / k, each moved by the mean noise of its members."""
    luck = rng.normal(0, noise, K)
    members = [f"{v:016x}" for v in rng.integers(0, 2**62, K)]
    rows = [
        {"k": k, "members": tuple(members[i] for i in s), "loss": luck[list(s)].mean()}
        for k in range(1, K + 1)
        for s in itertools.combinations(range(K), k)
    ]
    frame = pd.DataFrame(rows)
    frame["loss"] += limit + gain / frame.k
    return frame.assign(
        ensemble=members[0], K=K, N=N, D=0, model=f"{N:g}", n_diverged=0, wd=0.0, lr=0.0, epochs=0
    )


def _law(x: np.ndarray, A: float, alpha: float, *, beta: float | None, method: str) -> Draw:
    def draw(rng: np.random.Generator, noise: float) -> Interval:
        y = power_law(x, A, alpha, TRUTH) + rng.normal(0, noise, len(x))
        law = fit_power_law(x, y, sigma=noise, alpha=beta)
        return law.interval("E") if method == "profile" else law.bootstrap_interval()

    return draw


def _ensemble(rng: np.random.Generator, noise: float) -> Interval:
    limit = _one_ensemble(rng, noise, 0.3, TRUTH).limit
    return limit.ci_low, limit.ci_high


def _joint(rng: np.random.Generator, noise: float) -> Interval:
    laws = [_one_ensemble(rng, noise, N, TRUTH + 0.05 / N) for N in SIZES]
    limit = fit_through(SIZES, [law.limit for law in laws], unit="N[B]").limit
    return limit.ci_low, limit.ci_high


def _one_ensemble(rng: np.random.Generator, noise: float, N: float, limit: float) -> EnsembleLaw:
    scores = synthetic_scores(rng, N=N, limit=limit, gain=0.4, noise=noise)
    (law,) = fit_ensembles(scores, noise=noise).values()
    return law


CASES: dict[tuple[str, str], Draw] = {
    ("law in N, 4 points, alpha 1.02", "profile"):
        _law(SIZES, 0.05, 1.02, beta=None, method="profile"),
    ("law in N, 4 points, alpha 1.02", "bootstrap"):
        _law(SIZES, 0.05, 1.02, beta=None, method="bootstrap"),
    ("law in N, 4 points, alpha 0.6", "profile"):
        _law(SIZES, 0.1, 0.6, beta=None, method="profile"),
    ("law in N, 4 points, alpha 0.6", "bootstrap"):
        _law(SIZES, 0.1, 0.6, beta=None, method="bootstrap"),
    ("law in K, 5 points, beta free", "profile"):
        _law(COUNTS, 0.4, 1.0, beta=None, method="profile"),
    ("law in K, 5 points, beta free", "bootstrap"):
        _law(COUNTS, 0.4, 1.0, beta=None, method="bootstrap"),
    ("law in K, 5 points, beta = 1", "profile"):
        _law(COUNTS, 0.4, 1.0, beta=1.0, method="profile"),
    ("limit in K, 5 members share their noise", "draws"): _ensemble,
    ("joint limit, 4 sizes of 5 members", "draws"): _joint,
}  # fmt: skip


def coverage_frame(*, n: int = 500, noises: tuple[float, ...] = (0.003, 0.01)) -> pd.DataFrame:
    """Return one row a case and noise: share of intervals with the truth, width, unbounded."""
    rows: list[dict[str, Any]] = []
    for (case, method), draw in CASES.items():
        for noise in noises:
            rng = np.random.default_rng([len(rows), n])
            ends = np.array([draw(rng, noise) for _ in range(n)])
            ci_low, ci_high = ends.T
            covered = (ci_low <= TRUTH) & (ci_high >= TRUTH)
            with np.errstate(invalid="ignore"):
                width = float(np.median(ci_high - ci_low))
            rows.append(
                {
                    "case": case,
                    "method": method,
                    "noise": noise,
                    "data sets": n,
                    "coverage": float(covered.mean()),
                    "median width": width,
                    "unbounded": float(np.isinf(ends).any(axis=1).mean()),
                }
            )
    return pd.DataFrame(rows)
