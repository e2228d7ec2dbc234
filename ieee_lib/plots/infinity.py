"""Limits where they belong: at ∞, right of an axis of counts, each with its 95 % interval.

at_infinity(ax, [End(law.limit, "regularized")], ticks=tuned.N, end=4e6)
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.typing import ColorType

from ieee_lib.laws.estimates import Estimate
from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS, GREY, MARKERS, thin

FIRST, STEP = 0.07, 0.045
"""Where limits stand right of the last count, as shares of the axis before it."""


@dataclass(frozen=True)
class End:
    """A limit, and how it looks."""

    limit: Estimate
    recipe: str
    filled: bool = True
    color: ColorType | None = None
    """Instead of the recipe's."""
    marker: str = ""
    """Instead of the recipe's."""
    label: str = ""
    """Names it in the legend, with its number; without one it looks as its series does."""


def at_infinity(ax: Axes, ends: Iterable[End], *, ticks: Iterable[float], end: float) -> Axes:
    """Draw limits with their 95 % intervals at the tick ∞, right of the last count of an axis.

    ticks: counts on the axis, its first one the smallest; end: where laws end. A limit that does
    not exist leaves its place empty.
    """
    ticks, ends = sorted(set(ticks)), list(ends)
    start, span = ticks[0], np.log(end / ticks[0])
    places = end * np.exp(span * (FIRST + STEP * np.arange(len(ends))))
    for place, one in zip(places, ends, strict=True):
        if not one.limit.exists:
            if one.label:
                ax.plot([], [], " ", label=f"{one.label.rstrip(':')}: none")
            continue
        label = marks.limit_label(one.label, one.limit) if one.label else ""
        color = one.color or COLORS[one.recipe]
        marks.estimates(
            ax, [place], [one.limit], one.recipe, label=label, filled=one.filled, color=color,
            ecolor=color, markeredgecolor=color, marker=one.marker or MARKERS[one.recipe],
            markerfacecolor=color if one.filled else marks.hollow(),
        )  # fmt: skip
    labels = [*map(marks.short_count, ticks), "∞"]
    marks.log_ticks(ax, [*ticks, np.sqrt(places[0] * places[-1])], labels=labels)
    ax.axvline(end * np.exp(span * FIRST / 2), color=GREY, linewidth=thin() / 2, zorder=0)
    ax.set_xlim(start * np.exp(-0.05 * span), places[-1] * np.exp(0.05 * span))
    return ax


def with_limit(name: str, way: str, limit: Estimate) -> str:
    """Return "name; N → ∞: 4.341 [4.260, 4.422]": a series and its limit in a legend."""
    if not limit.exists:
        return f"{name}; {way}: no limit"
    return f"{name}; {way}: {marks.interval_text(limit.value, limit.ci_low, limit.ci_high)}"
