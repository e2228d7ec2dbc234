"""Frames like those of recipes, made from laws and noise that a test knows."""

import itertools

import numpy as np
import pandas as pd

from ieee_lib.laws import Estimate, fit_ensembles, fit_through
from ieee_lib.laws.estimates import noise_of

SIZES = (4e4, 7e4, 1.4e5, 3.2e5)


def epoch_runs(epochs=(1, 4, 16), seeds=3):
    """Runs of the standard recipe: validation loss turns, training loss keeps falling."""
    rows = [
        {"status": "done", "epochs": e, "seed": s, "val_loss": 4 + abs(i - 1) + s / 50,
         "train_loss": 4 - i + s / 50}
        for i, e in enumerate(epochs)
        for s in range(seeds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def tuned(losses=(4.6, 4.4, 4.3, 4.25), status="certified"):
    """A tuned recipe, one row a model, 3 seeds each."""
    N = [4e4, 1e5, 2e5, 4e5]
    table = pd.DataFrame({"model": list("abcd"), "N": N, "loss": losses})
    ids = [tuple(f"{10 * i + s:016x}" for s in range(3)) for i in range(4)]
    return table.assign(
        se=0.01, sigma=0.01 * 3**0.5, run_ids=ids, wd=[0.8, 0.8, 1.6, 3.2], lr=3e-3, epochs=16,
        status=status, moves=0,
    )  # fmt: skip


def scores(N=7e4, *, limit=4.0, gain=0.4, beta=1.0, K=5, noise=0.0, seed=0, model="m"):
    """Subset losses limit + gain / k^beta, moved by the mean noise of their members."""
    members = [f"{int(N) + i:016x}" for i in range(K)]
    luck = np.random.default_rng([seed, int(N)]).normal(0, noise, K) if noise else np.zeros(K)
    rows = []
    for k in range(1, K + 1):
        for subset in itertools.combinations(range(K), k):
            loss = limit + gain / k**beta + luck[list(subset)].mean()
            rows.append({"k": k, "members": tuple(members[i] for i in subset), "loss": loss})
    shared = {"ensemble": f"{int(N):016x}", "K": K, "N": N, "D": 32768, "model": model}
    shared["n_diverged"] = 0
    settings = {"wd": 0.8, "lr": 1e-2, "epochs": 32, "loss_probabilities": np.nan}
    return pd.DataFrame(rows).assign(**shared, **settings)


def ensemble(noise=0.01, **options):
    """The law in K of one ensemble; options as in `scores`."""
    (law,) = fit_ensembles(scores(**options), noise=noise).values()
    return law


def ensembles_by_model(noise=0.0, sigma=0.002):
    """Laws in K at four N, whose limits follow 3.9 + 0.01 / N[M]."""
    frames = [
        scores(N, limit=3.9 + 0.01 / (N / 1e6), gain=0.3, noise=noise, model=f"{N:g}")
        for N in SIZES
    ]
    return fit_ensembles(pd.concat(frames), noise=sigma)


def near(value, error=0.01):
    """An estimate with that standard error."""
    draws = value + error * np.random.default_rng(0).standard_normal(1000)
    return Estimate(value, draws)


def points_in_N(*losses):
    """Estimates at 0.04M, 0.1M, 0.2M and 0.4M, by N."""
    points = [Estimate(y, y + 0.01 * noise_of([f"{i:016x}"]), 0.01) for i, y in enumerate(losses)]
    return dict(zip((4e4, 1e5, 2e5, 4e5), points, strict=True))


def law_in_N(*losses):
    """The law in N through `points_in_N`."""
    return fit_through([0.04, 0.1, 0.2, 0.4], list(points_in_N(*losses).values()), unit="N[M]")


STRAIGHT = (4.6, 4.4, 4.25, 4.1)
"""Losses that a logarithm fits as well: no bounded limit."""
RISING = (5.1, 5.12, 5.16, 5.25)
"""Losses that rise with N: no limit at all."""
