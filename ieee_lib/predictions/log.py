"""Predictions on record: what was foretold, when, from which runs; sealed, and never rewritten.

    new = foretell(study)                # writes what can be foretold and is not trained yet
    known = predictions("workstation")

Each is a file of its own, data/predictions/<scale>/<id>.json, to be committed before its target is
trained: bringing those of several machines together is a copy.
"""

import json
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ieee_lib import paths
from ieee_lib.config import content_id
from ieee_lib.errors import MissingRuns, check
from ieee_lib.files import parse_json, verify_checksum, with_checksum, write_atomically
from ieee_lib.predictions.questions import Question, questions
from ieee_lib.runs.provenance import git_commit
from ieee_lib.study import Study

Prediction = dict[str, Any]

FIELDS = {"prediction_id", "axis", "recipe", "settings", "K", "points", "fingerprint"}
FIELDS |= {"predicted", "low", "high", "basis", "target", "created", "commit", "sha256"}


def prediction_id(question: Question, study: Study) -> str:
    """Return the id that follows from what is foretold, and from which runs."""
    basis = [i for cell in question.basis for i in cell.run_ids(study)]
    target = question.target.run_ids(study)
    return content_id("prediction", {"axis": question.axis, "basis": basis, "target": target})


def predictions(scale: str) -> list[Prediction]:
    """Return a scale's predictions in the order in which they were made.

    Raises InputError for one that was altered.
    """
    found = [_read(path) for path in sorted(paths.predictions(scale).glob("*.json"))]
    return sorted(found, key=lambda each: (each["created"], each["prediction_id"]))


def _read(path) -> Prediction:
    try:
        found = parse_json(path.read_bytes())
    except ValueError:
        found = None
    whole = isinstance(found, dict) and set(found) == FIELDS
    check(whole, "prediction", str(path), f"must have the fields {', '.join(sorted(FIELDS))}")
    same = found["prediction_id"] == path.stem
    check(same, "prediction", str(path), f"is that of {found['prediction_id']}")
    return verify_checksum(found, str(path))


def committed(scale: str) -> set[str]:
    """Return the ids of the predictions that are as they are in the checkout's last commit."""
    folder = paths.predictions(scale)

    def named(*words: str) -> set[str]:
        command = ["git", *words, "HEAD", "."]
        said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        return {line.removesuffix(".json") for line in said.stdout.splitlines()}

    try:
        altered = named("diff", "--relative", "--name-only")
        return named("ls-tree", "-r", "--name-only") - altered
    except (OSError, subprocess.CalledProcessError):  # no folder, no git, no commit
        return set()


def foretell(study: Study) -> list[Prediction]:
    """Write every prediction whose basis is recorded and whose target is not; return the new."""
    folder, new = paths.predictions(study.scale.name), []
    for question in questions(study):
        path = folder / f"{prediction_id(question, study)}.json"
        if path.exists() or question.is_measured(study) or question.is_lost(study):
            continue
        try:
            new.append(_foretold(question, study))
        except MissingRuns:  # its basis is not trained yet
            continue
        text = json.dumps(new[-1], indent=1, sort_keys=True) + "\n"
        write_atomically(path, text.encode())
    return new


def _foretold(question: Question, study: Study) -> Prediction:
    loss, target = question.predicted(study), question.target
    return with_checksum(
        {
            "prediction_id": prediction_id(question, study),
            "axis": question.axis,
            "recipe": target.recipe,
            "settings": asdict(target.settings),
            "K": target.K,
            "points": question.n_point,
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
