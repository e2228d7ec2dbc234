"""Ticks of counts: as a reader says them, and never on top of one another.

axis.set_major_formatter(Staggered({38_720: "38.7k", 69_248: "69.2k"}))
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axis import XAxis
from matplotlib.ticker import Formatter

WIDTH, GAP = 0.64, 0.5
"""Width of a character, and of the space between two labels, as shares of the text's size."""


def percent(share: float, position: float = 0) -> str:
    """Return a share as a tick in percent, as exact as it is."""
    return f"{100 * share:.3g}%"


def short_count(n: float) -> str:
    """Return a count as a reader says it: 38.7k, 0.41M, 154M, 1.43B."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.3g}{letter}"
    return f"{n:.0f}"


class Staggered(Formatter):
    """Labels of fixed ticks; one that would touch the label before it stands a line lower."""

    def __init__(self, names: Mapping[float, str]) -> None:
        self.names = names

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of one tick."""
        return self.names.get(x, f"{x:g}")

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return the labels of all ticks, for the width that the axis has now."""
        labels = [self(value) for value in values]
        if not isinstance(self.axis, XAxis):
            return labels
        text, figure = self.axis.get_major_ticks(1)[0].label1, self.axis.get_figure(root=True)
        assert figure is not None
        size = float(text.get_fontsize()) * figure.dpi / 72  # pixels
        places = self.axis.axes.get_xaxis_transform().transform([(x, 0.0) for x in values])[:, 0]
        ends = [-np.inf, -np.inf]  # of the labels so far, on either line
        for i in np.argsort(places):
            half = WIDTH * size * len(labels[i]) / 2
            free = [line for line in (0, 1) if places[i] - half > ends[line] + GAP * size]
            if not free:
                labels[i] = ""
                continue
            ends[free[0]] = places[i] + half
            labels[i] = "\n" * free[0] + labels[i]
        return labels
