"""Loss over two settings as a heat map (v1 Fig 5 and 15).

heat_map(ax, cells, rows="wd", columns="epochs")
"""

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ieee_lib.plots.marks import LOSS
from ieee_lib.plots.style import surface


def heat_map(
    ax: Axes,
    table: pd.DataFrame,
    *,
    rows: str,
    columns: str,
    value: str = "loss",
    bar: bool = True,
    ends: tuple[float, float] | None = None,
    title: str = "",
) -> Axes:
    """Draw a heat map of means; the lowest cell is framed; a title of its own says so.

    bar: with the colour scale; ends: of the colour scale, where several maps share one.
    """
    grid = table.pivot(index=rows, columns=columns, values=value).sort_index(ascending=False)
    low, high = ends or (None, None)
    sns.heatmap(
        grid,
        ax=ax,
        annot=True,
        fmt=".3f",
        cmap="crest",
        vmin=low,
        vmax=high,
        linewidths=1.5,
        linecolor=surface(),
        cbar=bar,
    )
    gap = mpl.rcParams["font.size"] / 2
    if colorbar := ax.collections[0].colorbar:
        colorbar.set_label(LOSS, labelpad=gap)
    row, column = divmod(int(np.nanargmin(grid.to_numpy())), len(grid.columns))
    frame = {"edgecolor": mpl.rcParams["text.color"]}  # no recipe's
    frame["linewidth"] = 2 * mpl.rcParams["lines.linewidth"]
    best = Rectangle((column, row), 1, 1, fill=False, clip_on=False, zorder=3, **frame)
    ax.add_patch(best)
    is_inside = 0 < row < len(grid) - 1 and 0 < column < len(grid.columns) - 1
    framed = "lowest framed" + ("" if is_inside else ", on the grid's edge")
    ax.set_title(title or framed)
    ax.tick_params(length=0, pad=gap)  # clear of the frame
    ax.grid(False)
    ax.set_yticklabels([f"{v:g}" for v in grid.index], rotation=0)
    ax.set_xticklabels([f"{v:g}" for v in grid.columns])
    return ax
