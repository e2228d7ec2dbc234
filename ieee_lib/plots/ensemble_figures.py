"""Figures of ensembles and of their limits (Sec. 4): estimates and laws in, a `Drawing` out.

drawing = loss_against_members({"tuned for one": law, "tuned for many": other}, caption=...)
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate, Limit
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots import marks as plots
from ieee_lib.plots.figures import LOSS, SIZE, law_text, short_count
from ieee_lib.plots.saving import Drawing, finish

TOTAL = "total parameters, N x K"
REACH = 30
"""How far laws are drawn beyond the largest single model."""
WIDE = (1.9, 1.0)
"""A figure of two panels, in units of a figure of one."""


def two_panels():
    """Return a figure with two axes side by side, each of the usual size."""
    width, height = plt.rcParams["figure.figsize"]
    return plt.subplots(1, 2, figsize=(WIDE[0] * width, WIDE[1] * height))


def single_models(ax: Axes, single: pd.DataFrame, limit: Limit, *, unit: float) -> Axes:
    """Draw tuned single models against N with their law and its limit."""
    plots.means(ax, single, "N", "regularized", label="one model, tuned", linestyle="")
    reach = np.geomspace(single.N.min(), REACH * single.N.max(), 200)
    ax.plot(reach, limit.law(reach / unit), linestyle="--", color=plots.COLORS["regularized"])
    return plots.limit(ax, limit, "regularized", label="limit in N")


def members(ax: Axes, law: EnsembleLaw, *, label: str, filled: bool = True) -> Axes:
    """Draw an ensemble's loss against total parameters with its law in K."""
    N, values = law.about["N"], [law.at(k) for k in law.points.k]
    plots.estimates(ax, N * law.points.k, values, "ensemble", label=label, filled=filled)
    k = np.geomspace(1, 10 * REACH, 100)
    ax.plot(N * k, law.law(k), linestyle="--", color=plots.COLORS["ensemble"], linewidth=1)
    return ax


def total_axis(ax: Axes, single: pd.DataFrame) -> Axes:
    """Name the axes of loss against total parameters; a tick at every model's N."""
    ticks = [*single.N, 10 * single.N.max()]
    plots.log_ticks(ax, ticks, labels=[short_count(n) for n in ticks])
    ax.set(xlabel=TOTAL, ylabel=LOSS)
    ax.set_xlim(0.8 * single.N.min(), REACH * single.N.max())
    return ax


def differences(gains: Mapping[str, Estimate], *, caption: str) -> Drawing:
    """Draw how far each recipe's limit is from the base's, the lowest on top."""
    width, height = plt.rcParams["figure.figsize"]
    figure, ax = plt.subplots(figsize=(width, height * max(0.6, 0.14 * len(gains))))
    names = sorted(gains, key=lambda name: -gains[name].value)
    values = [gains[name] for name in names]
    ends = np.array([[v.value - v.low, v.high - v.value] for v in values]).T.clip(min=0)
    color = plots.COLORS["ensemble"]
    ax.errorbar(
        [v.value for v in values], range(len(names)), xerr=ends, linestyle="",
        marker=plots.MARKERS["ensemble"], color=color,
    )  # fmt: skip
    ax.axvline(0, color=plots.GREY, linestyle=":")
    ax.set_yticks(range(len(names)), names)
    ax.margins(y=0.1)
    ax.set(xlabel="limit in K against that of the base (nats/token); left is better")
    return finish(figure, caption, differences=dict(gains))


def loss_against_total(
    single: pd.DataFrame,
    single_limit: Limit,
    ensembles: Mapping[str, EnsembleLaw],
    *,
    unit: float,
    caption: str,
) -> Drawing:
    """Draw one model's ensembles against total parameters, beside the single-model law (Fig 4)."""
    figure, ax = plt.subplots()
    single_models(ax, single, single_limit, unit=unit)
    for (name, law), filled in zip(ensembles.items(), (True, False), strict=True):
        members(ax, law, label=f"K models, tuned for {name}", filled=filled)
        plots.limit(ax, law.limit, "ensemble", label=f"limit in K, {name}")
    total_axis(ax, single)
    plots.legend_above(figure, ax)
    data = {name: law.points for name, law in ensembles.items()}
    limits = {name: law.limit for name, law in ensembles.items()}
    return finish(figure, caption, single=single, ensembles=data, limits=limits)


def loss_against_members(laws: Mapping[str, EnsembleLaw], *, caption: str) -> Drawing:
    """Draw loss against K for several settings of one model (v1 Fig 5, left).

    The first two are drawn in full, the others, their neighbours, in grey.
    """
    figure, ax = plt.subplots()
    looks = ("regularized", "ensemble")
    grey = iter(("-", "--", "-.", ":") * len(laws))
    k = np.geomspace(1, 50, 100)
    for i, (name, law) in enumerate(laws.items()):
        table = law.points
        if i >= len(looks):
            look = {"color": plots.GREY, "linestyle": next(grey), "linewidth": 1}
            ax.plot(table.k, table.loss, marker=".", label=name, **look)
            continue
        plots.estimates(ax, table.k, [law.at(k) for k in table.k], looks[i], label=name)
        ax.plot(k, law.law(k), linestyle="--", color=plots.COLORS[looks[i]], linewidth=1)
        plots.limit(ax, law.limit, looks[i], label="limit in K")
    counts = [1, 2, 3, 5, 10, 50]
    plots.log_ticks(ax, counts)
    ax.set(xlabel="members K", ylabel=LOSS)
    plots.legend_above(figure, ax)
    points = {name: law.points for name, law in laws.items()}
    return finish(figure, caption, points=points, limits={n: w.limit for n, w in laws.items()})


def one_and_many(laws: Sequence[EnsembleLaw], *, caption: str) -> Drawing:
    """Draw heat maps over epochs and decay: one member, and K → ∞ (v1 Fig 5, right)."""
    figure, axes = two_panels()
    table = pd.DataFrame(
        [
            {**law.about, "one": law.at(1).value, "many": law.limit.value, "low": law.limit.low}
            | {"high": law.limit.high}
            for law in laws
        ]
    )
    half_width = ((table.high - table.low) / 2).median()
    titles = {"one": "one member", "many": f"K → ∞ (each 95 % about ±{half_width:.3f})"}
    for ax, (value, title) in zip(axes, titles.items(), strict=True):
        plots.heat(ax, table, rows="wd", columns="epochs", value=value, bar=False)
        ax.set(title=title, xlabel="epochs", ylabel="weight decay")
    return finish(figure, caption, cells=table)


def loss_by_seed(laws: Mapping[str, EnsembleLaw], *, caption: str) -> Drawing:
    """Draw loss against K when members differ by init, by order, or by both (Fig 16)."""
    figure, ax = plt.subplots()
    lines = ({}, {"linestyle": "--", "filled": False}, {"linestyle": ":", "filled": False})
    for (name, law), line in zip(laws.items(), lines, strict=False):
        values = [law.at(k) for k in law.points.k]
        shift = 0.02 * (list(laws).index(name) - 1)
        look = {"linestyle": "-", **line}
        plots.estimates(ax, law.points.k + shift, values, "ensemble", label=name, **look)
    ax.set_xticks(next(iter(laws.values())).points.k)
    ax.set(xlabel="members K", ylabel=LOSS)
    ax.legend(title="members differ by")
    return finish(figure, caption, points={name: law.points for name, law in laws.items()})


def race(
    single: pd.DataFrame, single_law: PowerLaw, laws: Sequence[EnsembleLaw], *, unit: float,
    caption: str,
) -> Drawing:  # fmt: skip
    """Draw every model's ensembles against total parameters: where do K small ones win?"""
    figure, ax = plt.subplots()
    plots.means(ax, single, "N", "regularized", label="one model, tuned", linestyle="")
    last = max(law.about["N"] * law.K for law in laws)
    reach = np.geomspace(single.N.min(), last, 200)
    ax.plot(reach, single_law(reach / unit), linestyle="--", color=plots.COLORS["regularized"])
    for law, color in zip(laws, plots.shades("ensemble", len(laws)), strict=True):
        at = law.about["N"] * law.points.k
        ax.plot(
            at,
            law.points.loss,
            marker="D",
            color=color,
            label=f"1 to {law.K} of {law.about['model']}",
        )
    ticks = sorted({*single.N, last})
    plots.log_ticks(ax, ticks, labels=[short_count(n) for n in ticks])
    ax.set(xlabel=TOTAL, ylabel=LOSS)
    figure.legend(loc="outside upper left", ncols=3)
    points = {law.about["model"]: law.points for law in laws}
    return finish(figure, caption, single=single, ensembles=points)


def joint(
    laws: Sequence[EnsembleLaw],
    limit: Limit,
    *,
    unit: float,
    caption: str,
) -> Drawing:
    """Draw loss against K for each N, and the limits in K against N (Fig 6)."""
    figure, (left, right) = two_panels()
    k = np.geomspace(1, 30, 100)
    for law, color in zip(laws, plots.shades("ensemble", len(laws)), strict=True):
        left.plot(law.points.k, law.points.loss, marker="D", linestyle="", color=color)
        left.plot(k, law.law(k), linestyle="--", color=color, label=law.about["model"])
        look = {"color": color, "ecolor": color, "markerfacecolor": color}
        plots.estimates(left, [60], [law.limit], "ensemble", label=None, **look)
    counts = (1, 2, 3, 5, 10, 30)
    plots.log_ticks(left, [*counts, 60], labels=[*map(str, counts), "∞"])
    left.set(xlabel="members K", ylabel=LOSS, title="to the limit in K, at each N")
    left.legend(ncols=2)
    sizes = [law.about["N"] for law in laws]
    label = "limits in K"
    plots.estimates(right, sizes, [law.limit for law in laws], "ensemble", label=label)
    reach = np.geomspace(0.8 * sizes[0], 6 * sizes[-1], 200)
    text = law_text(limit.law)
    right.plot(reach, limit.law(reach / unit), "--", color=plots.COLORS["joint"], label=text)
    plots.limit(right, limit, "joint", label="joint limit")
    plots.log_ticks(right, sizes, labels=[short_count(n) for n in sizes])
    plots.focus(right, [law.limit for law in laws])
    right.set(xlabel=SIZE, ylabel=LOSS, title="and on to the limit in N")
    right.legend()
    points = {law.about["model"]: law.points for law in laws}
    limits = {law.about["model"]: law.limit for law in laws}
    return finish(figure, caption, points=points, limits=limits, law=limit.law, joint=limit)
