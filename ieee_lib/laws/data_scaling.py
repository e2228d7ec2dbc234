"""The loss that each recipe is judged by at every D, its law in D, and what it saves (Sec. 5).

losses = losses_by_data(standard, single_laws, limits, joint_laws)
by_recipe = fit_laws_in_data(losses)             # A / D^alpha + E
efficiencies(losses, by_recipe["standard"])      # D_standard(loss) / D_standard(loss at D)
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate, estimates
from ieee_lib.laws.power_law import MIN_POINTS, PowerLaw, data_efficiency, fit_power_law

RECIPES = ("standard", "regularized", "ensemble", "joint")


def best(tuned: pd.DataFrame) -> Estimate:
    """Return the lowest measured loss of tuned models: no extrapolation."""
    points = estimates(tuned)
    return min(points, key=lambda point: (math.isnan(point.value), point.value))


def losses_by_data(
    standard: pd.DataFrame,
    single_laws: Mapping[int, PowerLaw],
    limits: pd.DataFrame,
    joint_laws: Mapping[int, PowerLaw],
) -> pd.DataFrame:
    """Return one row a recipe and D: recipe, D, loss (an estimate), exists, run_ids.

    standard: tuned models at every D, of which the best counts. single_laws, joint_laws: D -> law
    in N, whose asymptote counts. limits: one model's K -> infinity limits, one row a D.
    """
    rows: list[dict[str, Any]] = []
    for d, models in standard.groupby("D"):
        ids = tuple(i for ids in models.run_ids for i in ids)
        rows.append({"recipe": "standard", "D": d, "loss": best(models), "run_ids": ids})
    for d, law in single_laws.items():
        ids = _run_ids(law)
        rows.append({"recipe": "regularized", "D": d, "loss": law.limit, "run_ids": ids})
    for row in limits.to_dict("records"):
        one = {"D": row["D"], "loss": row["limit"], "run_ids": row["run_ids"]}
        rows.append({"recipe": "ensemble", **one})
    for d, law in joint_laws.items():
        rows.append({"recipe": "joint", "D": d, "loss": law.limit, "run_ids": _run_ids(law)})
    frame = pd.DataFrame(rows)
    frame.insert(3, "exists", [loss.exists for loss in frame.loss])
    return frame


def _run_ids(law: PowerLaw) -> tuple[str, ...]:
    assert law.frame is not None
    return tuple(i for ids in law.frame["run_ids"] for i in ids)


def fit_laws_in_data(losses: pd.DataFrame) -> dict[str, PowerLaw]:
    """Return each recipe's law in D; recipes with fewer than three losses that exist have none."""
    laws = {}
    for recipe in RECIPES:
        rows = losses[(losses.recipe == recipe) & losses.exists]
        if len(rows) >= MIN_POINTS:
            laws[recipe] = fit_power_law(rows, "loss", x="D")
    return laws


def measured_by_data(
    tuned: pd.DataFrame, ensembles: Mapping[int, Mapping[str, EnsembleLaw]]
) -> pd.DataFrame:
    """Return the best measured losses at every D, which need no extrapolation.

    One row a D for the best single model and for the best ensemble; columns as in
    `losses_by_data`.
    """
    rows: list[dict[str, Any]] = []
    for d, models in tuned.groupby("D"):
        ids = tuple(i for ids in models.run_ids for i in ids)
        name = "best single model, measured"
        rows.append({"recipe": name, "D": d, "loss": best(models), "run_ids": ids})
    for d, group in ensembles.items():
        law = min(group.values(), key=lambda law: law.measured.value)
        name = "best ensemble, measured"
        rows.append({"recipe": name, "D": d, "loss": law.measured, "run_ids": law.members})
    return pd.DataFrame(rows).assign(exists=True)


def efficiencies(losses: pd.DataFrame, standard: PowerLaw) -> pd.DataFrame:
    """Return the data efficiency of every loss that exists, as a column of estimates."""
    own = losses[losses.recipe == "standard"]
    reference = dict(zip(own.D, own.loss, strict=True))
    rows = losses[losses.exists & (losses.recipe != "standard")]
    gains = [
        data_efficiency(standard.limit, loss, reference[d])
        for loss, d in zip(rows.loss, rows.D, strict=True)
    ]
    return rows.assign(efficiency=gains)


def missing_limits(losses: pd.DataFrame) -> list[str]:
    """Return what a caption says of the limits that do not exist, one note a recipe."""
    notes = []
    for recipe in RECIPES:
        rows = losses[(losses.recipe == recipe) & ~losses.exists]
        if len(rows):
            notes.append(f"{recipe}: no limit at D = {', '.join(f'{d:,}' for d in rows.D)}")
    return notes
