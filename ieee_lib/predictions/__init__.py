"""Losses predicted before anything is trained: questions, the sealed log, scores.

predictions.predict(study)               # writes what can be predicted now
scores = predictions.scores(study)       # once the targets are trained: one row a prediction
predictions.coverage(scores)
predictions.earlier_rounds(scale)        # made before the scale was redesigned
"""

from ieee_lib.predictions.log import Prediction, committed, predict, prediction_id, predictions
from ieee_lib.predictions.questions import Cell, Question, fewest_members, measured, questions
from ieee_lib.predictions.rounds import close_round, earlier_rounds
from ieee_lib.predictions.scores import (
    DIGITS,
    answered,
    coverage,
    coverage_note,
    predicted_again,
    prediction_specs,
    scores,
)

__all__ = [
    "DIGITS",
    "Cell",
    "Prediction",
    "Question",
    "answered",
    "close_round",
    "committed",
    "coverage",
    "coverage_note",
    "earlier_rounds",
    "fewest_members",
    "measured",
    "predict",
    "predicted_again",
    "prediction_id",
    "prediction_specs",
    "predictions",
    "questions",
    "scores",
]
