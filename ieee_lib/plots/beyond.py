"""Notebook 10: recipes beyond the paper's against K, and how far their limits are from its own."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator

from ieee_lib.laws.beyond import ALL
from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.plots import marks
from ieee_lib.plots.ensembles import MOST_MEMBERS
from ieee_lib.plots.infinity import End, at_infinity, with_limit
from ieee_lib.plots.style import COLORS, GREY, MARKERS, thin

LINEAR_UP_TO = 0.1
"""Nats/token: the axis of differences is linear up to it and logarithmic beyond."""


def loss_by_recipe(ax: Axes, laws: Mapping[str, EnsembleLaw]) -> Axes:
    """Draw loss against K with the law and the limit of two recipes, by name; the second hollow."""
    k = np.geomspace(1, MOST_MEMBERS, 100)
    limits = []
    for (name, law), filled, dash in zip(laws.items(), (True, False), ("--", "-."), strict=True):
        values = [law.at(count) for count in law.points.k]
        label = with_limit(name, "K → ∞", law.limit)
        marks.estimates(ax, law.points.k, values, "ensemble", label=label, filled=filled)
        ax.plot(k, law.law(k), linestyle=dash, color=COLORS["ensemble"], linewidth=thin())
        limits.append(End(law.limit, "ensemble", filled=filled))
    ax.set(xlabel="members K", ylabel=marks.LOSS)
    return at_infinity(ax, limits, ticks=[1, 2, 3, 5, 10, MOST_MEMBERS], end=MOST_MEMBERS)


def differences_from_base(ax: Axes, compared: pd.DataFrame, of: str) -> Axes:
    """Draw how far each recipe is from the base, with 95 % intervals, in the frame's order.

    compared: recipe, of, difference (estimates), verdict, as `laws.compare_tuned` gives them. of:
    what is drawn, one member, all members or K → ∞. Hollow: not at a tuned decay. An arrow is an
    end that nothing bounds.
    """
    others = compared[(compared.verdict != "base") & (compared.of == of)]
    color, marker = COLORS["ensemble"], MARKERS["ensemble"]
    for place, (difference, tuned) in enumerate(zip(others.difference, others.tuned, strict=True)):
        value, ends = difference.value, np.array([difference.ci_low, difference.ci_high])
        is_open = np.isinf(ends)
        lengths = np.where(is_open, 0, np.clip([value - ends[0], ends[1] - value], 0, None))
        face = color if tuned else marks.hollow()
        ax.errorbar(
            value, place, xerr=lengths[:, None], marker=marker, color=color, markerfacecolor=face
        )
        below, above = is_open
        marks.arrows(ax, (value, place), below, above, color, axis="x")
    ax.axvline(0, color=GREY, linestyle=":", label="the base")
    ax.set_yticks(range(len(others)), list(others.recipe))
    ax.set_ylim(len(others) - 0.5, -0.5)  # the first on top
    ax.margins(x=0.4)  # room for arrows
    label = "nats/token"
    if others.difference.map(lambda each: abs(each.value)).max() > 2 * LINEAR_UP_TO:
        ax.set_xscale("symlog", linthresh=LINEAR_UP_TO)
        ax.xaxis.set_major_locator(FixedLocator([-LINEAR_UP_TO, 0, LINEAR_UP_TO, 1]))
        if of == ALL:  # once, below the middle
            label += f"\nlog beyond ±{LINEAR_UP_TO:g}"
    else:
        ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel=label, title=of)
    return ax
