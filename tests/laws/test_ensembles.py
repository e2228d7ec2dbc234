"""Laws in K and joint limits recover what made the data, with the noise that was put in."""

import numpy as np
import pandas as pd
import pytest

from ieee_lib import InputError
from ieee_lib.laws import (
    Estimate,
    N_then_K,
    data_efficiency,
    ensembles_frame,
    fit_ensembles,
    fit_power_law,
    fit_through,
    surface,
)
from ieee_lib.laws.estimates import noise_of
from tests.synthetic import ensemble, ensembles_by_model, scores


def test_a_law_in_K_recovers_limit_and_exponent():
    law = ensemble()
    assert law.limit.value == pytest.approx(4.0, abs=1e-6)
    assert law.free.alpha == pytest.approx(1.0, abs=1e-3)
    assert law.beta_interval == pytest.approx((1.0, 1.0), abs=0.01)
    assert law.at(1).value == pytest.approx(4.4) and law.measured.value == pytest.approx(4.08)
    assert law.at_members(10).value == pytest.approx(4.04) and law.from_first(3).n_point == 3
    assert law.points.n.tolist() == [5, 10, 10, 5, 1]
    slow = ensemble(beta=0.6)
    assert slow.free.alpha == pytest.approx(0.6, abs=1e-3) and slow.beta_interval[1] < 0.75
    pair = ensemble(K=2)
    assert pair.free is None and pair.limit.value == pytest.approx(4.0)
    assert np.isnan(ensembles_frame({"m": pair}).beta).all()


def test_the_limit_of_an_ensemble_covers_the_truth():
    """Members with known noise: the 95 % interval holds the truth about that often."""
    hits = 0
    for seed in range(200):
        law = _noisy(seed)
        hits += law.limit.ci_low <= 4.0 <= law.limit.ci_high
    assert 0.90 <= hits / 200 <= 1.0, hits
    assert law.limit.ci_high - law.limit.ci_low < 2.5 * 2 * 1.96 * 0.02 / np.sqrt(5)


def _noisy(seed):
    (law,) = fit_ensembles(scores(noise=0.02, seed=seed), noise=0.02).values()
    return law


def test_a_law_refitted_without_a_member():
    law = _noisy(0)
    left = law.without(law.members[0])
    assert left.K == 4 and left.members == law.members[1:] and len(left.scores) == 2**4 - 1
    assert left.limit.value != law.limit.value and left.sigma == law.sigma
    subsets = law.scores[[law.members[0] not in subset for subset in law.scores.members]]
    assert left.points.loss.tolist() == subsets.groupby("k").loss.mean().tolist()
    with pytest.raises(InputError, match="member = 'nobody'"):
        law.without("nobody")


def test_ensembles_are_named_by_model_or_by_what_tells_them_apart():
    two = pd.concat([scores(7e4, model="small"), scores(9e4, model="large")])
    assert list(fit_ensembles(two, noise=0.01)) == ["small", "large"]
    same = pd.concat([scores(7e4), scores(9e4).assign(epochs=64, wd=0.4)])
    assert list(fit_ensembles(same, noise=0.01)) == ["32 epochs, wd 0.8", "64 epochs, wd 0.4"]
    seeds = same.assign(seeds=np.where(same.epochs == 32, "both", "init only"))
    assert list(fit_ensembles(seeds, noise=0.01, by="seeds")) == ["both", "init only"]
    with pytest.raises(InputError, match="has lost 4 members to divergence"):
        fit_ensembles(scores(K=1).assign(n_diverged=4), noise=0.01)


def test_every_route_to_the_joint_limit_agrees_on_a_clean_surface():
    by_model = ensembles_by_model()
    law = fit_power_law(ensembles_frame(by_model), "limit", x="N")
    assert pytest.approx(3.9, abs=1e-3) == law.E and law.alpha == pytest.approx(1.0, abs=0.02)
    assert law.limit.ci_low < 3.9 < law.limit.ci_high and law.unit == "N[M]"
    assert N_then_K(by_model).value == pytest.approx(3.9, abs=1e-3)
    joint = surface(by_model)
    assert joint.value == pytest.approx(3.9, abs=0.005)
    assert joint.ci_low < 3.9 < joint.ci_high


def test_data_efficiency_carries_the_noise_of_all_its_stages():
    D = np.array([0.016, 0.032, 0.064, 0.128])
    points = []
    for d in D:
        draws = 3.0 + 0.5 / d**0.25 + 0.01 * noise_of([f"{int(d * 1e6):016x}"])
        points.append(Estimate(3.0 + 0.5 / d**0.25, draws, 0.01))
    standard = fit_through(D, points, unit="D[M]").limit
    loss = Estimate(float(standard.law(0.09)), np.full(1000, float(standard.law(0.09))))
    gain = data_efficiency(standard, loss, points[1])
    assert gain.value == pytest.approx(0.09 / 0.032, rel=0.01)
    assert 1 < gain.ci_low < gain.value < gain.ci_high < 10
    beyond = data_efficiency(standard, Estimate(1.0, np.full(1000, 1.0)), points[1])
    assert beyond.value == np.inf and beyond.ci_high == np.inf
    assert standard.at(0.05).value == pytest.approx(float(standard.law(0.05)))
