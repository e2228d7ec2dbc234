"""Notebook 02: decay as a timescale, tuned settings against N / D."""

from itertools import cycle

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ieee_lib.laws.timescale import PAPER, LogLine
from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS, GREY

DECAY = "decay per epoch, lr · wd · steps"
RATIO = "parameters per unique token, N / D"


def decay_against_ratio(ax: Axes, optima: pd.DataFrame, line: LogLine) -> Axes:
    """Draw the decay per epoch of tuned settings against N / D, and the line at every source.

    optima: as `laws.with_timescale` gives them; those that do not count are hollow. line: of those
    that do, with a level for each source. The right axis is the timescale, in epochs.
    """
    sources = list(optima.source.unique())
    ours = iter(marks.shades("regularized", len(sources))[::-1])
    shapes = cycle("o^Dv")
    for source, rows in optima.groupby("source", sort=False):
        color, shape = (GREY, "s") if source == PAPER else (next(ours), next(shapes))
        for counts, note in ((True, ""), (False, ", not certified")):
            points = rows[rows.counts == counts]
            if len(points):
                face = color if counts else marks.hollow()
                label = f"{source}{note} ({len(points)})"
                ax.plot(points.ratio, points.decay, shape, color=color, mfc=face, label=label)
        in_line = rows.ratio[rows.counts]
        if len(in_line):
            ratio = np.geomspace(in_line.min(), in_line.max(), 50)
            at = [line.at({str(source): 1.0, "ratio": np.log(x)}) for x in ratio]
            middle, low, high = np.transpose(at)
            ax.plot(ratio, middle, "--", color=color)
            ax.fill_between(ratio, low, high, color=color, alpha=0.15, linewidth=0)
    marks.log_ticks(ax, [0.1, 0.3, 1, 3, 10, 30])
    marks.log_ticks(ax, [0.25, 0.5, 1, 2, 4, 8], axis="y")
    ax.set(xlabel=RATIO, ylabel=DECAY)
    epochs = ax.secondary_yaxis("right", functions=(_inverse, _inverse))
    epochs.set_yticks([4, 2, 1, 0.5, 0.25, 0.125], ["4", "2", "1", "1/2", "1/4", "1/8"])
    epochs.minorticks_off()
    epochs.set_ylabel("τ (epochs)")
    return ax


def _inverse(values: ArrayLike) -> ArrayLike:
    return 1 / np.maximum(values, 1e-9)


def slopes_in_ratio(ax: Axes, table: pd.DataFrame, *, reach: float = 0.75) -> Axes:
    """Draw the slope of ln(decay per epoch) in ln(N / D), one row a set of optima.

    table: as `laws.slopes` gives it. The paper's and others' points are grey, slopes that others
    fitted hollow. An interval beyond `reach` runs to the edge of the axes; a value that was
    published without one has none.
    """
    for place, row in enumerate(table.to_dict("records")):
        is_here = row["source"] == "here"
        color = COLORS["regularized"] if is_here and PAPER not in row["optima"] else GREY
        low, high = row["slope ci_low"], row["slope ci_high"]
        ax.plot([max(low, -9.0), min(high, 9.0)], [place, place], color=color)
        ax.plot(row["slope"], place, "o", color=color, mfc=color if is_here else marks.hollow())
        below, above = np.isneginf(low), np.isposinf(high)
        marks.arrows(ax, (row["slope"], place), below, above, color, axis="x")
    ax.axvline(0, color=mpl.rcParams["axes.edgecolor"], linestyle=":")
    counts = [f" ({n:.0f})" for n in table.n.fillna(0)]
    ax.set_yticks(range(len(table)), (table.optima + counts).str.removesuffix(" (0)"))
    ax.invert_yaxis()
    ax.set(xlabel="slope of ln(decay) in ln(N / D)", xlim=(-1.2 * reach, 1.2 * reach))
    return ax
