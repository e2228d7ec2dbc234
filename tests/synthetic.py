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


def scores(
    N=7e4, *, limit=4.0, gain=0.4, beta=1.0, K=5, spread=0.01, noise=0.0, interaction=0.0, seed=0,
    model="m", sigma=0.01,
):  # fmt: skip
    """Subset losses limit + gain / k^beta, moved by their members.

        mean of l_i over S + (sum of q_i + 2 sum of w_ij) / k^2     over members i < j of S

    The l_i are members' noise, random or, with `spread`, of that standard deviation around a mean
    of exactly 0, so that means over subsets are the law itself. Interactions q and w are random.
    sigma: the noise between single members that the frame states.
    """
    members = [f"{int(N) + i:016x}" for i in range(K)]
    rng = np.random.default_rng([seed, int(N)])
    fixed = np.arange(K) - (K - 1) / 2
    unit = fixed / fixed.std(ddof=1) if K > 1 else fixed
    luck = rng.normal(0, noise, K) if noise else spread * unit
    pairs = np.triu(rng.normal(0, interaction, (K, K)))
    rows = []
    for k in range(1, K + 1):
        for subset in map(list, itertools.combinations(range(K), k)):
            among = pairs[np.ix_(subset, subset)]
            loss = limit + gain / k**beta + luck[subset].mean()
            loss += (2 * among.sum() - np.trace(among)) / k**2
            rows.append({"k": k, "members": tuple(members[i] for i in subset), "loss": loss})
    shared = {"ensemble": f"{int(N):016x}", "K": K, "N": N, "D": 32768, "model": model}
    shared |= {"n_diverged": 0, "noise": sigma, "noise_dof": np.inf}
    settings = {"wd": 0.8, "lr": 1e-2, "epochs": 32, "loss_probabilities": np.nan}
    return pd.DataFrame(rows).assign(**shared, **settings)


def chain(losses, *, model="m"):
    """Subset losses of members that come out of one another: the first k of them, by k."""
    members = [f"{i:016x}" for i in range(1, max(losses) + 1)]
    rows = [{"k": k, "members": tuple(members[:k]), "loss": loss} for k, loss in losses.items()]
    shared = scores(K=2, model=model).iloc[0].drop(["k", "members", "loss", "noise", "noise_dof"])
    return pd.DataFrame(rows).assign(**shared, exchangeable=False).assign(K=len(members))


def ensemble(**options):
    """The law in K of one ensemble; options as in `scores`."""
    (law,) = fit_ensembles(scores(**options)).values()
    return law


def ensembles_by_model(**options):
    """Laws in K at four N, whose limits follow 3.9 + 0.01 / N[M]; options as in `scores`."""
    options = {"gain": 0.3, "spread": 0.002} | options
    frames = [scores(N, limit=3.9 + 0.01 / (N / 1e6), model=f"{N:g}", **options) for N in SIZES]
    return fit_ensembles(pd.concat(frames))


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
