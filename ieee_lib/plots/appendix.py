"""Notebook 13: ablations of the paper's appendix (ICLR Fig 10, 12, 19 and 20)."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.laws.estimates import estimates
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS, GREY


def held_across_sizes(
    ax: Axes, standard: pd.DataFrame, tuned: pd.DataFrame, held: Sequence[pd.DataFrame]
) -> Axes:
    """Draw tuned models against N beside models of which one setting is held (ICLR Fig 10).

    held: frames of `recipes.held_setting`, drawn in grey; models without a run are left out.
    """
    marks.means(ax, standard, "N", "standard", label="standard (wd 0.1)")
    marks.means(ax, tuned, "N", "regularized", label="all tuned", zorder=3)
    for frame, marker, dash in zip(held, "v^", ("--", ":"), strict=False):
        marks.means(
            ax, frame, "N", "regularized", label=f"{frame.held.iloc[0]} at every N",
            color=GREY, ecolor=GREY, markeredgecolor=GREY, markerfacecolor=marks.hollow(),
            marker=marker, linestyle=dash, zorder=4,
            markersize=1.5 * mpl.rcParams["lines.markersize"],  # around the tuned points
        )  # fmt: skip
    marks.count_ticks(ax, tuned.N)
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    return ax


def loss_against_batch_size(ax: Axes, means: pd.DataFrame) -> Axes:
    """Draw loss against batch size, as `laws.seed_means` gives it (ICLR Fig 12, left)."""
    marks.means(ax, means, "batch_size", "standard", label="one epoch, wd 0.1")
    marks.log_ticks(ax, means.batch_size)
    ax.set(xlabel="batch size (sequences a step)", ylabel=marks.LOSS)
    return ax


def loss_and_error_against_epochs(axes: Sequence[Axes], errors: pd.DataFrame) -> Sequence[Axes]:
    """Draw loss and downstream error against epochs, a line a decay (ICLR Fig 19).

    errors: wd, epochs, loss and error (estimates), as `recipes.errors_by_epochs` gives them. The
    lowest decay has the standard recipe's colour.
    """
    names = {"loss": marks.LOSS, "error": "downstream error (share wrong)"}
    for ax, (value, label) in zip(axes, names.items(), strict=True):
        for i, (wd, part) in enumerate(errors.groupby("wd")):
            part = part.sort_values("epochs")
            recipe = "regularized" if i else "standard"
            marks.estimates(
                ax, part.epochs, list(part[value]), recipe,
                label=f"wd {wd:g}", linestyle="-", filled=i < 2,
            )  # fmt: skip
        ax.set_xscale("log")
        marks.log_ticks(ax, sorted(errors.epochs.unique()))
        ax.set(xlabel="epochs over the same D tokens", ylabel=label)
    return axes


def laws_by_seed(ax: Axes, laws: Mapping[str, PowerLaw]) -> Axes:
    """Draw the law in N refitted to each seed alone, with its points (ICLR Fig 20, left)."""
    colors = marks.shades("regularized", len(laws))
    for i, ((name, law), color) in enumerate(zip(laws.items(), colors, strict=True)):
        assert law.frame is not None
        N, marker = law.frame["N"], "os^vD"[i % 5]
        ax.plot(N, law.y, marker, color=color, label=f"{name}: {marks.law_text(law)}")
        marks.curve(ax, law, (0.8 * N.min(), 10 * N.max()), "regularized", color=color)
    marks.count_ticks(ax, [*N, 10 * N.max()])
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    return ax


def predicted_sizes(ax: Axes, sizes: pd.DataFrame, laws: Mapping[str, PowerLaw]) -> Axes:
    """Draw laws of the smaller models, by form, on to the larger ones (ICLR Fig 21).

    sizes: one row a model, smallest first. Models that no law was fitted to are hollow.
    """
    n_point = next(iter(laws.values())).n_point
    for rows, label, filled in (
        (sizes.iloc[:n_point], "in the fit", True),
        (sizes.iloc[n_point:], "left out", False),
    ):
        marks.estimates(
            ax, rows.N, estimates(rows), "regularized", label=label, filled=filled, zorder=3
        )
    reach = (0.8 * sizes.N.min(), 1.5 * sizes.N.max())
    lines = (("--", COLORS["regularized"]), ("-.", GREY))
    for (form, law), (dash, color) in zip(laws.items(), lines, strict=True):
        marks.curve(ax, law, reach, "regularized", linestyle=dash, color=color, label=form)
    marks.count_ticks(ax, sizes.N)
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    return ax
