"""Notebook 08: recipes of continued pre-training against the target's text (Sec. 7.2, Table 1)."""

import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS, GREY

STYLES = (("o", GREY, False), ("o", GREY, True), ("D", COLORS["ensemble"], True))
"""Marker, colour and filling of smaller batch, + epoching, + ensemble; the first two are no recipe
of the other figures."""


def loss_against_target_tokens(ax: Axes, continued: pd.DataFrame) -> Axes:
    """Draw recipes at the target's D, and the default recipe with more text.

    continued: recipe, D, K, loss and efficiency (estimates). A dotted line leads from a recipe to
    the text that the default recipe needs for the same loss.
    """
    is_default = continued.recipe == "default"
    default = continued[is_default].sort_values("D")
    marks.estimates(
        ax, default.D, list(default.loss), "standard", label="default recipe", linestyle="-"
    )
    largest = default.D.max()
    rows = continued[~is_default].to_dict("records")
    for row, (marker, color, filled) in zip(rows, STYLES, strict=True):
        D, loss = row["D"], row["loss"]
        label = f"{row['recipe']}, K = {row['K']}" if row["K"] > 1 else row["recipe"]
        marks.estimates(
            ax,
            [D],
            [loss],
            "ensemble",
            label=label,
            color=color,
            ecolor=color,
            markerfacecolor=color if filled else marks.hollow(),
            marker=marker,
            markersize=8,
        )
        reach = min(D * row["efficiency"].value, 1.5 * largest)
        ax.plot([D, reach], [loss.value] * 2, linestyle=":", color=color, zorder=1)
    marks.count_ticks(ax, default.D)
    ax.set_xlim(0.7 * default.D.min(), 2 * largest)
    ax.set(xlabel="target tokens D", ylabel="loss on the target (nats/token)")
    return ax
