"""Statistics of the paper's appendix: where loss and error turn, and what smaller models predict.

laws = laws_of_smaller(sizes)            # through all but the two largest models
predict_next(laws, sizes)                # one row a form and left-out model
turning_points(errors)                   # one row a decay: epochs of lowest loss and error
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ieee_lib.laws.estimates import estimates
from ieee_lib.laws.fit import fit_power_law
from ieee_lib.laws.forms import FREE, PINNED
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.scan import MIN_POINTS
from ieee_lib.laws.units import scale_of

NEXT = 2
"""Models that the others predict (ICLR Fig 21)."""


def laws_of_smaller(sizes: pd.DataFrame) -> dict[str, PowerLaw]:
    """Return form -> law in N of all but the two largest models; none through fewer than three.

    sizes: one row a model, smallest first, as `recipes.with_larger` gives them.
    """
    basis = sizes.iloc[:-NEXT]
    if len(basis) < MIN_POINTS:
        return {}
    forms = {FREE: None, PINNED: 1.0}
    return {form: fit_power_law(basis, x="N", alpha=alpha) for form, alpha in forms.items()}


def predict_next(laws: Mapping[str, PowerLaw], sizes: pd.DataFrame) -> pd.DataFrame:
    """Return how far the laws of `laws_of_smaller` miss the two largest models.

    One row a form and model: N, points (behind the law), predicted, measured and error
    (estimates; measured minus predicted, nats/token). The intervals hold the noise of all runs,
    not what a form may be wrong by.
    """
    targets = sizes.iloc[-NEXT:]
    rows = []
    for form, law in laws.items():
        for row, loss in zip(targets.to_dict("records"), estimates(targets), strict=True):
            predicted = law.at(row["N"] / scale_of(law.unit))
            rows.append(
                {
                    "form": form,
                    "model": row["model"],
                    "N": row["N"],
                    "points": law.n_point,
                    "predicted": predicted,
                    "measured": loss,
                    "error": loss - predicted,
                    "run_ids": row["run_ids"],
                }
            )
    return pd.DataFrame(rows)


def turning_points(errors: pd.DataFrame) -> pd.DataFrame:
    """Return where loss and downstream error are lowest over epochs, one row a decay.

    errors: as `recipes.errors_by_epochs` gives them. Columns: wd, most epochs, epochs at lowest
    loss and at lowest error, and what each rises by from there to the most epochs (estimates;
    nats/token, and share of wrong answers).
    """
    rows = []
    for wd, part in errors.groupby("wd") if len(errors) else ():
        part = part.sort_values("epochs", ignore_index=True)
        row: dict[str, Any] = {"wd": wd, "most epochs": int(part.epochs.iloc[-1])}
        for name in ("loss", "error"):
            best = part.iloc[int(part[name].map(lambda value: value.value).argmin())]
            row[f"epochs at lowest {name}"] = int(best.epochs)
            row[f"rise of {name}"] = part[name].iloc[-1] - best[name]
        rows.append(row)
    return pd.DataFrame(rows)
