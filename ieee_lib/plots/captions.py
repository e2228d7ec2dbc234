"""The caption line below a figure, there for as long as the figure is rendered.

with captioned(figure, "laptop scale · 3 seeds a point") as area:
    figure.savefig(file, bbox_inches=area)
"""

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox


@contextmanager
def captioned(figure: Figure, caption: str) -> Iterator[Bbox | None]:
    """Put a caption below a figure inside a block; the figure is as before afterwards.

    Gives the area to save, in inches: None is the figure's own. A figure in the house style makes
    room for the caption; to one with another layout, the area below is added.
    """
    if not caption:
        yield None
        return
    size = 0.72 * mpl.rcParams["font.size"]
    width, height = figure.get_size_inches()
    lines = _wrap(caption, int(72 * width / (0.54 * size)))
    below = (1.3 * len(lines) + 0.6) * size / 72 / height  # share of the figure's height
    engine = figure.get_layout_engine()
    house = engine if isinstance(engine, ConstrainedLayoutEngine) else None
    before = dict(house.get()) if house else {}
    if house:
        house.set(rect=(0, below, 1, 1 - below))
    text = figure.text(
        0.01, 0.01 if house else 0.01 - below, "\n".join(lines), fontsize=size,
        color=mpl.rcParams["xtick.color"], ha="left", va="bottom", linespacing=1.3,
    )  # fmt: skip
    text.set_in_layout(False)
    try:
        figure.draw_without_rendering()  # the number of ticks follows from the layout, and back
        yield None if house else Bbox([[0, -below * height], [width, height]])
    finally:
        text.remove()
        if house:
            house.set(**before)


def _wrap(caption: str, width: int) -> list[str]:
    """Break a caption between its parts into lines of at most `width` characters."""
    lines = [""]
    for part in caption.split(" · "):
        longer = f"{lines[-1]} · {part}" if lines[-1] else part
        if len(longer) > width and lines[-1]:
            lines.append(part)
        else:
            lines[-1] = longer
    return lines
