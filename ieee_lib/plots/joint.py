"""Notebook 04: the limits in K at every N, and their limit in N (Sec. 4.3, Fig 6)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots import marks
from ieee_lib.plots.style import COLORS


def loss_against_members_by_model(ax: Axes, laws: Mapping[str, EnsembleLaw]) -> Axes:
    """Draw loss against K for each N with A / K + E, and the limits at the right (Fig 6, left)."""
    k = np.geomspace(1, 30, 100)
    at_infinity = 60
    for (name, law), color in zip(laws.items(), marks.shades("ensemble", len(laws)), strict=True):
        ax.plot(law.points.k, law.points.loss, marker="D", linestyle="", color=color)
        ax.plot(k, law.law(k), linestyle="--", color=color, label=name)
        marks.estimates(
            ax, [at_infinity], [law.limit], "ensemble",
            label="", color=color, ecolor=color, markerfacecolor=color,
        )  # fmt: skip
    counts = (1, 2, 3, 5, 10, 30)
    marks.log_ticks(ax, [*counts, at_infinity], labels=[*map(str, counts), "∞"])
    ax.set(xlabel="members K", ylabel=marks.LOSS, title="K → ∞ at each N")
    ax.legend(ncols=2)
    return ax


def limits_against_parameters(ax: Axes, limits: pd.DataFrame, joint: PowerLaw) -> Axes:
    """Draw the limits in K against N with their law and its limit (Fig 6, right).

    limits: N and limit (estimates), as `laws.ensembles_frame` gives them.
    """
    points = list(limits["limit"])
    marks.estimates(ax, list(limits.N), points, "ensemble", label="K → ∞ limits")
    x_range = (0.8 * limits.N.min(), 6 * limits.N.max())
    marks.curve(ax, joint, x_range, "joint", label=marks.law_text(joint), color=COLORS["joint"])
    marks.limit(ax, joint.limit, "joint", label="joint limit")
    marks.count_ticks(ax, limits.N)
    marks.focus(ax, points)
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS, title="then N → ∞")
    ax.legend()
    return ax
