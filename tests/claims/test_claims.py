"""Claims hold, fail or cannot be told; rows of notebooks that were not run say so."""

import numpy as np
import pandas as pd
import pytest

from ieee_lib.claims import verdicts as claims
from ieee_lib.laws.data_efficiency import data_efficiency
from ieee_lib.laws.ensembles import ensemble_laws
from ieee_lib.laws.estimates import Estimate, unbounded
from ieee_lib.laws.power_law import fit_power_law
from ieee_lib.runs.frames import seed_means
from tests.laws.test_ensembles import laws, scores
from tests.plots.test_figures import limit_in_N, runs, sizes


def near(value, error=0.01):
    draws = value + error * np.random.default_rng(0).standard_normal(1000)
    return Estimate(value, draws)


def test_claims_about_single_models():
    assert claims.overfits(runs()).verdict == claims.HOLDS
    flat = runs().assign(
        val_loss=lambda f: 4 - 0.1 * f.epochs.map({1: 0, 4: 1, 16: 2}) + f.seed / 50
    )
    assert claims.overfits(flat).verdict == claims.DOES_NOT
    assert claims.memorizes(runs()).verdict == claims.HOLDS
    assert claims.overfits(runs(seeds=1)).verdict == claims.UNTESTABLE  # no noise, no verdict
    wide = sizes().assign(se=[0.01, 0.01, 0.5, 0.01])
    assert claims.falls_with_size(wide).verdict == claims.UNTESTABLE  # each step must hold
    assert claims.falls_with_size(sizes()).verdict == claims.HOLDS
    assert claims.falls_with_size(sizes((4.6, 4.4, 4.5, 4.2))).verdict == claims.DOES_NOT
    assert claims.falls_with_size(sizes((4.6, 4.4, 4.39, 4.2))).verdict == claims.UNTESTABLE
    assert claims.decay_is_large(sizes()).verdict == claims.HOLDS
    assert claims.decay_is_large(sizes().assign(wd=0.1)).verdict == claims.DOES_NOT
    for status in ("uncertified", "not searched"):
        assert claims.decay_is_large(sizes(status=status)).verdict == claims.UNTESTABLE
    gain = claims.decay_helps(sizes((4.9, 4.8, 4.7, 4.6)), sizes())
    assert gain.verdict == claims.HOLDS and gain.measure == pytest.approx(0.3)
    assert claims.standard_stalls(sizes((4.9, 4.88, 4.87, 4.86))).verdict == claims.HOLDS
    assert claims.standard_stalls(sizes()).verdict == claims.DOES_NOT
    law = fit_power_law([1, 2, 4, 8], [4.5, 4.3, 4.2, 4.15], sigma=0.01)
    assert claims.follows_power_law(law).verdict == claims.HOLDS
    bent = fit_power_law([1, 2, 4, 8], [4.5, 4.2, 4.3, 4.1], sigma=0.01)
    assert claims.follows_power_law(bent).verdict == claims.DOES_NOT
    assert claims.limit_below_standard(law, sizes()).verdict == claims.HOLDS


def test_claims_about_ensembles():
    (small,) = ensemble_laws(scores(model="small"), noise=0.01)
    assert claims.ensemble_below_regularized(small, near(4.2)).verdict == claims.HOLDS
    assert claims.ensemble_below_regularized(small, near(3.8)).verdict == claims.DOES_NOT
    assert claims.ensemble_below_regularized(small, near(4.0)).verdict == claims.UNTESTABLE
    beaten = claims.small_beat_big(small, near(4.3), int(3.2e5))
    assert beaten.verdict == claims.HOLDS and beaten.detail.startswith("5 x small, 1.09x")
    assert claims.small_beat_big(small, near(4.0), int(3.2e5)).verdict == claims.DOES_NOT
    assert claims.small_beat_big(small, near(4.3), int(8e4)).verdict == claims.UNTESTABLE
    assert claims.excess_is_one_over_k([small]).verdict == claims.HOLDS
    slow = ensemble_laws(scores(beta=0.5), noise=0.01)
    assert claims.excess_is_one_over_k(slow).verdict == claims.DOES_NOT
    (few,) = ensemble_laws(scores(K=3), noise=0.01)
    assert claims.excess_is_one_over_k([few]).verdict == claims.UNTESTABLE
    (many,) = ensemble_laws(scores(N=9e4, limit=3.8, gain=0.9), noise=0.01)
    assert claims.heuristic_helps(small, many).verdict == claims.HOLDS
    assert claims.heuristic_helps(many, small).verdict == claims.DOES_NOT
    assert claims.heuristic_is_optimal(many, [small]).verdict == claims.HOLDS
    assert claims.heuristic_is_optimal(small, [many]).verdict == claims.DOES_NOT
    half = ensemble_laws(scores(N=1.1e5, gain=0.1), noise=0.01)[0]
    row = claims.either_seed_suffices({"both": small, "init only": half, "order only": small})
    assert row.verdict == claims.DOES_NOT and row.measure == pytest.approx(0.25)


def test_claims_about_limits_and_data():
    assert claims.limits_fall_with_size(laws()).verdict == claims.HOLDS
    assert claims.orders_agree(near(4.0), near(4.0)).verdict == claims.HOLDS
    assert claims.orders_agree(near(4.0, 5.0), near(4.0)).verdict == claims.UNTESTABLE
    assert claims.orders_agree(near(4.5), near(4.0)).verdict == claims.DOES_NOT
    assert claims.orders_agree(near(4.1, 0.2), near(4.0)).verdict == claims.UNTESTABLE
    assert claims.saves_data("joint_saves_data", near(3.0, 0.1)).verdict == claims.HOLDS
    assert claims.saves_data("joint_saves_data", near(1.0, 0.1)).verdict == claims.UNTESTABLE
    endless = Estimate(np.inf, np.full(1000, np.inf))
    assert claims.saves_data("joint_saves_data", endless).verdict == claims.HOLDS
    right, wrong = (near(4.0), near(4.1), near(4.2)), (near(4.1), near(4.0), near(4.2))
    assert claims.recipes_are_ordered([right]).verdict == claims.HOLDS
    assert claims.recipes_are_ordered([right, wrong]).verdict == claims.DOES_NOT
    assert claims.efficiency_is_constant([near(3.0), near(3.1)], []).verdict == claims.HOLDS
    assert claims.efficiency_is_constant([near(3.0), near(6.0)], []).verdict == claims.DOES_NOT
    assert claims.efficiency_is_constant([near(3.0), endless], []).verdict == claims.DOES_NOT
    lost = claims.efficiency_is_constant([near(3.0), near(6.0)], [16384])
    assert (
        lost.verdict == claims.UNTESTABLE and "no bounded joint limit at D = 16,384" in lost.detail
    )
    rising = limit_in_N(5.1, 5.12, 5.16, 5.25)[1]
    lacking = claims.recipes_are_ordered([right, (rising, near(4.1), near(4.2))])
    assert lacking.verdict == claims.UNTESTABLE and "1 of 4 pairs lack a limit" in lacking.detail
    assert lacking.measure == pytest.approx(-0.1)
    assert claims.recipes_are_ordered([wrong, (rising, rising, near(4))]).verdict == claims.DOES_NOT
    assert np.isnan(claims.recipes_are_ordered([(rising, rising, near(4.0))]).measure)


def test_exponents_agree_only_where_points_bound_them():
    N = (0.04, 0.1, 0.2, 0.4)
    one, other = (limit_in_N(*(E + 0.01 / x for x in N))[1].law for E in (4.0, 4.1))
    assert claims.exponents_agree(one, other).verdict == claims.HOLDS
    # A logarithm: the exponent stands at the edge of the scan.
    straight = limit_in_N(4.6, 4.4, 4.25, 4.1)[1].law
    same = claims.exponents_agree(straight, straight)
    assert (same.measure, same.verdict) == (0.0, claims.UNTESTABLE)
    assert claims.exponents_agree(None, one).verdict == claims.UNTESTABLE


def test_what_is_unbounded_stays_so_in_differences_and_multipliers():
    straight = limit_in_N(4.6, 4.4, 4.25, 4.1)[1]
    assert not straight.reached and straight.low == -np.inf and np.isfinite(straight.high)
    assert (straight - 3.0).low == -np.inf and (near(4.0) - straight).high == np.inf
    assert ((straight - straight).low, (straight - straight).high) == (-np.inf, np.inf)
    assert np.isfinite(straight.at(0.8).low) and np.isfinite(straight.bounded).all()
    standard = limit_in_N(*(4.0 + 0.02 / x for x in (0.04, 0.1, 0.2, 0.4)))[1]
    loss = Estimate(4.3, unbounded(near(4.3).draws, straight.law))
    gain = data_efficiency(standard, loss, near(4.4))
    assert gain.high == np.inf and 1 < gain.low < gain.value


def test_every_statement_has_a_row_before_its_notebook_ran():
    notebooks = {known.notebook for known in claims.STATEMENTS.values()}
    assert notebooks == {f"0{i}" for i in range(1, 9)}
    rows = [r for n in sorted(notebooks) for r in claims.without_measure(n, claims.NOT_RUN)]
    assert len(rows) == len(claims.STATEMENTS) >= 14
    assert {row.verdict for row in rows} == {claims.NOT_RUN}
    assert all(known.criterion for known in claims.STATEMENTS.values())
    table = claims.claims_table(rows, caption="c")
    assert isinstance(table.frame, pd.DataFrame) and table.formatted().measure.eq("–").all()


def test_seed_means_back_the_differences():
    means = seed_means(runs(), ["epochs"])
    row = claims.overfits(runs())
    assert row.measure == pytest.approx(means.loss.iloc[-1] - means.loss.min())
    assert row.low < row.measure < row.high


def test_claims_about_students():
    gain = near(0.3)
    assert claims.keeps_gain(near(0.8, 0.1), gain, "").verdict == claims.HOLDS
    assert claims.keeps_gain(near(0.2, 0.1), gain, "").verdict == claims.DOES_NOT
    assert claims.keeps_gain(near(0.5, 0.1), gain, "").verdict == claims.UNTESTABLE
    assert claims.keeps_gain(near(0.8, 0.1), near(0.0), "").verdict == claims.UNTESTABLE
    worse = claims.difference_above(
        "real_data_is_needed", near(4.4), Estimate(4.2, np.full(1000, 4.2)), ""
    )
    assert worse.verdict == claims.HOLDS and worse.notebook == "06"
