"""Notebook 05: laws in N and D, data efficiency, and the overview (Sec. 5, Fig 1, 7, 8)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.power_law import Limit, PowerLaw, scale_of
from ieee_lib.plots import marks
from ieee_lib.plots.ensembles import members, single_models, total_axis
from ieee_lib.plots.style import COLORS, GREY

NAMES = {
    "standard": "standard, best model",
    "regularized": "regularized limit",
    "ensemble": "ensemble limit, one model",
    "joint": "joint limit",
}


def laws_by_data(
    ax: Axes,
    points: Mapping[int, Sequence[Estimate]],
    laws: Mapping[int, PowerLaw],
    recipe: str,
    *,
    title: str,
) -> Axes:
    """Draw the law in N at every D with its points and limit (Fig 6, left; Fig 7, left).

    points, laws: D -> estimates, and the law through them.
    """
    for (d, law), color in zip(laws.items(), marks.shades(recipe, len(laws)), strict=True):
        x = law.x * scale_of(law.unit)
        limit = law.limit
        label = f"D = {marks.short_count(d)}"
        label += marks.limit_label(":", limit) if limit.exists else ": no limit"
        line = {"color": color, "ecolor": color, "markerfacecolor": color}
        marks.estimates(ax, x, points[d], recipe, label=label, **line)
        marks.curve(ax, law, (0.8 * x.min(), 3 * x.max()), recipe, color=color)
        if limit.exists:
            ax.axhline(law.E, linestyle=":", color=color, linewidth=1)
        if limit.is_bounded:  # an unbounded band would lie over the others
            ends = {"xmin": 0.96, "color": color, "alpha": 0.4, "linewidth": 0}
            ax.axhspan(limit.ci_low, limit.ci_high, **ends)
    sizes = {n for law in laws.values() for n in law.x * scale_of(law.unit)}
    marks.count_ticks(ax, sizes)
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    ax.legend(
        title=f"{title}: N → ∞, 95 %", alignment="left", ncols=2, columnspacing=1,
        loc="lower left", bbox_to_anchor=(0, 1), fontsize=marks.text_size(0.9),
    )  # fmt: skip
    return marks.focus(ax, [point for group in points.values() for point in group])


def losses_against_data(ax: Axes, losses: pd.DataFrame, laws: Mapping[str, PowerLaw]) -> Axes:
    """Draw each recipe's loss against D, with its law in D, if any (Fig 7, right).

    losses: recipe, D, loss (estimates that exist), as `laws.losses_by_data` gives them.
    """
    for recipe in losses.recipe.unique():
        rows = losses[losses.recipe == recipe]
        marks.estimates(ax, list(rows.D), list(rows.loss), recipe, label=NAMES[recipe])
        law = laws.get(recipe)
        if law is None:
            continue
        limit = law.limit
        interval = (limit.ci_low, limit.ci_high)
        label = marks.law_text(law, interval) if limit.is_bounded else None
        marks.curve(ax, law, (rows.D.min(), 2 * rows.D.max()), recipe, label=label)
    if not all(law.limit.is_bounded for law in laws.values()):
        ax.plot([], [], "--", color=GREY, label="law without a bounded limit")
    marks.count_ticks(ax, losses.D)
    marks.focus(ax, list(losses.loss))
    ax.set(xlabel=marks.SEED_TOKENS, ylabel=marks.LOSS)
    return ax


def efficiency_against_data(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw data efficiency against D, one line a recipe (Fig 8).

    table: recipe, D, efficiency (estimates), as `laws.efficiencies` gives them.
    """
    ax.set_yscale("log")
    groups = list(table.groupby("recipe", sort=False))
    for i, (recipe, rows) in enumerate(groups):
        x = rows.D * 1.03 ** (i - (len(groups) - 1) / 2)
        gains = list(rows.efficiency)
        marks.estimates(ax, x, gains, str(recipe), label=str(recipe), linestyle="-")
    ax.axhline(1, color=COLORS["standard"], label="standard")
    marks.count_ticks(ax, table.D)
    top = max((e.value for e in table.efficiency if np.isfinite(e.value)), default=1.0)
    ax.set_ylim(0.8, 4 * top)
    ticks = [t for t in (1, 2, 3, 5, 10, 20, 50, 100) if t < 4 * top]
    marks.log_ticks(ax, ticks, axis="y", labels=[f"{t}x" for t in ticks])
    ax.set(xlabel=marks.SEED_TOKENS, ylabel="data efficiency")
    return ax


def overview(
    ax: Axes,
    standard: pd.DataFrame,
    tuned: pd.DataFrame,
    law: PowerLaw,
    ensemble: EnsembleLaw,
    joint: Limit,
) -> Axes:
    """Draw all recipes against total parameters (Fig 1)."""
    marks.means(ax, standard, "N", "standard", label="standard")
    single_models(ax, tuned, law)
    members(ax, ensemble, label=f"ensembles of {ensemble.model}, K = 1–{ensemble.K}")
    marks.limit(ax, ensemble.limit, "ensemble", label="K → ∞ limit")
    marks.limit(ax, joint, "joint", label="joint limit")
    total_axis(ax, tuned)
    points = [ensemble.at(k) for k in ensemble.points.k]
    return marks.focus(ax, [joint, *points] if joint.exists else points)


def efficiency_axis(
    ax: Axes, losses: Mapping[str, Estimate], gains: Mapping[str, Estimate]
) -> Axes:
    """Mark data efficiency on a second axis at the right of the overview (Fig 1).

    losses, gains: recipe -> its loss, and the data efficiency of that. Losses that do not exist
    are left out.
    """
    right = ax.twinx()
    right.set_ylim(ax.get_ylim())
    right.grid(False)
    right.spines["right"].set_visible(False)
    order = ("standard", "regularized", "ensemble", "joint")
    shown = [r for r in order if losses[r].exists and np.isfinite(losses[r].value)]
    bottom, top = ax.get_ylim()
    places = marks.spread([losses[recipe].value for recipe in shown], 0.06 * (top - bottom))
    right.set_yticks(places, [_times(gains[recipe].value) for recipe in shown])
    for label, recipe in zip(right.get_yticklabels(), shown, strict=True):
        label.set_color(COLORS[recipe])
    right.tick_params(length=0)
    right.set_ylabel("data efficiency")
    return ax


def data_efficiency_arrow(
    ax: Axes, losses: pd.DataFrame, law: PowerLaw, row: pd.Series, gain: Estimate
) -> Axes:
    """Draw how a loss reached with D tokens is read off the standard recipe's law as data.

    losses: as `laws.losses_by_data` gives them. row: the one to read, with its efficiency `gain`.
    """
    standard = losses[losses.recipe == "standard"]
    points = list(standard.loss)
    marks.estimates(ax, list(standard.D), points, "standard", label=NAMES["standard"])
    loss, largest = row.loss, standard.D.max()
    needed = float(law.inverse(loss.value)) * scale_of(law.unit) if loss.exists else np.nan
    end = max(2 * largest, min(2 * np.nan_to_num(needed), 1e3 * largest))
    marks.curve(ax, law, (standard.D.min(), end), "standard", label=marks.law_text(law))
    name = f"{row.recipe}, D = {row.D:,}"
    if not loss.exists:
        note = f"{name}: no limit"
    else:
        marks.estimates(ax, [row.D], [loss], row.recipe, label=name)
        ends = [f"{e:.2f}" if np.isfinite(e) else "∞" for e in (gain.ci_low, gain.ci_high)]
        note = f"data efficiency {gain.value:.2f}x [{ends[0]}, {ends[1]}]"
        if np.isfinite(needed) and needed <= end:
            arrow = {"arrowstyle": "->", "color": COLORS[row.recipe], "linewidth": 1.8}
            ax.annotate("", (needed, loss.value), (row.D, loss.value), arrowprops=arrow)
        else:
            note = "below the standard law's limit: no amount of data reaches it"
    ax.plot([], [], " ", label=note)
    marks.count_ticks(ax, standard.D)
    ax.set(xlabel=marks.SEED_TOKENS, ylabel=marks.LOSS)
    return marks.focus(ax, [*points, loss] if loss.exists else points)


def _times(gain: float) -> str:
    return f"{gain:.2f}x" if np.isfinite(gain) else "∞"
