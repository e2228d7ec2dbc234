"""All figures of a book at a glance.

with context("talk"):
    sheet = contact_sheet({"fig01_overview": drawing, ...}, caption=...)
"""

import io
import math
from collections.abc import Mapping

import matplotlib.pyplot as plt

from ieee_lib.analysis.drawing import Drawing, finish, render

COLUMNS = 4
WIDTH, HEIGHT = 3.6, 2.7
"""Inches of a thumbnail."""
DPI = 60
"""Half of what is saved: a sheet is to find figures by."""


def contact_sheet(drawings: Mapping[str, Drawing], *, caption: str) -> Drawing:
    """Draw every figure small, under the name of its file."""
    n_row = math.ceil(len(drawings) / COLUMNS)
    figure, axes = plt.subplots(
        n_row, COLUMNS, figsize=(WIDTH * COLUMNS, HEIGHT * n_row), squeeze=False, dpi=DPI
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (name, drawing) in zip(axes.flat, drawings.items(), strict=False):
        ax.imshow(
            plt.imread(io.BytesIO(render(drawing.figure, "png"))), interpolation="antialiased"
        )
        ax.set_title(name, fontsize=8, fontfamily="monospace", loc="left")
    return finish(figure, caption, figures=list(drawings))
