"""Notebook 05: loss against training FLOPs and inference parameters, a frontier a recipe."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import offset_copy

from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.frontier import AT_OPTIMUM, FOR_MANY, Frontier
from ieee_lib.plots import marks
from ieee_lib.plots.legends import figure_of
from ieee_lib.plots.style import COLORS, GREY, MARKERS, marker_size, thin

AXES = {"flops": "training FLOPs", "parameters": "inference parameters, N × K"}
"""Cost -> label of its axis."""

LOOKS: dict[str, dict[str, Any]] = {
    "standard": {"label": "standard (wd 0.1)"},
    "regularized": {"label": "regularized (single model)"},
    AT_OPTIMUM: {"label": "ensembles, single-model optimum"},
    FOR_MANY: {"label": "ensembles, tuned for K → ∞", "linestyle": "--", "filled": False},
    "distilled": {"label": "students, teachers' compute counted"},
}
"""Frontier -> its label and line, in the order drawn."""
DOMINATED = "pale: not on a frontier"
PALE = 0.35
"""Opacity of points that are not on a frontier."""

SHOWN = 0.7
"""Share of the gain from the worst to the best frontier's end that is shown above the worst."""
APART = 1.5
"""Factor that ticks of parameters keep between one another."""


def loss_frontiers(
    ax: Axes, points: pd.DataFrame, frontiers: Mapping[str, Frontier], *, title: str = ""
) -> Axes:
    """Draw points of loss against cost, small and pale, and every recipe's frontier before them.

    points: recipe, loss (estimates, nats/token) and the frontiers' cost, as `recorded_points` and
    `published_costs` give them; frontiers: of `fit_frontiers`. Bars are 95 % intervals. A frontier
    is drawn up to its recipe's costliest point; points far above all of them are not shown.
    """
    x = next(iter(frontiers.values())).x
    ax.set_xscale("log")
    size = mpl.rcParams["lines.markersize"]
    for recipe, rows in points.groupby("recipe", sort=False):
        kind = _kind(str(recipe))
        small = {"marker": MARKERS[kind], "markersize": 0.5 * size, "markeredgewidth": 0}
        look = {"color": COLORS[kind], "alpha": PALE, "linestyle": "", "zorder": 1.5, **small}
        ax.plot(rows[x], [loss.value for loss in rows.loss], **look)
    for name, look in LOOKS.items():
        if name not in frontiers:
            continue
        steps, kind = frontiers[name].steps, _kind(name)
        line = {"linestyle": "-", "drawstyle": "steps-post", **look}
        line |= {"markersize": 0.8 * marker_size(kind), "zorder": 3, "linewidth": thin()}
        marks.estimates(ax, steps[x], list(steps.loss), kind, **line)
        end, last = steps.iloc[-1], frontiers[name].last
        tail = {"linestyle": line["linestyle"], "linewidth": thin(), "zorder": 3}
        ax.hlines(end.loss.value, end[x], last, color=COLORS[kind], **tail)
    pale = {"marker": "o", "markersize": 0.5 * size, "linestyle": "", "alpha": PALE}
    ax.plot([], [], color=GREY, label=DOMINATED, **pale)
    ax.set(title=title, xlabel=AXES[x], ylabel="loss (nats/token)")
    _focus(ax, points, frontiers, x)
    if x == "parameters":
        left, right = ax.get_xlim()
        marks.count_ticks(ax, _apart([N for N in points[x] if left <= N <= right]))
        ax.set_xlim(left, right)
    return ax


def overtaking(ax: Axes, crossings: pd.DataFrame) -> Axes:
    """Mark above the axes from which budget on a recipe lies below another, with 95 % intervals.

    crossings: recipe, overtakes and from (estimates), as `laws.crossings` gives them. Shown are
    regularized models below the standard recipe, and ensembles below both.
    """
    shown = {
        ("regularized", "standard"): "regularized",
        ("ensemble", "regularized"): "any ensemble",
    }
    font, where = mpl.rcParams["font.size"], mpl.rcParams["axes.titlelocation"]
    pairs = {(row["recipe"], row["overtakes"]): row for row in crossings.to_dict("records")}
    drawn = [pair for pair in shown if pair in pairs]
    for i, pair in enumerate(drawn):
        start: Estimate = pairs[pair]["from"]
        ends = np.clip([start.ci_low, start.value, start.ci_high], *ax.get_xlim())
        above = offset_copy(
            ax.get_xaxis_transform(), figure_of(ax), y=(0.5 + i) * font, units="points"
        )
        ax.plot(
            ends, [1] * 3, color=COLORS[pair[0]], transform=above, clip_on=False, linewidth=thin(),
            marker="|", markevery=[1], markersize=mpl.rcParams["lines.markersize"],
            markeredgewidth=mpl.rcParams["lines.linewidth"],
            label=f"above the axes: {shown[pair]} below {pair[1]}",
        )  # fmt: skip
    ax.set_title(ax.get_title(where), pad=(0.6 + len(drawn)) * font)
    return ax


def _kind(name: str) -> str:
    """Return the recipe whose colour a frontier has."""
    return name.partition(",")[0]


def _focus(ax: Axes, points: pd.DataFrame, frontiers: Mapping[str, Frontier], x: str) -> None:
    """End the axes a little above the worst frontier's end, and where no point is left."""
    ends = [frontier.steps.loss.iloc[-1] for frontier in frontiers.values()]
    best, worst = min(end.value for end in ends), max(end.value for end in ends)
    gain = worst - best
    if gain > 0:
        lowest = min(end.ci_low for end in ends if np.isfinite(end.ci_low))
        ax.set_ylim(max(lowest, best - gain) - 0.15 * gain, worst + SHOWN * gain)
        shown = points[x][[loss.value <= worst + SHOWN * gain for loss in points.loss]]
        ax.set_xlim(0.85 * shown.min(), 1.2 * shown.max())


def _apart(values: list[float]) -> list[float]:
    """Return values from the smallest on that are `APART` or more from the one before."""
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value >= APART * kept[-1]:
            kept.append(value)
    return kept
