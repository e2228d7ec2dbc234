"""The house style: how figures look (style), how large they are (context), on what background.

use_style("talk", "dark")                # from here on, in this process: a notebook's first cell
with style("paper"): ...                 # for one figure
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from ieee_lib.errors import check_choice
from ieee_lib.paths import PACKAGE

CONTEXTS = ("paper", "talk")
BACKGROUNDS = ("white", "transparent", "dark")

COLORS = {
    "standard": "#d55e00",
    "regularized": "#7a4fb3",
    "ensemble": "#009e8e",
    "joint": "#c99700",
    "distilled": "#0072b2",
}
"""Recipe -> colour; told apart with every common form of colour blindness."""

MARKERS = {"standard": "s", "regularized": "o", "ensemble": "D", "joint": "X", "distilled": "*"}

MARKER_SIZES = {"distilled": 9}
"""Recipe -> marker size where the style's is too small: a star has little ink."""

GREY = "#8c8c8c"

_current = ("paper", "white")


def use_style(context: str = "paper", background: str = "white") -> None:
    """Draw in the house style from here on, at the size of a context, on a background.

    Every setting starts from matplotlib's own defaults, so none of a user's leaks in. Raises
    InputError for an unknown context or background.
    """
    global _current
    check_choice("context", context, CONTEXTS)
    check_choice("background", background, BACKGROUNDS)
    plt.style.use(["default", *sheets(context, background)])
    _current = (context, background)


def current_style() -> tuple[str, str]:
    """Return the context and the background that figures are drawn in now."""
    return _current


@contextmanager
def style(context: str = "paper", background: str = "white") -> Iterator[None]:
    """Draw in the house style inside a block; see `use_style`."""
    global _current
    before = _current
    with mpl.rc_context():
        use_style(context, background)
        try:
            yield
        finally:
            _current = before


def sheets(context: str, background: str) -> list[Path]:
    """Return the style sheets of a context and a background, in the order in which they apply."""
    folder = PACKAGE / "plots" / "styles"
    return [folder / f"{name}.mplstyle" for name in ("base", context, background)]


def folder_name(name: str) -> str:
    """Return the folder of figures for the current style: name, then what is not the default."""
    context, background = _current
    parts = [name]
    if context != "paper":
        parts.append(context)
    if background != "white":
        parts.append(background)
    return "/".join(parts)


def wide(n: int = 2, rows: int = 1) -> tuple[float, float]:
    """Return the size (inches) of a figure of n panels side by side, in one row or several."""
    width, height = mpl.rcParams["figure.figsize"]
    return 0.95 * n * width, (0.2 + 0.8 * rows) * height


def tall(n: int) -> tuple[float, float]:
    """Return the size (inches) of a figure with n rows of text along its y axis."""
    width, height = mpl.rcParams["figure.figsize"]
    row = 1.5 * mpl.rcParams["font.size"] / 72
    return width, 0.55 * height + n * row
