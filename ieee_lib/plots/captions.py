"""The caption line below a figure: what it counts, and the line while the figure is rendered.

counted({"single model": tuned, "ensemble": laws})   # "4 single models (3 seeds each), 4 ensembles
                                                     # of 5"
with captioned(figure, "laptop scale · bars: 95 %") as area:
    figure.savefig(file, bbox_inches=area)           # and in other formats: of the same layout
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.power_law import PowerLaw

NOUNS = {
    "standard": "single model",
    "regularized": "single model",
    "ensemble": "ensemble",
    "distilled": "student",
}
"""Recipe -> what one of its points is."""


def counted(things: pd.DataFrame | Mapping[str, Any]) -> str:
    """Return what a figure shows in numbers, by kind, with the seeds or the members of each.

    things: what one is called -> a frame with one a row, laws in K (ensembles), laws through
    points, a number, or several of these; or a frame of points of several recipes.
    """
    if isinstance(things, pd.DataFrame):
        nouns = things.recipe.str.split(",").str[0].map(NOUNS)
        things = dict(list(things.groupby(nouns, sort=False)))
    parts: list[str] = []
    for name, value in things.items():
        numbers: Counter[str] = Counter()
        seeds: list[int] = []
        for one in _flat(value):
            if isinstance(one, EnsembleLaw):
                numbers[f" of {one.K}"] += 1
            elif isinstance(one, pd.DataFrame):
                one = one.dropna(subset="loss") if "loss" in one else one
                numbers[""] += len(one)
                seeds += [
                    int(n)
                    for column in ("n", "seeds")
                    if column in one
                    for n in one[column].dropna()
                ]
            else:
                numbers[""] += one
        each = _seeds_each(seeds)
        parts += [
            f"{n:,} {name}{'' if n == 1 else 's'}{of}{each}" for of, n in numbers.items() if n
        ]
    return ", ".join(parts)


def _seeds_each(seeds: list[int]) -> str:
    """Return " (2–3 seeds each)", or nothing where seeds are not known."""
    if not seeds:
        return ""
    low, high = min(seeds), max(seeds)
    ends = f"{low}" if low == high else f"{low}–{high}"
    return f" ({ends} seed{'s' if high > 1 else ''} each)"


def _flat(value: Any) -> Iterator[Any]:
    """Yield frames, ensembles and numbers out of mappings and lists of them, and of laws."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    elif isinstance(value, PowerLaw):
        yield value.n_point if value.frame is None else value.frame
    else:
        yield value


@contextmanager
def captioned(figure: Figure, caption: str) -> Iterator[Bbox | None]:
    """Lay a figure out, with a caption below it, and hold it so inside a block.

    Gives the area to save, in inches: None is the figure's own. A figure in the house style makes
    room for the caption; to one with another layout, the area below is added. The figure has its
    layout engine again afterwards.
    """
    engine = figure.get_layout_engine()
    house = engine if isinstance(engine, ConstrainedLayoutEngine) else None
    before = dict(house.get()) if house else {}
    text, below = _add_caption(figure, caption, in_figure=house is not None)
    # A figure without an engine is not to get the style's, for good.
    with mpl.rc_context({"figure.constrained_layout.use": False, "figure.autolayout": False}):
        try:
            if house:
                house.set(rect=(0, below, 1, 1 - below))
            if engine:  # once: a second time moves axes by 0.1 points at most
                engine.execute(figure)
            figure.set_layout_engine(None)
            width, height = figure.get_size_inches()
            yield Bbox([[0, -below * height], [width, height]]) if below and not house else None
        finally:
            figure.set_layout_engine(engine)
            if house:
                house.set(**before)
            if text:
                text.remove()


def _add_caption(figure: Figure, caption: str, *, in_figure: bool) -> tuple[Text | None, float]:
    """Write the caption line; return it, and the share of the figure's height that it needs."""
    if not caption:
        return None, 0.0
    size = 0.72 * mpl.rcParams["font.size"]
    width, height = figure.get_size_inches()
    lines = _wrap(caption, int(72 * width / (0.54 * size)))
    below = (1.3 * len(lines) + 0.6) * size / 72 / height
    text = figure.text(
        0.01, 0.01 if in_figure else 0.01 - below, "\n".join(lines), fontsize=size,
        color=mpl.rcParams["xtick.color"], ha="left", va="bottom", linespacing=1.3,
    )  # fmt: skip
    text.set_in_layout(False)
    return text, below


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
