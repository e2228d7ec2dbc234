"""Notebook 10: recipes beyond the paper's against K, and how far their limits are from its own."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS, GREY, MARKERS


def loss_by_recipe(ax: Axes, laws: Mapping[str, EnsembleLaw]) -> Axes:
    """Draw loss against K with the law and the limit of two recipes, by name; the second hollow."""
    k = np.geomspace(1, 50, 100)
    for (name, law), filled, dash in zip(laws.items(), (True, False), ("--", "-."), strict=True):
        values = [law.at(count) for count in law.points.k]
        marks.estimates(ax, law.points.k, values, "ensemble", label=name, filled=filled)
        ax.plot(k, law.law(k), linestyle=dash, color=COLORS["ensemble"], linewidth=1)
        marks.limit(ax, law.limit, "ensemble", label="K → ∞ limit")
    marks.log_ticks(ax, [1, 2, 3, 5, 10, 50])
    ax.set(xlabel="members K", ylabel=marks.LOSS)
    return ax


def differences_from_base(ax: Axes, recipes: pd.DataFrame) -> Axes:
    """Draw how far each recipe's limit is from the base's, with 95 % intervals, the best on top.

    recipes: recipe, difference (estimates), verdict, as `laws.compare_limits` gives them.
    """
    others = recipes[recipes.verdict != "base"]
    order = np.argsort([-difference.value for difference in others.difference], kind="stable")
    others = others.iloc[order]
    color, marker = COLORS["ensemble"], MARKERS["ensemble"]
    for place, difference in enumerate(others.difference):
        value, ends = difference.value, np.array([difference.ci_low, difference.ci_high])
        is_open = np.isinf(ends)
        lengths = np.where(is_open, 0, np.clip([value - ends[0], ends[1] - value], 0, None))
        ax.errorbar(value, place, xerr=lengths[:, None], marker=marker, color=color)
        below, above = is_open
        marks.arrows(ax, (value, place), below, above, color, axis="x")
    places = range(len(others))
    ax.axvline(0, color=GREY, linestyle=":", label="the base")
    ax.set_yticks(places, list(others.recipe))
    ax.margins(x=0.12, y=0.1)
    if ax.get_legend_handles_labels()[1]:  # what arrows mean
        ax.legend()
    ax.set(xlabel="K → ∞ limit minus the base's (nats/token)\nleft is better")
    return ax
