"""The log of predictions: what was predicted, when, from which runs; sealed, never rewritten.

    new = predict(study)                     # writes what can be predicted and is not trained yet
    predictions("workstation")               # all of a scale, the oldest first

Each is a file of its own, data/predictions/<scale>/<id>.json, to be committed before its target is
trained: bringing those of several machines together is a copy.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from ieee_lib import paths
from ieee_lib.config import content_id
from ieee_lib.errors import MissingRuns, check
from ieee_lib.files import parse_json, verify_checksum, with_checksum, write_atomically
from ieee_lib.predictions.questions import Question, questions
from ieee_lib.runs.provenance import GitError, git, git_commit
from ieee_lib.study import Study

MEASURED = "measured.json"
"""File of a closed round with what was measured."""


class Prediction(TypedDict):
    """A prediction as its file holds it."""

    prediction_id: str
    """Follows from the axis, the basis and the target."""
    axis: str
    """What grows from the basis to the target: N, D or K."""
    recipe: str
    """standard, regularized or ensemble."""
    settings: dict[str, Any]
    """Of the target: model, seed_tokens, wd, lr, epochs."""
    K: int
    """Members of the target; 1: single models."""
    points: int
    """Points of the law."""
    fingerprint: str
    """The text."""
    predicted: float
    """Loss, nats/token."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end."""
    basis: list[str]
    """Run ids that it rests on."""
    target: list[str]
    """Run ids that it is about."""
    created: str
    """When it was made, ISO 8601, UTC."""
    commit: str
    """Commit of the code that made it."""
    sha256: str
    """Checksum of all of the rest."""
    form: NotRequired[str]
    """Form of the law that `predicted` is by."""
    forms: NotRequired[dict[str, list[float]]]
    """Form -> predicted loss, lower and upper end: every form that could predict."""
    peers: NotRequired[list[str]]
    """Run ids of the other laws that say what the form may be wrong by."""


FIELDS = Prediction.__required_keys__
"""Fields of every prediction; the first ones have no others."""


def subject(prediction: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a prediction, or its measured row, is about: the axis, the target's runs."""
    return (prediction["axis"], *prediction["target"])


def prediction_id(question: Question, study: Study) -> str:
    """Return the id of a question's prediction: it follows from the axis, basis and target."""
    basis = [run_id for cell in question.basis for run_id in cell.run_ids(study)]
    target = question.target.run_ids(study)
    return content_id("prediction", {"axis": question.axis, "basis": basis, "target": target})


def predictions(scale: str) -> list[Prediction]:
    """Return a scale's predictions in the order in which they were made.

    Raises InputError for one that was altered.
    """
    return predictions_in(paths.predictions(scale))


def predictions_in(folder: Path) -> list[Prediction]:
    """Return the predictions of one folder in the order in which they were made.

    Raises InputError for one that was altered.
    """
    files = sorted(path for path in folder.glob("*.json") if path.name != MEASURED)
    logged = [_read(path) for path in files]
    return sorted(logged, key=lambda each: (each["created"], each["prediction_id"]))


def closed_rounds(scale: str) -> list[Path]:
    """Return the folders of a scale's closed rounds, the oldest first; see `predictions.rounds`."""
    folders = [path.parent for path in paths.predictions(scale).glob(f"[!.]*/{MEASURED}")]
    return sorted(folders, key=lambda folder: [each["created"] for each in predictions_in(folder)])


def predict(study: Study) -> list[Prediction]:
    """Write a prediction of every question whose basis is recorded and whose target is not.

    Returns the new ones; a question that has a prediction keeps it.
    """
    folder = paths.predictions(study.scale.name)
    new = []
    for question in questions(study):
        path = folder / f"{prediction_id(question, study)}.json"
        if path.exists() or question.is_measured(study) or question.is_lost(study):
            continue
        try:
            prediction = _predict(question, study)
        except MissingRuns:  # its basis is not trained yet
            continue
        text = json.dumps(prediction, indent=1, sort_keys=True) + "\n"
        write_atomically(path, text.encode())
        new.append(prediction)
    return new


def committed(scale: str) -> set[str]:
    """Return the ids of the predictions that are as they are in the checkout's last commit.

    Raises GitError where git does not say.
    """
    folder = paths.predictions(scale)
    if not folder.is_dir():
        return set()

    def names(*words: str) -> set[str]:
        return {n.removesuffix(".json") for n in git(folder, *words, "HEAD", ".").splitlines()}

    git(folder, "rev-parse", "--git-dir")
    try:
        tracked = names("ls-tree", "-r", "--name-only")
    except GitError:  # it answers, and has no commit yet
        return set()
    return tracked - names("diff", "--relative", "--name-only")


def _predict(question: Question, study: Study) -> Prediction:
    target, by_form = question.target, question.by_form(study)
    form, loss = next(iter(by_form.items()))
    reader = study.reading()
    peers = {run_id for each in question.peers(reader) for run_id in each.basis_ids(reader)}
    sealed = with_checksum(
        {
            "prediction_id": prediction_id(question, study),
            "axis": question.axis,
            "recipe": target.recipe,
            "settings": asdict(target.settings),
            "K": target.K,
            "points": question.n_point,
            "fingerprint": study.fingerprint,
            "predicted": loss.value,
            "low": loss.ci_low,
            "high": loss.ci_high,
            "basis": [run_id for cell in question.basis for run_id in cell.run_ids(study)],
            "target": target.run_ids(study),
            "created": datetime.now(UTC).isoformat("T", "seconds"),
            "commit": git_commit(),
            "form": form,
            "forms": {name: [e.value, e.ci_low, e.ci_high] for name, e in by_form.items()},
            "peers": sorted(peers - question.basis_ids(reader)),
        }
    )
    return cast(Prediction, sealed)


def _read(path: Path) -> Prediction:
    try:
        content = parse_json(path.read_bytes())
    except ValueError:
        content = None
    is_intact = isinstance(content, dict) and set(content) >= FIELDS
    is_intact = is_intact and set(content) <= set(Prediction.__annotations__)
    check(is_intact, "prediction", str(path), f"must have the fields {', '.join(sorted(FIELDS))}")
    name = content["prediction_id"]
    check(name == path.stem, "prediction", str(path), f"is that of {name}")
    return cast(Prediction, verify_checksum(content, str(path)))
