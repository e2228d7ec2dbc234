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
    """Return Spearman's rank correlation of losses with errors, over models.

    Draws resample the models too: another set of recipes would have another correlation.
    """
    x, n = np.asarray(losses), len(losses)
    draws = np.stack([e.draws for e in errors], axis=1)  # (N_DRAW, n)
    chosen = named_generator(f"models {n}").integers(n, size=draws.shape)
    found = _spearman(x[chosen], np.take_along_axis(draws, chosen, axis=1))
    value = _spearman(x[None], np.array([[e.value for e in errors]]))
    return Estimate(float(value[0]), found)


def _spearman(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return the correlation of ranks of X with those of Y, both (m, n), row by row."""
    A, B = (rankdata(values, axis=1) - (values.shape[1] + 1) / 2 for values in (X, Y))
    with np.errstate(invalid="ignore"):  # models that all err alike have no order
        return (A * B).sum(axis=1) / np.sqrt((A * A).sum(axis=1) * (B * B).sum(axis=1))


def _resampled(task: str, n_item: int) -> np.ndarray:
    """Return how often each draw takes each item, as shares (N_DRAW, n_item)."""
    counts = named_generator(f"{task} {n_item}").multinomial(
        n_item, np.full(n_item, 1 / n_item), size=N_DRAW
    )
    return counts / n_item
