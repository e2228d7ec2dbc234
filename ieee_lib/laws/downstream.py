"""Accuracy on multiple-choice items: intervals, paired differences, rank correlation (Sec. 7.1).

Items are resampled, the same ones for every model, so two errors on a task share the luck of its
items and their difference loses it.

    a, b = error_rate("sciq", correct_a, groups), error_rate("sciq", correct_b, groups)
    a - b                                # paired over items
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ieee_lib.laws.estimates import N_DRAW, Estimate, named_generator


def error_rate(task: str, correct: np.ndarray, groups: np.ndarray) -> Estimate:
    """Return the share of wrong answers.

    correct (n_item,): 1 or 0, or its mean over seeds. The interval is over items of this kind;
    items of one group (a document) are drawn together.
    """
    weights = _resampled(task, tuple(groups))
    return Estimate(1 - float(correct.mean()), 1 - weights @ correct)


def error_of(answers: pd.DataFrame) -> Estimate:
    """Return the error of rows of `frame.evaluations_frame` on one task: of seeds their mean."""
    first = answers.iloc[0]
    return error_rate(first.task, np.mean(np.stack(list(answers.correct)), axis=0), first.groups)


def rank_correlation(
    losses: Sequence[float], errors: Sequence[Estimate], groups: Sequence[str]
) -> Estimate:
    """Return Spearman's ρ of losses with errors, over models.

    Draws resample groups of models too (an ensemble at every K is one): another set of recipes
    would have another correlation.
    """
    x, n_draw = np.asarray(losses), len(errors[0].draws)
    draws = np.stack([e.draws for e in errors], axis=1)  # (n_draw, n)
    names = sorted(set(groups))
    members = {name: [i for i, group in enumerate(groups) if group == name] for name in names}
    chosen = named_generator(" ".join(names)).choice(names, size=(n_draw, len(names)))
    correlations = np.empty(n_draw)
    for i, picked in enumerate(chosen):
        rows = [row for name in picked for row in members[name]]
        correlations[i] = _spearman(x[rows], draws[i, rows])
    return Estimate(_spearman(x, np.array([e.value for e in errors])), correlations)


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    a, b = (rankdata(values) - (len(values) + 1) / 2 for values in (x, y))
    with np.errstate(invalid="ignore"):  # models that all err alike have no order
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@lru_cache(maxsize=16)  # all models answer the same items
def _resampled(task: str, groups: tuple) -> np.ndarray:
    """Return each draw's weights of items (N_DRAW, n_item): groups drawn with replacement."""
    names, group = np.unique(groups, return_inverse=True)
    counts = named_generator(f"{task} {len(groups)}").multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=N_DRAW
    )[:, group]
    return counts / counts.sum(axis=1, keepdims=True)
