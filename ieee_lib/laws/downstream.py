"""Accuracy on multiple-choice items: intervals, paired differences, rank correlation (Sec. 7.1).

Items are resampled, the same ones for every model, so two errors on a task share the luck of its
items and their difference loses it.

    models = mean_errors(answers, ["piqa", "sciq"])      # one row a model: loss, error
    paired_differences(answers, {"ensemble": ("ensemble, 5 x 0.07M", "regularized, 0.32M")})
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ieee_lib.laws.estimates import N_DRAW, Estimate, mean, named_generator


def error_rate(task: str, correct: np.ndarray, groups: np.ndarray) -> Estimate:
    """Return the share of wrong answers.

    correct (n_item,): 1 or 0, or its mean over seeds. The interval is over items of this kind;
    items of one group (a document) are drawn together.
    """
    weights = _resampled(task, tuple(groups))
    return Estimate(1 - float(correct.mean()), 1 - weights @ correct)


def error_of(answers: pd.DataFrame) -> Estimate:
    """Return the error on one task of rows of `evaluations_frame`: of seeds their mean."""
    first = answers.iloc[0]
    return error_rate(first.task, np.mean(np.stack(list(answers.correct)), axis=0), first.groups)


MODEL_COLUMNS = ["recipe", "model", "K", "label", "N", "total", "flops", "loss"]
"""What `recipes.downstream_answers` says of a model or ensemble; `label` names it."""


def mean_errors(
    answers: pd.DataFrame, tasks: Sequence[str], *, metric: str = "acc"
) -> pd.DataFrame:
    """Return one row a model or ensemble with its mean error over tasks, by one metric.

    answers: as `recipes.downstream_answers` gives them. Adds error (estimate), chance_error (of
    guessing, mean over tasks), evaluation (ids) and run_ids to what names the model.
    """
    chosen = answers[answers.task.isin(list(tasks)) & (answers.metric == metric)]
    return pd.DataFrame(
        [
            {
                **group.iloc[0][MODEL_COLUMNS],
                "error": mean(list(group.error)),
                "chance_error": float(group.chance_error.mean()),
                "evaluation": tuple(group.evaluation),
                "run_ids": group.run_ids.iloc[0],
            }
            for _, group in chosen.groupby("label", sort=False)
        ]
    )


def accuracies(answers: pd.DataFrame) -> pd.DataFrame:
    """Return one row a model or ensemble: accuracy in % on each task, ± half its 95 % interval.

    Metrics other than acc have columns of their own. Source: Table 5.
    """
    rows = []
    for _, group in answers.groupby("label", sort=False):
        first = group.iloc[0]
        row = {"recipe": first.recipe, "model": first.model, "K": first.K}
        row |= {"parameters": first.total, "loss": first.loss}
        for answer in group.to_dict("records"):
            name, error = answer["task"], answer["error"]
            if answer["metric"] != "acc":
                name = f"{name}, {answer['metric']}"
            row[name] = 100 * (1 - error.value)
            row[f"{name} ±"] = 50 * (error.ci_high - error.ci_low)
        rows.append({**row, "evaluation": tuple(group.evaluation), "run_ids": first.run_ids})
    return pd.DataFrame(rows)


def paired_differences(answers: pd.DataFrame, pairs: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """Return differences in error (percentage points) over the same items, a row a task and metric.

    pairs: name of a comparison -> the labels of a and b.
    """
    by_key: dict[tuple, dict] = {
        (row["label"], row["task"], row["metric"]): dict(row) for row in answers.to_dict("records")
    }
    measures = answers[["task", "metric"]].drop_duplicates().to_numpy().tolist()
    rows = []
    for name, (a, b) in pairs.items():
        for task, metric in measures:
            first, second = by_key[a, task, metric], by_key[b, task, metric]
            rows.append(
                {
                    "comparison": name,
                    "a": a,
                    "b": b,
                    "task": task,
                    "metric": metric,
                    "a - b": 100 * (first["error"] - second["error"]),
                    "evaluation": (first["evaluation"], second["evaluation"]),
                }
            )
    return pd.DataFrame(rows)


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
