"""Notebook 07: downstream error against total parameters and against loss (Sec. 7.1, Fig 10)."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.typing import ColorType

from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS, MARKERS


def error_against_total_parameters(ax: Axes, models: pd.DataFrame, *, label: str) -> Axes:
    """Draw error against total parameters, recipes joined by lines (Fig 10).

    models: recipe, model, K, N, total, error (estimates), as `laws.mean_errors` gives them; label:
    the tasks and metric.
    """
    for name, recipe, rows, color in _series(models):
        line = "" if recipe == "distilled" else "-"
        _errors(ax, rows, "total", recipe, name, color, linestyle=line)
    marks.count_ticks(ax, [*models.N, models.total.max()])
    ax.yaxis.set_major_formatter(marks.percent)
    ax.set(xlabel=marks.TOTAL_PARAMETERS, ylabel=f"error on {label}")
    return ax


def error_against_loss(ax: Axes, models: pd.DataFrame, *, label: str) -> Axes:
    """Draw error against validation loss, one point a model or ensemble (Fig 10)."""
    for name, recipe, rows, color in _series(models):
        _errors(ax, rows, "loss", recipe, name, color)
    ax.yaxis.set_major_formatter(marks.percent)
    ax.set(xlabel=marks.LOSS, ylabel=f"error on {label}")
    return ax


def published_downstream(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw the paper's mean error on three tasks against total parameters (Fig 10; Table 5).

    table: recipe, model, total (parameters), error (%).
    """
    for recipe in ("standard", "regularized"):
        rows = table[table.recipe == recipe]
        ax.plot(rows.total, rows.error, color=COLORS[recipe], marker=MARKERS[recipe], label=recipe)
    ensembles = table[table.recipe == "ensemble"]
    colors = marks.shades("ensemble", ensembles.model.nunique())
    for (model, rows), color in zip(ensembles.groupby("model", sort=False), colors, strict=True):
        label = f"ensembles of {model}, K = 1–{rows.K.max()}"
        ax.plot(rows.total, rows.error, color=color, marker=MARKERS["ensemble"], label=label)
    rows = table[table.recipe == "distilled"]
    marker = MARKERS["distilled"]
    ax.plot(
        rows.total,
        rows.error,
        linestyle="",
        marker=marker,
        color=COLORS["distilled"],
        markersize=9,
        label="distilled 300M",
    )
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
        yield f"ensembles of {model}, K = 1–{rows.K.max()}", "ensemble", rows, color
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
    marks.estimates(
        ax,
        rows[x],
        list(rows.error),
        recipe,
        label=name,
        color=color,
        ecolor=color,
        markerfacecolor=color,
        elinewidth=0.8,
        linestyle=linestyle,
    )
