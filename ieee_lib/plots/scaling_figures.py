"""Figures across D and of all recipes at once (Sec. 5): estimates and laws in, a `Drawing` out.

drawing = limits_against_data(ladder, laws, unit=1e6, caption=...)
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate, Limit
from ieee_lib.plots import ensemble_figures
from ieee_lib.plots import marks as plots
from ieee_lib.plots.ensemble_figures import two_panels
from ieee_lib.plots.figures import LOSS, SIZE, law_text, short_count
from ieee_lib.plots.saving import Drawing, finish

DATA = "seed tokens D"

Points = Mapping[float, Estimate]
"""x -> estimate."""


def laws_at_every_data(
    single: Mapping[int, tuple[Points, Limit]],
    ensembles: Mapping[int, tuple[Points, Limit]],
    *,
    unit: float,
    caption: str,
) -> Drawing:
    """Draw the laws in N at every D: tuned single models, and limits in K (Fig 6 and 7)."""
    figure, axes = two_panels()
    panels = (
        (axes[0], "regularized", single, "one model, tuned"),
        (axes[1], "joint", ensembles, "limit in K"),
    )
    for ax, recipe, ladder, title in panels:
        for (D, (points, limit)), color in zip(
            ladder.items(), plots.shades(recipe, len(ladder)), strict=True
        ):
            x = np.array(list(points))
            look = {"color": color, "ecolor": color, "markerfacecolor": color}
            label = f"D = {short_count(D)}"
            label += plots.limit_label(":", limit) if limit.exists else ": no limit"
            plots.estimates(ax, x, list(points.values()), recipe, label=label, **look)
            reach = np.geomspace(0.8 * x.min(), 3 * x.max(), 100)
            ax.plot(reach, limit.law(reach / unit), linestyle="--", color=color)
            if limit.exists:
                ax.axhline(limit.law.E, linestyle=":", color=color, linewidth=1)
            if limit.reached:  # else from below the axes: it would lie over the others
                ax.axhspan(limit.low, limit.high, xmin=0.96, color=color, alpha=0.4, linewidth=0)
        sizes = sorted({n for points, _ in ladder.values() for n in points})
        plots.log_ticks(ax, sizes, labels=[short_count(n) for n in sizes])
        ax.set(xlabel=SIZE, ylabel=LOSS)
        ax.legend(
            title=f"{title}: N → ∞, 95 %", alignment="left", ncols=2, columnspacing=1,
            loc="lower left", bbox_to_anchor=(0, 1), fontsize=0.9 * plt.rcParams["legend.fontsize"],
        )  # fmt: skip
        plots.focus(ax, [p for points, _ in ladder.values() for p in points.values()])
    data = {
        name: {str(D): {"points": dict(points), "limit": limit, "law": limit.law}
               for D, (points, limit) in ladder.items()}
        for name, ladder in (("regularized", single), ("joint", ensembles))
    }  # fmt: skip
    return finish(figure, caption, **data)


def limits_against_data(
    recipes: Mapping[str, tuple[Points, Limit | None]], *, unit: float, caption: str
) -> Drawing:
    """Draw each recipe's best loss against D, with its law in D, if any (Fig 7, right)."""
    figure, ax = plt.subplots()
    names = {"standard": "standard, best model", "regularized": "regularized limit"}
    names |= {"ensemble": "ensemble limit, one model", "joint": "joint limit"}
    for recipe, (points, limit) in recipes.items():
        if not points:
            continue
        x = np.array(list(points))
        plots.estimates(ax, x, list(points.values()), recipe, label=names[recipe])
        if limit is None:
            continue
        reach = np.geomspace(x.min(), 2 * x.max(), 100)
        color = plots.COLORS[recipe]
        label = law_text(limit.law, (limit.low, limit.high)) if limit.reached else None
        ax.plot(reach, limit.law(reach / unit), "--", color=color, label=label)
    if not all(limit.reached for _, limit in recipes.values() if limit):
        ax.plot([], [], "--", color=plots.GREY, label="law whose limit has no bound")
    ticks = sorted({d for points, _ in recipes.values() for d in points})
    plots.log_ticks(ax, ticks, labels=[short_count(d) for d in ticks])
    plots.focus(ax, [p for points, _ in recipes.values() for p in points.values()])
    ax.set(xlabel=DATA, ylabel=LOSS)
    plots.legend_above(figure, ax)
    data = {
        r: {"points": dict(points)} | ({"law": limit.law, "limit": limit} if limit else {})
        for r, (points, limit) in recipes.items()
    }
    return finish(figure, caption, **data)


def efficiency_against_data(table: pd.DataFrame, *, caption: str) -> Drawing:
    """Draw data efficiency against D, one line a recipe (Fig 8). Columns: recipe, D, efficiency."""
    figure, ax = plt.subplots()
    ax.set_yscale("log")
    groups = list(table.groupby("recipe", sort=False))
    for i, (recipe, part) in enumerate(groups):
        x = part.D * 1.03 ** (i - (len(groups) - 1) / 2)
        plots.estimates(ax, x, list(part.efficiency), recipe, label=recipe, linestyle="-")
    ax.axhline(1, color=plots.COLORS["standard"], label="standard")
    ticks = sorted(set(table.D))
    plots.log_ticks(ax, ticks, labels=[short_count(d) for d in ticks])
    top = max((e.value for e in table.efficiency if np.isfinite(e.value)), default=1.0)
    ax.set_ylim(0.8, 4 * top)
    ticks = [t for t in (1, 2, 3, 5, 10, 20, 50, 100) if t < 4 * top]
    plots.log_ticks(ax, ticks, axis="y", labels=[f"{t}x" for t in ticks])
    ax.set(xlabel=DATA, ylabel="data efficiency")
    plots.legend_above(figure, ax)
    return finish(figure, caption, efficiency=table)


def overview(
    standard: pd.DataFrame,
    single: pd.DataFrame,
    single_limit: Limit,
    ensemble: EnsembleLaw,
    joint: Estimate,
    efficiency: Mapping[str, tuple[Estimate, Estimate]],
    *,
    unit: float,
    caption: str,
) -> Drawing:
    """Draw all recipes against total parameters, with a second axis in "x data" (Fig 1).

    `efficiency`: recipe -> (loss, data efficiency) of the lines marked on the second axis.
    """
    figure, ax = plt.subplots()
    plots.means(ax, standard, "N", "standard", label="standard")
    ensemble_figures.single_models(ax, single, single_limit, unit=unit)
    name = f"1 to {ensemble.K} of {ensemble.about['model']}"
    ensemble_figures.members(ax, ensemble, label=name)
    plots.limit(ax, ensemble.limit, "ensemble", label="limit in K")
    plots.limit(ax, joint, "joint", label="joint limit")
    ensemble_figures.total_axis(ax, single)
    plots.focus(ax, [*[joint] * joint.exists, *(ensemble.at(k) for k in ensemble.points.k)])
    right = ax.twinx()
    right.set_ylim(ax.get_ylim())
    right.grid(False)
    right.spines["right"].set_visible(False)
    known = {
        recipe: (loss, gain)
        for recipe, (loss, gain) in efficiency.items()
        if loss.exists and np.isfinite(loss.value)
    }
    low, high = ax.get_ylim()
    places = plots.spread([loss.value for loss, _ in known.values()], 0.06 * (high - low))
    right.set_yticks(places, [_times(gain.value) for _, gain in known.values()])
    for label, recipe in zip(right.get_yticklabels(), known, strict=True):
        label.set_color(plots.COLORS[recipe])
    right.tick_params(length=0)
    right.set_ylabel("data efficiency")
    plots.legend_above(figure, ax)
    data = {"standard": standard, "regularized": single, "joint": joint}
    data["ensemble"] = ensemble.points
    return finish(figure, caption, **data, limit=single_limit, efficiency=dict(efficiency))


def _times(gain: float) -> str:
    return f"{gain:.2f}x" if np.isfinite(gain) else "∞"


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
