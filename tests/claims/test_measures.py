"""Intervals of a maximum cover it, whoever was chosen; p-values agree with the intervals."""

import math

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student_t

from ieee_lib.claims.measures import Measure, largest, measured, smallest
from ieee_lib.laws.estimates import Estimate, measured_mean
from ieee_lib.runs.frames import Noise

INF = math.inf


def estimate(value, error, rng, *, common=0.0):
    """An estimate with draws of its own, and of a noise that others share."""
    return Estimate(value, value + error * rng.standard_normal(1000) + common)


def test_a_family_of_one_has_the_estimate_s_interval():
    one = estimate(0.3, 0.1, np.random.default_rng(0))
    for measure in (largest([one]), smallest([one])):
        assert (measure.value, measure.ci_low, measure.ci_high) == (0.3, one.ci_low, one.ci_high)


def test_the_interval_of_a_maximum_covers_it():
    """Five equal members: the largest looks larger than it is, and its interval knows."""
    rng, covered, own = np.random.default_rng(1), 0, 0
    for _ in range(120):
        family = [estimate(rng.normal(), 1.0, rng) for _ in range(5)]
        measure, chosen = largest(family), max(family, key=lambda part: part.value)
        covered += measure.ci_low <= 0 <= measure.ci_high
        own += chosen.ci_low <= 0 <= chosen.ci_high
    assert covered / 120 >= 0.94 > own / 120, (covered, own)


def test_what_all_members_share_costs_nothing():
    rng = np.random.default_rng(2)
    common = rng.standard_normal(1000)
    alike = [estimate(0.0, 0.001, rng, common=common) for _ in range(10)]
    apart = [estimate(0.0, 1.0, rng) for _ in range(10)]
    assert largest(alike).ci_low == pytest.approx(alike[0].ci_low, abs=0.15)
    assert largest(apart).ci_low < -2.4


def test_the_ends_of_a_maximum():
    rng = np.random.default_rng(3)
    high, low, wide = (estimate(v, s, rng) for v, s in ((1.0, 0.1), (0.0, 0.1), (0.0, 2.0)))
    measure = largest([low, high, wide])
    assert measure.value == 1.0 and measure.ci_high == wide.ci_high
    assert low.ci_high < measure.ci_low < high.ci_low  # the largest, and a little for the choice
    mirrored = smallest([-low, -high, -wide])
    assert (mirrored.value, mirrored.ci_low) == (-1.0, -wide.ci_high)
    assert mirrored.ci_high == pytest.approx(-measure.ci_low)


def test_an_unbounded_member_cannot_decide_from_above():
    rng = np.random.default_rng(4)
    sure = estimate(1.0, 0.1, rng)
    open_below = Estimate(0.5, np.append(np.full(40, -INF), np.linspace(0, 1, 960)))
    assert largest([sure, open_below]).ci_low == pytest.approx(sure.ci_low, abs=0.05)
    assert largest([open_below]).ci_low == -INF and largest([open_below]).ci_high < 1
    assert largest([sure, -open_below]).ci_high == INF


def test_a_member_without_a_value_bounds_nothing_from_above():
    sure = estimate(1.0, 0.1, np.random.default_rng(5))
    lost = Estimate(math.nan, np.full(1000, math.nan))
    measure = largest([lost, sure])
    assert (measure.value, measure.ci_high) == (1.0, INF) and measure.ci_low > 0.6
    assert measure.problem == "one of 2 has no interval, there is no value"
    assert math.isnan(largest([lost]).value) and largest([lost]).problem == "there is no value"


def test_draws_without_a_value_leave_no_interval():
    draws = np.linspace(0.9, 1.1, 1000)
    for n_lost, is_bounded in ((24, True), (25, False), (1000, False)):
        some = np.where(np.arange(1000) < n_lost, math.nan, draws)
        measure = measured(Estimate(1.0, some))
        assert (measure.problem == "") == is_bounded
        assert math.isfinite(measure.ci_low) == math.isfinite(measure.ci_high) == is_bounded
    assert measure.problem == "its noise is unknown"
    assert (
        "30% of its draws" in measured(Estimate(1.0, np.where(draws < 0.96, math.nan, 1))).problem
    )
    assert measured(2.0) == Measure(2.0, 2.0, 2.0, measured(2.0).dof)


def test_a_draw_without_a_value_counts_as_the_lowest_of_a_maximum():
    draws = np.linspace(0.9, 1.1, 1000)
    some = Estimate(1.0, np.where(np.arange(1000) % 50 == 25, math.nan, draws))
    assert largest([some]).ci_low < measured(some).ci_low - 0.002


def test_p_values_follow_the_distance_in_half_intervals():
    measure = Measure(1.0, 0.0, 3.0)
    assert measure.p_above(0.0) == pytest.approx(0.05) == measure.p_below(3.0)
    assert measure.p_above(-1.0) == pytest.approx(2 * norm.sf(2 * norm.isf(0.025)))
    assert measure.p_below(2.0) == pytest.approx(2 * norm.sf(norm.isf(0.025) / 2))
    assert measure.p_below(0.5) == 1.0
    heavy = Measure(1.0, 0.0, 3.0, 2.0)
    assert heavy.p_above(0.0) == pytest.approx(0.05)
    assert heavy.p_above(-1.0) == pytest.approx(2 * student_t.sf(2 * student_t.isf(0.025, 2), 2))
    assert -measure == Measure(-1.0, -3.0, -0.0)
    sharp = Measure(1.0, 1.0, 1.0)
    assert (sharp.p_above(0.5), sharp.p_above(1.0), sharp.p_above(1.5)) == (0.0, 1.0, 1.0)
    assert Measure(1.0, -INF, INF).p_above(0.0) == 1.0
    endless = Measure(INF, 1.5, INF)
    assert (endless.p_above(1.0), endless.p_above(2.0)) == (0.05, 1.0)


def test_tails_are_those_of_the_draws_or_of_the_noise():
    known = measured_mean(1.0, Noise(0.1, 3.0), ["ab"])
    assert measured(known).dof == 3.0
    z = np.random.default_rng(6)
    quantiles = (np.arange(1000) + 0.5) / 1000
    for dof in (2.0, 4.0, 10.0):
        draws = z.permutation(student_t.ppf(quantiles, dof))
        assert measured(Estimate(0.0, draws)).dof == pytest.approx(dof, rel=0.15)
        assert measured(Estimate(5.0, 5 + draws)).dof == measured(Estimate(0.0, draws)).dof
    assert measured(Estimate(0.0, norm.ppf(quantiles))).dof > 100
    family = [Estimate(0.0, student_t.ppf(quantiles, dof)) for dof in (10.0, 3.0)]
    assert largest(family).dof == measured(family[1]).dof
    one_sided = np.append(student_t.ppf(quantiles[:960], 3.0), np.full(40, INF))
    assert measured(Estimate(0.0, one_sided)).dof == pytest.approx(3.0, rel=0.15)
