"""Notebook 04: limits in K at every N, and their limit in N (Sec. 4.3, Fig 6)."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots import marks
from ieee_lib.plots.ensembles import MOST_MEMBERS
from ieee_lib.plots.infinity import End, at_infinity


def limits_in_members(ax: Axes, ensembles: Mapping[str, EnsembleLaw]) -> Axes:
    """Draw loss against K with its law for every model, and the limits at K = ∞ (Fig 6, left)."""
    k = np.geomspace(1, MOST_MEMBERS, 100)
    limits = []
    shades = marks.shades("ensemble", len(ensembles))
    for (model, ensemble), color in zip(ensembles.items(), shades, strict=True):
        points = ensemble.points
        ax.plot(points.k, points.loss, marker="D", linestyle="", color=color, label=model)
        ax.plot(k, ensemble.law(k), linestyle="--", color=color)
        limits.append(End(ensemble.limit, "ensemble", color=color))
    ax.set(xlabel="members K", ylabel=marks.LOSS)
    return at_infinity(ax, limits, ticks=[1, 2, 3, 5, 10, MOST_MEMBERS], end=MOST_MEMBERS)


def limits_in_parameters(ax: Axes, joint: PowerLaw) -> Axes:
    """Draw the limits in K against N, their law and the joint limit at N = ∞ (Fig 6, right).

    joint: the law in N of the limits in K, fitted to a frame.
    """
    assert joint.frame is not None
    N, limits = joint.frame["N"], joint.points
    marks.estimates(ax, N, limits, "ensemble", label="K → ∞ limits")
    end = 4 * N.max()
    marks.curve(ax, joint, (N.min(), end), "joint", label=marks.law_text(joint))
    at_infinity(ax, [End(joint.limit, "joint", label="joint limit")], ticks=N, end=end)
    marks.focus(ax, limits, joint.interval("E"))
    ax.set(xlabel=marks.PARAMETERS, ylabel=marks.LOSS)
    return ax
