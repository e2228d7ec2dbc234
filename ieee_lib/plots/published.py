"""Notebook 09: the paper's own points, and our laws through them (Fig 2 and 7)."""

from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.typing import ColorType

from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.units import scale_of
from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS, MARKERS


def published_epochs(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw the paper's loss against epochs of the standard recipe (Fig 2, left)."""
    ax.plot(table.epochs, table.loss, color=COLORS["standard"], marker=MARKERS["standard"])
    marks.log_ticks(ax, table.epochs)
    ax.set(title="300M, lr tuned at each point", xlabel="epochs", ylabel=marks.LOSS)
    return ax


def published_sizes(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw the paper's loss of the tuned standard recipe against N (Fig 2, right)."""
    table = table.sort_values("N")
    ax.plot(table.N, table.loss, color=COLORS["standard"], marker=MARKERS["standard"])
    labels = ["" if N == 1.5e9 else marks.short_count(N) for N in table.N]  # no room beside 1.4B
    marks.log_ticks(ax, table.N, labels=labels)
    ax.set(title="lr and epochs tuned", xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    ax.set_ylim(3.6, 3.9)
    return ax


def published_limits(ax: Axes, laws: Mapping[int, PowerLaw]) -> Axes:
    """Draw the paper's K → ∞ limits against N with our law at every D (Fig 7, middle).

    laws: D (seed tokens) -> law in N through published limits.
    """
    for (D, law), color in zip(laws.items(), marks.shades("joint", len(laws)), strict=True):
        assert law.frame is not None
        stale = " (cells likely stale)" if law.frame.stale.notna().any() else ""
        _law_with_points(ax, law, "joint", color, f"{marks.short_count(D)} tokens{stale}")
    ax.set(title="K → ∞ limits (Fig 7, middle)", xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    return _axes_of(ax, laws.values())


def published_recipes(ax: Axes, laws: Mapping[str, PowerLaw]) -> Axes:
    """Draw the paper's recipes against D with our laws (Fig 7, right). laws: recipe -> law in D."""
    for recipe, law in laws.items():
        _law_with_points(ax, law, recipe, COLORS[recipe], recipe)
    ax.set(title="recipes against data (Fig 7, right)", xlabel=marks.SEED_TOKENS, ylabel=marks.LOSS)
    return _axes_of(ax, laws.values())


def _law_with_points(ax: Axes, law: PowerLaw, recipe: str, color: ColorType, name: str) -> None:
    """Draw a law through its points, its limit (dotted) and that one's interval at the right."""
    x = law.x * scale_of(law.unit)
    ci_low, ci_high = law.interval("E")
    label = f"{name}: {marks.interval_text(law.E, ci_low, ci_high)}"
    ax.plot(x, law.y, MARKERS[recipe], color=color, label=label)
    marks.curve(ax, law, (0.9 * x.min(), 2.5 * x.max()), recipe, color=color)
    ax.axhline(law.E, linestyle=":", color=color, linewidth=1)
    marks.band(ax, ci_low, ci_high, color, xmin=0.96, alpha=0.4)


def _axes_of(ax: Axes, laws: Iterable[PowerLaw]) -> Axes:
    """Set a tick at each x of the laws, and a legend of their limits."""
    marks.count_ticks(ax, [x for law in laws for x in law.x * scale_of(law.unit)])
    ax.legend(title="limit, 95 %", fontsize=marks.text_size(0.85))
    return ax
