"""Notebooks 02 and 04: three forms of the law in N, and how each predicted the largest model."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ieee_lib.laws.forms import SizeLaws
from ieee_lib.laws.units import scale_of
from ieee_lib.plots import marks
from ieee_lib.plots.infinity import End, at_infinity
from ieee_lib.plots.legends import legend_over
from ieee_lib.plots.style import COLORS, FITTED, GREY

LOOKS = (("--", "s"), ("-.", "^"), (":", "v"))
"""Line of a form's law, and mark of its limit."""


def law_forms(ax: Axes, sizes: SizeLaws, D: int, recipe: str) -> Axes:
    """Draw one D's points with the law of every form, and the limits at N = ∞.

    Bars are 95 % intervals; the form that heads the book is thick.
    """
    laws = sizes.at(D)
    first = next(iter(laws.values()))
    assert first.frame is not None
    N, limits = first.frame["N"], []
    name = "K → ∞ limits" if recipe == "joint" else recipe
    fitted = FITTED.get(recipe, recipe)
    marks.estimates(ax, N, first.points, fitted, label=f"{name}, D = {D:,}")
    end = 4 * N.max()
    x = np.geomspace(N.min(), end, 200)
    for (form, law), (dash, marker) in zip(laws.items(), LOOKS, strict=False):
        is_first = form == sizes.form
        color = COLORS[recipe] if is_first else GREY
        width = (1.4 if is_first else 0.8) * mpl.rcParams["lines.linewidth"]
        line = {"color": color, "linestyle": dash, "linewidth": width, "marker": marker}
        ax.plot(x, law(x / scale_of(law.unit)), label=form, markevery=[], **line)
        limits.append(End(law.limit, recipe, color=color, marker=marker))
    at_infinity(ax, limits, ticks=N, end=end)
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    legend_over(ax, title=f"N → ∞ limit by {len(laws)} forms of the law")
    points = [*first.points, *(law.limit for law in laws.values())]
    span = np.ptp([point.value for point in points])
    lowest = min(point.value for point in points) - 1.5 * span  # a bar may leave the axis there
    finite = [end for law in laws.values() for end in law.interval("E") if np.isfinite(end)]
    ends = [*(max(end, lowest) for end in finite), *laws[sizes.form].interval("E")]
    ends += [law.E - 0.2 * span for law in laws.values() if not law.limit.is_bounded]  # an arrow
    return marks.focus(ax, points, ends)


def left_out_errors(ax: Axes, sizes: SizeLaws, recipe: str) -> Axes:
    """Draw how far every form missed the largest model at every D, from the smaller ones.

    Positive: the model was worse than predicted. The number is the root mean square.
    """
    table: pd.DataFrame = sizes.errors
    forms = list(sizes.by_form)
    every_D = sorted(table.D.unique())
    shifts = np.linspace(-0.15, 0.15, len(every_D)) if len(every_D) > 1 else [0.0]
    for D, color, shift in zip(every_D, marks.shades(recipe, len(every_D)), shifts, strict=True):
        rows = table[table.D == D]
        places = [forms.index(form) + shift for form in rows.form]  # else equal errors hide
        ax.plot(rows.error, places, "o", color=color, label=f"D = {marks.short_count(D)}")
    ax.axvline(0, color=GREY, linestyle=":")
    rms = (table.error**2).groupby(table.form).mean() ** 0.5
    names = [f"{form}\nrms {rms.get(form, np.nan):.3f}" for form in forms]
    ax.set_yticks(range(len(forms)), names)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.set(
        xlabel="measured minus predicted (nats/token)",
        ylim=(len(forms) - 0.5, -0.5),
    )
    legend_over(ax, title="error of the left-out largest model", columns=4)
    return ax
