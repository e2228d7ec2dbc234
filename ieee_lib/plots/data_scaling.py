"""Notebook 05: recipes at every D, data efficiency, and the overview (Sec. 5, Fig 1, 7, 8)."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.units import scale_of
from ieee_lib.plots import ensembles, marks
from ieee_lib.plots.infinity import End, at_infinity, with_limit
from ieee_lib.plots.legends import legend_over
from ieee_lib.plots.style import COLORS, FITTED, readable, thin

JUDGED_BY = {
    "standard": "standard, best model",
    "regularized": "regularized, N → ∞",
    "ensemble": "ensemble of one model, K → ∞",
    "joint": "joint limit",
}
"""Recipe -> the loss that it is judged by, in a legend."""


def overview(
    ax: Axes,
    standard: pd.DataFrame,
    tuned: pd.DataFrame,
    law: PowerLaw,
    ensemble: EnsembleLaw,
    joint: PowerLaw,
) -> Axes:
    """Draw all recipes against total parameters, with their limits (Fig 1).

    standard, tuned: one row a model; law: of `tuned` in N; joint: of the limits in K in N.
    """
    marks.means(ax, standard, "N", "standard", label="standard (single model)")
    far = ensembles.end_of_laws(tuned, [ensemble])
    ensembles.single_models(ax, tuned, law, far)
    name = f"ensembles of 1–{ensemble.K} models of {ensemble.model}"
    label = with_limit(name, "K → ∞", ensemble.limit)
    ensembles.members(ax, ensemble, far, label=label)
    joint_end = End(joint.limit, "joint", label="joint limit, K and N → ∞:")
    limits = [End(law.limit, "regularized"), End(ensemble.limit, "ensemble"), joint_end]
    ensembles.total_axis(ax, tuned, limits, far)
    best = standard.sort_values("loss").iloc[0]
    end = ax.get_xlim()[1]
    ax.hlines(best.loss, best.N, end, linestyle=":", linewidth=thin(), color=COLORS["standard"])
    shown = [ensemble.at(int(k)) for k in ensemble.points.k]
    if joint.limit.exists:
        shown.append(joint.limit)
    return marks.focus(ax, shown)


def efficiency_axis(ax: Axes, gains: pd.DataFrame) -> Axes:
    """Mark losses on a second axis by their data efficiency (Fig 1, right axis).

    gains: recipe, loss and efficiency (estimates), one row a recipe; limits that do not exist get
    no mark. The second axis follows the limits of the first.
    """
    marked = gains[[loss.exists and np.isfinite(loss.value) for loss in gains.loss]]
    right = ax.twinx()
    right.set_ylim(ax.get_ylim())
    ax.callbacks.connect("ylim_changed", lambda moved: right.set_ylim(moved.get_ylim()))
    right.grid(False)
    right.spines["right"].set_visible(False)
    bottom, top = ax.get_ylim()
    places = marks.spread([loss.value for loss in marked.loss], 0.06 * (top - bottom))
    right.set_yticks(places, [_times(gain.value) for gain in marked.efficiency])
    for label, recipe in zip(right.get_yticklabels(), marked.recipe, strict=True):
        label.set_color(readable(COLORS[recipe]))
    right.tick_params(length=0)
    right.set_ylabel("data efficiency (× D)", labelpad=mpl.rcParams["font.size"] / 2)
    return ax


def _times(gain: float) -> str:
    return f"{gain:.2f}x" if np.isfinite(gain) else "∞"


def laws_by_data(ax: Axes, laws: Mapping[int, PowerLaw], recipe: str, *, title: str) -> Axes:
    """Draw the points and the law in N at every D, and the limits at N = ∞ (Fig 7).

    laws: D -> law in N, fitted to a frame; title: of the legend. Laws and limits have the recipe's
    colour, and points that of the recipe that they belong to.
    """
    fitted = FITTED.get(recipe, recipe)
    colors, of_points = marks.shades(recipe, len(laws)), marks.shades(fitted, len(laws))
    frames = [law.frame for law in laws.values() if law.frame is not None]
    sizes = pd.concat([frame["N"] for frame in frames])
    end, limits = 3 * sizes.max(), []
    middle = list(laws)[len(laws) // 2]
    rows = zip(frames, laws.items(), colors, of_points, strict=True)
    for frame, (D, law), color, of_point in rows:
        look: dict[str, Any] = {"color": of_point, "ecolor": of_point, "markerfacecolor": of_point}
        name = f"D = {marks.short_count(D)}:"
        label = "K → ∞ limits" if fitted != recipe and middle == D else ""
        label = label if law.limit.exists else f"{name} none"
        marks.estimates(ax, frame["N"], law.points, fitted, label=label, **look)
        marks.curve(ax, law, (sizes.min(), end), recipe, color=color)
        name = name if law.limit.exists else ""
        limits.append(End(law.limit, recipe, color=color, label=name))
    at_infinity(ax, limits, ticks=sizes, end=end)
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    legend_over(ax, title=title)
    return marks.focus(ax, [point for law in laws.values() for point in law.points])


def loss_by_data(ax: Axes, losses: pd.DataFrame, laws: Mapping[str, PowerLaw]) -> Axes:
    """Draw each recipe's loss against D with its law in D, if any (Fig 7, right).

    losses: recipe, D and loss (estimates) that exist; laws: recipe -> law in D.
    """
    groups = list(losses.groupby("recipe", sort=False))
    for i, (recipe, rows) in enumerate(groups):
        name = str(recipe)
        shift = shift_of(i, len(groups))
        marks.estimates(ax, shift * rows.D, list(rows.loss), name, label=JUDGED_BY[name])
        if name not in laws:
            continue
        law = laws[name]
        label = marks.law_text(law, (law.limit.ci_low, law.limit.ci_high))
        D = np.geomspace(rows.D.min(), 2 * rows.D.max(), 100)
        label = label if law.limit.is_bounded else ""
        ax.plot(shift * D, law(D / scale_of(law.unit)), "--", color=COLORS[name], label=label)
    n_unbounded = sum(not law.limit.is_bounded for law in laws.values())
    if n_unbounded:
        which = "fits in D" if n_unbounded == len(laws) else "other fits in D"
        ax.plot([], [], " ", label=f"dashed: {which} (limit not determined)")
    marks.count_ticks(ax, losses.D)
    marks.focus(ax, list(losses.loss))
    ax.set(xlabel=marks.SEED_TOKENS, ylabel=marks.LOSS)
    return ax


def shift_of(i: int, n: int) -> float:
    """Return the factor on D that sets series i of n beside the others, so that bars stay apart."""
    return 1.03 ** (i - (n - 1) / 2)


def efficiency_by_data(ax: Axes, gains: pd.DataFrame) -> Axes:
    """Draw data efficiency against D; a line joins a recipe's bounded points (Fig 8).

    gains: recipe, D and efficiency (estimates).
    """
    ax.set_yscale("log")
    groups = list(gains.groupby("recipe", sort=False))
    for i, (recipe, rows) in enumerate(groups):
        name = str(recipe)
        D, values = shift_of(i, len(groups)) * rows.D, list(rows.efficiency)
        bounded = [np.isfinite([gain.ci_low, gain.ci_high]).all() for gain in values]
        rows = pd.DataFrame({"D": D, "gain": [gain.value for gain in values]})[bounded]
        ax.plot(rows.D, rows.gain, color=COLORS[name])
        marks.estimates(ax, D, values, name, label=JUDGED_BY[name])
    ax.axhline(1, color=COLORS["standard"], label="standard recipe")
    marks.count_ticks(ax, gains.D)
    finite = [gain for gain in gains.efficiency if np.isfinite(gain.value)]
    largest = max((gain.value for gain in finite), default=1.0)
    ends = [1.2 * gain.ci_high for gain in finite if np.isfinite(gain.ci_high)]
    top = min(max(1.6 * largest, *ends, 2), 4 * largest)  # room for arrows, none for one long bar
    ticks = [t for t in (1, 2, 3, 5, 10, 20, 50, 100) if t < top]
    marks.log_ticks(ax, ticks, axis="y", labels=[f"{t}x" for t in ticks])
    ax.set(xlabel=marks.SEED_TOKENS, ylabel="data efficiency (× D)", ylim=(0.8, top))
    return ax


def data_efficiency_arrow(
    ax: Axes, losses: pd.DataFrame, law: PowerLaw, *, D: int, recipe: str
) -> Axes:
    """Draw how a loss reached with D tokens is read off the standard recipe's law as data.

    losses: recipe, D, loss and efficiency (estimates), the standard recipe's among them; law: of
    the standard recipe in D.
    """
    standard = losses[losses.recipe == "standard"]
    row = losses[(losses.recipe == recipe) & (losses.D == D)].iloc[0]
    loss, gain = row["loss"], row["efficiency"]
    marks.estimates(ax, standard.D, list(standard.loss), "standard", label=JUDGED_BY["standard"])
    needed = law.inverse(loss.value) * scale_of(law.unit) if loss.exists else np.nan
    is_reached, largest = bool(np.isfinite(needed)), standard.D.max()
    far = max(2 * largest, min(2 * needed, 1e3 * largest)) if is_reached else 2 * largest
    marks.curve(ax, law, (standard.D.min(), far), "standard", label=marks.law_text(law))
    name = f"{recipe}, D = {D:,}"
    if loss.exists:
        marks.estimates(ax, [D], [loss], recipe, label=name)
    if is_reached and needed <= far:
        arrow = {"arrowstyle": "->", "color": COLORS[recipe], "linewidth": 1.8}
        ax.annotate("", (needed, loss.value), (D, loss.value), arrowprops=arrow)
    ax.plot([], [], " ", label=_efficiency_text(name, loss.exists, is_reached, repr(gain)))
    marks.count_ticks(ax, standard.D)
    ax.set(xlabel=marks.SEED_TOKENS, ylabel=marks.LOSS)
    return marks.focus(ax, [*standard.loss, loss] if loss.exists else list(standard.loss))


def _efficiency_text(name: str, exists: bool, is_reached: bool, gain: str) -> str:
    if not exists:
        return f"{name}: no limit"
    if not is_reached:
        return "below the standard law's limit: no amount of data reaches it"
    return f"data efficiency {gain}"
