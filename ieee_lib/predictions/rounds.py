"""Earlier rounds: predictions of a scale that was designed anew since, and how they did.

    close_round(study, "first")              # before the scale changes
    earlier_rounds("workstation")            # one row a prediction, as `scores` has them

A round is a folder, data/predictions/<scale>/<round>/: its sealed predictions, and measured.json
with what was measured, sealed too. The records behind it leave the archive with the old scale; git
keeps them.
"""

import json
import re
from pathlib import Path

import pandas as pd

from ieee_lib import paths
from ieee_lib.errors import check
from ieee_lib.files import parse_json, verify_checksum, with_checksum, write_atomically
from ieee_lib.predictions.log import Prediction, predictions_in
from ieee_lib.predictions.scores import score_row, scores
from ieee_lib.study import Study

MEASURED = "measured.json"


def close_round(study: Study, name: str) -> Path:
    """Move a scale's predictions to a round of that name, with what was measured.

    Returns its folder. Raises InputError for a bad name or a round that exists, MissingRuns where
    no target is recorded.
    """
    check(re.fullmatch(r"[a-z0-9-]+", name) is not None, "round", name, "must be a-z, 0-9 or -")
    parent = paths.predictions(study.scale.name)
    folder = parent / name
    check(not folder.exists(), "round", name, "is closed already")
    rows = [
        {
            "axis": row["axis"],
            "target": list(row["run_ids"]),
            **{column: row[column] for column in ("N", "measured", "se", "counted")},
        }
        for row in scores(study).to_dict("records")
    ]
    sealed = with_checksum({"round": name, "measured": rows})
    write_atomically(folder / MEASURED, (json.dumps(sealed, indent=1) + "\n").encode())
    for path in sorted(parent.glob("*.json")):
        path.rename(folder / path.name)
    return folder


def earlier_rounds(scale: str) -> pd.DataFrame:
    """Return one row a prediction of a scale's closed rounds, the oldest round first.

    Columns: round, and those of `scores`. Empty where there is none. Raises InputError for a round
    that was altered.
    """
    folders = [path.parent for path in paths.predictions(scale).glob(f"*/{MEASURED}")]
    by_round = {folder: predictions_in(folder) for folder in folders}
    ordered = sorted(folders, key=lambda folder: by_round[folder][0]["created"])
    rounds = [_read(folder, by_round[folder]) for folder in ordered]
    return pd.concat(rounds, ignore_index=True) if rounds else pd.DataFrame()


def _read(folder: Path, logged: list[Prediction]) -> pd.DataFrame:
    """Return the scores of one round: what was measured beside what was sealed."""
    path = folder / MEASURED
    content = verify_checksum(parse_json(path.read_bytes()), str(path))
    measured = {(row["axis"], *row["target"]): row for row in content["measured"]}
    rows = []
    for each in logged:
        row = measured.get((each["axis"], *each["target"]))
        name = each["prediction_id"]
        check(row is not None, "round", str(path), f"does not say what was measured of {name}")
        assert row is not None
        scored = score_row(each, row["N"], row["measured"], row["se"], row["counted"])
        rows.append({"round": folder.name, **scored})
    return pd.DataFrame(rows)
