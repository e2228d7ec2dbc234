"""All figures of a book at a glance.

sheet = contact_sheet({"fig01_overview": png, ...})
"""

import io
import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

COLUMNS = 4
WIDTH, HEIGHT = 3.6, 2.7
"""Inches of a thumbnail."""
DPI = 60
"""Half of what is saved: a sheet is to find figures by."""


def contact_sheet(pictures: Mapping[str, bytes]) -> Figure:
    """Return a figure that shows every picture (name -> PNG) small, under its name."""
    n_row = math.ceil(len(pictures) / COLUMNS)
    figure, axes = plt.subplots(
        n_row, COLUMNS, figsize=(WIDTH * COLUMNS, HEIGHT * n_row), squeeze=False, dpi=DPI
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (name, png) in zip(axes.flat, pictures.items(), strict=False):
        picture = Image.open(io.BytesIO(png)).convert("RGBA")
        picture.thumbnail((int(WIDTH * 2 * DPI), int(HEIGHT * 2 * DPI)))
        ax.imshow(picture, interpolation="antialiased")
        ax.set_title(name, fontsize=8, fontfamily="monospace", loc="left")
    return figure
