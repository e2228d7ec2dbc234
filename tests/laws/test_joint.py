"""The joint limit by three routes recovers what made the data, and how well it is known."""

import numpy as np
import pytest

from ieee_lib import laws
from ieee_lib.laws.joint import unbounded
from tests.synthetic import STRAIGHT, ensembles_by_model, law_in_N


@pytest.fixture(scope="module")
def by_model():
    return ensembles_by_model()


@pytest.fixture(scope="module")
def joint(by_model):
    return laws.fit_power_law(laws.ensembles_frame(by_model), "limit", x="N")


def test_every_route_to_the_joint_limit_agrees_on_a_clean_surface(by_model, joint):
    assert pytest.approx(3.9, abs=1e-3) == joint.E and joint.unit == "N[M]"
    assert joint.alpha == pytest.approx(1.0, abs=0.02)
    assert joint.limit.ci_low < 3.9 < joint.limit.ci_high
    other = laws.N_then_K(by_model)
    assert other.value == pytest.approx(3.9, abs=1e-3)
    assert other.se == pytest.approx(joint.limit.se, rel=0.3)
    surface = laws.surface(by_model)
    assert surface.value == pytest.approx(3.9, abs=0.005)
    assert surface.ci_low < 3.9 < surface.ci_high
    assert 0.5 < surface.se / joint.limit.se < 2


def test_a_surface_weighs_an_ensemble_as_one_point():
    """More members add points (N, k) that share one noise: the limit is known as before."""
    few, many = (ensembles_by_model(K=K, spread=0.002 * (K / 3) ** 0.5) for K in (3, 6))
    assert few["70000"].limit.se == pytest.approx(many["70000"].limit.se)
    assert laws.surface(many).se == pytest.approx(laws.surface(few).se, rel=0.4)


def test_the_noise_of_the_joint_limit_is_that_of_its_ensembles(by_model, joint):
    limits = [law.limit for law in by_model.values()]
    assert joint.points == tuple(limits) and joint.noise_dof == 16
    assert joint.sigma.tolist() == pytest.approx([0.002 / np.sqrt(5)] * 4)
    assert joint.labels == list(by_model)
    assert (joint.limit - joint.limit).ci_high == 0


def test_the_second_stage_can_be_refitted_without_a_model(joint):
    fewer = joint.without("40000")
    assert fewer.labels == ["70000", "140000", "320000"]
    assert fewer.limit.value == pytest.approx(3.9, abs=1e-3)


def test_the_loss_surface_by_hand():
    loss = laws.loss_surface([0.5, 2.0], 4, E=3.0, A=0.2, B=0.4, alpha=1.0, gamma=0.5)
    assert loss == pytest.approx([3 + 0.4 + 0.4 / (0.5**0.5 * 4), 3 + 0.1 + 0.4 / (2.0**0.5 * 4)])


def test_a_number_of_several_laws_is_unbounded_where_one_of_them_is():
    straight, falling = (
        law_in_N(*STRAIGHT),
        law_in_N(*(4.0 + 0.02 / x for x in (0.04, 0.1, 0.2, 0.4))),
    )
    draws = np.arange(1000.0)
    assert np.array_equal(unbounded(draws, falling), draws)
    assert np.isneginf(unbounded(draws, falling, straight)).sum() == 30
    rising = laws.fit_power_law([1, 2, 4, 8], [3.0, 3.1, 3.2, 3.3], sigma=0.02)
    assert np.isposinf(unbounded(draws, falling, rising)).sum() == 30
