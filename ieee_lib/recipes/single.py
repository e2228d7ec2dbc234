"""Single models: the standard recipe and the regularized one (Sec. 2 and 3).

Each function trains what is missing and returns its runs, one row each; a function that ends in
`_specs` returns which runs those are, for plans.

    runs = overfitting(study)            # Fig 2, left: one row a run
    tune(study, "standard")              # Fig 2, right: one SearchResult a model
"""

import dataclasses

import pandas as pd

from ieee_lib.config import RunSpec, check_integer
from ieee_lib.config.scale_tables import EPOCHS_GRID, Settings, Sweep
from ieee_lib.errors import MissingRuns, check
from ieee_lib.recipes.search import SearchResult, certifying_specs, search, specs_of
from ieee_lib.study import Study

STANDARD_WD = 0.1
"""The standard recipe's weight decay (Brown et al. 2020; Sec. 2.1)."""
AXES = {"standard": ("lr", "epochs"), "regularized": ("wd", "lr", "epochs")}
"""What each recipe tunes: the standard one keeps its weight decay."""


def sweep_points(study: Study, sweep: Sweep) -> list[Settings]:
    """Return the points of a sweep at the base D: every pair of its epochs and wd."""
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
    """Return the runs of a sweep, n_seed a point (the scale's `seeds`)."""
    n_seed = n_seed or study.scale.seeds
    points = sweep_points(study, sweep)
    return [spec for point in points for spec in specs_of(study, point, n_seed)]


def overfitting(
    study: Study, *, wd: float = STANDARD_WD, max_epochs: int = EPOCHS_GRID[-1]
) -> pd.DataFrame:
    """Return runs of one model at a low wd for a growing number of epochs (Fig 2, left).

    One row a run, columns as in `Study.ensure`. Raises InputError where max_epochs leaves fewer
    than two points.
    """
    sweep = overfitting_sweep(study, wd=wd, max_epochs=max_epochs)
    return study.ensure(sweep_specs(study, sweep), label="overfitting")


def overfitting_sweep(study: Study, *, wd: float, max_epochs: int) -> Sweep:
    """Return the scale's sweep over epochs at one wd, up to max_epochs.

    Raises InputError where max_epochs leaves fewer than two points.
    """
    sweep = study.scale.overfitting
    check_integer("max_epochs", max_epochs, 1)
    epochs = tuple(e for e in sweep.epochs if e <= max_epochs)
    check(len(epochs) >= 2, "max_epochs", max_epochs, f"must leave two or more of {sweep.epochs}")
    return dataclasses.replace(sweep, epochs=epochs, wd=(wd,))


def weight_decay_sweep(study: Study) -> pd.DataFrame:
    """Return runs of one model over the grid of weight decay (v1 Fig 13, right)."""
    return study.ensure(sweep_specs(study, study.scale.wd_sweep), label="weight decay")


def epochs_and_decay_specs(study: Study) -> list[RunSpec]:
    """Return the runs of the heat map, epochs x wd; as many seeds as the search uses."""
    return sweep_specs(study, study.scale.heatmap, n_seed=study.scale.search.seeds)


def epochs_and_decay(study: Study) -> pd.DataFrame:
    """Return runs of one model over epochs x weight decay (v1 Fig 5, right)."""
    return study.ensure(epochs_and_decay_specs(study), label="epochs x weight decay")


def tune(study: Study, recipe: str, seed_tokens: int | None = None) -> list[SearchResult]:
    """Tune a recipe for every model it has at one D (the base), and return one search a model.

    recipe: standard (lr and epochs at wd 0.1; Fig 2, right) or regularized (wd too; Fig 3). Away
    from the base D a scale may take its settings as they are (`search.ladder`).
    """
    seed_tokens = seed_tokens or study.scale.base_tokens
    starts = study.scale.settings(recipe, seed_tokens)
    axes = _axes(study, recipe, seed_tokens)
    label = f"{recipe} recipe, D = {seed_tokens:,}"
    if study.allow_unsearched:
        return [_search_if_recorded(study, start, axes, label) for start in starts]
    key = ("search", recipe, seed_tokens)
    return study.cached(key, lambda study: search(study, starts, axes=axes, label=label))


def _search_if_recorded(
    study: Study, start: Settings, axes: tuple[str, ...], label: str
) -> SearchResult:
    """Return a recorded search, or its start alone where the neighbours were not trained."""
    reader = dataclasses.replace(study, source="records")  # which shares the study's trace
    try:
        (result,) = search(reader, [start], axes=axes, label=label)
    except MissingRuns:
        (result,) = search(study, [start], axes=(), label=label)
    return result


def search_specs(study: Study, recipe: str, seed_tokens: int | None = None) -> list[RunSpec]:
    """Return the least runs of a recipe's search: those it needs if its starts are optimal."""
    seed_tokens = seed_tokens or study.scale.base_tokens
    axes = () if study.allow_unsearched else _axes(study, recipe, seed_tokens)
    starts = study.scale.settings(recipe, seed_tokens)
    return [spec for start in starts for spec in certifying_specs(study, start, axes)]


def neighbour_runs(study: Study, recipe: str, centre: Settings) -> list[RunSpec]:
    """Return what certifies a centre at the base D: its seeds, and one of each neighbour."""
    return certifying_specs(study, centre, AXES[recipe])


def current_centres(study: Study, recipe: str, seed_tokens: int | None = None) -> list[Settings]:
    """Return tuned settings where the search is recorded, and its starts where it is not yet."""
    try:
        return [result.centre for result in tune(study.reading(), recipe, seed_tokens)]
    except MissingRuns:
        return study.scale.settings(recipe, seed_tokens or study.scale.base_tokens)


def _axes(study: Study, recipe: str, seed_tokens: int) -> tuple[str, ...]:
    """Return what a recipe tunes at one D; nothing where the scale's settings are taken."""
    searched = study.scale.search.ladder or seed_tokens == study.scale.base_tokens
    return AXES[recipe] if searched else ()
