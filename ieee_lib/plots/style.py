"""The house style: how figures look (style), how large they are (context), on what background.

use_style("talk", "dark")                # from here on, in this process: a notebook's first cell
with style("paper"): ...                 # for one figure
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.typing import ColorType

from ieee_lib.errors import check_choice
from ieee_lib.paths import PACKAGE

CONTEXTS = ("paper", "talk")
BACKGROUNDS = ("white", "transparent", "dark")

_LIGHT = {
    "standard": "#bd3f00",
    "regularized": "#9457d6",
    "ensemble": "#0a9c80",
    "joint": "#a88600",
    "distilled": "#144d92",
}
_DARK = {
    "standard": "#ee6f33",
    "regularized": "#b678f7",
    "ensemble": "#22d3aa",
    "joint": "#ffd23f",
    "distilled": "#8cc6f2",
}
PALETTES = {"white": _LIGHT, "transparent": _LIGHT, "dark": _DARK}
"""Background -> recipe -> colour: one hue a recipe, told apart with every common form of colour
blindness, at a contrast of 3 or more with white and 5 or more with dark."""


class _Colors(Mapping[str, str]):
    """The palette of the background that figures are drawn on now."""

    def __getitem__(self, recipe: str) -> str:
        return PALETTES[_current[1]][recipe]

    def __iter__(self) -> Iterator[str]:
        return iter(_LIGHT)

    def __len__(self) -> int:
        return len(_LIGHT)


COLORS = _Colors()
"""Recipe -> colour on the current background."""

FITTED = {"joint": "ensemble"}
"""Law -> the recipe whose points it goes through, where that is another one: a joint law goes
through K → ∞ limits, and those are limits of ensembles."""

MARKERS = {"standard": "s", "regularized": "o", "ensemble": "D", "joint": "X", "distilled": "*"}

GREY = "#808080"
"""What the recipes are only compared with; on every background."""

MIN_CONTRAST = 4.5
"""Of text with its background (WCAG AA)."""

_current = ("paper", "white")


def use_style(context: str = "paper", background: str = "white") -> None:
    """Draw in the house style from here on, at the size of a context, on a background.

    Every setting starts from matplotlib's own defaults, so none of a user's leaks in. Raises
    InputError for an unknown context or background.
    """
    global _current
    check_choice("context", context, CONTEXTS)
    check_choice("background", background, BACKGROUNDS)
    folder = PACKAGE / "plots" / "styles"
    sheets = [folder / f"{name}.mplstyle" for name in ("base", context, background)]
    plt.style.use(["default", *sheets])
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
    """Return the size (inches) of a figure of n panels side by side, in one row or several.

    A slide is 16:9 whatever is on it; what is on it is smaller with several rows.
    """
    width, height = mpl.rcParams["figure.figsize"]
    if is_slide():
        factor = 1 + 0.25 * rows
        return factor * width, factor * height
    return 0.95 * n * width, (0.2 + 0.8 * rows) * height


def tall(n: int) -> tuple[float, float]:
    """Return the size (inches) of wide axes with n rows of text along their y axis."""
    width, height = wide()[0], mpl.rcParams["figure.figsize"][1]
    row = 1.5 * mpl.rcParams["font.size"] / 72
    return wide() if is_slide() else (width, 0.55 * height + n * row)


def thin() -> float:
    """Return the width (points) of a line that stands behind others."""
    return 0.7 * mpl.rcParams["lines.linewidth"]


def is_slide() -> bool:
    """Say whether figures are slides now: 16:9, and without a caption line."""
    return _current[0] == "talk"


def is_dark() -> bool:
    """Say whether figures are drawn light on dark now."""
    return _current[1] == "dark"


def marker_size(recipe: str) -> float:
    """Return the size (points) of a recipe's marker; a star has little ink."""
    return mpl.rcParams["lines.markersize"] * (1.8 if MARKERS[recipe] == "*" else 1)


def contrast(color: ColorType, other: ColorType) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2)."""
    low, high = sorted((_luminance(color), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def readable(color: ColorType) -> ColorType:
    """Return a colour for text: mixed with that of all text until it can be read."""
    text, ground = (np.array(mpl.colors.to_rgb(c)) for c in (mpl.rcParams["text.color"], surface()))
    rgb = np.array(mpl.colors.to_rgb(color))
    for share in np.linspace(0, 1, 21):
        mixed = tuple((1 - share) * rgb + share * text)
        if contrast(mixed, tuple(ground)) >= MIN_CONTRAST:
            return mpl.colors.to_hex(mixed)
    return mpl.rcParams["text.color"]


def surface() -> str:
    """Return the colour behind what is drawn; a light slide counts as white."""
    background = mpl.rcParams["axes.facecolor"]
    return "white" if background == "none" else background


def _luminance(color: ColorType) -> float:
    """Return the relative luminance of a colour, 0 to 1."""
    rgb = np.array(mpl.colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
