"""Predictions on record: what was foretold, when, from which runs; sealed, and never rewritten.

    new = foretell(study)                # writes what can be foretold and is not trained yet
    known = predictions("workstation")

They lie in data/predictions/<scale>.json, which is to be committed before the targets are trained.
A record of a run says when it was made, so a target that is older than its prediction shows.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ieee_lib import paths
from ieee_lib.errors import MissingRuns, check
from ieee_lib.files import parsed, seal, verified, write_atomically
from ieee_lib.recipes.prediction import Question, questions
from ieee_lib.scale import Scale
from ieee_lib.spec import content_id
from ieee_lib.study import Study
from ieee_lib.training.provenance import git_commit

Prediction = dict[str, Any]

FIELDS = {"prediction_id", "axis", "recipe", "settings", "K", "fingerprint"}
FIELDS |= {"predicted", "low", "high", "basis", "target", "created", "commit", "sha256"}


def prediction_id(question: Question, study: Study) -> str:
    """Return the id that follows from what is foretold, and from which runs."""
    basis = [i for cell in question.basis for i in cell.run_ids(study)]
    target = question.target.run_ids(study)
    return content_id("prediction", {"axis": question.axis, "basis": basis, "target": target})


def predictions(scale: str) -> list[Prediction]:
    """Return a scale's predictions in the order in which they were made.

    Raises InputError for a file that was altered.
    """
    path = paths.predictions(scale)
    if not path.is_file():
        return []
    try:
        found = parsed(path.read_bytes())
    except ValueError:
        found = None
    check(isinstance(found, list), "predictions", str(path), "must hold a list of predictions")
    for prediction in found:
        whole = isinstance(prediction, dict) and set(prediction) == FIELDS
        check(whole, "predictions", str(path), f"must have the fields {', '.join(sorted(FIELDS))}")
        verified(prediction, str(path))
    return found


def foretell(study: Study) -> list[Prediction]:
    """Write every prediction whose basis is recorded and whose target is not; return the new."""
    known = predictions(study.scale.name)
    ids = {prediction["prediction_id"] for prediction in known}
    new = []
    for question in questions(study):
        if prediction_id(question, study) in ids or question.is_measured(study):
            continue
        try:
            new.append(_foretold(question, study))
        except MissingRuns:
            continue
    if new:
        _write(study.scale, [*known, *new])
    return new


def _foretold(question: Question, study: Study) -> Prediction:
    loss, target = question.predicted(study), question.target
    return seal(
        {
            "prediction_id": prediction_id(question, study),
            "axis": question.axis,
            "recipe": target.recipe,
            "settings": asdict(target.settings),
            "K": target.K,
            "fingerprint": study.fingerprint,
            "predicted": loss.value,
            "low": loss.low,
            "high": loss.high,
            "basis": [i for cell in question.basis for i in cell.run_ids(study)],
            "target": target.run_ids(study),
            "created": datetime.now(UTC).isoformat("T", "seconds"),
            "commit": git_commit(),
        }
    )


def _write(scale: Scale, found: Sequence[Prediction]) -> None:
    text = json.dumps(list(found), indent=1, sort_keys=True) + "\n"
    write_atomically(paths.predictions(scale.name), text.encode())
