"""The figure of downstream errors (Sec. 7.1, Fig 10): a tidy frame in, a `Drawing` out.

drawing = error_against_loss(answers, chance=0.75, correlation=rho, label="probe", caption=...)
"""

import pandas as pd
from matplotlib.axes import Axes

from ieee_lib.laws.estimates import Estimate
from ieee_lib.plots import marks as plots
from ieee_lib.plots.ensemble_figures import TOTAL, two_panels
from ieee_lib.plots.figures import LOSS, short_count
from ieee_lib.plots.saving import Drawing, finish


def error_against_loss(
    answers: pd.DataFrame, *, chance: float, correlation: Estimate, label: str, caption: str
) -> Drawing:
    """Draw error against total parameters, and against validation loss.

    answers: recipe, about, K, N, total, loss and error (an Estimate), one row a model or ensemble.
    """
    figure, (left, right) = two_panels()
    _panel(left, answers, "total")
    sizes = sorted(answers.N.unique())
    ticks = [*sizes, answers.total.max()]
    plots.log_ticks(left, ticks, labels=[short_count(n) for n in ticks])
    left.set(xlabel=TOTAL, ylabel=f"error on {label}")
    _panel(right, answers, "loss", lines=False)
    right.set(xlabel=LOSS, ylabel=f"error on {label}")
    low, high = correlation.low, correlation.high
    right.set_title(f"rank correlation {correlation.value:.2f} [{low:.2f}, {high:.2f}]")
    left.set_title(f"guessing errs at {chance:.0%}")
    for ax in (left, right):
        ax.yaxis.set_major_formatter(plots.percent)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels))
    return finish(figure, caption, answers=answers, chance=chance, rank_correlation=correlation)


def _panel(ax: Axes, answers: pd.DataFrame, x: str, *, lines: bool = True) -> None:
    for recipe, own in answers.groupby("recipe", sort=False):
        groups = own.groupby("about" if recipe == "ensemble" else "recipe", sort=False)
        for i, (_, group) in enumerate(groups):
            joined = {"linestyle": "-"} if lines and recipe != "distilled" else {}
            label = recipe if i == 0 else None
            plots.estimates(ax, group[x], list(group.error), recipe, label=label, **joined)
