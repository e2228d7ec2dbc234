"""Errors on shared items: intervals, paired differences, rank correlation."""

import numpy as np
import pytest

from ieee_lib.claims import verdicts as claims
from ieee_lib.laws import downstream as analysis


def error(task, correct):
    return analysis.error(task, correct, np.arange(len(correct)))


def answers(share, n=1000, seed=0):
    """Right answers on a share of items; of two shares, the larger contains the smaller."""
    return (np.random.default_rng(seed).random(n) < share).astype(float)


def test_an_interval_over_items_is_the_binomials():
    found = error("task", answers(0.7))
    p = 1 - found.value
    half = 1.96 * np.sqrt(p * (1 - p) / 1000)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)
    assert found.low < found.value < found.high


def test_items_of_one_document_are_drawn_together():
    """Twenty documents, all of whose items are right or wrong together: twenty items' worth."""
    correct = np.repeat(np.arange(20) % 2, 50).astype(float)
    alone = analysis.error("task", correct, np.arange(1000))
    together = analysis.error("task", correct, np.repeat(np.arange(20), 50))
    ratio = (together.high - together.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(50**0.5, rel=0.15)


def test_a_difference_is_paired_over_items():
    better, worse = error("task", answers(0.7)), error("task", answers(0.65))
    paired = better - worse
    apart = error("other", answers(0.7)) - worse  # the same answers, on other items
    assert apart.value == paired.value
    assert apart.high - apart.low > 2 * (paired.high - paired.low)  # only 5 % of items differ
    assert claims.helps_downstream(paired, "").verdict == claims.HOLDS
    small = error("task", answers(0.652)) - worse
    assert claims.helps_downstream(small, "").verdict == claims.UNTESTABLE


def test_seeds_are_averaged_item_by_item():
    seeds = np.stack([answers(0.7, seed=s) for s in range(3)])
    one, three = error("task", seeds[0]), error("task", seeds.mean(0))
    assert three.value == pytest.approx(1 - seeds.mean())
    assert three.high - three.low < one.high - one.low


def test_rank_correlation_follows_the_order():
    losses = [4.0, 4.1, 4.2, 4.3, 4.4]
    errors = [error("task", answers(1 - e)) for e in (0.2, 0.3, 0.4, 0.5, 0.6)]
    up = analysis.rank_correlation(losses, errors, list("abcde"))
    assert up.value == 1 and up.low > 0.8
    grouped = analysis.rank_correlation([4.0, 4.3, 4.1, 4.2, 4.4], errors, list("aabbc"))
    apart = analysis.rank_correlation([4.0, 4.3, 4.1, 4.2, 4.4], errors, list("abcde"))
    assert grouped.value == apart.value < 1
    assert (grouped.low, grouped.high) != (apart.low, apart.high)
    assert apart.high - apart.low > 0.3  # other models, another order
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
    both = analysis.mean([a, b])
    assert both.value == pytest.approx((a.value + b.value) / 2)
    assert both.high - both.low < a.high - a.low
