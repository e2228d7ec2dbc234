"""Closed rounds: predictions of a scale that has been redesigned since, and how many held.

    close_round(study, "first")              # before the scale changes
    earlier_rounds("workstation")            # one row a prediction, as `scores` has them

A round is a folder, data/predictions/<scale>/<round>/: its sealed predictions, and measured.json
with what was measured, sealed too. The records behind it leave the archive with the old scale; git
keeps them.
"""

import json
import re
import shutil
from pathlib import Path

import pandas as pd

from ieee_lib import paths
from ieee_lib.errors import check
from ieee_lib.files import parse_json, verify_checksum, with_checksum, write_atomically
from ieee_lib.predictions.log import MEASURED, Prediction, closed_rounds, predictions_in, subject
from ieee_lib.predictions.scores import score_row, scores
from ieee_lib.study import Study


def close_round(study: Study, name: str) -> Path:
    """Move a scale's predictions to a round of that name, with what was measured; trains nothing.

    Returns its folder. Give `run-plan` a new folder afterwards: an old one holds copies. Raises
    InputError for a bad name, a round that exists, and predictions of another text or of models
    that the scale has no more; MissingRuns where no target is recorded.
    """
    check(re.fullmatch(r"[a-z0-9-]+", name) is not None, "round", name, "must be a-z, 0-9 or -")
    parent = paths.predictions(study.scale.name)
    folder, unfinished = parent / name, parent / f".{name}"
    check(not folder.exists(), "round", name, "is closed already")
    rows = [
        {
            "axis": row["axis"],
            "target": list(row["run_ids"]),
            **{column: row[column] for column in ("N", "measured", "se", "counted")},
        }
        for row in scores(study.reading()).to_dict("records")
    ]
    scored = {subject(row) for row in rows}
    unscored = {subject(each) for each in predictions_in(parent)} - scored
    allowed = f"would close {len(unscored)} predictions that this scale and text do not score"
    check(not unscored, "round", name, allowed)
    files = sorted(parent.glob("*.json"))
    shutil.rmtree(unfinished, ignore_errors=True)
    sealed = with_checksum({"round": name, "measured": rows})
    write_atomically(unfinished / MEASURED, (json.dumps(sealed, indent=1) + "\n").encode())
    for path in files:
        shutil.copyfile(path, unfinished / path.name)
    unfinished.rename(folder)
    for path in files:
        path.unlink()
    return folder


def earlier_rounds(scale: str) -> pd.DataFrame:
    """Return one row a prediction of a scale's closed rounds, the oldest round first.

    Columns: round, and those of `scores`. Empty where there is none. Raises InputError for a round
    that was altered.
    """
    rounds = [_read(folder) for folder in closed_rounds(scale)]
    return pd.concat(rounds, ignore_index=True) if rounds else pd.DataFrame()


def _read(folder: Path) -> pd.DataFrame:
    """Return the scores of one round: what was measured beside what was sealed."""
    path = folder / MEASURED
    content = verify_checksum(parse_json(path.read_bytes()), str(path))
    measured = {subject(row): row for row in content["measured"]}
    first: dict[tuple[str, ...], Prediction] = {}
    for each in predictions_in(folder):
        first.setdefault(subject(each), each)
    check(set(first) == set(measured), "round", str(path), "must have the predictions it closed")
    rows = []
    for key, each in first.items():
        row = measured[key]
        scored = score_row(each, row["N"], row["measured"], row["se"], row["counted"])
        rows.append({"round": folder.name, **scored})
    return pd.DataFrame(rows)
