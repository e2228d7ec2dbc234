"""The book's figures: tidy frames and fits in, a `Drawing` out. One function a figure.

drawing = loss_against_epochs(overfitting(study), caption=study.caption(...))
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MultipleLocator

from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots import marks as plots
from ieee_lib.plots.saving import Drawing, finish
from ieee_lib.runs.frames import mean_curve, seed_means

LOSS = "validation loss (nats/token)"
SIZE = "parameters N"


def parameters_by_group(counts: pd.DataFrame, *, caption: str) -> Drawing:
    """Draw each model's parameters by group, as shares of its total (Table 2)."""
    groups = {
        "embedding": "#c7c7c7",
        "lm_head": "#9a9a9a",
        "attention": "#0072b2",
        "mlp": "#56b4e9",
        "norm": "#e69f00",
    }
    figure, ax = plt.subplots()
    left = np.zeros(len(counts))
    for group, color in groups.items():
        share = (counts[group] / counts.total).to_numpy()
        ax.barh(counts.model, share, left=left, color=color, label=group, height=0.7)
        left += share
    for row, total in enumerate(counts.total):
        ax.text(1.01, row, f"{short_count(total)}", va="center")
    ax.set(xlabel="share of all parameters", xlim=(0, 1))
    ax.invert_yaxis()
    ax.grid(False)
    ax.xaxis.set_major_formatter(plots.percent)
    figure.legend(loc="outside upper left", ncols=len(groups), handlelength=1, columnspacing=1.2)
    return finish(figure, caption, counts=counts)


def loss_against_epochs(runs: pd.DataFrame, *, caption: str) -> Drawing:
    """Draw validation and training loss against epochs at wd 0.1: the U (Fig 2, left)."""
    val = seed_means(runs, ["epochs"])
    train = seed_means(runs, ["epochs"], value="train_loss")
    figure, ax = plt.subplots()
    plots.means(ax, val, "epochs", "standard", label="validation")
    plots.means(
        ax, train, "epochs", "standard", label="training", filled=False, linestyle="--", marker="o"
    )
    best = val.loc[val.loss.idxmin()]
    ax.annotate(
        f"lowest: {best['loss']:.2f} at {best.epochs:.0f} epochs",
        (best.epochs, best.loss),
        xytext=(0, -24),
        textcoords="offset points",
        ha="center",
    )
    plots.log_ticks(ax, val.epochs)
    ax.set(xlabel="epochs over the same D tokens", ylabel="loss (nats/token)")
    ax.legend()
    return finish(figure, caption, validation=val, training=train)


def loss_against_size(
    recipes: Mapping[str, pd.DataFrame],
    *,
    caption: str,
    laws: Mapping[str, PowerLaw] | None = None,
    unit: float = 1e6,
) -> Drawing:
    """Draw tuned loss against N for each recipe, with laws where given (Fig 2 right, Fig 3).

    A frame has N, loss, se, status; a law's x is N / unit. Open markers are not certified.
    """
    figure, ax = plt.subplots()
    laws = laws or {}
    sizes = sorted({n for table in recipes.values() for n in table.N})
    for recipe, table in recipes.items():
        bare = recipe in laws
        plots.means(ax, table, "N", recipe, label=f"{recipe} recipe", linestyle="" if bare else "-")
        open_ = table[table.status.isin(["uncertified", "not searched"])]
        if len(open_):
            plots.means(
                ax, open_, "N", recipe, label="not certified", filled=False, linestyle="", zorder=5
            )
    for recipe, fit in laws.items():
        reach = (0.8 * sizes[0], 3 * sizes[-1])
        plots.law(ax, fit, reach, recipe, label=law_text(fit), unit=unit)
    plots.log_ticks(ax, sizes, labels=[short_count(n) for n in sizes])
    ax.set(xlabel=SIZE, ylabel=LOSS)
    figure.legend(loc="outside upper left", ncols=2)
    return finish(figure, caption, recipes=dict(recipes), laws=dict(laws))


def loss_against_decay(runs: pd.DataFrame, *, caption: str) -> Drawing:
    """Draw loss against weight decay, one line a model (v1 Fig 13, right)."""
    table = seed_means(runs, ["model", "wd"])
    decays = sorted(table.wd.unique())
    place = {wd: i for i, wd in enumerate(decays)}  # 0 has no place on a logarithmic axis
    figure, ax = plt.subplots()
    for model, part in table.groupby("model"):
        part = part.assign(place=part.wd.map(place))
        plots.means(ax, part, "place", "regularized", label=f"{model} model")
        best = part.loc[part.loss.idxmin()]
        ax.annotate(
            f"best: wd {best.wd:g}",
            (best.place, best.loss),
            xytext=(0, -12),
            textcoords="offset points",
            ha="center",
            va="top",
        )
    if 0.1 in place:
        ax.axvline(place[0.1], color=plots.COLORS["standard"], linestyle=":", label="standard: 0.1")
    ax.set_xticks(list(place.values()), [f"{wd:g}" for wd in decays])
    ax.margins(y=0.15)
    ax.set(xlabel="weight decay", ylabel=LOSS)
    plots.legend_above(figure, ax)
    return finish(figure, caption, means=table)


def loss_along_training(curves: Mapping[str, pd.DataFrame], *, caption: str) -> Drawing:
    """Draw mean loss curves of low- and high-decay runs (v1 Fig 14)."""
    figure, ax = plt.subplots()
    data = {}
    for recipe, points in curves.items():
        mean = mean_curve(points)
        data[recipe] = mean
        color = plots.COLORS[recipe]
        ax.plot(mean.tokens, mean.val_loss, color=color, label=f"{recipe}: validation")
        ax.plot(
            mean.tokens, mean.train_loss, color=color, linestyle="--", label=f"{recipe}: training"
        )
    ax.xaxis.set_major_formatter(lambda v, _: short_count(v))
    ax.yaxis.set_major_locator(MultipleLocator(0.5))  # labels of one width: one layout
    ax.set(xlabel="tokens seen, repeats counted", ylabel="loss (nats/token)", xlim=(0, None))
    figure.legend(loc="outside upper left", ncols=2)
    return finish(figure, caption, **data)


def loss_over_epochs_and_decay(runs: pd.DataFrame, *, caption: str) -> Drawing:
    """Draw the tuned region: mean loss over epochs and weight decay (v1 Fig 5, right)."""
    table = seed_means(runs, ["epochs", "wd"])
    figure, ax = plt.subplots()
    plots.heat(ax, table, rows="wd", columns="epochs")
    ax.set(xlabel="epochs", ylabel="weight decay")
    return finish(figure, caption, means=table)


def short_count(n: float) -> str:
    """Return a count as a reader says it: 38.7k, 0.41M, 154M, 1.43B."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.3g}{letter}"
    return f"{n:.0f}"


def law_text(fit: PowerLaw, interval: tuple[float, float] | None = None) -> str:
    """Return a law as a line of a legend; one whose limit the points do not bound says so."""
    if not fit.resolved:
        return f"{fit.n_point} points do not bound a limit"
    ends = f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else ""
    law = f"{fit.A:.3g} / {fit.unit}$^{{{fit.alpha:.2f}}}$ + {fit.E:.3f}{ends}"
    return f"{law}, {fit.n_point} points"
