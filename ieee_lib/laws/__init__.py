"""Scaling laws and their uncertainty: in N, K and D, joint limits, data efficiency (Sec. 3 to 5).

Frames in, laws and estimates out; imports no torch.

    law = fit_power_law(tuned, x="N")             # A / N^alpha + E, with intervals
    members = fit_ensembles(scores)               # A / K + E, one law a model
    data_efficiency(standard.limit, loss, reference)
"""

from ieee_lib.laws.appendix import laws_of_smaller, predict_next, turning_points
from ieee_lib.laws.beyond import compare_tuned, sentences
from ieee_lib.laws.data_efficiency import (
    data_efficiencies,
    data_efficiency,
    fit_data,
    losses_by_data,
    missing_limits,
)
from ieee_lib.laws.discrepancy import Discrepancy
from ieee_lib.laws.downstream import (
    accuracies,
    error_of,
    error_rate,
    mean_errors,
    paired_differences,
    rank_correlation,
)
from ieee_lib.laws.effective_data import effective_data, target_efficiency
from ieee_lib.laws.ensembles import (
    ENSEMBLE_DIGITS,
    EnsembleLaw,
    best_ensemble,
    concat,
    ensembles_frame,
    fit_ensembles,
    fit_ensembles_by_data,
    settings_label,
)
from ieee_lib.laws.estimates import (
    Estimate,
    estimates,
    estimates_frame,
    expand,
    lowest,
    mean,
    replicate_noise,
    seed_mean,
)
from ieee_lib.laws.fit import fit_power_law, fit_through, published_law
from ieee_lib.laws.forms import FORM_DIGITS, FORMS, FREE, SizeLaws, fit_sizes
from ieee_lib.laws.frontier import (
    CROSSING_DIGITS,
    Frontier,
    crossings,
    ensemble_points,
    fit_frontiers,
    leading_notes,
    overtakes,
)
from ieee_lib.laws.joint import N_then_K, loss_surface, surface
from ieee_lib.laws.power_law import Limit, PowerLaw
from ieee_lib.laws.power_mean import fit_power_mean
from ieee_lib.laws.published import (
    NOISE,
    limit_pairs,
    multipliers,
    published,
    published_costs,
    published_points,
    refits,
)
from ieee_lib.laws.recipe_gains import compare_recipes, rise_with
from ieee_lib.laws.tables import LAW_DIGITS, laws_frame
from ieee_lib.laws.timescale import slopes, timescale_line
from ieee_lib.laws.units import scale_of, unit_of
from ieee_lib.runs.frames import mean_curve, pooled_noise, seed_means

__all__ = [
    "CROSSING_DIGITS",
    "ENSEMBLE_DIGITS",
    "FORMS",
    "FORM_DIGITS",
    "FREE",
    "LAW_DIGITS",
    "NOISE",
    "Discrepancy",
    "EnsembleLaw",
    "Estimate",
    "Frontier",
    "Limit",
    "N_then_K",
    "PowerLaw",
    "SizeLaws",
    "accuracies",
    "best_ensemble",
    "compare_recipes",
    "compare_tuned",
    "concat",
    "crossings",
    "data_efficiencies",
    "data_efficiency",
    "effective_data",
    "ensemble_points",
    "ensembles_frame",
    "error_of",
    "error_rate",
    "estimates",
    "estimates_frame",
    "expand",
    "fit_data",
    "fit_ensembles",
    "fit_ensembles_by_data",
    "fit_frontiers",
    "fit_power_law",
    "fit_power_mean",
    "fit_sizes",
    "fit_through",
    "laws_frame",
    "laws_of_smaller",
    "leading_notes",
    "limit_pairs",
    "loss_surface",
    "losses_by_data",
    "lowest",
    "mean",
    "mean_curve",
    "mean_errors",
    "missing_limits",
    "multipliers",
    "overtakes",
    "paired_differences",
    "pooled_noise",
    "predict_next",
    "published",
    "published_costs",
    "published_law",
    "published_points",
    "rank_correlation",
    "refits",
    "replicate_noise",
    "rise_with",
    "scale_of",
    "seed_mean",
    "seed_means",
    "sentences",
    "settings_label",
    "slopes",
    "surface",
    "target_efficiency",
    "timescale_line",
    "turning_points",
    "unit_of",
]
