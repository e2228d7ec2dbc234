"""Recipes: which runs a question of the paper needs, trained where they are missing.

Each function takes a study and returns a tidy frame whose rows name the runs behind them.

    tuned = recipes.regularized(study)
    scores = recipes.tuned_ensembles(study, tuned)
"""

from ieee_lib.recipes.appendix import (
    appendix_items,
    batch_size_runs,
    continued_averages,
    continued_decays,
    errors_by_epochs,
    held_setting,
    regularized_by_seed,
    with_larger,
)
from ieee_lib.recipes.beyond import beyond_ensembles
from ieee_lib.recipes.data_scaling import (
    ensembles_by_data,
    recorded_ensembles_by_data,
    regularized_by_data,
    standard_by_data,
)
from ieee_lib.recipes.distill import student_sweep, students, teachers
from ieee_lib.recipes.downstream import downstream_answers
from ieee_lib.recipes.ensembles import (
    ensemble_grid,
    heuristic_neighbours,
    members_note,
    recorded_ensembles,
    searched_members,
    seed_ablation,
    single_optimum_ensembles,
    tuned_ensembles,
)
from ieee_lib.recipes.midtraining import (
    continued_ensemble,
    continued_pretraining,
    continued_probe,
    continued_setting,
)
from ieee_lib.recipes.optima import recorded_optima, suggest_settings
from ieee_lib.recipes.recorded import recorded_points
from ieee_lib.recipes.setup import model_sizes
from ieee_lib.recipes.single import epochs_and_decay, overfitting, weight_decay_sweep
from ieee_lib.recipes.text_plan import open_text
from ieee_lib.recipes.tuned import certificate, regularized, standard
from ieee_lib.recipes.your_text import (
    base_noise,
    longer_than_tuned,
    members_within,
    student_within,
    tune_within,
)

__all__ = [
    "appendix_items",
    "base_noise",
    "batch_size_runs",
    "beyond_ensembles",
    "certificate",
    "continued_averages",
    "continued_decays",
    "continued_ensemble",
    "continued_pretraining",
    "continued_probe",
    "continued_setting",
    "downstream_answers",
    "ensemble_grid",
    "ensembles_by_data",
    "epochs_and_decay",
    "errors_by_epochs",
    "held_setting",
    "heuristic_neighbours",
    "longer_than_tuned",
    "members_note",
    "members_within",
    "model_sizes",
    "open_text",
    "overfitting",
    "recorded_ensembles",
    "recorded_ensembles_by_data",
    "recorded_optima",
    "recorded_points",
    "regularized",
    "regularized_by_data",
    "regularized_by_seed",
    "searched_members",
    "seed_ablation",
    "single_optimum_ensembles",
    "standard",
    "standard_by_data",
    "student_sweep",
    "student_within",
    "students",
    "suggest_settings",
    "teachers",
    "tune_within",
    "tuned_ensembles",
    "weight_decay_sweep",
    "with_larger",
]
