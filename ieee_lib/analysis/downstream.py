"""Accuracy on multiple-choice items: intervals, paired differences, rank correlation (Sec. 7.1).

Items are resampled, the same ones for every model, so two errors on a task share the luck of its
items and their difference loses it.

    a, b = error("sciq", correct_a), error("sciq", correct_b)
    a - b                                # paired over items
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from ieee_lib.analysis.uncertainty import N_DRAW, Estimate, named_generator


def error(task: str, correct: np.ndarray) -> Estimate:
    """Return the share of wrong answers.

    correct (n_item,): 1 or 0, or its mean over seeds. The interval is over items of this kind.
    """
    weights = _resampled(task, len(correct))
    return Estimate(1 - float(correct.mean()), 1 - weights @ correct)


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of estimates, such as errors over tasks."""
    draws = np.mean([e.draws for e in estimates], axis=0)
    return Estimate(float(np.mean([e.value for e in estimates])), draws)


def rank_correlation(losses: Sequence[float], errors: Sequence[Estimate]) -> Estimate:
    """Return Spearman's rank correlation of losses with errors, over models."""
    draws = np.stack([e.draws for e in errors], axis=1)  # (N_DRAW, n_model)
    values = np.array([[e.value for e in errors]])
    found = _spearman(np.asarray(losses), np.concatenate([values, draws]))
    return Estimate(float(found[0]), found[1:])


def _spearman(x: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return the correlation of ranks of x (n,) with those of every row of Y (m, n)."""
    a = rankdata(x) - (len(x) + 1) / 2
    B = rankdata(Y, axis=1) - (len(x) + 1) / 2
    with np.errstate(invalid="ignore"):  # models that all err alike have no order
        return B @ a / np.sqrt((a @ a) * (B * B).sum(axis=1))


def _resampled(task: str, n_item: int) -> np.ndarray:
    """Return how often each draw takes each item, as shares (N_DRAW, n_item)."""
    counts = named_generator(f"{task} {n_item}").multinomial(
        n_item, np.full(n_item, 1 / n_item), size=N_DRAW
    )
    return counts / n_item
