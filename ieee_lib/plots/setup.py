"""Notebook 00: what models are made of (Table 2)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.plots.legends import text_size
from ieee_lib.plots.ticks import percent, short_count

GROUP_COLORS = {
    "embedding": "#c7c7c7",
    "lm_head": "#9a9a9a",
    "attention": "#a83c70",
    "mlp": "#e08db4",
    "norm": "#f3bfd5",
}
"""Group of parameters -> colour, none of a recipe's; the vocabulary's two matrices are grey."""


def parameter_shares(ax: Axes, counts: pd.DataFrame) -> Axes:
    """Draw each model's parameters by group, as shares of its total (Table 2).

    counts: model, total and one column a group, as `recipes.model_sizes` gives them.
    """
    left = np.zeros(len(counts))
    for group, color in GROUP_COLORS.items():
        share = (counts[group] / counts.total).to_numpy()
        ax.barh(counts.model, share, left=left, color=color, label=group, height=0.7)
        left += share
    for row, total in enumerate(counts.total):
        ax.text(1.01, row, short_count(total), va="center", fontsize=text_size())
    ax.text(1.01, -0.85, "N", va="center", fontsize=text_size())
    ax.set(xlabel="share of all parameters", xlim=(0, 1))
    ax.invert_yaxis()
    ax.grid(False)
    ax.xaxis.set_major_formatter(percent)
    return ax
