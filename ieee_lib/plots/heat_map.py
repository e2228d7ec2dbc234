"""Loss over two settings as a heat map (v1 Fig 5 and 15).

heat_map(ax, cells, rows="wd", columns="epochs")
"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ieee_lib.plots.marks import LOSS
from ieee_lib.plots.style import COLORS


def heat_map(
    ax: Axes, table: pd.DataFrame, *, rows: str, columns: str, value: str = "loss", bar: bool = True
) -> Axes:
    """Draw a heat map of means; the best cell is framed. `bar` asks for the colour scale."""
    grid = table.pivot(index=rows, columns=columns, values=value).sort_index(ascending=False)
    sns.heatmap(
        grid,
        ax=ax,
        annot=True,
        fmt=".3f",
        cmap="crest",
        linewidths=1.5,
        cbar=bar,
        cbar_kws={"label": LOSS} if bar else None,
    )
    row, column = divmod(int(np.nanargmin(grid.to_numpy())), len(grid.columns))
    best = Rectangle((column, row), 1, 1, fill=False, edgecolor=COLORS["standard"], linewidth=2.5)
    ax.add_patch(best)
    ax.tick_params(length=0)
    ax.grid(False)
    ax.set_yticklabels([f"{v:g}" for v in grid.index], rotation=0)
    ax.set_xticklabels([f"{v:g}" for v in grid.columns])
    return ax
