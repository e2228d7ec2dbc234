"""Figures: each function takes an axes, tidy frames and fits, draws, and returns the axes.

None opens a figure, fits, aggregates, loads or saves; imports no torch.

    use_style(context, background)           # a notebook's first cell
    fig, ax = plt.subplots()
    loss_against_parameters(ax, tuned, law)
    legend_above(ax)
"""

from ieee_lib.plots.appendix import (
    held_across_sizes,
    laws_by_seed,
    loss_against_batch_size,
    loss_and_error_against_epochs,
    predicted_sizes,
)
from ieee_lib.plots.beyond import differences_from_base, loss_by_recipe
from ieee_lib.plots.continued_pretraining import loss_against_target_tokens
from ieee_lib.plots.data_scaling import (
    data_efficiency_arrow,
    efficiency_axis,
    efficiency_by_data,
    laws_by_data,
    loss_by_data,
    overview,
)
from ieee_lib.plots.distillation import (
    loss_against_synthetic_share,
    students_against_total_parameters,
)
from ieee_lib.plots.downstream import (
    error_against_loss,
    error_against_total_parameters,
    published_downstream,
    task_names,
)
from ieee_lib.plots.ensembles import (
    ensembles_against_total_parameters,
    limit_from_few,
    loss_against_members,
    loss_against_total_parameters,
    loss_by_seed,
    one_member_and_limit,
)
from ieee_lib.plots.forms import law_forms, left_out_errors
from ieee_lib.plots.frontier import loss_frontiers, overtaking
from ieee_lib.plots.heat_map import heat_map
from ieee_lib.plots.interact import choice, choices, interact
from ieee_lib.plots.joint import limits_in_members, limits_in_parameters
from ieee_lib.plots.legends import legend_above, legend_over, remove
from ieee_lib.plots.marks import (
    LOSS,
    PARAMETERS,
    SEED_TOKENS,
    TOTAL_PARAMETERS,
    count_ticks,
    curve,
    estimates,
    focus,
    law,
    law_text,
    log_ticks,
    means,
    short_count,
)
from ieee_lib.plots.overfitting import loss_against_epochs, one_curve
from ieee_lib.plots.predictions import errors_of_predictions
from ieee_lib.plots.published import (
    published_epochs,
    published_limits,
    published_recipes,
    published_sizes,
)
from ieee_lib.plots.regularized import (
    law_through,
    loss_against_decay,
    loss_against_parameters,
    loss_along_training,
)
from ieee_lib.plots.saving import SavedFigure, Table
from ieee_lib.plots.setup import parameter_shares
from ieee_lib.plots.style import COLORS, MARKERS, style, tall, use_style, wide
from ieee_lib.plots.timescale import decay_against_ratio, slopes_in_ratio
from ieee_lib.plots.your_text import gains_in_data, losses_by_recipe

__all__ = [
    "COLORS",
    "LOSS",
    "MARKERS",
    "PARAMETERS",
    "SEED_TOKENS",
    "TOTAL_PARAMETERS",
    "SavedFigure",
    "Table",
    "choice",
    "choices",
    "count_ticks",
    "curve",
    "data_efficiency_arrow",
    "decay_against_ratio",
    "differences_from_base",
    "efficiency_axis",
    "efficiency_by_data",
    "ensembles_against_total_parameters",
    "error_against_loss",
    "error_against_total_parameters",
    "errors_of_predictions",
    "estimates",
    "focus",
    "gains_in_data",
    "heat_map",
    "held_across_sizes",
    "interact",
    "law",
    "law_forms",
    "law_text",
    "law_through",
    "laws_by_data",
    "laws_by_seed",
    "left_out_errors",
    "legend_above",
    "legend_over",
    "limit_from_few",
    "limits_in_members",
    "limits_in_parameters",
    "log_ticks",
    "loss_against_batch_size",
    "loss_against_decay",
    "loss_against_epochs",
    "loss_against_members",
    "loss_against_parameters",
    "loss_against_synthetic_share",
    "loss_against_target_tokens",
    "loss_against_total_parameters",
    "loss_along_training",
    "loss_and_error_against_epochs",
    "loss_by_data",
    "loss_by_recipe",
    "loss_by_seed",
    "loss_frontiers",
    "losses_by_recipe",
    "means",
    "one_curve",
    "one_member_and_limit",
    "overtaking",
    "overview",
    "parameter_shares",
    "predicted_sizes",
    "published_downstream",
    "published_epochs",
    "published_limits",
    "published_recipes",
    "published_sizes",
    "remove",
    "short_count",
    "slopes_in_ratio",
    "students_against_total_parameters",
    "style",
    "tall",
    "task_names",
    "use_style",
    "wide",
]
