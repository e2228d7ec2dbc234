"""Notebooks 01 and 02: tuned recipes against N, weight decay, trajectories (Fig 3, 13 to 15)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from ieee_lib.laws.estimates import estimates
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS, GREY, MARKERS

NOT_CERTIFIED = "hollow: settings not certified as best"
"""What a hollow point is, once a legend."""


def loss_against_parameters(
    ax: Axes, tuned: pd.DataFrame, law: PowerLaw | None = None, *, recipe: str = "regularized"
) -> Axes:
    """Draw a tuned recipe against N, with its law in N where given (Fig 2 right, Fig 3).

    tuned: N, loss, se, dof, status, as `recipes.regularized` gives them. Points whose search did
    not end in a certificate are hollow; without a law the points are joined.
    """
    is_unsure = tuned.status.isin(["uncertified", "not searched"])
    name, color = f"{recipe} recipe", COLORS[recipe]
    if not law:
        rows = tuned.dropna(subset="loss").sort_values("N")
        ax.plot(rows.N, rows.loss, color=color)
    for rows, filled in ((tuned[~is_unsure], True), (tuned[is_unsure], False)):
        if len(rows):
            label = name if filled or is_unsure.all() else ""
            marks.means(ax, rows, "N", recipe, label=label, filled=filled, linestyle="")
    if is_unsure.any() and NOT_CERTIFIED not in ax.get_legend_handles_labels()[1]:
        ax.plot([], [], "o", color=GREY, markerfacecolor=marks.hollow(), label=NOT_CERTIFIED)
    if law:
        x_range = (0.8 * tuned.N.min(), 3 * tuned.N.max())
        marks.law(ax, law, x_range, recipe, label=marks.law_text(law))
    marks.count_ticks(ax, tuned.N)
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    return ax


def law_through(ax: Axes, tuned: pd.DataFrame, law: PowerLaw) -> Axes:
    """Draw a law in N with the points that it was fitted to; the others are hollow."""
    in_fit = tuned.model.isin(law.labels)
    for rows, label, filled in (
        (tuned[in_fit], "in the fit", True),
        (tuned[~in_fit], "left out", False),
    ):
        if len(rows):
            points = estimates(rows)
            marks.estimates(ax, list(rows.N), points, "regularized", label=label, filled=filled)
    x_range = (0.8 * tuned.N.min(), 3 * tuned.N.max())
    marks.law(ax, law, x_range, "regularized", label=marks.law_text(law))
    marks.count_ticks(ax, tuned.N)
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    return ax


def loss_against_decay(ax: Axes, means: pd.DataFrame) -> Axes:
    """Draw loss against weight decay, one line a model (v1 Fig 13, right).

    means: model, wd, loss, se, as `laws.seed_means` gives them.
    """
    decays = sorted(means.wd.unique())
    place = {wd: i for i, wd in enumerate(decays)}  # 0 has no place on a logarithmic axis
    for model, rows in means.groupby("model"):
        best = rows.iloc[rows.loss.argmin()]
        rows = rows.assign(place=rows.wd.map(place))
        label = f"{model} model, lowest at {best.wd:g}"
        marks.means(ax, rows, "place", "regularized", label=label)
    if 0.1 in place:
        ax.axvline(
            place[0.1], color=COLORS["standard"], linestyle=":", label="standard recipe: 0.1"
        )
    ax.set_xticks(list(place.values()), [f"{wd:g}" for wd in decays])
    ax.margins(y=0.15)
    ax.set(xlabel="weight decay wd", ylabel=marks.LOSS)
    return ax


def loss_along_training(ax: Axes, curves: Mapping[str, pd.DataFrame]) -> Axes:
    """Draw mean loss curves, one pair of lines a recipe (v1 Fig 14).

    curves: recipe -> frame of tokens, train_loss (the mean since the point before), val_loss, as
    `laws.mean_curve` gives it.
    """
    for recipe, points in curves.items():
        look: dict[str, Any] = {"color": COLORS[recipe], "marker": MARKERS[recipe]}
        ax.plot(points.tokens, points.val_loss, label=f"{recipe}: validation", **look)
        look |= {"linestyle": "--", "markerfacecolor": marks.hollow()}
        ax.plot(points.tokens, points.train_loss, label=f"{recipe}: training", **look)
    ax.xaxis.set_major_formatter(lambda tokens, _: marks.short_count(tokens))
    ax.yaxis.set_major_locator(MultipleLocator(0.5))  # labels of one width: one layout
    ax.set(xlabel="tokens trained on, repeats counted", ylabel="loss (nats/token)", xlim=(0, None))
    return ax
