"""Notebook 11: what was measured against what was predicted of it."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS, GREY, MARKERS

HEADINGS = {
    "D": "largest D, from smaller D",
    "K": "largest K, from fewer members",
    "N": "largest N, from smaller models",
}
"""What grows -> the heading of its predictions."""

PALE = 0.35
"""Opacity of what is not counted."""


def errors_of_predictions(ax: Axes, scores: pd.DataFrame) -> Axes:
    """Draw measured minus predicted loss, one line a prediction, grouped by what was extrapolated.

    scores: as `predictions.scores` gives them. A bar is the predicted 95 % interval, a symbol what
    was measured: hollow where the interval does not hold it, pale where it is not counted.
    """
    rows = scores.sort_values(["axis", "recipe", "D", "N"], kind="stable").to_dict("records")
    ticks: dict[float, str] = {}
    place, heading = 0.0, ""
    for row in rows:
        if row["axis"] != heading:
            heading = row["axis"]
            place -= 1.2
            ax.text(
                0.01, place, HEADINGS[heading], transform=ax.get_yaxis_transform(),
                va="center", weight="bold", fontsize=mpl.rcParams["legend.fontsize"],
                bbox={"facecolor": marks.hollow(), "edgecolor": "none", "pad": 1},
            )  # fmt: skip
        place -= 1
        ticks[place] = _name(row)
        _draw(ax, place, row)
    ax.axvline(0, color=GREY, linestyle=":")
    ax.set_yticks(list(ticks), list(ticks.values()))
    ax.set_ylim(place - 0.7, -0.5)
    ax.set_xlim(*_range(scores))
    ax.set(xlabel="measured minus predicted (nats/token)")
    for recipe in dict.fromkeys(row["recipe"] for row in rows):
        ax.plot([], [], color=COLORS[recipe], marker=MARKERS[recipe], label=recipe)
    ax.plot([], [], color=GREY, label="predicted, 95 %")
    measured: dict[str, Any] = {"color": GREY, "linestyle": "", "marker": "o"}
    ax.plot([], [], label="measured", **measured)
    ax.plot([], [], label="measured, not covered", markerfacecolor=marks.hollow(), **measured)
    if not (scores.counted == "yes").all():
        ax.plot([], [], color=GREY, alpha=PALE, marker="o", label="not counted")
    return ax


def _name(row: dict) -> str:
    """Return what a prediction is about: 3 × 0.63M, D = 32.8k."""
    model = f"{row['K']} × {row['model']}" if row["K"] > 1 else row["model"]
    return f"{model}, D = {marks.short_count(row['D'])}"


def _draw(ax: Axes, place: float, row: dict) -> None:
    """Draw one prediction around 0, and how far from it the measured loss lies."""
    color, alpha = COLORS[row["recipe"]], 1.0 if row["counted"] == "yes" else PALE
    ends = np.array([row["ci_low"], row["ci_high"]]) - row["predicted"]
    below, above = np.isinf(ends)
    lengths = np.where(np.isinf(ends), 0, np.abs(ends))
    style: dict[str, Any] = {"color": color, "alpha": alpha}
    ax.errorbar([0], [place], xerr=lengths[:, None], marker="|", linestyle="", **style)
    marks.arrows(ax, (0, place), below, above, (color, alpha), axis="x")
    face = color if row["covered"] else marks.hollow()
    marker = MARKERS[row["recipe"]]
    ax.plot(row["error"], place, marker=marker, markerfacecolor=face, linestyle="", **style)


def _range(scores: pd.DataFrame) -> tuple[float, float]:
    """Return the range of the axis: all errors, and all intervals but the very wide ones."""
    below, above = scores.ci_low - scores.predicted, scores.ci_high - scores.predicted
    widest = max(5 * (above - below).median(), 1.2 * scores.error.abs().max())
    values = pd.concat([below, above, scores.error]).replace([np.inf, -np.inf], np.nan).dropna()
    values = values.clip(-widest, widest)
    margin = 0.05 * (values.max() - values.min())
    return float(values.min() - margin), float(values.max() + margin)
