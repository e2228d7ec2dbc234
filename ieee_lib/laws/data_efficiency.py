"""Data efficiency: what a recipe's loss would cost the standard recipe in data (Sec. 5, Fig 1, 8).

    data efficiency = D_standard(loss) / D_standard(reference)

by inverting the standard recipe's law in D; `reference` is the standard recipe's own loss at the
same D.

    losses = losses_by_data(standard, laws_in_N, ensembles, joint)
    law = fit_data(losses)["standard"]
    losses.assign(efficiency=data_efficiencies(losses, law, reference))
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ieee_lib.laws.discrepancy import Discrepancy
from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate, estimates, lowest
from ieee_lib.laws.fit import fit_power_law
from ieee_lib.laws.forms import miss
from ieee_lib.laws.power_law import Limit, PowerLaw
from ieee_lib.laws.scan import MIN_POINTS

OF_ONE_MODEL = "ensemble"
"""The recipe whose losses are of one N at every D."""


def data_efficiency(standard: PowerLaw | Limit, loss: Any, reference: Any) -> Any:
    """Return how many times the data the standard recipe would need for a loss.

    With a `Limit` and estimates the multiplier carries their draws.
    """
    with np.errstate(invalid="ignore"):
        return standard.inverse(loss) / standard.inverse(reference)


def losses_by_data(
    standard: pd.DataFrame,
    regularized: Mapping[int, PowerLaw],
    ensembles: Mapping[int, EnsembleLaw],
    joint: Mapping[int, PowerLaw],
) -> pd.DataFrame:
    """Return the loss that each recipe is judged by at each D: recipe, D, loss, run_ids.

    The standard recipe is judged by its best model, measured, the others by their limits.

    standard: one row a D and model. regularized, joint: D -> law in N, of single models and of
    limits in K. ensembles: D -> law in K of one model.
    """
    rows: list[tuple[str, int, Estimate, tuple[str, ...]]] = []
    for D in standard.D.unique():
        best = standard[standard.D.eq(D)].sort_values("loss").head(1)
        rows.append(("standard", int(D), lowest(best), best.run_ids.iloc[0]))
    for D, law in regularized.items():
        rows.append(("regularized", D, law.limit, _run_ids(law)))
    for D, ensemble in ensembles.items():
        rows.append((OF_ONE_MODEL, D, ensemble.limit, ensemble.members))
    for D, law in joint.items():
        rows.append(("joint", D, law.limit, _run_ids(law)))
    return pd.DataFrame(rows, columns=["recipe", "D", "loss", "run_ids"])


def fit_data(losses: pd.DataFrame) -> dict[str, PowerLaw]:
    """Return recipe -> its law in D, of the recipes with losses at three D or more.

    losses: recipe, D (tokens), loss (estimates, nats/token), as `losses_by_data` gives them. A
    recipe with one D more predicts its loss at the largest from the rest; what these errors have
    beyond the noise of runs is what its law may be wrong by. All recipes at any N share their
    errors. Ensembles of one model do not: N limits them, which bends their curve in D.
    """
    by_recipe = {
        str(recipe): rows.sort_values("D")
        for recipe, rows in losses.groupby("recipe", sort=False)
        if len(rows) >= MIN_POINTS
    }
    errors = pd.DataFrame(
        [
            {"recipe": recipe} | miss(fit_power_law(rows[:-1], x="D"), *_largest(rows))
            for recipe, rows in by_recipe.items()
            if len(rows) > MIN_POINTS
        ],
        columns=["recipe", "error", "se"],
    )
    is_of_one_model = errors.recipe == OF_ONE_MODEL
    forms = {
        recipe: Discrepancy.of(errors[is_of_one_model == (recipe == OF_ONE_MODEL)])
        for recipe in by_recipe
    }
    return {
        recipe: replace(fit_power_law(rows, x="D"), discrepancy=forms[recipe])
        for recipe, rows in by_recipe.items()
    }


def _largest(rows: pd.DataFrame) -> tuple[float, Estimate]:
    """Return the largest D of rows in its order, and the loss there."""
    return float(rows.D.iloc[-1]), estimates(rows)[-1]


def _run_ids(law: PowerLaw) -> tuple[str, ...]:
    assert law.frame is not None
    return tuple(run_id for ids in law.frame["run_ids"] for run_id in ids)


def data_efficiencies(
    losses: pd.DataFrame, standard: PowerLaw, reference: Mapping[int, Estimate] | pd.Series
) -> list[Estimate]:
    """Return the data efficiency of every row of a frame of D (tokens) and loss (estimates).

    standard: the law of the standard recipe in D. reference: D -> the loss that it reached there.
    """
    return [
        data_efficiency(standard.limit, loss, reference[D])
        for D, loss in zip(losses.D, estimates(losses), strict=True)
    ]


def missing_limits(losses: pd.DataFrame) -> list[str]:
    """Return what a caption says of the limits that do not exist, one note a recipe.

    losses: recipe, D (tokens), loss (estimates).
    """
    missing = losses[[not loss.exists for loss in losses.loss]]
    return [
        f"{recipe}: no limit at D = {', '.join(f'{D:,}' for D in rows.D)}"
        for recipe, rows in missing.groupby("recipe", sort=False)
    ]
