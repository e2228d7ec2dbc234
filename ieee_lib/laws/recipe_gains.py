"""What each recipe gains over the tuned standard one, and what that costs: one frame.

compared = compare_recipes(standard, regularized, ensembles, student, law)
compared.gain                                # estimates, nats/token, above 0 is better
compared.data                                # how many times the data the gain is worth
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ieee_lib.laws.data_efficiency import data_efficiency
from ieee_lib.laws.ensembles import EnsembleLaw, best_ensemble
from ieee_lib.laws.estimates import Estimate, estimates, seed_mean
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.runs.frames import Noise


def compare_recipes(
    standard: pd.DataFrame,
    regularized: pd.DataFrame,
    ensembles: Mapping[str, EnsembleLaw],
    student: pd.DataFrame,
    law: PowerLaw,
) -> pd.DataFrame:
    """Return one row a recipe of one model: standard, regularized, ensemble, its limit, student.

    standard, regularized: one row each, as `recipes.regularized` gives them. ensembles: laws in K
    by settings of the members; the best measured one counts, none where it is empty. student: one
    row, its loss None where it was not trained. law: of the standard recipe in D, for `data`.

    Columns: recipe, kind (its colour), settings, loss and gain (estimates, nats/token), data
    (estimate: D that the standard recipe would need, over D), flops of training, inference
    (parameters read a token), K, run_ids.
    """
    one, two = standard.iloc[0], regularized.iloc[0]
    base, tuned = estimates(standard)[0], estimates(regularized)[0]
    rows: list[dict[str, Any]] = [
        _single("standard", one, base),
        _single("regularized", two, tuned),
    ]
    if ensembles:
        best = best_ensemble(ensembles.values())
        flops = float(best.scores.loc[best.scores.k == best.K, "flops"].iloc[0])
        shared = {"kind": "ensemble", "settings": _settings(best.settings), "run_ids": best.members}
        cost = {"flops": flops, "inference": best.K * best.N, "K": best.K}
        rows.append({"recipe": f"ensemble of {best.K}", "loss": best.measured, **shared, **cost})
        limit = {"recipe": "ensemble, K → ∞", "loss": best.limit, **shared}
        rows.append({**limit, "flops": float("inf"), "inference": float("inf"), "K": float("inf")})
    taught = student.iloc[0]
    if taught.loss is not None:
        row = {"recipe": "student", "kind": "distilled", "settings": "half synthetic"}
        cost = {"flops": taught.flops, "inference": int(one.N), "K": 1}
        rows.append({**row, "loss": taught.loss, "run_ids": taught.run_ids, **cost})
    frame = pd.DataFrame(rows)
    frame["gain"] = pd.Series([base - loss for loss in frame.loss])
    frame["data"] = pd.Series([_worth(law, loss, base) for loss in frame.loss])
    return frame


def _single(recipe: str, row: pd.Series, loss: Estimate) -> dict[str, Any]:
    settings = _settings({str(name): value for name, value in row.items()})
    cost = {"flops": row.flops, "inference": int(row.N), "K": 1}
    return {
        "recipe": recipe, "kind": recipe, "settings": settings, "loss": loss,
        "run_ids": row.run_ids, **cost,
    }  # fmt: skip


def _settings(settings: dict[str, Any]) -> str:
    return f"wd {settings['wd']:g}, lr {settings['lr']:g}, {settings['epochs']:g} epochs"


def _worth(law: PowerLaw, loss: Estimate, base: Estimate) -> Estimate:
    """Return the data efficiency; NaN where the standard recipe's loss does not fall with D."""
    if not law.limit.exists:
        return float("nan") * base
    return data_efficiency(law.limit, loss, base)


def rise_with(axis: str, runs: pd.DataFrame, noise: Noise) -> Estimate | None:
    """Return the loss at the most epochs (batch size, ...) of some runs minus that at the fewest.

    In nats/token; None without two values of the axis. noise: between seeds of equal settings.
    """
    if runs[axis].nunique() < 2:
        return None
    ends = (runs[axis].max(), runs[axis].min())
    most, fewest = (seed_mean(runs[runs[axis] == end], noise) for end in ends)
    return most - fewest
