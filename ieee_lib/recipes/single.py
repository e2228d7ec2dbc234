"""Single models: the standard recipe and the regularized one (Sec. 2 and 3).

Each function returns the runs of one question, training what is missing; its `_specs` twin only
says which runs those are, for plans and for redrawing.

    runs = overfitting(study)            # Fig 2, left
    standard = tune_standard(study)      # Fig 2, right: one SearchResult a model
"""

import dataclasses

import pandas as pd

from ieee_lib.errors import check
from ieee_lib.recipes.search import SearchResult, ring_specs, search, specs_of
from ieee_lib.scale import EPOCHS_GRID, Settings, Sweep
from ieee_lib.spec import RunSpec
from ieee_lib.study import Study

STANDARD_WD = 0.1
"""The standard recipe's weight decay (Brown et al. 2020; Sec. 2.1)."""
STANDARD_AXES = ("lr", "epochs")
REGULARIZED_AXES = ("wd", "lr", "epochs")


def sweep_specs(study: Study, sweep: Sweep, *, n_seed: int | None = None) -> list[RunSpec]:
    """Return the runs of a sweep at the base D: every epochs and wd, for each seed."""
    points = [
        Settings(
            model=sweep.model,
            seed_tokens=study.scale.base_tokens,
            wd=wd,
            lr=sweep.lr,
            epochs=epochs,
        )
        for epochs in sweep.epochs
        for wd in sweep.wd
    ]
    return [spec for p in points for spec in specs_of(study, p, n_seed or study.scale.seeds)]


def overfitting(
    study: Study, *, wd: float = STANDARD_WD, max_epochs: int = EPOCHS_GRID[-1]
) -> pd.DataFrame:
    """Return runs of one model at a low wd for a growing number of epochs (Fig 2, left)."""
    sweep = study.scale.overfitting
    epochs = tuple(e for e in sweep.epochs if e <= max_epochs)
    check(len(epochs) >= 2, "max_epochs", max_epochs, f"must leave two or more of {sweep.epochs}")
    sweep = dataclasses.replace(sweep, epochs=epochs, wd=(wd,))
    return study.ensure(sweep_specs(study, sweep), label="overfitting")


def wd_sweep(study: Study) -> pd.DataFrame:
    """Return runs of one model over the grid of weight decay (v1 Fig 13, right)."""
    return study.ensure(sweep_specs(study, study.scale.wd_sweep), label="weight decay")


def heatmap_specs(study: Study) -> list[RunSpec]:
    """Return the runs of the plane epochs x wd; as many seeds as the search uses."""
    return sweep_specs(study, study.scale.heatmap, n_seed=study.scale.search.seeds)


def heatmap(study: Study) -> pd.DataFrame:
    """Return runs of one model over epochs x weight decay (v1 Fig 5, right)."""
    return study.ensure(heatmap_specs(study), label="epochs x weight decay")


def tune_standard(study: Study, seed_tokens: int | None = None) -> list[SearchResult]:
    """Tune lr and epochs at wd 0.1 for every model at one D (Fig 2, right)."""
    starts = study.scale.settings("standard", seed_tokens or study.scale.base_tokens)
    return search(study, starts, axes=STANDARD_AXES, label="standard recipe")


def tune_regularized(study: Study, seed_tokens: int | None = None) -> list[SearchResult]:
    """Tune weight decay, lr and epochs for every model at one D (Fig 3)."""
    starts = study.scale.settings("regularized", seed_tokens or study.scale.base_tokens)
    return search(study, starts, axes=REGULARIZED_AXES, label="regularized recipe")


def search_specs(study: Study, recipe: str) -> list[RunSpec]:
    """Return the runs a search needs if its starting points turn out to be optimal."""
    axes = STANDARD_AXES if recipe == "standard" else REGULARIZED_AXES
    starts = study.scale.settings(recipe, study.scale.base_tokens)
    return [spec for start in starts for spec in ring_specs(study, start, axes)]


def low_and_high_decay(
    study: Study, standard: list[SearchResult], regularized: list[SearchResult], model: str
) -> dict[str, pd.DataFrame]:
    """Return the curves of one model's tuned runs under both recipes (v1 Fig 14).

    One row an evaluation and seed; columns as in `frame.curves_frame`.
    """
    found = {}
    for recipe, results in (("standard", standard), ("regularized", regularized)):
        centre = next(r.centre for r in results if r.centre.model == model)
        found[recipe] = study.curves(specs_of(study, centre, study.scale.seeds))
    return found
