"""The figure of continued pre-training (Sec. 7.2): estimates in, a `Drawing` out.

drawing = staircase({8192: a, 32768: b, 131072: c}, {"default": a, "+ epoching": d}, caption=...)
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt

from ieee_lib.laws.effective_data import effective_data
from ieee_lib.laws.estimates import Estimate
from ieee_lib.plots import marks as plots
from ieee_lib.plots.figures import short_count
from ieee_lib.plots.saving import Drawing, finish

LOOKS = (
    {"color": plots.GREY, "marker": "o", "filled": False},
    {"color": plots.GREY, "marker": "o", "markerfacecolor": plots.GREY},
    {"color": plots.COLORS["ensemble"]},
)
"""Smaller batch, + epoching, + ensemble; the first two are no recipe of the other figures."""


def staircase(
    curve: Mapping[int, Estimate], recipes: Mapping[str, Estimate], *, caption: str
) -> Drawing:
    """Draw recipes at the target's D, and how far each carries along the default's curve.

    curve: target tokens -> the default recipe's loss. recipes: name -> loss at the least tokens,
    the default first.
    """
    figure, ax = plt.subplots()
    tokens = sorted(curve)
    plots.estimates(
        ax, tokens, [curve[d] for d in tokens], "standard", label="default recipe", linestyle="-"
    )
    start = tokens[0]
    for (name, loss), look in zip(list(recipes.items())[1:], LOOKS, strict=True):
        style = {"ecolor": look["color"], "markersize": 8, **look}
        plots.estimates(ax, [start], [loss], "ensemble", label=name, **style)
        reach = min(effective_data(curve, loss).value, 1.5 * tokens[-1])
        ax.plot([start, reach], [loss.value] * 2, linestyle=":", color=look["color"])
    plots.log_ticks(ax, tokens, labels=[short_count(d) for d in tokens])
    ax.set_xlim(0.7 * start, 2 * tokens[-1])
    ax.set(xlabel="target tokens", ylabel="loss on the target (nats/token)")
    plots.legend_above(figure, ax)
    points = {str(d): curve[d] for d in tokens}
    return finish(figure, caption, curve=points, recipes=dict(recipes))
