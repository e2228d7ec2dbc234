"""Scores: what was predicted beside what was measured later, and how many intervals held.

    scores = predictions.scores(study)       # one row a prediction
    predictions.coverage(scores)             # held and expected, by axis and recipe

A prediction counts where it was on record before the first of its new runs began, and where no
earlier one, of a closed round too, was about the same recipe, model, D and K.
"""

import math
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from ieee_lib import paths
from ieee_lib.config import RunSpec
from ieee_lib.config.scale_tables import Settings
from ieee_lib.errors import MissingRuns
from ieee_lib.predictions.log import (
    Prediction,
    closed_rounds,
    predictions,
    predictions_in,
    subject,
)
from ieee_lib.predictions.questions import Cell, Question, measured, questions
from ieee_lib.runs.store import Record
from ieee_lib.study import Study

COVERAGE = 0.95
"""The share of intervals that should hold."""

NOT_TRAINED = "not trained yet"

DIGITS = {
    "predicted": 3, "ci_low": 3, "ci_high": 3, "measured": 3, "se": 3, "error": 3, "sealed": 3,
    "mean error": 3, "rms error": 3, "median width": 3,
}  # fmt: skip
"""Decimals of the tables of predictions."""


def prediction_specs(study: Study) -> list[RunSpec]:
    """Return the runs that a scale's predictions are about."""
    return [run for each in _of_scale(study) for run in _target(each).runs(study)]


def scores(study: Study) -> pd.DataFrame:
    """Return one row a prediction of a scale, in the order in which they were made.

    Columns: axis, recipe, model, N (parameters of one model), D, K, points (of the law), predicted
    with ci_low and ci_high (as they were sealed), measured and its se, error (measured minus
    predicted), all in nats/token, covered (whether the interval holds what was measured), counted
    (yes, or why not), run_ids (of the target). With source "train" targets that are missing are
    trained. Raises MissingRuns where no target is recorded.
    """
    logged = _of_scale(study)
    if study.source == "train":
        for each in logged:
            _train(study, _target(each))
    if not any(_target(each).is_recorded(study) for each in logged):
        raise MissingRuns("predictions", study.scale.name, _allowed(study))
    reader = study.reading() if study.source == "train" else study  # a reader needs no weights
    rows = []
    rounds = [predictions_in(folder) for folder in closed_rounds(study.scale.name)]
    measured_before = {_place(each) for logged_then in rounds for each in logged_then}
    for each in logged:
        loss, se, counted = math.nan, math.nan, NOT_TRAINED
        if _target(each).is_recorded(study):
            estimate = measured(reader, _target(each))
            loss, se = estimate.value, estimate.se
            counted = _counted(study, each, loss, measured_before)
            measured_before.add(_place(each))
        rows.append(score_row(each, _target(each).size(study), loss, se, counted))
    return pd.DataFrame(rows)


def score_row(each: Prediction, N: int, loss: float, se: float, counted: str) -> dict[str, Any]:
    """Return a prediction beside the loss that was measured; columns as in `scores`."""
    return {
        "axis": each["axis"],
        "recipe": each["recipe"],
        "model": each["settings"]["model"],
        "N": N,
        "D": each["settings"]["seed_tokens"],
        "K": each["K"],
        "points": each["points"],
        "predicted": each["predicted"],
        "ci_low": each["low"],
        "ci_high": each["high"],
        "measured": loss,
        "se": se,
        "error": loss - each["predicted"],
        "covered": each["low"] <= loss <= each["high"],
        "counted": counted,
        "run_ids": tuple(each["target"]),
    }


def answered(study: Study) -> dict[str, Question]:
    """Return the questions of the scale as it is now that were predicted and then measured.

    By name. Their laws are refitted from the records, with the seeds that points have by now; the
    sealed numbers stay as they were.
    """
    logged = predictions(study.scale.name)
    return {
        question.name: question
        for question in questions(study)
        if any(_is_about(each, question, study) for each in logged) and question.is_answered(study)
    }


def predicted_again(study: Study, scores: pd.DataFrame) -> pd.DataFrame:
    """Return what every form of the law predicts of each target today, beside what was sealed.

    From the runs of the bases alone, with the estimators as they are now: nothing was sealed, so
    no row is evidence of a prediction. One row a target and form; the form that heads comes first.
    Columns: axis, recipe, model, N, D, K, form, heads, predicted with ci_low and ci_high, measured,
    error, covered, sealed and `sealed covered`, counted, run_ids.
    """
    scored = scores.to_dict("records")
    rows = []
    for question in answered(study).values():
        target = set(question.target.run_ids(study))
        row = next(
            row for row in scored if row["axis"] == question.axis and set(row["run_ids"]) <= target
        )
        place = {name: row[name] for name in ("axis", "recipe", "model", "N", "D", "K")}
        for i, (form, loss) in enumerate(question.by_form(study).items()):
            rows.append(
                {
                    **place,
                    "form": form,
                    "heads": "yes" if i == 0 else "",
                    "predicted": loss.value,
                    "ci_low": loss.ci_low,
                    "ci_high": loss.ci_high,
                    "measured": row["measured"],
                    "error": row["measured"] - loss.value,
                    "covered": loss.ci_low <= row["measured"] <= loss.ci_high,
                    "sealed": row["predicted"],
                    "sealed covered": row["covered"],
                    "counted": row["counted"],
                    "run_ids": row["run_ids"],
                }
            )
    return pd.DataFrame(rows)


def coverage(scores: pd.DataFrame, by: str = "recipe") -> pd.DataFrame:
    """Return how many intervals held and how far off they were: all, then by axis and a column.

    Counts only what is counted. Columns: axis, recipe (or `by`), predictions, covered, expected
    (95 % of them), mean and rms error, median width of an interval (nats/token).
    """
    counted = scores[scores.counted == "yes"]
    groups = dict(list(counted.groupby(["axis", by], sort=False)))
    if by == "recipe":  # forms of the same targets are no further predictions
        groups = {("all", "all"): counted, **groups}
    rows = [
        {
            "axis": axis,
            by: name,
            "predictions": len(part),
            "covered": int(part.covered.sum()),
            "expected": round(COVERAGE * len(part), 1),
            "mean error": part.error.mean(),
            "rms error": float((part.error**2).mean() ** 0.5),
            "median width": (part.ci_high - part.ci_low).median(),
        }
        for (axis, name), part in groups.items()
    ]
    return pd.DataFrame(rows)


def coverage_note(scores: pd.DataFrame) -> str:
    """Return how many intervals held, for a caption, and how many predictions do not count."""
    is_counted = scores.counted == "yes"
    n_covered, n_counted = int(scores[is_counted].covered.sum()), int(is_counted.sum())
    note = f"{n_covered} of {n_counted} 95 % intervals cover"
    reasons = scores[~is_counted].counted
    if len(reasons):
        note += f" ({len(reasons)} not counted: {' or '.join(sorted(set(reasons)))})"
    return note


def _is_about(prediction: Prediction, question: Question, study: Study) -> bool:
    """Say whether a question has the basis and target of a prediction, or more seeds of them."""
    return (
        prediction["axis"] == question.axis
        and set(prediction["basis"]) <= question.basis_ids(study)
        and set(prediction["target"]) <= set(question.target.run_ids(study))
    )


def _of_scale(study: Study) -> list[Prediction]:
    """Return the first prediction of every target that this scale, on this text, still has.

    A point that has more seeds by now is still the same target.
    """
    first: dict[tuple[str, ...], Prediction] = {}
    for each in predictions(study.scale.name):
        is_of_text = each["fingerprint"] == study.fingerprint
        if not is_of_text or each["settings"]["model"] not in study.scale.models:
            continue
        if set(each["target"]) <= set(_target(each).run_ids(study)):
            first.setdefault(subject(each), each)
    return list(first.values())


def _target(prediction: Prediction) -> Cell:
    return Cell(prediction["recipe"], Settings(**prediction["settings"]), prediction["K"])


def _place(prediction: Prediction) -> tuple[str, str, str, int, int]:
    """Return what is predicted, whatever its settings."""
    settings = prediction["settings"]
    place = (settings["model"], settings["seed_tokens"], prediction["K"])
    return prediction["axis"], prediction["recipe"], *place


def _train(study: Study, cell: Cell) -> None:
    """Train and score a cell; one that is recorded needs no weights."""
    if cell.is_recorded(study):
        return
    if members := cell.ensemble(study):
        study.score([members], label="predicted")
    else:
        study.ensure(cell.runs(study), label="predicted")


def _allowed(study: Study) -> str:
    folder = paths.predictions(study.scale.name).parent
    others = sorted(path.name for path in folder.glob("*"))
    return (
        "has none of this text with its target trained, which `run-plan` makes; "
        f"scales with predictions are {', '.join(others) or '(none)'}"
    )


def _counted(study: Study, prediction: Prediction, loss: float, before: set[tuple]) -> str:
    """Return yes, or why a prediction does not count."""
    if not math.isfinite(loss):
        return "diverged"
    if not _is_early(study, prediction):
        return "made too late"
    return "second attempt" if _place(prediction) in before else "yes"


def _is_early(study: Study, prediction: Prediction) -> bool:
    """Say whether a prediction was made before the first of its new runs began."""
    made = datetime.fromisoformat(prediction["created"])
    for run_id in set(prediction["target"]) - set(prediction["basis"]):
        record = study.store.get(run_id)
        assert record is not None
        if _began(record) < made:
            return False
    return True


def _began(record: Record) -> datetime:
    """Return when a run began; of one that does not say, its stack's time before it ended."""
    if "begun" in record:
        return datetime.fromisoformat(record["begun"])
    seconds = record["seconds"] * record.get("stack", {}).get("size", 1)
    return datetime.fromisoformat(record["created"]) - timedelta(seconds=seconds)
