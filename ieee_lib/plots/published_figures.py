"""The paper's own points, drawn as ours are; laws are our refits with intervals."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ieee_lib.laws.power_law import fit_power_law
from ieee_lib.laws.published import NOISE, published
from ieee_lib.plots import marks as plots
from ieee_lib.plots.ensemble_figures import two_panels
from ieee_lib.plots.figures import LOSS, short_count
from ieee_lib.plots.saving import Drawing, finish


def overfitting(*, caption: str) -> Drawing:
    """Draw Fig 2: loss against epochs of 300M, and tuned loss against N, 200M tokens."""
    epochs, sizes = published("fig2_epochs"), published("fig2_sizes")
    figure, (left, right) = two_panels()
    look = {"color": plots.COLORS["standard"], "marker": plots.MARKERS["standard"]}
    left.plot(epochs.epochs, epochs.loss, **look)
    plots.log_ticks(left, epochs.epochs)
    left.set(title="300M, lr tuned at each point", xlabel="epochs", ylabel=LOSS)
    right.plot(sizes.N_billions, sizes.loss, **look)
    labels = [short_count(1e9 * n) if n != 1.5 else "" for n in sorted(sizes.N_billions)]
    plots.log_ticks(right, sizes.N_billions, labels=labels)
    right.set(title="lr and epochs tuned", xlabel="parameters N", ylabel=LOSS, ylim=(3.6, 3.9))
    return finish(figure, caption, epochs=epochs, sizes=sizes)


def limits(*, caption: str) -> Drawing:
    """Draw the 16 limits in K against N, and the three recipes against D, with our refits."""
    cells = published("k_limits")
    points = published("data_points").assign(D_billions=lambda t: t.D / 1e9)
    figure, (left, right) = two_panels()
    data = {}
    for (D, part), color in zip(cells.groupby("D"), plots.shades("joint", 4), strict=True):
        stale = " (cells likely stale)" if part.stale.notna().any() else ""
        name = f"{short_count(D)} tokens{stale}"
        data[name] = _refit(left, part.N_billions, part.loss, "joint", name, color)
    ticks = sorted(set(cells.N_billions))
    plots.log_ticks(left, ticks, labels=[short_count(1e9 * n) for n in ticks])
    left.set(title="limits in K (Fig 7, middle)", xlabel="parameters N", ylabel=LOSS)
    for recipe, part in points.groupby("recipe", sort=False):
        color = plots.COLORS[recipe]
        data[recipe] = _refit(right, part.D_billions, part.loss, recipe, recipe, color)
    ticks = sorted(set(points.D_billions))
    plots.log_ticks(right, ticks, labels=[short_count(1e9 * d) for d in ticks])
    right.set(title="recipes against data (Fig 7, right)", xlabel="seed tokens D", ylabel=LOSS)
    for ax in (left, right):
        ax.legend(title="limit, 95 %", fontsize=0.85 * plt.rcParams["legend.fontsize"])
    return finish(figure, caption, **data)


def downstream(*, caption: str) -> Drawing:
    """Draw mean downstream error against total parameters (Fig 10; Table 5)."""
    table = published("downstream")
    table = table.assign(total=1e9 * table.N_billions * table.K, error=100 - table.average)
    figure, ax = plt.subplots()
    for recipe in ("standard", "regularized"):
        part = table[table.recipe == recipe]
        ax.plot(
            part.total, part.error, color=plots.COLORS[recipe], marker=plots.MARKERS[recipe],
            label=recipe,
        )  # fmt: skip
    groups = table[table.recipe == "ensemble"].groupby("model", sort=False)
    for (model, part), color in zip(groups, plots.shades("ensemble", 4), strict=True):
        ax.plot(part.total, part.error, color=color, marker="D", label=f"1 to 5 of {model}")
    part = table[table.recipe == "distilled"]
    look = {"color": plots.COLORS["distilled"], "marker": plots.MARKERS["distilled"]}
    ax.plot(part.total, part.error, linestyle="", markersize=8, **look, label="distilled 300M")
    ticks = [1.5e8, 3e8, 6e8, 1.4e9, 3e9, 7e9]
    plots.log_ticks(ax, ticks, labels=[short_count(t) for t in ticks])
    ax.set(xlabel="total parameters, N x K", ylabel="mean error on three tasks (%)")
    figure.legend(loc="outside upper left", ncols=3)
    return finish(figure, caption, table=table)


def _refit(ax, x: pd.Series, loss: pd.Series, recipe: str, name: str, color):
    law = fit_power_law(x, loss, sigma=NOISE)
    low, high = law.interval("E")
    label = f"{name}: {law.E:.3f} [{low:.3f}, {high:.3f}]".replace("-inf", "−∞")
    ax.plot(x, loss, plots.MARKERS[recipe], color=color, label=label)
    reach = np.geomspace(0.9 * x.min(), 2.5 * x.max(), 100)
    ax.plot(reach, law(reach), "--", color=color)
    ax.axhline(law.E, linestyle=":", color=color, linewidth=1)
    if high - low < np.ptp(loss):  # a wider band would swallow the axes; the legend has it
        ax.axhspan(low, high, xmin=0.96, color=color, alpha=0.4, linewidth=0)
    return law
