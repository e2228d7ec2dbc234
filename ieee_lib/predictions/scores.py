"""11: losses that were foretold before anything was trained: did they hold? (Not in the paper.)"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from ieee_lib import paths
from ieee_lib.config import RunSpec
from ieee_lib.config.scale_tables import Settings
from ieee_lib.errors import MissingRuns
from ieee_lib.laws.estimates import Estimate
from ieee_lib.plots import scaling_figures as figures
from ieee_lib.plots.saving import Drawing, Table
from ieee_lib.predictions.log import Prediction, predictions
from ieee_lib.predictions.questions import Cell, measured
from ieee_lib.runs.store import Record
from ieee_lib.study import Study

COVERAGE = 0.95
"""What the intervals promise."""


@dataclass(frozen=True)
class Found:
    study: Study
    predictions: list[Prediction]
    """Those whose targets are recorded."""
    measured: list[Estimate]
    counts: list[str]
    """Whether it counts: yes, or why not."""
    n_pending: int
    """Predictions whose targets are not recorded."""

    def caption(self, *notes: str) -> str:
        scale = self.study.scale
        members = f"{scale.ensembles.ladder_members} members, {scale.ensembles.members} for K"
        pending = [f"{self.n_pending} more are not trained yet"] * bool(self.n_pending)
        notes = (members, *notes, *pending)
        return self.study.caption(len(self.predictions), *notes, ladder=scale.ladder())


def _known(study: Study) -> list[Prediction]:
    """Return the first prediction of every target that this scale still has."""
    found: dict[tuple[str, ...], Prediction] = {}
    for each in predictions(study.scale.name):
        own = each["fingerprint"] == study.fingerprint
        own = own and each["settings"]["model"] in study.scale.models
        if own and _cell(each).run_ids(study) == each["target"]:
            found.setdefault((each["axis"], *each["target"]), each)
    return list(found.values())


def _place(prediction: Prediction) -> tuple:
    """Return what is foretold, whatever its settings."""
    settings = prediction["settings"]
    where = (settings["model"], settings["seed_tokens"], prediction["K"])
    return prediction["axis"], prediction["recipe"], *where


def _cell(prediction: Prediction) -> Cell:
    return Cell(prediction["recipe"], Settings(**prediction["settings"]), prediction["K"])


def specs(study: Study) -> list[RunSpec]:
    return [run for each in _known(study) for run in _cell(each).runs(study)]


def gather(study: Study) -> Found:
    known = _known(study)
    if study.source == "train":
        for cell in map(_cell, known):  # what is recorded needs no weights
            if not _is_recorded(study, cell) and cell.ensemble(study):
                study.score([cell.ensemble(study)], label="foretold")
            elif not _is_recorded(study, cell):
                study.ensure(cell.runs(study), label="foretold")
    trained = [each for each in known if _is_recorded(study, _cell(each))]
    if not trained:
        name = study.scale.name
        others = sorted(path.name for path in paths.predictions(name).parent.glob("*"))
        allowed = "has none of this text with its target trained, which `run-plan` makes; "
        allowed += f"scales with predictions are {', '.join(others) or '(none)'}"
        raise MissingRuns("predictions", name, allowed)
    reader = study.reading() if study.source == "train" else study  # which notes what it reads
    losses = [measured(reader, _cell(each)) for each in trained]
    counts = [
        "diverged" if not np.isfinite(loss.value)
        else "made too late" if not _early(study, each)
        else "second attempt" if _place(each) in map(_place, trained[:i])
        else "yes"
        for i, (each, loss) in enumerate(zip(trained, losses, strict=True))
    ]  # fmt: skip
    return Found(study, trained, losses, counts, len(known) - len(trained))


def _is_recorded(study: Study, cell: Cell) -> bool:
    return all(study.store.has(i) for i in cell.run_ids(study))


def _early(study: Study, prediction: Prediction) -> bool:
    """Compare with when the first of the new runs began."""
    new = set(prediction["target"]) - set(prediction["basis"])
    made = datetime.fromisoformat(prediction["created"])
    return all(_begun(record) >= made for record in map(study.store.get, new))


def _begun(record: Record) -> datetime:
    """Return when a run began; of one that does not say, its stack's time before it ended."""
    if "begun" in record:
        return datetime.fromisoformat(record["begun"])
    seconds = record["seconds"] * record.get("stack", {}).get("size", 1)
    return datetime.fromisoformat(record["created"]) - timedelta(seconds=seconds)


def frame(found: Found) -> pd.DataFrame:
    """Return one row a prediction: what was foretold, what was measured, whether it held."""
    rows = []
    for each, loss, counts in zip(found.predictions, found.measured, found.counts, strict=True):
        settings = each["settings"]
        rows.append(
            {"largest": each["axis"], "recipe": each["recipe"], "model": settings["model"]}
            | {"D": settings["seed_tokens"], "K": each["K"], "points": each["points"]}
            | {"predicted": each["predicted"]}
            | {"low": each["low"], "high": each["high"], "measured": loss.value, "se": loss.se}
            | {"error": loss.value - each["predicted"]}
            | {"covered": each["low"] <= loss.value <= each["high"], "counts": counts}
        )
    return pd.DataFrame(rows)


def _coverage(rows: pd.DataFrame) -> str:
    counted = rows[rows.counts == "yes"]
    said = f"{counted.covered.sum()} of {len(counted)} 95 % intervals cover"
    left = len(rows) - len(counted)
    why = " or ".join(sorted(set(rows.counts) - {"yes"}))
    return said + (f" ({left} not counted: {why})" if left else "")


def table(found: Found) -> Table:
    rows = frame(found)
    digits = dict.fromkeys(("predicted", "low", "high", "measured", "se", "error"), 3)
    caption = found.caption(_coverage(rows), "[low, high]: 95 %, the target's own noise included")
    return Table(rows, caption, digits)


def coverage_table(found: Found) -> Table:
    """Return, for every axis and recipe, how many intervals held and how far off they were."""
    rows = frame(found)
    rows = rows[rows.counts == "yes"].assign(width=lambda t: t.high - t.low)
    groups = [("all", "all", rows)]
    groups += [(*key, part) for key, part in rows.groupby(["largest", "recipe"], sort=False)]
    made = [_row(axis, recipe, part) for axis, recipe, part in groups]
    digits = {"mean error": 3, "rms error": 3, "median width": 3}
    return Table(pd.DataFrame(made), found.caption("[low, high]: 95 % promised"), digits)


def _row(axis: str, recipe: str, part: pd.DataFrame) -> dict:
    return {
        "largest": axis,
        "recipe": recipe,
        "predictions": len(part),
        "covered": int(part.covered.sum()),
        "expected": round(COVERAGE * len(part), 1),
        "mean error": part.error.mean(),
        "rms error": float((part.error**2).mean() ** 0.5),
        "median width": part.width.median(),
    }


def against_measured(found: Found) -> Drawing:
    rows = frame(found)
    return figures.foretold(rows, caption=found.caption(_coverage(rows), "bars: 95 %, predicted"))


ITEMS = {
    "fig21_foretold": against_measured,
    "tab21_predictions": table,
    "tab21_coverage": coverage_table,
}
