"""Recipes: which runs a question of the paper needs, trained where they are missing.

Each function takes a study and returns a tidy frame whose rows name the runs behind them.

    tuned = recipes.regularized(study)
    scores = recipes.heuristic_ensembles(study, tuned)
"""

from ieee_lib.recipes.beyond import beyond_ensembles
from ieee_lib.recipes.ensembles import (
    ensemble_grid,
    heuristic_ensembles,
    heuristic_neighbours,
    seed_ablation,
    single_optimum_ensembles,
)
from ieee_lib.recipes.single import epochs_and_decay, overfitting, weight_decay_sweep
from ieee_lib.recipes.tuned import certificate, regularized, standard

__all__ = [
    "beyond_ensembles",
    "certificate",
    "ensemble_grid",
    "epochs_and_decay",
    "heuristic_ensembles",
    "heuristic_neighbours",
    "overfitting",
    "regularized",
    "seed_ablation",
    "single_optimum_ensembles",
    "standard",
    "weight_decay_sweep",
]
