"""Notebook 01: the standard recipe overfits (Sec. 2.1, Fig 2)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.plots.marks import hollow, log_ticks, means, short_count
from ieee_lib.plots.style import COLORS, GREY, MARKERS, thin


def loss_against_epochs(ax: Axes, validation: pd.DataFrame, training: pd.DataFrame) -> Axes:
    """Draw validation and training loss against epochs: the U (Fig 2, left).

    validation, training: epochs, loss (nats/token) and se, as `laws.seed_means` gives them.
    """
    best = validation.iloc[validation.loss.argmin()]
    lowest = f"lowest: {best['loss']:.2f} at {best.epochs:.0f} epochs"
    means(ax, validation, "epochs", "standard", label=f"validation, {lowest}")
    means(
        ax, training, "epochs", "standard",
        label="training", filled=False, linestyle="--", marker="o",
    )  # fmt: skip
    log_ticks(ax, validation.epochs)
    ax.set(xlabel="epochs over the same D tokens", ylabel="loss (nats/token)")
    return ax


def one_curve(
    ax: Axes, curves: Mapping[float, pd.DataFrame], value: float, recipe: str, *, name: str
) -> Axes:
    """Draw the loss along training at one value of a setting, the other values' in grey.

    curves: value of the setting `name` -> frame of tokens, train_loss, val_loss, mean over seeds.
    """
    others = [points for other, points in curves.items() if other != value]
    for i, points in enumerate(others):
        label = f"other {name}: validation" if i == 0 else ""
        ax.plot(
            points.tokens, points.val_loss, color=GREY, alpha=0.6, linewidth=thin(), label=label
        )
    color, points = COLORS[recipe], curves[value]
    label = f"{name} {value:g}: validation, {points.val_loss.iloc[-1]:.3f} at the end"
    ax.plot(points.tokens, points.val_loss, color=color, marker=MARKERS[recipe], label=label)
    look: dict[str, Any] = {"linestyle": "--", "marker": "o", "markerfacecolor": hollow()}
    label = f"{name} {value:g}: training, mean since the last point"
    ax.plot(points.tokens, points.train_loss, color=color, label=label, **look)
    ax.xaxis.set_major_formatter(lambda tokens, _: short_count(tokens))
    ax.set(xlabel="tokens trained on, repeats counted", ylabel="loss (nats/token)")
    return ax
