"""Notebook 03: ensembles against total parameters, members, settings, seeds (Sec. 4, Fig 4-17)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots import marks
from ieee_lib.plots.heat_map import heat_map
from ieee_lib.plots.infinity import End, at_infinity, with_limit
from ieee_lib.plots.legends import legend_over
from ieee_lib.plots.style import COLORS, GREY, thin

BEYOND_LARGEST = 3
"""How far laws are drawn beyond the largest model or ensemble."""

MOST_MEMBERS = 30
"""How far laws in K are drawn."""


def single_models(ax: Axes, tuned: pd.DataFrame, law: PowerLaw, end: float) -> Axes:
    """Draw tuned single models against N with their law, up to an N."""
    label = with_limit("regularized (single model)", "N → ∞", law.limit)
    marks.means(ax, tuned, "N", "regularized", label=label, linestyle="")
    return marks.curve(ax, law, (tuned.N.min(), end), "regularized")


def members(ax: Axes, law: EnsembleLaw, end: float, *, label: str, filled: bool = True) -> Axes:
    """Draw an ensemble's loss against total parameters with its law in K, up to a total."""
    values = [law.at(k) for k in law.points.k]
    marks.estimates(ax, law.N * law.points.k, values, "ensemble", label=label, filled=filled)
    k = np.geomspace(1, end / law.N, 100)
    dash = "--" if filled else "-."
    ax.plot(law.N * k, law.law(k), linestyle=dash, color=COLORS["ensemble"], linewidth=thin())
    return ax


def end_of_laws(tuned: pd.DataFrame, ensembles: Iterable[EnsembleLaw]) -> float:
    """Return the total parameters up to which laws are drawn."""
    return BEYOND_LARGEST * max(tuned.N.max(), *(each.N * each.K for each in ensembles))


def total_axis(ax: Axes, tuned: pd.DataFrame, limits: Iterable[End], end: float) -> Axes:
    """Name the axes of loss against total parameters: a tick at every model's N; limits at ∞."""
    round_count = 10 ** np.floor(np.log10(end))
    beyond = [round_count] if round_count > 1.5 * tuned.N.max() else []
    ax.set(xlabel=marks.TOTAL_PARAMETERS, ylabel=marks.LOSS)
    return at_infinity(ax, limits, ticks=[*tuned.N, *beyond], end=end)


def loss_against_total_parameters(
    ax: Axes, tuned: pd.DataFrame, law: PowerLaw, ensembles: Mapping[str, EnsembleLaw]
) -> Axes:
    """Draw one model's ensembles against total parameters, beside the single-model law (Fig 4).

    ensembles: two settings of the members, by name; the second is hollow, its limit too.
    """
    end = end_of_laws(tuned, ensembles.values())
    single_models(ax, tuned, law, end)
    limits = [End(law.limit, "regularized")]
    for (name, ensemble), filled in zip(ensembles.items(), (True, False), strict=True):
        label = with_limit(f"K models, {name}", "K → ∞", ensemble.limit)
        members(ax, ensemble, end, label=label, filled=filled)
        limits.append(End(ensemble.limit, "ensemble", filled=filled))
    return total_axis(ax, tuned, limits, end)


def ensembles_against_total_parameters(
    ax: Axes, tuned: pd.DataFrame, law: PowerLaw, ensembles: Mapping[str, EnsembleLaw]
) -> Axes:
    """Draw every model's ensembles against total parameters: where do K small ones win?"""
    marks.means(ax, tuned, "N", "regularized", label="regularized (single model)", linestyle="")
    largest = max(ensemble.N * ensemble.K for ensemble in ensembles.values())
    marks.curve(ax, law, (tuned.N.min(), largest), "regularized")
    colors = marks.shades("ensemble", len(ensembles))
    for (name, ensemble), color in zip(ensembles.items(), colors, strict=True):
        label = f"ensembles of 1–{ensemble.K} models of {name}"
        total = ensemble.N * ensemble.points.k
        ax.plot(total, ensemble.points.loss, marker="D", color=color, label=label)
    marks.count_ticks(ax, {*tuned.N, largest})
    ax.set(xlabel=marks.TOTAL_PARAMETERS, ylabel=marks.LOSS)
    return ax


def loss_against_members(ax: Axes, laws: Mapping[str, EnsembleLaw]) -> Axes:
    """Draw loss against K for several settings of one model, and their limits (v1 Fig 5, left).

    laws: by name; the second is hollow, the others, its neighbours, in grey.
    """
    k = np.geomspace(1, MOST_MEMBERS, 100)
    looks = [("D", COLORS["ensemble"])] * 2 + [(marker, GREY) for marker in "s^vP<>"]
    limits = []
    for i, ((name, law), (marker, color)) in enumerate(zip(laws.items(), looks, strict=False)):
        is_main, values = color != GREY, [law.at(count) for count in law.points.k]
        face = color if i == 0 else marks.hollow()
        line: dict[str, Any] = {"color": color, "ecolor": color, "markeredgecolor": color}
        line |= {"markerfacecolor": face, "marker": marker, "zorder": 3 if is_main else 1.5}
        marks.estimates(ax, law.points.k, values, "ensemble", label=name, **line)
        dash = ("--", "-.")[i] if is_main else ":"
        ax.plot(k, law.law(k), linestyle=dash, color=color, linewidth=thin())
        limits.append(End(law.limit, "ensemble", filled=i == 0, color=color, marker=marker))
    ax.set(xlabel="members K", ylabel=marks.LOSS)
    return at_infinity(ax, limits, ticks=[1, 2, 3, 5, 10, MOST_MEMBERS], end=MOST_MEMBERS)


def one_member_and_limit(axes: Sequence[Axes], cells: pd.DataFrame) -> Sequence[Axes]:
    """Draw heat maps over epochs and decay, of one colour scale: one member, and K → ∞ (v1 Fig 5).

    cells: epochs, wd, one member (nats/token) and limit (estimates), from `laws.ensembles_frame`.
    """
    half_width = np.median([(limit.ci_high - limit.ci_low) / 2 for limit in cells["limit"]])
    table = cells.assign(limit=[limit.value for limit in cells["limit"]])
    titles = {"one member": "one member", "limit": f"K → ∞ limit (95 %: ±{half_width:.3f})"}
    both = table[list(titles)].to_numpy()
    ends = (float(both.min()), float(both.max()))
    last = axes[-1]
    for ax, (value, title) in zip(axes, titles.items(), strict=True):
        heat_map(
            ax, table, rows="wd", columns="epochs", value=value, bar=ax is last, ends=ends,
            title=title,
        )  # fmt: skip
        ax.set(xlabel="epochs", ylabel="weight decay" if ax is axes[0] else "")
    return axes


def loss_by_seed(ax: Axes, laws: Mapping[str, EnsembleLaw]) -> Axes:
    """Draw loss against K when members differ by init, by order, or by both (Fig 16)."""
    lines = ("-", "--", ":")
    for i, (name, law) in enumerate(laws.items()):
        values = [law.at(k) for k in law.points.k]
        shift = 0.035 * (i - 1)
        marks.estimates(
            ax, law.points.k + shift, values, "ensemble",
            label=name, filled=i == 0, linestyle=lines[i % len(lines)],
        )  # fmt: skip
    ax.set_xticks(next(iter(laws.values())).points.k)
    ax.set(xlabel="members K", ylabel=marks.LOSS)
    return legend_over(ax, title="members differ by", columns=3)


def limit_from_few(ax: Axes, ensemble: EnsembleLaw, early: PowerLaw) -> Axes:
    """Draw a law in K fitted to the first few points, and what more members gave."""
    points = ensemble.points
    in_fit = points.k <= early.n_point
    for rows, label, filled in (
        (points[in_fit], "in the fit", True),
        (points[~in_fit], "measured later", False),
    ):
        if len(rows):
            values = [ensemble.at(int(k)) for k in rows.k]
            marks.estimates(ax, rows.k, values, "ensemble", label=label, filled=filled)
    marks.law(ax, early, (1, 2 * ensemble.K), "ensemble", label=marks.law_text(early))
    ax.set(xlabel="members K", ylabel=marks.LOSS, xticks=range(1, 2 * ensemble.K + 1))
    return ax
