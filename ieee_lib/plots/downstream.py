"""Notebook 07: downstream error against total parameters and against loss (Sec. 7.1, Fig 10)."""

from collections.abc import Iterable, Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.typing import ColorType

from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS, GREY, MARKERS, marker_size
from ieee_lib.plots.ticks import percent

TASKS = {
    "continuation": "the probe",
    "arc_easy": "ARC-Easy",
    "sciq": "SciQ",
    "piqa": "PIQA",
}
"""Task -> its name in words."""


def task_names(tasks: Iterable[str]) -> str:
    """Return the names of tasks in words, for a label."""
    return ", ".join(TASKS.get(task, task) for task in tasks)


def error_against_total_parameters(ax: Axes, models: pd.DataFrame, *, label: str) -> Axes:
    """Draw error against total parameters, recipes joined by lines (Fig 10).

    models: recipe, model, K, N, total, error (estimates), as `laws.mean_errors` gives them; label:
    the tasks and metric. The intervals are about equal, so one bar stands for all.
    """
    for name, recipe, rows, color in _series(models):
        line = "" if recipe == "distilled" else "-"
        _errors(ax, rows, "total", recipe, name, color, linestyle=line)
    marks.count_ticks(ax, [*models.N, models.total.max()])
    ax.yaxis.set_major_formatter(percent)
    ax.set(xlabel=marks.TOTAL_PARAMETERS, ylabel=f"error on {label}")
    return _typical_interval(ax, models)


def error_against_loss(ax: Axes, models: pd.DataFrame, *, label: str) -> Axes:
    """Draw error against validation loss, one point a model or ensemble (Fig 10)."""
    for name, recipe, rows, color in _series(models):
        _errors(ax, rows, "loss", recipe, name, color)
    ax.yaxis.set_major_formatter(percent)
    ax.set(xlabel=marks.LOSS, ylabel=f"error on {label}")
    return _typical_interval(ax, models)


def _typical_interval(ax: Axes, models: pd.DataFrame) -> Axes:
    """Draw the median 95 % interval once, at the left edge, about the mean error."""
    half = np.median([(error.ci_high - error.ci_low) / 2 for error in models.error])
    middle = np.mean([error.value for error in models.error])
    width = mpl.rcParams["lines.linewidth"]
    bar = ax.errorbar(
        0.02, middle, yerr=half, color=GREY, linestyle="", elinewidth=width, capsize=2 * width,
        transform=ax.get_yaxis_transform(), label=f"95 % interval of a point: about ±{half:.1%}",
    )  # fmt: skip
    bar[0].set_marker("_")
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, middle - 1.1 * half), max(high, middle + 1.1 * half))
    return ax


def published_downstream(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw the paper's mean error on three tasks against total parameters (Fig 10; Table 5).

    table: recipe, model, total (parameters), error (%).
    """
    for name, recipe, rows, color in _series(table):
        line, label = ("", "distilled 300M") if recipe == "distilled" else ("-", name)
        ax.plot(
            rows.total, rows.error, label=label, color=color, linestyle=line,
            marker=MARKERS[recipe], markersize=marker_size(recipe),
        )  # fmt: skip
    marks.count_ticks(ax, [1.5e8, 3e8, 6e8, 1.4e9, 3e9, 7e9])
    ax.set(xlabel=marks.TOTAL_PARAMETERS, ylabel="mean error on three tasks (%)")
    return ax


def _series(models: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame, ColorType]]:
    """Yield (label, recipe, rows, colour): a series a recipe, of ensembles one a model."""
    for recipe in ("standard", "regularized"):
        yield recipe, recipe, models[models.recipe == recipe], COLORS[recipe]
    ensembles = models[models.recipe == "ensemble"]
    colors = marks.shades("ensemble", ensembles.model.nunique())
    for (model, rows), color in zip(ensembles.groupby("model", sort=False), colors, strict=True):
        yield f"ensembles of 1–{rows.K.max()} models of {model}", "ensemble", rows, color
    yield "distilled", "distilled", models[models.recipe == "distilled"], COLORS["distilled"]


def _errors(
    ax: Axes,
    rows: pd.DataFrame,
    x: str,
    recipe: str,
    name: str,
    color: ColorType,
    linestyle: str = "",
) -> None:
    ax.plot(
        rows[x], [error.value for error in rows.error], label=name, color=color,
        marker=MARKERS[recipe], markersize=marker_size(recipe), linestyle=linestyle,
    )  # fmt: skip
