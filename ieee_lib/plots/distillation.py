"""Notebook 06: students and their teachers, share of synthetic text (Sec. 6, Fig 9, Table 3)."""

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots import marks
from ieee_lib.plots.ensembles import end_of_laws, members, single_models, total_axis
from ieee_lib.plots.infinity import End, with_limit
from ieee_lib.plots.legends import text_size
from ieee_lib.plots.style import COLORS, GREY, thin

BESIDE = 0.03
"""How far left of their size students stand, as a share of the axis."""


def students_against_total_parameters(
    ax: Axes, tuned: pd.DataFrame, law: PowerLaw, teachers: EnsembleLaw, students: pd.DataFrame
) -> Axes:
    """Draw students at their own size, each with an arrow from its teachers (Fig 9).

    students: teachers (their number) and loss (estimates), as `recipes.students` gives them; those
    of one teacher are hollow. Students stand beside the models of their size, the single teacher's
    further left, so that none hides another.
    """
    end = end_of_laws(tuned, [teachers])
    single_models(ax, tuned, law, end)
    name = f"1–{teachers.K} teachers of {teachers.model}"
    members(ax, teachers, end, label=with_limit(name, "K → ∞", teachers.limit))
    ax.axvline(teachers.N, color=GREY, linewidth=0.8, linestyle=":")
    span = end / tuned.N.min()
    for k, loss in zip(students.teachers, students.loss, strict=True):
        x = teachers.N * span ** (-BESIDE if k > 1 else -2 * BESIDE)
        is_behind = k == 1 and loss.value > teachers.at(1).value  # the other would hide its arrow
        ax.annotate(
            "",
            (x, loss.value),
            (teachers.N * k, teachers.at(k).value),
            arrowprops={
                "arrowstyle": "->",
                "connectionstyle": "arc3,rad=-0.4" if is_behind else "arc3,rad=0",
                "color": COLORS["distilled"],
                "linewidth": thin(),
                "shrinkA": mpl.rcParams["lines.markersize"],
                "shrinkB": 1.2 * mpl.rcParams["lines.markersize"],
            },
        )
        label = f"student of {_teachers(k)}"
        marks.estimates(ax, [x], [loss], "distilled", label=label, filled=k > 1, zorder=3)
    ax.plot(
        [], [], linestyle="", color=COLORS["distilled"], marker=r"$\leftarrow$",
        markersize=1.2 * text_size(), label="from teachers to student",
    )  # fmt: skip
    limits = [End(law.limit, "regularized"), End(teachers.limit, "ensemble")]
    return total_axis(ax, tuned, limits, end)


def _teachers(n: int) -> str:
    """Return a number of teachers in words."""
    return f"{n} teachers" if n > 1 else "a single teacher"


def loss_against_synthetic_share(
    ax: Axes, sweep: pd.DataFrame, references: Mapping[str, Estimate]
) -> Axes:
    """Draw the students' loss against w, the share of synthetic sequences (Table 3).

    sweep: teachers (their number), wd, w, loss (estimates); a line each number of teachers and wd.
    references: horizontal lines by name.
    """
    series = sweep[["teachers", "wd"]].drop_duplicates().to_dict("records")
    colors = marks.shades("distilled", len(series))
    dashes = ("-", "--", ":", "-.")
    for i, one in enumerate(series):
        rows = sweep[(sweep.teachers == one["teachers"]) & (sweep.wd == one["wd"])]
        shift = 0.008 * (i - (len(series) - 1) / 2)  # so that bars stay apart
        marks.estimates(
            ax,
            rows.w + shift,
            list(rows.loss),
            "distilled",
            label=f"student of {_teachers(one['teachers'])}, wd {one['wd']:g}",
            color=colors[i],
            ecolor=colors[i],
            markerfacecolor=colors[i],
            linestyle=dashes[i % len(dashes)],
        )
    for (name, value), line in zip(references.items(), ("--", ":"), strict=True):
        ax.axhline(value.value, color=GREY, linestyle=line, label=name)
    ax.set_xticks(sorted(sweep.w.unique()))
    ax.set(xlabel="w, share of synthetic sequences", ylabel=marks.LOSS)
    return ax
