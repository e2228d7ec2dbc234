"""Notebooks 01 and 02: tuned recipes against N, weight decay, trajectories (Fig 3, 13 to 15)."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from ieee_lib.laws.estimates import estimates
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS


def loss_against_parameters(
    ax: Axes, tuned: pd.DataFrame, law: PowerLaw | None = None, *, recipe: str = "regularized"
) -> Axes:
    """Draw a tuned recipe against N, with its law in N where given (Fig 2 right, Fig 3).

    tuned: N, loss, se, status, as `recipes.regularized` gives them. Points whose search did not
    end in a certificate are hollow; without a law the points are joined.
    """
    line = "" if law else "-"
    marks.means(ax, tuned, "N", recipe, label=f"{recipe} recipe", linestyle=line)
    unsure = tuned[tuned.status.isin(["uncertified", "not searched"])]
    if len(unsure):
        marks.means(
            ax, unsure, "N", recipe, label="not certified", filled=False, linestyle="", zorder=5
        )
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
        rows = rows.assign(place=rows.wd.map(place))
        marks.means(ax, rows, "place", "regularized", label=f"{model} model")
        best = rows.iloc[rows.loss.argmin()]
        ax.annotate(
            f"best: wd {best.wd:g}",
            (best.place, best.loss),
            xytext=(0, -12),
            textcoords="offset points",
            ha="center",
            va="top",
        )
    if 0.1 in place:
        ax.axvline(place[0.1], color=COLORS["standard"], linestyle=":", label="standard: 0.1")
    ax.set_xticks(list(place.values()), [f"{wd:g}" for wd in decays])
    ax.margins(y=0.15)
    ax.set(xlabel="weight decay", ylabel=marks.LOSS)
    return ax


def loss_along_training(ax: Axes, curves: Mapping[str, pd.DataFrame]) -> Axes:
    """Draw mean loss curves, one pair of lines a recipe (v1 Fig 14).

    curves: recipe -> frame of tokens, train_loss, val_loss, as `laws.mean_curve` gives it.
    """
    for recipe, points in curves.items():
        color, label = COLORS[recipe], f"{recipe}: training"
        ax.plot(points.tokens, points.val_loss, color=color, label=f"{recipe}: validation")
        ax.plot(points.tokens, points.train_loss, color=color, linestyle="--", label=label)
    ax.xaxis.set_major_formatter(lambda tokens, _: marks.short_count(tokens))
    ax.yaxis.set_major_locator(MultipleLocator(0.5))  # labels of one width: one layout
    ax.set(xlabel="tokens seen, repeats counted", ylabel="loss (nats/token)", xlim=(0, None))
    return ax
