"""Figures across D and of all recipes at once (Sec. 5): estimates and laws in, a `Drawing` out.

drawing = limits_against_data(ladder, laws, unit=1e6, caption=...)
"""


import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ieee_lib.plots import marks as plots
from ieee_lib.plots.figures import short_count
from ieee_lib.plots.saving import Drawing, finish


def foretold(rows: pd.DataFrame, *, caption: str) -> Drawing:
    """Draw what was measured against what was foretold of it, one row a prediction.

    rows: largest (N, D or K), recipe, model, D, K, predicted, low, high, measured, covered,
    counts (yes, or why not).
    """
    rows = rows.sort_values(["largest", "recipe", "D"], kind="stable", ignore_index=True)
    width, height = plt.rcParams["figure.figsize"]
    line = 1.5 * plt.rcParams["font.size"] / 72  # inches
    figure, ax = plt.subplots(figsize=(width, 0.55 * height + line * len(rows)))
    places = np.arange(len(rows))[::-1]
    wide = 3 * np.median(rows.high - rows.low)
    counts = rows.counts == "yes"
    for (recipe, counted), part in rows.assign(place=places).groupby(
        ["recipe", counts.rename("counted")], sort=False
    ):
        style = {"linestyle": "", "color": plots.COLORS[recipe], "alpha": 1.0 if counted else 0.35}
        ends = np.array([part.predicted - part.low, part.high - part.predicted])
        ax.errorbar(
            np.zeros(len(part)), part.place, xerr=np.where(np.isinf(ends), 0, ends), marker="|",
            label=f"{recipe}: predicted" if counted else "", **style,
        )  # fmt: skip
        color = (style["color"], style["alpha"])
        for place, below, above in zip(part.place, *np.isinf(ends), strict=True):
            plots.arrows(ax, (0, place), below, above, color, axis="x")
        for covered, mark in ((True, plots.COLORS[recipe]), (False, plots.hollow())):
            own = part[part.covered == covered]
            ax.plot(
                own.measured - own.predicted, own.place,
                marker=plots.MARKERS[recipe], markerfacecolor=mark, **style,
            )  # fmt: skip
    far = max(wide, 1.2 * (rows.measured - rows.predicted).abs().max())
    ax.set(xlim=(-far, far), ylim=(-0.7, len(rows) - 0.3))
    many = np.where(rows.K > 1, " x " + rows.K.astype(str), "")
    names = rows.model + many + ", D = " + rows.D.map(short_count)
    ax.set_yticks(
        places, [f"{axis}: {name}" for axis, name in zip(rows.largest, names, strict=True)]
    )
    ax.axvline(0, color=plots.GREY, linestyle=":")
    late = "" if counts.all() else "; pale: not counted"
    ax.plot([], [], " ", label=f"symbols: measured; hollow: not covered{late}")
    ax.set(xlabel="measured minus predicted (nats/token)")
    plots.legend_above(figure, ax)
    return finish(figure, caption, predictions=rows)
