"""Notebook 11: what was measured against what was predicted of it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS, GREY, MARKERS

TITLES = {
    "D": "from smaller D",
    "K": "from fewer members",
    "N": "from smaller models",
}
"""What grows -> the title of its predictions."""

PALE = 0.35
"""Opacity of what is not counted."""


def errors_of_predictions(ax: Axes, scores: pd.DataFrame, axis: str) -> Axes:
    """Draw measured minus predicted loss of what was extrapolated in D, K or N, one line each.

    scores: as `predictions.scores` gives them; the range of losses is that of all axes. A bar is
    the predicted 95 % interval, a symbol what was measured: hollow where the interval does not
    hold it, pale where it is not counted.
    """
    shown = scores[scores.axis == axis].sort_values(["recipe", "D", "N"], kind="stable")
    rows = shown.to_dict("records")
    for place, row in enumerate(rows):
        _draw(ax, place, row)
    ax.axvline(0, color=GREY, linestyle=":")
    ax.set_yticks(range(len(rows)), [_name(row, shown.D.nunique() > 1) for row in rows])
    ax.set(xlim=_range(scores), ylim=(max(len(rows), 1) - 0.4, -0.6))
    same = f" (D = {marks.short_count(shown.D.iloc[0])})" if shown.D.nunique() == 1 else ""
    ax.set(xlabel="measured minus predicted (nats/token)", title=TITLES[axis] + same)
    for recipe in sorted(scores.recipe.unique()):
        ax.plot([], [], color=COLORS[recipe], marker=MARKERS[recipe], label=recipe)
    ax.plot([], [], color=GREY, label="predicted, 95 %")
    measured: dict[str, Any] = {"color": GREY, "linestyle": "", "marker": "o"}
    ax.plot([], [], label="measured, inside", **measured)
    ax.plot([], [], label="measured, outside", markerfacecolor=marks.hollow(), **measured)
    reasons = [reason for reason in scores.counted.unique() if reason != "yes"]
    if reasons:
        label = f"pale: * not counted ({', '.join(reasons)})"
        ax.plot([], [], color=GREY, alpha=PALE, marker="o", label=label)
    return ax


def _name(row: dict, with_D: bool) -> str:
    """Return what a prediction is about: 3 × 0.92M, D = 32.8k."""
    name = f"{row['K']} × {row['model']}" if row["K"] > 1 else row["model"]
    name += f", D = {marks.short_count(row['D'])}" if with_D else ""
    return name if row["counted"] == "yes" else f"{name} *"


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
