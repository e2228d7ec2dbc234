"""Holm's correction over the claims that were judged, and the sealed versions of criteria."""

import math

import numpy as np
import pytest

from ieee_lib import claims
from ieee_lib.claims import DOES_NOT, HOLDS, NOT_RUN, STATEMENTS, UNTESTABLE, Statement, Verdict
from ieee_lib.claims.measures import Measure
from ieee_lib.claims.verdicts import above, below, claim, near_zero, within

KEYS = list(STATEMENTS)


def rows(*verdicts):
    """One claim a verdict, of different statements."""
    return [claim(key, 0.0, verdict) for key, verdict in zip(KEYS, verdicts, strict=False)]


def test_holm_goes_down_from_the_smallest_p():
    judged = rows(
        Verdict(HOLDS, "", 0.012),  # fourth of five: needs 0.05 / 2
        Verdict(DOES_NOT, "", 0.001),  # needs 0.05 / 5
        Verdict(HOLDS, "", 0.0124),  # second: needs 0.05 / 4
        Verdict(UNTESTABLE, "", 0.6),
        Verdict(HOLDS, "", 0.002),
        Verdict(HOLDS, "", math.nan),  # rests on no noise
        Verdict(NOT_RUN, ""),
    )
    result = claims.correction(judged)
    assert (result.n_judged, result.n_tested, result.n_decided) == (6, 5, 4)
    assert result.lost == () and "all of them stay" in result.to_markdown()
    more = claims.correction([*judged, *rows(*[Verdict(UNTESTABLE, "", 1.0)] * 3)])
    assert [row.p for row, _ in more.lost] == [0.012, 0.0124]
    assert [needed for _, needed in more.lost] == pytest.approx([0.05 / 6, 0.05 / 5])
    text = more.to_markdown()
    assert "9 claims are judged, 8 of them by a 95 % interval" in text
    assert "4 of these are decided" in text and f"2 would be {UNTESTABLE}:" in text
    assert f"- {judged[0].statement}: holds, p = 0.012 where 0.0083 is needed" in text
    assert text == repr(more) == more._repr_markdown_()


def test_a_larger_p_never_passes_after_one_that_failed():
    judged = rows(Verdict(HOLDS, "", 0.04), Verdict(HOLDS, "", 0.045), Verdict(HOLDS, "", 0.03))
    assert [row.p for row, _ in claims.correction(judged).lost] == [0.03, 0.04, 0.045]
    assert claims.correction(judged[:1]).lost == ()
    assert claims.correction([]).n_judged == 0


def test_holm_holds_any_wrong_verdict_to_five_percent():
    """Thirty statements at their bounds: alone 5 % each are decided, together 5 % of all books."""
    rng = np.random.default_rng(0)
    alone, together = 0, 0
    for _ in range(100):
        judged = [
            claim(KEYS[i % len(KEYS)], measure, below(measure, 0.0))
            for i, x in enumerate(rng.normal(size=30))
            for measure in [Measure(x, x - 1.96, x + 1.96)]
        ]
        result = claims.correction(judged)
        alone += result.n_decided
        together += result.n_decided > len(result.lost)
    assert alone / 100 / 30 == pytest.approx(0.05, abs=0.012)
    assert together / 100 < 0.1


@pytest.mark.parametrize(
    ("measure", "p"),
    [(Measure(-1, -1.5, -0.5), 0.05), (Measure(1, 0.5, 1.5), 0.05), (Measure(0, -1, 1), 1.0)],
)
def test_a_decided_verdict_has_a_p_below_five_percent(measure, p):
    for verdict in (below(measure, 0.0), above(measure, 0.0), within(measure, 0.2, 3.0)):
        assert (verdict.p < 0.05) == (verdict.word != UNTESTABLE)
        assert verdict.reason
    assert below(measure, 0.0).p <= p


def test_verdicts_at_the_ends_of_intervals():
    measure = Measure(0.5, 0.0, 1.0)
    assert [below(measure, b).word for b in (1.1, 1.0, 0.0, -0.1)] == [
        HOLDS, UNTESTABLE, DOES_NOT, DOES_NOT,
    ]  # fmt: skip
    assert [above(measure, b).word for b in (-0.1, 0.0, 1.0, 1.1)] == [
        HOLDS, UNTESTABLE, DOES_NOT, DOES_NOT,
    ]  # fmt: skip
    assert below(measure, 1.1).reason == "the interval lies below 1.1"
    assert above(measure, 1.1).reason == "the interval does not reach above 1.1"
    cases = {(-0.1, 1.1): HOLDS, (1.0, 2.0): DOES_NOT, (-1.0, 0.0): DOES_NOT, (0.5, 2): UNTESTABLE}
    for (low, high), word in cases.items():
        assert within(measure, low, high).word == word
    assert within(measure, 1.2, 2).p == pytest.approx(measure.p_below(1.2))
    assert within(measure, -2, -0.2).p == pytest.approx(measure.p_above(-0.2))
    assert within(measure, -0.1, 3).p == pytest.approx(measure.p_above(-0.1))
    assert [near_zero(measure, reach).word for reach in (1.0, 0.9)] == [HOLDS, UNTESTABLE]
    assert [near_zero(-measure, reach).word for reach in (1.0, 0.9)] == [HOLDS, UNTESTABLE]
    off = Measure(0.5, 0.1, 0.9)
    assert near_zero(off, 2.0).word == near_zero(-off, 2.0).word == DOES_NOT
    assert near_zero(off, 2.0).p == pytest.approx(off.p_above(0)) == near_zero(-off, 2.0).p
    assert near_zero(measure, 1.0).p == pytest.approx(0.05)
    assert near_zero(measure, 3.0).p == pytest.approx(measure.p_below(3.0))


JUDGES = (
    lambda m: below(m, 0),
    lambda m: above(m, 0),
    lambda m: within(m, -1, 1),
    lambda m: near_zero(m, 1),
)


@pytest.mark.parametrize("judge", JUDGES)
def test_nothing_follows_from_nothing(judge):
    for value in (math.nan, 0.5):
        lost = Measure(value, math.nan, math.nan, problem="its noise is unknown")
        assert judge(lost).word == UNTESTABLE and judge(lost).p == 1.0
        assert judge(lost).reason == "nothing bounds the measure: its noise is unknown"
    open_ends = judge(Measure(0.5, -math.inf, math.inf))
    assert open_ends.word == UNTESTABLE
    assert open_ends.reason.endswith("; nothing bounds its lower or upper end")
    assert judge(Measure(0.0, -2.0, math.inf)).reason.endswith("; nothing bounds its upper end")
    assert "nothing bounds" not in judge(Measure(0.0, -2.0, 2.0)).reason


SEALS = {
    "overfits": "v2-e0254d91",
    "memorizes": "v1-638d1e32",
    "standard_stalls": "v1-9c8fdd46",
    "decay_is_large": "v1-e81ca234",
    "decay_helps": "v1-21e8f6fa",
    "falls_with_size": "v1-9e411cac",
    "follows_power_law": "v2-492767bd",
    "limit_below_standard": "v1-09653428",
    "ensemble_below_regularized": "v1-68d5bfd6",
    "small_beat_big": "v1-68140430",
    "excess_is_one_over_k": "v2-dfd0a45d",
    "heuristic_helps": "v1-d06f01a1",
    "heuristic_is_optimal": "v3-4d6afa91",
    "heuristic_gains_in_limit_only": "v1-25d9d3ad",
    "either_seed_suffices": "v1-f846bfeb",
    "limits_fall_with_size": "v1-5dc22ffb",
    "joint_below_regularized": "v1-4ee537f8",
    "best_ensemble_below_limit": "v2-43ee95d9",
    "orders_agree": "v2-0e08b53e",
    "regularized_saves_data": "v1-690c0f0a",
    "ensemble_saves_data": "v1-a03a7994",
    "joint_saves_data": "v1-56bf4fed",
    "recipes_are_ordered": "v1-6f5f3982",
    "efficiency_is_constant": "v2-41fceb30",
    "exponents_agree": "v3-c628ff38",
    "student_keeps_gain": "v1-20ad3dbe",
    "self_distillation_helps": "v1-360e7943",
    "real_data_is_needed": "v1-2404e054",
    "loss_predicts_error": "v1-c0ea7f0a",
    "ensembles_help_downstream": "v1-7f2008ca",
    "epochs_help_midtraining": "v1-5c3a9e6f",
    "ensembles_help_midtraining": "v1-6a97ae80",
    "midtraining_saves_data": "v1-3c7964c0",
}
"""Key -> version of its criterion. A criterion that changes becomes the next version: the old text
moves to `earlier`, and the new seal stands here. Never change a seal of the same version."""


def test_criteria_are_sealed():
    assert {key: statement.version for key, statement in STATEMENTS.items()} == SEALS


def test_a_seal_knows_every_text_and_a_version_counts_them():
    first = Statement("it holds", "1", "x > 0", "01")
    second = Statement("it holds", "1", "x > 1", "01", ("x > 0",))
    assert first.version.startswith("v1-") and second.version.startswith("v2-")
    others = [
        Statement("it holds", "1", "x > 2", "01", ("x > 0",)),
        Statement("it holds", "1", "x > 1", "01", ("x > 3",)),
        Statement("it does", "1", "x > 1", "01", ("x > 0",)),
    ]
    seals = {each.version.split("-")[1] for each in (first, second, *others)}
    assert len(seals) == 5
    assert second.version == Statement("it holds", "9", "x > 1", "08", ("x > 0",)).version
    row = claim("overfits", 1.0, Verdict(HOLDS, "why", 0.01))
    assert row.version == STATEMENTS["overfits"].version and row.version.startswith("v2-")
