"""The joint limit by three routes recovers what made the data."""

import itertools

import pandas as pd
import pytest

from ieee_lib import laws

SIZES = {"0.04M": 4e4, "0.07M": 7e4, "0.14M": 1.4e5, "0.32M": 3.2e5}


def scores(model: str, N: float, *, limit: float, gain: float = 0.3, K: int = 5) -> pd.DataFrame:
    """Return losses limit + gain / k of all subsets of K members."""
    members = [f"{int(N) + i:016x}" for i in range(K)]
    rows = [
        {"k": k, "members": subset, "loss": limit + gain / k}
        for k in range(1, K + 1)
        for subset in itertools.combinations(members, k)
    ]
    shared = {"model": model, "N": N, "D": 32768, "wd": 0.8, "lr": 1e-2, "epochs": 32}
    return pd.DataFrame(rows).assign(ensemble=members[0], K=K, n_diverged=0, noise=0.002, **shared)


@pytest.fixture
def by_model():
    frames = [scores(model, N, limit=3.9 + 0.01 / (N / 1e6)) for model, N in SIZES.items()]
    return laws.fit_ensembles(pd.concat(frames))


def test_every_route_to_the_joint_limit_agrees_on_a_clean_surface(by_model):
    joint = laws.fit_power_law(laws.ensembles_frame(by_model), "limit", x="N")
    assert pytest.approx(3.9, abs=1e-3) == joint.E
    assert joint.alpha == pytest.approx(1.0, abs=0.02)
    assert joint.limit.ci_low < 3.9 < joint.limit.ci_high
    assert laws.N_then_K(by_model).value == pytest.approx(3.9, abs=1e-3)
    surface = laws.surface(by_model)
    assert surface.value == pytest.approx(3.9, abs=0.005)
    assert surface.ci_low < 3.9 < surface.ci_high


def test_the_second_stage_can_be_refitted_without_a_model(by_model):
    joint = laws.fit_power_law(laws.ensembles_frame(by_model), "limit", x="N")
    fewer = joint.without("0.04M")
    assert fewer.labels == ["0.07M", "0.14M", "0.32M"]
    assert fewer.limit.value == pytest.approx(3.9, abs=1e-3)


def test_the_best_ensemble_is_the_one_with_the_lowest_measured_loss(by_model):
    best = laws.best_ensemble(by_model)
    assert best.model == "0.32M"
    assert best.measured.value == pytest.approx(3.9 + 0.01 / 0.32 + 0.3 / 5)
