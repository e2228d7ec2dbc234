"""Notebooks 02 and 04: three forms of the law in N, and how each predicted the largest model."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.laws.forms import SizeLaws
from ieee_lib.laws.units import scale_of
from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS, GREY

DASHES = ("--", "-.", ":")


def law_forms(ax: Axes, sizes: SizeLaws, D: int, recipe: str) -> Axes:
    """Draw one D's points with the law of every form, and the limits at the right edge.

    Bars are 95 % intervals; the form that heads the book is thick.
    """
    laws = sizes.at(D)
    first = next(iter(laws.values()))
    assert first.frame is not None
    N = first.frame["N"]
    name = "K → ∞ limits" if recipe == "joint" else recipe
    marks.estimates(ax, N, first.points, recipe, label=f"{name}, D = {D:,}")
    far = 30 * N.max()
    x = np.geomspace(0.8 * N.min(), far / 3, 200)
    for i, ((form, law), dash) in enumerate(zip(laws.items(), DASHES, strict=False)):
        width = 2.2 if form == sizes.form else 1.2
        color = COLORS[recipe] if form == sizes.form else GREY
        ax.plot(x, law(x / scale_of(law.unit)), dash, color=color, linewidth=width)
        line: dict[str, Any] = {"color": color, "ecolor": color, "markerfacecolor": color}
        place = far * 1.35 ** (i - 1)
        marks.estimates(
            ax, [place], [law.limit], recipe, label=form, linestyle=dash, linewidth=width, **line
        )
    marks.count_ticks(ax, N)
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    marks.legend_over(ax, title=f"N → ∞ by {len(laws)} forms")
    points = [*first.points, *(law.limit for law in laws.values())]
    return marks.focus(ax, points, laws[sizes.form].interval("E"))


def left_out_errors(ax: Axes, sizes: SizeLaws, recipe: str) -> Axes:
    """Draw how far every form missed the largest model at every D, from the smaller ones.

    Positive: the model was worse than predicted. The number is the root mean square.
    """
    table: pd.DataFrame = sizes.errors
    forms = list(sizes.by_form)
    colors = marks.shades(recipe, table.D.nunique())
    for D, color in zip(sorted(table.D.unique()), colors, strict=True):
        rows = table[table.D == D]
        places = [forms.index(form) for form in rows.form]
        ax.plot(rows.error, places, "o", color=color, label=f"D = {marks.short_count(D)}")
    ax.axvline(0, color=GREY, linewidth=1)
    rms = (table.error**2).groupby(table.form).mean() ** 0.5
    names = [f"{form}\n{rms.get(form, np.nan):.3f}" for form in forms]
    ax.set_yticks(range(len(forms)), names)
    ax.set(
        xlabel="measured minus predicted (nats/token)",
        ylim=(len(forms) - 0.5, -0.5),
    )
    marks.legend_over(ax, title="the largest model at each D, left out; rms below the form")
    return ax
