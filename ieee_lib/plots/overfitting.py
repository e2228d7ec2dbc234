"""Notebook 01: the standard recipe overfits (Sec. 2.1, Fig 2)."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.plots.marks import LOSS, log_ticks, means, short_count
from ieee_lib.plots.style import COLORS, GREY, MARKERS


def loss_against_epochs(ax: Axes, validation: pd.DataFrame, training: pd.DataFrame) -> Axes:
    """Draw validation and training loss against epochs: the U (Fig 2, left).

    validation, training: epochs, loss (nats/token) and se, as `laws.seed_means` gives them.
    """
    means(ax, validation, "epochs", "standard", label="validation")
    means(
        ax, training, "epochs", "standard",
        label="training", filled=False, linestyle="--", marker="o",
    )  # fmt: skip
    best = validation.iloc[validation.loss.argmin()]
    ax.annotate(
        f"lowest: {best['loss']:.2f} at {best.epochs:.0f} epochs",
        (best.epochs, best.loss),
        xytext=(0, -24),
        textcoords="offset points",
        ha="center",
    )
    log_ticks(ax, validation.epochs)
    ax.set(xlabel="epochs over the same D tokens", ylabel="loss (nats/token)")
    ax.legend()
    return ax


def one_curve(
    ax: Axes, curves: Mapping[float, pd.DataFrame], value: float, recipe: str, *, name: str
) -> Axes:
    """Draw the loss along training at one value of a setting, the other values' in grey.

    curves: value of the setting `name` -> frame of tokens, train_loss, val_loss, mean over seeds.
    """
    for other, points in curves.items():
        if other != value:
            ax.plot(points.tokens, points.val_loss, color=GREY, alpha=0.5, linewidth=1)
    color, points = COLORS[recipe], curves[value]
    label = f"{name} {value:g}: validation, {points.val_loss.iloc[-1]:.3f} at the end"
    ax.plot(points.tokens, points.val_loss, color=color, marker=MARKERS[recipe], label=label)
    ax.plot(points.tokens, points.train_loss, color=color, linestyle="--", label="training")
    ax.xaxis.set_major_formatter(lambda tokens, _: short_count(tokens))
    ax.set(xlabel="tokens trained on, repeats counted", ylabel=LOSS)
    return ax
