"""Claims hold, fail or cannot be told; rows of notebooks that were not run say so."""

from dataclasses import replace

import numpy as np
import pytest

from ieee_lib import claims
from ieee_lib.laws import Estimate, fit_power_law, seed_means
from ieee_lib.plots import Table
from tests.synthetic import (
    RISING,
    STRAIGHT,
    ensemble,
    ensembles_by_model,
    epoch_runs,
    law_in_N,
    near,
    tuned,
)


def test_claims_about_single_models():
    assert claims.overfits(epoch_runs()).verdict == claims.HOLDS
    flat = epoch_runs().assign(
        val_loss=lambda f: 4 - 0.1 * f.epochs.map({1: 0, 4: 1, 16: 2}) + f.seed / 50
    )
    assert claims.overfits(flat).verdict == claims.DOES_NOT
    assert claims.memorizes(epoch_runs()).verdict == claims.HOLDS
    assert claims.overfits(epoch_runs(seeds=1)).verdict == claims.UNTESTABLE  # no noise, no verdict
    wide = tuned().assign(se=[0.01, 0.01, 0.5, 0.01])
    assert claims.falls_with_size(wide).verdict == claims.UNTESTABLE  # each step must hold
    assert claims.falls_with_size(tuned()).verdict == claims.HOLDS
    assert claims.falls_with_size(tuned((4.6, 4.4, 4.5, 4.2))).verdict == claims.DOES_NOT
    assert claims.falls_with_size(tuned((4.6, 4.4, 4.39, 4.2))).verdict == claims.UNTESTABLE
    assert claims.decay_is_large(tuned()).verdict == claims.HOLDS
    assert claims.decay_is_large(tuned().assign(wd=0.1)).verdict == claims.DOES_NOT
    for status in ("uncertified", "not searched"):
        assert claims.decay_is_large(tuned(status=status)).verdict == claims.UNTESTABLE
    gain = claims.decay_helps(tuned((4.9, 4.8, 4.7, 4.6)), tuned())
    assert gain.verdict == claims.HOLDS and gain.measure == pytest.approx(0.3)
    assert claims.standard_stalls(tuned((4.9, 4.88, 4.87, 4.86))).verdict == claims.HOLDS
    assert claims.standard_stalls(tuned()).verdict == claims.DOES_NOT
    law = fit_power_law([1, 2, 4, 8], [4.5, 4.3, 4.2, 4.15], sigma=0.01)
    assert claims.follows_power_law(law).verdict == claims.HOLDS
    bent = fit_power_law([1, 2, 4, 8], [4.5, 4.2, 4.3, 4.1], sigma=0.01)
    assert claims.follows_power_law(bent).verdict == claims.DOES_NOT
    assert claims.limit_below_standard(law, tuned()).verdict == claims.HOLDS


def test_claims_about_ensembles():
    small = ensemble(model="small")
    assert claims.ensemble_below_regularized(small, near(4.2)).verdict == claims.HOLDS
    assert claims.ensemble_below_regularized(small, near(3.8)).verdict == claims.DOES_NOT
    assert claims.ensemble_below_regularized(small, near(4.0)).verdict == claims.UNTESTABLE

    def beat(loss, size):
        table = tuned((loss,) * 4)
        return claims.small_beat_big(small, table[-1:].assign(N=int(size)))

    beaten = beat(4.3, 3.2e5)
    assert beaten.verdict == claims.HOLDS and beaten.detail.startswith("5 x small, 1.09x")
    assert beat(4.0, 3.2e5).verdict == claims.DOES_NOT
    assert claims.excess_is_one_over_k([small]).verdict == claims.HOLDS
    slow = ensemble(beta=0.5)
    assert claims.excess_is_one_over_k([slow]).verdict == claims.DOES_NOT
    far = claims.excess_is_one_over_k([small, slow])
    assert far.verdict == claims.DOES_NOT and far.measure == slow.free.alpha
    assert claims.excess_is_one_over_k([ensemble(K=3)]).verdict == claims.UNTESTABLE
    many = ensemble(N=9e4, limit=3.8, gain=0.9)
    assert claims.heuristic_helps(small, many).verdict == claims.HOLDS
    assert claims.heuristic_helps(many, small).verdict == claims.DOES_NOT
    assert claims.heuristic_is_optimal(many, [small]).verdict == claims.HOLDS
    assert claims.heuristic_is_optimal(small, [many]).verdict == claims.DOES_NOT
    half = ensemble(N=1.1e5, gain=0.1)
    row = claims.either_seed_suffices({"both": small, "init only": half, "order only": small})
    assert row.verdict == claims.DOES_NOT and row.measure == pytest.approx(0.25)


def test_members_are_held_against_the_largest_model_that_they_reach():
    small, table = ensemble(model="small", N=4e4), tuned((4.6, 4.5, 4.4, 4.3))
    assert claims.small_beat_big(small, table).detail.startswith("5 x small, 1.00x")
    assert claims.small_beat_big(small, table[:2]).detail.startswith("2 x small, 0.80x")
    alike = claims.small_beat_big(small, table[:1].assign(N=4.3e4))
    assert alike.verdict == claims.UNTESTABLE and "too alike in size" in alike.detail


def test_claims_about_limits_and_data():
    assert claims.limits_fall_with_size(list(ensembles_by_model().values())).verdict == claims.HOLDS
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
    rising = law_in_N(*RISING).limit
    lacking = claims.recipes_are_ordered([right, (rising, near(4.1), near(4.2))])
    assert lacking.verdict == claims.UNTESTABLE and "1 of 4 pairs lack a limit" in lacking.detail
    assert lacking.measure == pytest.approx(-0.1)
    assert claims.recipes_are_ordered([wrong, (rising, rising, near(4))]).verdict == claims.DOES_NOT
    assert np.isnan(claims.recipes_are_ordered([(rising, rising, near(4.0))]).measure)


def test_exponents_agree_only_where_points_bound_them():
    one, other = (law_in_N(*(E + 0.01 / x for x in (0.04, 0.1, 0.2, 0.4))) for E in (4.0, 4.1))
    assert claims.exponents_agree(one, other).verdict == claims.HOLDS
    straight = law_in_N(*STRAIGHT)  # a logarithm: the exponent at the scan's edge
    same = claims.exponents_agree(straight, straight)
    assert (same.measure, same.verdict) == (0.0, claims.UNTESTABLE)
    assert claims.exponents_agree(None, one).verdict == claims.UNTESTABLE


def test_every_statement_has_a_row_before_its_notebook_ran():
    notebooks = {statement.notebook for statement in claims.STATEMENTS.values()}
    assert notebooks == {f"0{i}" for i in range(1, 9)}
    rows = [r for n in sorted(notebooks) for r in claims.without_measure(n, claims.NOT_RUN)]
    assert len(rows) == len(claims.STATEMENTS) >= 14
    assert {row.verdict for row in rows} == {claims.NOT_RUN}
    assert all(statement.criterion for statement in claims.STATEMENTS.values())
    table = Table(claims.table(rows), "c", claims.DIGITS)
    assert table.formatted().measure.eq("–").all()
    assert list(table.frame)[3:6] == ["measure", "ci_low", "ci_high"]


def test_a_summary_says_what_held_and_what_did_not():
    judged = [
        claims.overfits(epoch_runs()),
        claims.falls_with_size(tuned((4.6, 4.4, 4.5, 4.2))),
        claims.decay_is_large(tuned()),
        *claims.without_measure("08", claims.NOT_RUN),
    ]
    text = claims.summary(judged)._repr_markdown_()
    assert "**Holds** (2 of 6)" in text and "**Does not hold** (1 of 6)" in text
    assert "**Not run yet** (3 of 6)" in text and "not testable" not in text.lower()
    assert f"- {judged[0].statement}: 1.000 [" in text and "(16 epochs against 4)" in text
    assert f"- {judged[2].statement}: 0.800; criterion" in text  # no noise model, no interval
    assert "nan" not in text and "**" not in repr(claims.summary(judged))


def test_a_summary_writes_infinite_ends_as_signs_and_leaves_words_alone():
    (row,) = (s.statement for s in claims.STATEMENTS.values() if "infinitely" in s.statement)
    unbounded = replace(
        claims.overfits(epoch_runs()), statement=row, measure=-0.2, ci_low=-np.inf, ci_high=np.inf
    )
    assert f"- {row}: -0.200 [−∞, ∞]; " in claims.summary([unbounded]).to_markdown()


def test_seed_means_back_the_differences():
    means = seed_means(epoch_runs(), ["epochs"])
    row = claims.overfits(epoch_runs())
    assert row.measure == pytest.approx(means.loss.iloc[-1] - means.loss.min())
    assert row.ci_low < row.measure < row.ci_high


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
