"""Data efficiency: what a recipe's loss would cost the standard recipe in data (Sec. 5, Fig 1, 8).

    data efficiency = D_standard(loss) / D_standard(reference)

by inverting the standard recipe's law in D; `reference` is the standard recipe's own loss at the
same D.

    standard = fit_power_law(losses[losses.recipe == "standard"], x="D")
    losses.assign(efficiency=data_efficiencies(losses, standard, reference))
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ieee_lib.laws.estimates import Estimate, estimates
from ieee_lib.laws.power_law import Limit, PowerLaw


def data_efficiency(standard: PowerLaw | Limit, loss: Any, reference: Any) -> Any:
    """Return how many times the data the standard recipe would need for a loss.

    With a `Limit` and estimates the multiplier carries their draws.
    """
    with np.errstate(invalid="ignore"):
        return standard.inverse(loss) / standard.inverse(reference)


def data_efficiencies(
    losses: pd.DataFrame, standard: PowerLaw, reference: Mapping[int, Estimate]
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
