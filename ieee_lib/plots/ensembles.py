"""Notebook 03: ensembles against total parameters, members, settings, seeds (Sec. 4, Fig 4-17)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots import marks
from ieee_lib.plots.heat_map import heat_map
from ieee_lib.plots.style import COLORS, GREY

BEYOND_LARGEST = 30
"""How far laws are drawn beyond the largest single model."""


def single_models(ax: Axes, tuned: pd.DataFrame, law: PowerLaw) -> Axes:
    """Draw tuned single models against N with their law and its limit."""
    marks.means(ax, tuned, "N", "regularized", label="regularized (single model)", linestyle="")
    marks.curve(ax, law, (tuned.N.min(), BEYOND_LARGEST * tuned.N.max()), "regularized")
    return marks.limit(ax, law.limit, "regularized", label="N → ∞ limit")


def members(ax: Axes, law: EnsembleLaw, *, label: str, filled: bool = True) -> Axes:
    """Draw an ensemble's loss against total parameters with its law in K."""
    values = [law.at(k) for k in law.points.k]
    marks.estimates(ax, law.N * law.points.k, values, "ensemble", label=label, filled=filled)
    k = np.geomspace(1, 10 * BEYOND_LARGEST, 100)
    ax.plot(law.N * k, law.law(k), linestyle="--", color=COLORS["ensemble"], linewidth=1)
    return ax


def total_axis(ax: Axes, tuned: pd.DataFrame) -> Axes:
    """Name the axes of loss against total parameters; a tick at every model's N."""
    marks.count_ticks(ax, [*tuned.N, 10 * tuned.N.max()])
    ax.set(xlabel=marks.TOTAL_PARAMETERS, ylabel=marks.LOSS)
    ax.set_xlim(0.8 * tuned.N.min(), BEYOND_LARGEST * tuned.N.max())
    return ax


def loss_against_total_parameters(
    ax: Axes, tuned: pd.DataFrame, law: PowerLaw, ensembles: Mapping[str, EnsembleLaw]
) -> Axes:
    """Draw one model's ensembles against total parameters, beside the single-model law (Fig 4).

    ensembles: two settings of the members, by name; the second is hollow.
    """
    single_models(ax, tuned, law)
    for (name, ensemble), filled in zip(ensembles.items(), (True, False), strict=True):
        members(ax, ensemble, label=f"K models, {name}", filled=filled)
        marks.limit(ax, ensemble.limit, "ensemble", label="K → ∞ limit")
    return total_axis(ax, tuned)


def ensembles_against_total_parameters(
    ax: Axes, tuned: pd.DataFrame, law: PowerLaw, ensembles: Mapping[str, EnsembleLaw]
) -> Axes:
    """Draw every model's ensembles against total parameters: where do K small ones win?"""
    marks.means(ax, tuned, "N", "regularized", label="regularized (single model)", linestyle="")
    largest = max(ensemble.N * ensemble.K for ensemble in ensembles.values())
    marks.curve(ax, law, (tuned.N.min(), largest), "regularized")
    colors = marks.shades("ensemble", len(ensembles))
    for (name, ensemble), color in zip(ensembles.items(), colors, strict=True):
        label = f"ensembles of {name}, K = 1–{ensemble.K}"
        total = ensemble.N * ensemble.points.k
        ax.plot(total, ensemble.points.loss, marker="D", color=color, label=label)
    marks.count_ticks(ax, {*tuned.N, largest})
    ax.set(xlabel=marks.TOTAL_PARAMETERS, ylabel=marks.LOSS)
    return ax


def loss_against_members(ax: Axes, laws: Mapping[str, EnsembleLaw]) -> Axes:
    """Draw loss against K for several settings of one model (v1 Fig 5, left).

    laws: by name; the first two are drawn in full, the others, their neighbours, in grey.
    """
    names = list(laws)
    k = np.geomspace(1, 50, 100)
    for name, recipe in zip(names[:2], ("regularized", "ensemble"), strict=True):
        law = laws[name]
        values = [law.at(count) for count in law.points.k]
        marks.estimates(ax, law.points.k, values, recipe, label=name)
        ax.plot(k, law.law(k), linestyle="--", color=COLORS[recipe], linewidth=1)
        marks.limit(ax, law.limit, recipe, label="K → ∞ limit")
    dashes = ("-", "--", "-.", ":")
    for i, name in enumerate(names[2:]):
        points, dash = laws[name].points, dashes[i % len(dashes)]
        ax.plot(
            points.k, points.loss, marker=".", color=GREY, linestyle=dash, linewidth=1, label=name
        )
    marks.log_ticks(ax, [1, 2, 3, 5, 10, 50])
    ax.set(xlabel="members K", ylabel=marks.LOSS)
    return ax


def one_member_and_limit(axes: Sequence[Axes], cells: pd.DataFrame) -> Sequence[Axes]:
    """Draw heat maps over epochs and decay: one member, and K → ∞ (v1 Fig 5, right).

    cells: epochs, wd, one member (nats/token) and limit (estimates), from `laws.ensembles_frame`.
    """
    half_width = np.median([(limit.ci_high - limit.ci_low) / 2 for limit in cells["limit"]])
    table = cells.assign(limit=[limit.value for limit in cells["limit"]])
    titles = {"one member": "one member", "limit": f"K → ∞ (each 95 % about ±{half_width:.3f})"}
    for ax, (value, title) in zip(axes, titles.items(), strict=True):
        heat_map(ax, table, rows="wd", columns="epochs", value=value, bar=False)
        ax.set(title=title, xlabel="epochs", ylabel="weight decay")
    return axes


def loss_by_seed(ax: Axes, laws: Mapping[str, EnsembleLaw]) -> Axes:
    """Draw loss against K when members differ by init, by order, or by both (Fig 16)."""
    lines = ("-", "--", ":")
    for i, (name, law) in enumerate(laws.items()):
        values = [law.at(k) for k in law.points.k]
        shift = 0.02 * (i - 1)
        marks.estimates(
            ax, law.points.k + shift, values, "ensemble",
            label=name, filled=i == 0, linestyle=lines[i % len(lines)],
        )  # fmt: skip
    ax.set_xticks(next(iter(laws.values())).points.k)
    ax.set(xlabel="members K", ylabel=marks.LOSS)
    ax.legend(title="members differ by")
    return ax


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
