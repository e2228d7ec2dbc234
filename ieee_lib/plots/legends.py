"""Legends above axes, never on data: as many columns as fit, notes on marks last.

legend_above(ax)                         # of a figure of one axes, or shared by several
legend_over(axes[0], title="N → ∞")      # of one of several axes
"""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from ieee_lib.plots.style import is_slide

NO_BOUND = "arrow: no bound on this side"
NO_BOUND_MARKER = {"y": r"$\updownarrow$", "x": r"$\leftrightarrow$"}
"""Axis along which an arrow runs -> its mark in a legend."""
NOTES = ("above the axes:", "arrow:", "dashed:", "dotted:", "hollow:", "pale:", "95 %")
"""How the entries of a legend begin that name no series."""


HANDLE = 5.2
"""Width of a handle with the space around it, in the text's size."""


def is_note(label: str) -> bool:
    """Say whether an entry of a legend explains a mark rather than names a series."""
    return label.startswith(NOTES)


def text_size(factor: float = 1.0) -> float:
    """Return the size (points) of a legend's text, times a factor."""
    return factor * FontProperties(size=mpl.rcParams["legend.fontsize"]).get_size_in_points()


def legend_above(ax: Axes, *, columns: int = 2, **options: Any) -> Axes:
    """Put the legend of an axes above its figure, in the order drawn, notes last.

    columns: at most, as far as the labels leave room. Rows beyond two make the figure higher, not
    the axes lower; a slide keeps its size. Options go to `Figure.legend`.
    """
    figure = figure_of(ax)
    handles, labels = ax.get_legend_handles_labels()
    if NO_BOUND not in labels:
        arrows = no_bound_entries(ax)
        handles, labels = [*handles, *arrows], [*labels, *[NO_BOUND] * len(arrows)]
    drawn = {id(artist): i for i, artist in enumerate(ax.get_children())}
    first = [drawn.get(id(h[0] if isinstance(h, tuple) else h), 0) for h in handles]
    order = np.lexsort((first, [is_note(label) for label in labels]))
    width, height = figure.get_size_inches()
    columns = _fitting([labels[i] for i in order], columns, width, text_size())
    beyond = max(0, math.ceil(len(handles) / columns) - 2)
    if not is_slide():
        figure.set_size_inches(width, height + beyond * text_size(1.5) / 72)
    figure.legend(
        [handles[i] for i in order], [labels[i] for i in order],
        loc="outside upper left", ncols=columns, **options,
    )  # fmt: skip
    return ax


def no_bound_entries(ax: Axes) -> list[Any]:
    """Return what says in the legends of an axes' figure what an arrow means: one or none."""
    entries = [zip(*one.get_legend_handles_labels(), strict=True) for one in figure_of(ax).axes]
    return [handle for axes in entries for handle, label in axes if label == NO_BOUND]


def legend_over(ax: Axes, *, title: str, columns: int = 2) -> Axes:
    """Put the legend of one of several axes right above it, notes last."""
    entries = sorted(
        zip(*ax.get_legend_handles_labels(), strict=True), key=lambda entry: is_note(entry[1])
    )
    grid = ax.get_gridspec()
    width = figure_of(ax).get_size_inches()[0] / (grid.ncols if grid else 1)
    columns = _fitting([label for _, label in entries], columns, width, text_size(0.9))
    ax.legend(
        *zip(*entries, strict=True),
        title=title, alignment="left", ncols=columns, columnspacing=1, loc="lower left",
        bbox_to_anchor=(0, 1), fontsize=text_size(0.9), title_fontsize=text_size(1.1),
    )  # fmt: skip
    return ax


def _fitting(labels: Sequence[str], columns: int, width: float, size: float) -> int:
    """Return how many columns of a legend fit a width (inches) at a size of text (points)."""
    font = FontProperties(size=size)
    widths = [
        text_to_path.get_text_width_height_descent(label, font, ismath="$" in label)[0]
        for label in labels
    ]
    for n in range(min(columns, len(labels)), 1, -1):
        filled = np.array_split(widths, n)  # as matplotlib fills them
        if sum(column.max() + HANDLE * size for column in filled) < 72 * width:
            return n
    return 1


def figure_of(ax: Axes) -> Figure:
    """Return the figure of an axes."""
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def remove(ax: Axes, *labels: str) -> Axes:
    """Remove the series with these labels from an axes, and from its figure's legends."""
    for container in list(ax.containers):
        if container.get_label() in labels:
            container.remove()
    for artist in [*ax.lines, *ax.collections, *ax.patches]:
        if artist.get_label() in labels:
            artist.remove()
    figure = figure_of(ax)
    if figure.legends:
        columns = getattr(figure.legends[0], "_ncols", 2)
        for legend in list(figure.legends):
            legend.remove()
        legend_above(ax, columns=columns)
    elif ax.get_legend():
        ax.legend()
    return ax
