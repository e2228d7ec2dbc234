"""Errors on shared items: intervals, paired differences, rank correlation."""

import numpy as np
import pandas as pd
import pytest

from ieee_lib import claims
from ieee_lib.laws import accuracies, mean_errors, paired_differences
from ieee_lib.laws import downstream as analysis
from ieee_lib.laws.estimates import mean


def error(task, correct):
    return analysis.error_rate(task, correct, np.arange(len(correct)))


def answers(share, n=1000, seed=0):
    """Right answers on a share of items; of two shares, the larger contains the smaller."""
    return (np.random.default_rng(seed).random(n) < share).astype(float)


def test_an_interval_over_items_is_the_binomials():
    rate = error("task", answers(0.7))
    p = 1 - rate.value
    half = 1.96 * np.sqrt(p * (1 - p) / 1000)
    assert rate.ci_high - rate.ci_low == pytest.approx(2 * half, rel=0.1)
    assert rate.ci_low < rate.value < rate.ci_high


def test_items_of_one_document_are_drawn_together():
    """Twenty documents, all of whose items are right or wrong together: twenty items' worth."""
    correct = np.repeat(np.arange(20) % 2, 50).astype(float)
    alone = analysis.error_rate("task", correct, np.arange(1000))
    together = analysis.error_rate("task", correct, np.repeat(np.arange(20), 50))
    ratio = (together.ci_high - together.ci_low) / (alone.ci_high - alone.ci_low)
    assert ratio == pytest.approx(50**0.5, rel=0.15)


def test_a_difference_is_paired_over_items():
    better, worse = error("task", answers(0.7)), error("task", answers(0.65))
    paired = better - worse
    apart = error("other", answers(0.7)) - worse  # the same answers, on other items
    assert apart.value == paired.value
    assert apart.ci_high - apart.ci_low > 2 * (
        paired.ci_high - paired.ci_low
    )  # only 5 % of items differ
    assert claims.helps_downstream(paired, "").verdict == claims.HOLDS
    small = error("task", answers(0.652)) - worse
    assert claims.helps_downstream(small, "").verdict == claims.UNTESTABLE


def test_seeds_are_averaged_item_by_item():
    seeds = np.stack([answers(0.7, seed=s) for s in range(3)])
    one, three = error("task", seeds[0]), error("task", seeds.mean(0))
    assert three.value == pytest.approx(1 - seeds.mean())
    assert three.ci_high - three.ci_low < one.ci_high - one.ci_low


def test_rank_correlation_follows_the_order():
    losses = [4.0, 4.1, 4.2, 4.3, 4.4]
    errors = [error("task", answers(1 - e)) for e in (0.2, 0.3, 0.4, 0.5, 0.6)]
    up = analysis.rank_correlation(losses, errors, list("abcde"))
    assert up.value == 1 and up.ci_low > 0.8
    grouped = analysis.rank_correlation([4.0, 4.3, 4.1, 4.2, 4.4], errors, list("aabbc"))
    apart = analysis.rank_correlation([4.0, 4.3, 4.1, 4.2, 4.4], errors, list("abcde"))
    assert grouped.value == apart.value < 1
    assert (grouped.ci_low, grouped.ci_high) != (apart.ci_low, apart.ci_high)
    assert apart.ci_high - apart.ci_low > 0.3  # other models, another order
    assert claims.predicts_error(up, "").verdict == claims.HOLDS
    assert analysis.rank_correlation(losses[::-1], errors, list("abcde")).value == -1
    alike = [error("task", answers(0.25, seed=s)) for s in range(5)]
    unclear = analysis.rank_correlation(losses, alike, list("abcde"))
    assert claims.predicts_error(unclear, "").verdict == claims.UNTESTABLE
    from scipy.stats import spearmanr

    mixed = [errors[i] for i in (2, 0, 1, 4, 3)]
    expected = spearmanr(losses, [e.value for e in mixed]).statistic
    assert analysis.rank_correlation(losses, mixed, list("abcde")).value == pytest.approx(expected)


def test_means_over_tasks():
    a, b = error("a", answers(0.6)), error("b", answers(0.8))
    both = mean([a, b])
    assert both.value == pytest.approx((a.value + b.value) / 2)
    assert both.ci_high - both.ci_low < a.ci_high - a.ci_low


@pytest.fixture
def frame():
    """Two models on two tasks, one of them by a second metric too."""
    rows = []
    for recipe, model, loss, shares in (
        ("standard", "0.1M", 4.2, {"a": 0.5, "b": 0.7}),
        ("ensemble", "0.1M", 4.0, {"a": 0.6, "b": 0.9}),
    ):
        K = 3 if recipe == "ensemble" else 1
        label = f"{recipe}, {K} x {model}" if K > 1 else f"{recipe}, {model}"
        shared = {"recipe": recipe, "model": model, "K": K, "label": label, "N": 100}
        shared |= {"total": 100 * K, "flops": 1e9 * K, "loss": loss, "run_ids": (label,)}
        for task, metric in (("a", "acc"), ("b", "acc"), ("b", "acc_norm")):
            rate = error(task, answers(shares[task]))
            row = {"task": task, "metric": metric, "error": rate, "chance_error": 0.75}
            rows.append({**shared, **row, "evaluation": f"{label} {task}"})
    return pd.DataFrame(rows)


def test_a_models_error_is_its_mean_over_tasks_by_one_metric(frame):
    models = mean_errors(frame, ["a", "b"])
    assert list(models.label) == ["standard, 0.1M", "ensemble, 3 x 0.1M"]
    assert list(models.total) == [100, 300] and list(models.chance_error) == [0.75, 0.75]
    expected = mean([error("a", answers(0.5)), error("b", answers(0.7))])
    assert models.error[0].value == expected.value and models.error[0].ci_low == expected.ci_low
    assert models.evaluation[0] == ("standard, 0.1M a", "standard, 0.1M b")
    (one,) = mean_errors(frame, ["b"], metric="acc_norm").error[:1]
    assert one.value == frame.error[2].value


def test_pairs_are_compared_on_the_same_items_in_points(frame):
    pairs = {"ours": ("ensemble, 3 x 0.1M", "standard, 0.1M")}
    table = paired_differences(frame, pairs)
    assert list(zip(table.task, table.metric, strict=True)) == [
        ("a", "acc"), ("b", "acc"), ("b", "acc_norm"),
    ]  # fmt: skip
    paired = frame.error[3] - frame.error[0]
    assert table["a - b"][0].value == pytest.approx(100 * paired.value)
    assert table["a - b"][0].ci_high == pytest.approx(100 * paired.ci_high)
    assert table["a - b"][0].ci_high < 0
    with pytest.raises(KeyError, match="nobody"):
        paired_differences(frame, {"ours": ("nobody", "standard, 0.1M")})


def test_accuracies_are_in_percent_with_half_the_interval(frame):
    table = accuracies(frame)
    assert list(table.columns[5:-2]) == ["a", "a ±", "b", "b ±", "b, acc_norm", "b, acc_norm ±"]
    rate = frame.error[0]
    assert table.a[0] == pytest.approx(100 * (1 - rate.value))
    assert table["a ±"][0] == pytest.approx(50 * (rate.ci_high - rate.ci_low))
    assert list(table.parameters) == [100, 300]
