"""Notebook 09: the paper's own points, and our laws through them (Fig 2 and 7)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.typing import ColorType

from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.units import scale_of
from ieee_lib.plots import marks
from ieee_lib.plots.infinity import End, at_infinity
from ieee_lib.plots.legends import legend_over
from ieee_lib.plots.style import COLORS, FITTED, MARKERS


def published_epochs(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw the paper's loss against epochs of the standard recipe (Fig 2, left)."""
    ax.plot(table.epochs, table.loss, color=COLORS["standard"], marker=MARKERS["standard"])
    marks.log_ticks(ax, table.epochs)
    ax.set(title="epochs, 300M, lr tuned at each point", xlabel="epochs", ylabel=marks.LOSS)
    return ax


def published_sizes(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw the paper's loss of the tuned standard recipe against N (Fig 2, right)."""
    table = table.sort_values("N")
    ax.plot(table.N, table.loss, color=COLORS["standard"], marker=MARKERS["standard"])
    marks.count_ticks(ax, table.N)
    ax.set(title="sizes, lr and epochs tuned", xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    return ax


def published_limits(ax: Axes, laws: Mapping[int, PowerLaw]) -> Axes:
    """Draw the paper's K → ∞ limits against N with our law at every D (Fig 7, middle).

    laws: D (seed tokens) -> law in N through published limits.
    """
    series = []
    shades = [marks.shades(recipe, len(laws)) for recipe in ("joint", FITTED["joint"])]
    for (D, law), color, of_points in zip(laws.items(), *shades, strict=True):
        assert law.frame is not None
        stale = ", cells likely stale" if law.frame.stale.notna().any() else ""
        name = f"D = {marks.short_count(D)}{stale}"
        series.append(_Series(law, "joint", color, of_points, name))
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    title = "K → ∞ limits against N (Fig 7, middle); N → ∞"
    return _laws_and_limits(ax, series, title=title, points="K → ∞ limits")


def published_recipes(ax: Axes, laws: Mapping[str, PowerLaw]) -> Axes:
    """Draw the paper's recipes against D with our laws (Fig 7, right). laws: recipe -> law in D."""
    series = [
        _Series(law, recipe, COLORS[recipe], COLORS[recipe], recipe) for recipe, law in laws.items()
    ]
    ax.set(xlabel=marks.SEED_TOKENS, ylabel=marks.LOSS)
    return _laws_and_limits(ax, series, title="recipes against D (Fig 7, right); D → ∞")


class _Series(NamedTuple):
    """A law through published points, and how it looks."""

    law: PowerLaw
    recipe: str
    color: ColorType
    of_points: ColorType
    name: str


def _laws_and_limits(ax: Axes, series: Sequence[_Series], *, title: str, points: str = "") -> Axes:
    """Draw laws through their points, and their limits with 95 % intervals at ∞.

    points: names them in the legend, where they have another colour than the laws.
    """
    middle = series[len(series) // 2].law
    x = np.concatenate([each.law.x * scale_of(each.law.unit) for each in series])
    end, limits = 2.5 * x.max(), []
    for law, recipe, color, of_points, name in series:
        places = law.x * scale_of(law.unit)
        marker = MARKERS[recipe if color == of_points else FITTED[recipe]]
        ax.plot(places, law.y, marker, color=of_points, label=points if law is middle else "")
        marks.curve(ax, law, (places.min(), end), recipe, color=color)
        limits.append(End(law.limit, recipe, color=color, label=f"{name}:"))
    at_infinity(ax, limits, ticks=x, end=end)
    bounded = [law.E for law, *_ in series if np.isfinite(law.interval("E")).any()]
    values = np.concatenate([*(each.law.y for each in series), bounded])
    margin = 0.1 * np.ptp(values)
    ax.set_ylim(values.min() - margin, values.max() + margin)
    return legend_over(ax, title=title, columns=1)
