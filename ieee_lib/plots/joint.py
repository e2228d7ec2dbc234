"""Notebook 04: limits in K at every N, and their limit in N (Sec. 4.3, Fig 6)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots import marks

LIMIT_AT = 60
"""Where on the axis of K its limit stands."""


def limits_in_members(ax: Axes, ensembles: Mapping[str, EnsembleLaw]) -> Axes:
    """Draw loss against K with its law for every model, and the limits at K = ∞ (Fig 6, left)."""
    k = np.geomspace(1, LIMIT_AT / 2, 100)
    colors = marks.shades("ensemble", len(ensembles))
    for (model, ensemble), color in zip(ensembles.items(), colors, strict=True):
        points = ensemble.points
        ax.plot(points.k, points.loss, marker="D", linestyle="", color=color)
        ax.plot(k, ensemble.law(k), linestyle="--", color=color, label=model)
        line: dict[str, Any] = {"color": color, "ecolor": color, "markerfacecolor": color}
        marks.estimates(ax, [LIMIT_AT], [ensemble.limit], "ensemble", label="", **line)
    counts = (1, 2, 3, 5, 10, 30)
    marks.log_ticks(ax, [*counts, LIMIT_AT], labels=[*map(str, counts), "∞"])
    ax.set(xlabel="members K", ylabel=marks.LOSS, title="K → ∞ at each N")
    ax.legend(ncols=2)
    return ax


def limits_in_parameters(ax: Axes, joint: PowerLaw) -> Axes:
    """Draw the limits in K against N, their law and the joint limit (Fig 6, right).

    joint: the law in N of the limits in K, fitted to a frame.
    """
    assert joint.frame is not None
    N, limits = joint.frame["N"], joint.points
    marks.estimates(ax, N, limits, "ensemble", label="K → ∞ limits")
    marks.curve(ax, joint, (0.8 * N.min(), 6 * N.max()), "joint", label=marks.law_text(joint))
    marks.limit(ax, joint.limit, "joint", label="joint limit")
    marks.count_ticks(ax, N)
    marks.focus(ax, limits, joint.interval("E"))
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS, title="then N → ∞")
    ax.legend()
    return ax
