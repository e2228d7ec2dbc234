"""Notebook 08: recipes of continued pre-training against the target's text (Sec. 7.2, Table 1)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.plots import marks
from ieee_lib.plots.legends import text_size
from ieee_lib.plots.style import COLORS, GREY, readable

LOOKS = (("o", "", False), ("o", "", True), ("D", "ensemble", True))
"""Marker, recipe and filling of smaller batch, + epoching, + ensemble; the first two are no recipe
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
    heights = marks.spread([row["loss"].value for row in rows], 0.075 * _span(continued))
    for row, (marker, recipe, filled), height in zip(rows, LOOKS, heights, strict=True):
        D, loss, gain = row["D"], row["loss"], row["efficiency"].value
        color = COLORS[recipe] if recipe else GREY
        label = f"{row['recipe']}, K = {row['K']}" if row["K"] > 1 else row["recipe"]
        face = color if filled else marks.hollow()
        look: dict[str, Any] = {"color": color, "ecolor": color, "markerfacecolor": face}
        marks.estimates(ax, [D], [loss], "ensemble", label=label, marker=marker, **look)
        reach = min(D * gain, 1.5 * largest)
        ax.plot([D, reach], [loss.value] * 2, linestyle=":", color=color, zorder=1)
        ax.annotate(
            f"{gain:.1f}x", (reach, height), (3, 3), textcoords="offset points", va="bottom",
            color=readable(color), fontsize=text_size(),
        )  # fmt: skip
    ax.plot([], [], ":", color=GREY, label="dotted: D of the default recipe at that loss")
    marks.count_ticks(ax, default.D)
    ax.set_xlim(0.7 * default.D.min(), 1.5 * largest)
    ax.set(xlabel="target tokens D", ylabel="loss on the target (nats/token)")
    return ax


def _span(continued: pd.DataFrame) -> float:
    """Return the range of the losses, nats/token."""
    values = [loss.value for loss in continued.loss]
    return max(values) - min(values)
