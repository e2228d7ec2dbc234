"""Laws in K recover what made the data, with the noise that was put in."""

import itertools

import numpy as np
import pandas as pd
import pytest

from ieee_lib.laws.ensembles import ensemble_laws, laws_frame
from ieee_lib.laws.estimates import (
    SETTINGS,
    mean_of,
    noise_of,
    replicate_noise,
)

SIZES = (4e4, 7e4, 1.4e5, 3.2e5)


def name(*parts) -> str:
    """A run id of 16 hexadecimal digits."""
    return f"{abs(hash(parts)) % 16**16:016x}"


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


def test_a_law_in_K_recovers_limit_and_exponent():
    (law,) = ensemble_laws(scores(), noise=0.01)
    assert law.limit.value == pytest.approx(4.0, abs=1e-6)
    assert law.free.alpha == pytest.approx(1.0, abs=1e-3)
    assert law.beta == pytest.approx((1.0, 1.0), abs=0.01)
    assert law.at(1).value == pytest.approx(4.4) and law.best.value == pytest.approx(4.08)
    assert law.points.n.tolist() == [5, 10, 10, 5, 1]
    (slow,) = ensemble_laws(scores(beta=0.6), noise=0.01)
    assert slow.free.alpha == pytest.approx(0.6, abs=1e-3) and slow.beta[1] < 0.75
    (pair,) = ensemble_laws(scores(K=2), noise=0.01)
    assert pair.free is None and pair.limit.value == pytest.approx(4.0)
    assert np.isnan(laws_frame([pair]).beta).all()


def test_the_limit_of_an_ensemble_covers_the_truth():
    """Members with known noise: the 95 % interval holds the truth about that often."""
    hits = 0
    for seed in range(200):
        (law,) = ensemble_laws(scores(noise=0.02, seed=seed), noise=0.02)
        hits += law.limit.low <= 4.0 <= law.limit.high
    assert 0.90 <= hits / 200 <= 1.0, hits
    assert law.limit.high - law.limit.low < 2.5 * 2 * 1.96 * 0.02 / np.sqrt(5)


def test_shared_runs_cancel_in_differences():
    runs = pd.DataFrame({"run_id": ["1" * 16, "2" * 16], "status": "done", "val_loss": [4.0, 4.1]})
    a = mean_of(runs, sigma=0.02)
    assert a.value == pytest.approx(4.05)
    assert a.se == pytest.approx(0.02 / np.sqrt(2))
    assert a.draws.std() == pytest.approx(a.se, rel=0.1)
    assert (a - a).draws.std() == 0
    other = mean_of(runs.assign(run_id=["3" * 16, "4" * 16]), sigma=0.02)
    assert (a - other).draws.std() == pytest.approx(0.02, rel=0.1)
    assert np.array_equal(noise_of(["1" * 16]), noise_of(["1" * 16]))
    lost = mean_of(runs.assign(status="diverged"), sigma=0.02)
    assert np.isnan(lost.value) and np.isnan(lost.low)


def test_replicate_noise_falls_back_to_the_assumed():
    shared = {name: 1 for name in SETTINGS if name != "epochs"} | {"status": "done"}
    frame = pd.DataFrame({"epochs": [1, 1, 2, 2], "val_loss": [4.0, 4.2, 5.0, 5.2]}).assign(
        **shared
    )
    assert replicate_noise(frame, 0.5) == pytest.approx(0.1 * np.sqrt(2))
    assert replicate_noise(frame.drop_duplicates("epochs"), 0.5) == 0.5


def laws(noise=0.0, sigma=0.002):
    frames = [
        scores(N, limit=3.9 + 0.01 / (N / 1e6), gain=0.3, noise=noise, model=f"{N:g}")
        for N in SIZES
    ]
    return ensemble_laws(pd.concat(frames), noise=sigma)
