"""Single models: the standard recipe and the regularized one (Sec. 2 and 3).

Each function returns the runs of one question, training what is missing; a function that ends in
`_specs` says which runs those are, for plans.

    runs = overfitting(study)            # Fig 2, left: one row a run
    tune(study, "standard")              # Fig 2, right: one SearchResult a model
"""

import dataclasses

import pandas as pd

from ieee_lib.config import RunSpec, check_integer
from ieee_lib.config.scale_tables import EPOCHS_GRID, Settings, Sweep
from ieee_lib.errors import MissingRuns, check
from ieee_lib.recipes.search import SearchResult, ring_specs, search, specs_of
from ieee_lib.study import Study

STANDARD_WD = 0.1
"""The standard recipe's weight decay (Brown et al. 2020; Sec. 2.1)."""
AXES = {"standard": ("lr", "epochs"), "regularized": ("wd", "lr", "epochs")}
"""What each recipe tunes."""


def sweep_points(study: Study, sweep: Sweep) -> list[Settings]:
    """Return the points of a sweep at the base D: every epochs and wd."""
    return [
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


def sweep_specs(study: Study, sweep: Sweep, *, n_seed: int | None = None) -> list[RunSpec]:
    """Return the runs of a sweep, for each seed."""
    points = sweep_points(study, sweep)
    return [spec for p in points for spec in specs_of(study, p, n_seed or study.scale.seeds)]


def overfitting(
    study: Study, *, wd: float = STANDARD_WD, max_epochs: int = EPOCHS_GRID[-1]
) -> pd.DataFrame:
    """Return runs of one model at a low wd for a growing number of epochs (Fig 2, left)."""
    sweep = overfitting_sweep(study, wd=wd, max_epochs=max_epochs)
    return study.ensure(sweep_specs(study, sweep), label="overfitting")


def overfitting_sweep(study: Study, *, wd: float, max_epochs: int) -> Sweep:
    """Return the scale's sweep at that wd, cut short; raises InputError where it cannot be."""
    sweep = study.scale.overfitting
    check_integer("max_epochs", max_epochs, 1)
    epochs = tuple(e for e in sweep.epochs if e <= max_epochs)
    check(len(epochs) >= 2, "max_epochs", max_epochs, f"must leave two or more of {sweep.epochs}")
    return dataclasses.replace(sweep, epochs=epochs, wd=(wd,))


def weight_decay_sweep(study: Study) -> pd.DataFrame:
    """Return runs of one model over the grid of weight decay (v1 Fig 13, right)."""
    return study.ensure(sweep_specs(study, study.scale.wd_sweep), label="weight decay")


def epochs_and_decay_specs(study: Study) -> list[RunSpec]:
    """Return the runs of the plane epochs x wd; as many seeds as the search uses."""
    return sweep_specs(study, study.scale.heatmap, n_seed=study.scale.search.seeds)


def epochs_and_decay(study: Study) -> pd.DataFrame:
    """Return runs of one model over epochs x weight decay (v1 Fig 5, right)."""
    return study.ensure(epochs_and_decay_specs(study), label="epochs x weight decay")


def tune(study: Study, recipe: str, seed_tokens: int | None = None) -> list[SearchResult]:
    """Tune a recipe for every model it has at one D (the base): standard (lr and epochs at wd
    0.1; Fig 2 right) or regularized (wd too; Fig 3).

    Away from the base D a scale may take its settings as they are (`search.ladder`).
    """
    seed_tokens = seed_tokens or study.scale.base_tokens
    starts = study.scale.settings(recipe, seed_tokens)
    axes = _axes(study, recipe, seed_tokens)
    label = f"{recipe} recipe, D = {seed_tokens:,}"
    if study.allow_unsearched:
        return [_as_recorded(study, start, axes, label) for start in starts]
    question = ("search", recipe, seed_tokens)
    return study.cached(question, lambda study: search(study, starts, axes=axes, label=label))


def _as_recorded(study: Study, start: Settings, axes: tuple[str, ...], label: str) -> SearchResult:
    """Return a recorded search, or its start alone where the neighbours were not trained."""
    reader = dataclasses.replace(study, source="records")
    try:
        (result,) = search(reader, [start], axes=axes, label=label)
    except MissingRuns:
        (result,) = search(study, [start], axes=(), label=label)
    return result


def search_specs(study: Study, recipe: str, seed_tokens: int | None = None) -> list[RunSpec]:
    """Return the runs a search needs if its starting points turn out to be optimal."""
    seed_tokens = seed_tokens or study.scale.base_tokens
    axes = () if study.allow_unsearched else _axes(study, recipe, seed_tokens)
    starts = study.scale.settings(recipe, seed_tokens)
    return [spec for start in starts for spec in ring_specs(study, start, axes)]


def neighbour_runs(study: Study, recipe: str, centre: Settings) -> list[RunSpec]:
    """Return what certifies a centre at the base D: its seeds, and one of each neighbour."""
    return ring_specs(study, centre, AXES[recipe])


def known_centres(study: Study, recipe: str, seed_tokens: int | None = None) -> list[Settings]:
    """Return tuned settings where the search is recorded, and its starts where it is not yet."""
    try:
        return [result.centre for result in tune(study.reading(), recipe, seed_tokens)]
    except MissingRuns:
        return study.scale.settings(recipe, seed_tokens or study.scale.base_tokens)


def _axes(study: Study, recipe: str, seed_tokens: int) -> tuple[str, ...]:
    searched = study.scale.search.ladder or seed_tokens == study.scale.base_tokens
    return AXES[recipe] if searched else ()
