"""Notebook 12: the recipes' losses on one's own text, and what each is worth in data."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.units import scale_of
from ieee_lib.plots import marks
from ieee_lib.plots.legends import text_size
from ieee_lib.plots.style import COLORS, MARKERS, marker_size, readable

FARTHEST = 16.0
"""Multiples of D up to which the standard recipe's law is drawn."""


def losses_by_recipe(ax: Axes, compared: pd.DataFrame) -> Axes:
    """Draw each recipe's loss with its 95 % interval, the standard recipe on top.

    compared: recipe, kind, loss (estimates, nats/token), as `laws.compare_recipes` gives them. A
    limit is hollow.
    """
    places = range(len(compared) - 1, -1, -1)
    ax.axvline(compared.loss.iloc[0].value, linestyle=":", color=COLORS["standard"], linewidth=1)
    columns = (compared.recipe, compared.kind, compared.loss)
    for place, recipe, kind, loss in zip(places, *columns, strict=True):
        ends = np.array([loss.ci_low, loss.ci_high])
        is_open = np.isinf(ends)
        lengths = np.where(is_open, 0, np.abs(ends - loss.value))
        ax.errorbar(loss.value, place, xerr=lengths[:, None], **_mark(recipe, kind))
        below, above = is_open
        marks.arrows(ax, (loss.value, place), below, above, COLORS[kind], axis="x")
    ax.set_yticks(places, list(compared.recipe))
    ax.margins(x=0.08, y=0.15)
    ax.set(xlabel=f"{marks.LOSS}\nleft is better")
    return ax


def _mark(recipe: str, kind: str) -> dict[str, Any]:
    """Return how a recipe's point looks."""
    return {
        "color": COLORS[kind],
        "marker": MARKERS[kind],
        "markersize": marker_size(kind),
        "markerfacecolor": marks.hollow() if "∞" in recipe else COLORS[kind],
    }


def gains_in_data(
    ax: Axes, by_data: pd.DataFrame, law: PowerLaw, compared: pd.DataFrame, D: int
) -> Axes:
    """Draw the standard recipe against D with its law, and where that reaches each recipe's loss.

    by_data: D and loss (estimates) of the standard recipe; law: through them; compared: recipe,
    kind, loss and data (estimates), as `laws.compare_recipes` gives them; D: that of the text. A
    loss that the law does not reach points to the right.
    """
    marks.estimates(ax, by_data.D, list(by_data.loss), "standard", label="standard")
    others = compared[compared.recipe != "standard"]
    reached = [data.value for data in others.data if 1 / FARTHEST < data.value <= FARTHEST]
    far = D * max([2.0, *(1.3 * times for times in reached)])
    x = np.geomspace(by_data.D.min(), far, 100)
    ax.plot(x, law(x / scale_of(law.unit)), "--", color=COLORS["standard"], linewidth=1)
    gap = 0.045 * (by_data.loss.iloc[0].value - min(loss.value for loss in others.loss))
    heights = marks.spread([loss.value for loss in others.loss], gap)
    columns = (others.recipe, others.kind, others.loss, others.data, heights)
    for recipe, kind, loss, data, height in zip(*columns, strict=True):
        is_reached = data.value in reached
        end = data.value * D if is_reached else far
        dash = ":" if "∞" in recipe else "-"
        ax.plot([D, end], [loss.value] * 2, color=COLORS[kind], linestyle=dash, linewidth=1)
        look = _mark(recipe, kind) if is_reached else {"color": COLORS[kind], "marker": ">"}
        ax.plot([end], [loss.value], **look)
        if is_reached:
            words: dict[str, Any] = {"color": readable(COLORS[kind]), "fontsize": text_size()}
            words |= {"textcoords": "offset points", "va": "center"}
            ax.annotate(f"{data.value:.2f}x", (end, height), (9, 0), **words)
    marks.count_ticks(ax, [*by_data.D, *(D * 2**i for i in range(1, 5) if D * 2**i <= far)])
    ax.margins(x=0.08)
    ax.set(
        xlabel=f"{marks.SEED_TOKENS}\nof the standard recipe, for the same loss", ylabel=marks.LOSS
    )
    return ax
