"""11: losses that were foretold before anything was trained: did they hold? (Not in the paper.)"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from ieee_lib import paths
from ieee_lib.analysis import scaling_figures as figures
from ieee_lib.analysis.drawing import Drawing, Table
from ieee_lib.analysis.uncertainty import Estimate
from ieee_lib.errors import MissingRuns
from ieee_lib.predictions import Prediction, predictions
from ieee_lib.recipes.prediction import Cell, measured
from ieee_lib.settings import Settings
from ieee_lib.spec import RunSpec
from ieee_lib.study import Study

COVERAGE = 0.95
"""What the intervals promise."""


@dataclass(frozen=True)
class Found:
    study: Study
    predictions: list[Prediction]
    measured: list[Estimate]
    early: list[bool]
    """Whether the prediction is older than any training that it foretells."""

    def caption(self, *notes: str) -> str:
        scale = self.study.scale
        return self.study.caption(len(self.predictions), *notes, ladder=scale.ladder())


def _known(study: Study) -> list[Prediction]:
    found = predictions(study.scale.name)
    return [each for each in found if each["fingerprint"] == study.fingerprint]


def _cell(prediction: Prediction) -> Cell:
    return Cell(prediction["recipe"], Settings(**prediction["settings"]), prediction["K"])


def specs(study: Study) -> list[RunSpec]:
    return [run for each in _known(study) for run in _cell(each).runs(study)]


def gather(study: Study) -> Found:
    known = _known(study)
    if not known:
        allowed = "none is recorded for this text; `python -m ieee_lib predict` makes them"
        raise MissingRuns("predictions", str(paths.predictions(study.scale.name)), allowed)
    cells = [_cell(each) for each in known]
    study.ensure([run for cell in cells for run in cell.runs(study)], weights=True, label="targets")
    found = [measured(study, cell) for cell in cells]
    return Found(study, known, found, [_early(study, each) for each in known])


def _early(study: Study, prediction: Prediction) -> bool:
    foretold = datetime.fromisoformat(prediction["created"])
    new = set(prediction["target"]) - set(prediction["basis"])
    records = [record for i in new if (record := study.store.get(i))]
    begun = [
        datetime.fromisoformat(r["created"]) - timedelta(seconds=r["seconds"]) for r in records
    ]
    return min(begun) >= foretold


def frame(found: Found) -> pd.DataFrame:
    """Return one row a prediction: what was foretold, what was measured, whether it held."""
    rows = []
    for each, loss, early in zip(found.predictions, found.measured, found.early, strict=True):
        settings = each["settings"]
        rows.append(
            {"largest": each["axis"], "recipe": each["recipe"], "model": settings["model"]}
            | {"D": settings["seed_tokens"], "K": each["K"], "predicted": each["predicted"]}
            | {"low": each["low"], "high": each["high"], "measured": loss.value, "se": loss.se}
            | {"error": loss.value - each["predicted"]}
            | {"covered": each["low"] <= loss.value <= each["high"], "made before": early}
        )
    return pd.DataFrame(rows)


def _coverage(rows: pd.DataFrame) -> str:
    counted = rows[rows["made before"]]
    said = f"{counted.covered.sum()} of {len(counted)} 95 % intervals cover"
    left = len(rows) - len(counted)
    return said + (f" ({left} made too late are not counted)" if left else "")


def table(found: Found) -> Table:
    rows = frame(found)
    digits = dict.fromkeys(("predicted", "low", "high", "measured", "se", "error"), 3)
    caption = found.caption(_coverage(rows), "[low, high]: 95 %, the target's own noise included")
    return Table(rows, caption, digits)


def coverage_table(found: Found) -> Table:
    """Return, for every axis and recipe, how many intervals held and how far off they were."""
    rows = frame(found)
    rows = rows[rows["made before"]]
    rows["width"] = rows.high - rows.low
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
