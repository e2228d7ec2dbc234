"""The recipes at every D: tuned single models and their ensembles (Sec. 5, Fig 6 to 8).

tuned = regularized_by_data(study)               # one row a model and D
scores = ensembles_by_data(study, tuned)         # one row a member subset
"""

from collections.abc import Callable, Iterable

import pandas as pd

from ieee_lib.config import RunSpec
from ieee_lib.recipes import single
from ieee_lib.recipes.ensembles import heuristic_ensembles, heuristic_specs
from ieee_lib.recipes.tuned import regularized, standard
from ieee_lib.study import Study


def standard_by_data(study: Study) -> pd.DataFrame:
    """Return the standard recipe at every D that the scale has it at; as `recipes.standard`."""
    return _by_data(study, standard, study.scale.ladder("standard"))


def regularized_by_data(study: Study) -> pd.DataFrame:
    """Return the regularized recipe at every D; columns as in `recipes.regularized`.

    Where settings off the base D are taken as they are, nothing waits for a search: the runs of
    all those D train at once, which keeps every worker busy.
    """
    scale = study.scale
    if not scale.search.ladder:
        others = [d for d in scale.seed_tokens if d != scale.base_tokens]
        specs = [spec for d in others for spec in data_specs_at(study, d)]
        study.ensure(specs, weights=True, label="all D but the base")
    return _by_data(study, regularized, scale.ladder())


def ensembles_by_data(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of ensembles at the heuristic's settings at every D of a tuned frame.

    Columns as in `recipes.heuristic_ensembles`; noise is pooled over the ensembles of one D.
    """
    parts = [
        heuristic_ensembles(study, rows, label=f"ensembles, D = {d:,}")
        for d, rows in tuned.groupby("D")
    ]
    return pd.concat(parts, ignore_index=True)


def data_specs_at(study: Study, seed_tokens: int) -> list[RunSpec]:
    """Return the runs of one D: both single recipes, and the members of every model."""
    specs = single.search_specs(study, "standard", seed_tokens)
    specs += single.search_specs(study, "regularized", seed_tokens)
    centres = single.known_centres(study, "regularized", seed_tokens)
    return specs + [m for ensemble in heuristic_specs(study, centres) for m in ensemble.members]


def data_specs(study: Study) -> list[RunSpec]:
    """Return the runs of every D."""
    return [spec for d in study.scale.seed_tokens for spec in data_specs_at(study, d)]


def _by_data(
    study: Study, recipe: Callable[[Study, int], pd.DataFrame], ladder: Iterable[int]
) -> pd.DataFrame:
    return pd.concat([recipe(study, d) for d in ladder], ignore_index=True)
