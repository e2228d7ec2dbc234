"""Figures of students and their teachers (Sec. 6, Fig 9): estimates in, a `Drawing` out.

drawing = students_against_total(table, limit, law, {"ensemble": a, "self": b}, ...)
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate, Limit
from ieee_lib.plots import marks as plots
from ieee_lib.plots.ensemble_figures import members, single_models, total_axis
from ieee_lib.plots.figures import LOSS
from ieee_lib.plots.saving import Drawing, finish


def students_against_total(
    single: pd.DataFrame,
    single_limit: Limit,
    law: EnsembleLaw,
    students: Mapping[str, Estimate],
    *,
    unit: float,
    caption: str,
) -> Drawing:
    """Draw students at their own size, each with an arrow from its teachers (Fig 9).

    `students`: "ensemble", taught by all members, and "self", taught by one.
    """
    figure, ax = plt.subplots()
    single_models(ax, single, single_limit, unit=unit)
    members(ax, law, label=f"1 to {law.K} teachers of {law.about['model']}")
    N = law.about["N"]
    ax.axvline(N, color=plots.GREY, linewidth=0.8, linestyle=":")
    for (name, loss), filled in zip(students.items(), (True, False), strict=True):
        k = law.K if name == "ensemble" else 1
        start = (N * k, law.at(k).value)
        arrow = {"arrowstyle": "->", "color": plots.COLORS["distilled"], "shrinkA": 7, "shrinkB": 7}
        ax.annotate("", (N, loss.value), start, arrowprops={**arrow, "linewidth": 1.4})
        label = f"one student of {k}" if k > 1 else "one student of one"
        plots.estimates(ax, [N], [loss], "distilled", label=label, filled=filled, markersize=10)
    total_axis(ax, single)
    plots.legend_above(figure, ax)
    return finish(
        figure,
        caption,
        single=single,
        teachers=law.points,
        limit=law.limit,
        students=dict(students),
    )


def loss_against_weight(
    points: pd.DataFrame, references: Mapping[str, Estimate], *, caption: str
) -> Drawing:
    """Draw the students' loss against the share w of synthetic sequences.

    points: taught (whose student, at which decay: a line each), w, loss (Estimates). references:
    horizontal lines by name.
    """
    figure, ax = plt.subplots()
    lines = list(points.groupby("taught", sort=False))
    colors = plots.shades("distilled", len(lines))
    for (name, group), color, dash in zip(lines, colors, ("-", "--", ":", "-.") * 4, strict=False):
        look = {"color": color, "ecolor": color, "markerfacecolor": color, "linestyle": dash}
        plots.estimates(ax, group.w, list(group.loss), "distilled", label=name, **look)
    for (name, value), line in zip(references.items(), ("--", ":"), strict=True):
        ax.axhline(value.value, color=plots.GREY, linestyle=line, label=name)
    ax.set_xticks(sorted(points.w.unique()))
    ax.set(xlabel="w, share of synthetic sequences", ylabel=LOSS)
    plots.legend_above(figure, ax)
    return finish(figure, caption, points=points, references=dict(references))
