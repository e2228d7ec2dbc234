"""A finished figure or table with its numbers, and the one place that writes them.

    with context("talk"):
        drawing = figures.loss_against_epochs(...)
    save(drawing, folder, "fig02a_loss_against_epochs", formats=("svg", "pdf", "png"))

The same numbers give the same bytes: no dates, a fixed salt for SVG ids, sorted JSON.
"""

import io
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ieee_lib.errors import check_choice
from ieee_lib.files import write_atomically
from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.paths import PACKAGE
from ieee_lib.study import CONTEXTS, GROUNDS

FORMATS = ("svg", "pdf", "png")
METADATA = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


@dataclass
class Drawing:
    """A figure, the numbers it shows, and its caption line."""

    figure: Figure
    data: dict[str, Any]
    """Name -> frame, law or plain value: everything plotted."""
    caption: str
    """Scale, D, seeds, number of points."""

    def _repr_png_(self) -> bytes:
        return render(self.figure, "png")


@dataclass
class Table:
    """A table, written as CSV, Markdown and LaTeX."""

    frame: pd.DataFrame
    caption: str
    digits: dict[str, int] = field(default_factory=dict)
    """Column -> decimals; 4 significant digits elsewhere."""
    equations: tuple[str, ...] = ()
    """What the rows say, in LaTeX; shown above them in a notebook."""

    def formatted(self) -> pd.DataFrame:
        """Return the frame as text, as it is printed."""
        columns = {
            name: [_cell(v, self.digits.get(name)) for v in self.frame[name]] for name in self.frame
        }
        return pd.DataFrame(columns)

    def to_markdown(self) -> str:
        """Return a GitHub table with the caption below."""
        text = self.formatted()
        numeric = [pd.api.types.is_numeric_dtype(self.frame[name]) for name in self.frame]
        lines = [
            list(text.columns),
            ["--:" if n else ":--" for n in numeric],
            *text.values.tolist(),
        ]
        rows = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
        return f"{rows}\n\n{self.caption}\n"

    def to_latex(self) -> str:
        """Return a booktabs-free LaTeX tabular with the caption as a comment."""
        body = self.formatted().to_latex(index=False, escape=True)
        return f"% {self.caption}\n{body}"

    def _repr_markdown_(self) -> str:
        return "\n\n".join([*self.equations, self.to_markdown()])


@contextmanager
def context(name: str = "paper", ground: str = "white") -> Iterator[None]:
    """Draw in the house style at the size of a context: paper or talk; on a ground of `GROUNDS`."""
    check_choice("context", name, CONTEXTS)
    check_choice("ground", ground, GROUNDS)
    sheets = [
        PACKAGE / "plots" / "styles" / f"{sheet}.mplstyle" for sheet in ("base", name, ground)
    ]
    with mpl.rc_context():
        plt.style.use(["default", *sheets])
        yield


def finish(figure: Figure, caption: str, **data: Any) -> Drawing:
    """Put the caption line below a figure and return it with its numbers."""
    size = 0.72 * mpl.rcParams["font.size"]
    width, height = figure.get_size_inches()
    lines = _wrap(caption, int(72 * width / (0.54 * size)))
    below = (1.3 * len(lines) + 0.6) * size / 72 / height  # share of the figure's height
    figure.get_layout_engine().set(rect=(0, below, 1, 1 - below))
    look = {"fontsize": size, "color": "#7a7a7a", "ha": "left", "va": "bottom"}
    figure.text(0.01, 0.01, "\n".join(lines), linespacing=1.3, **look)
    for ax in figure.axes:  # how many ticks there are follows from this, and when saving too
        for axis in "xy":
            ax.tick_params(axis=axis, labelsize=mpl.rcParams[f"{axis}tick.labelsize"])
    for _ in range(2):  # layout and ticks settle here, inside the style, and stay as they are
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    plt.close(figure)
    return Drawing(figure, data, caption)


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


def save(
    item: Drawing | Table, folder: Path, name: str, *, formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Write a figure (with its numbers as JSON) or a table; return the files, in order."""
    if isinstance(item, Table):
        written = {
            "csv": item.frame.to_csv(index=False, lineterminator="\n").encode(),
            "md": item.to_markdown().encode(),
            "tex": item.to_latex().encode(),
            "json": _json({"caption": item.caption, "rows": item.frame}),
        }
    else:
        for kind in formats:
            check_choice("format", kind, FORMATS)
        written = {kind: render(item.figure, kind) for kind in formats}
        written["json"] = _json({"caption": item.caption, **item.data})
    files = []
    for kind, data in written.items():
        files.append(folder / f"{name}.{kind}")
        if not files[-1].is_file() or files[-1].read_bytes() != data:
            write_atomically(files[-1], data)
    return files


def render(figure: Figure, kind: str) -> bytes:
    """Return a finished figure as a file of one of `FORMATS`."""
    buffer = io.BytesIO()
    sheets = [PACKAGE / "plots" / "styles" / "base.mplstyle"]  # fonts and salt are read when saving
    with plt.style.context(sheets):
        figure.savefig(buffer, format=kind, metadata=METADATA[kind], dpi=2 * figure.dpi)
    return buffer.getvalue()


def _json(numbers: dict[str, Any]) -> bytes:
    return (json.dumps(_plain(numbers), indent=1, sort_keys=True) + "\n").encode()


def _plain(value: Any) -> Any:
    """Turn frames, laws and numpy values into JSON; numbers that are not finite become null."""
    if isinstance(value, pd.DataFrame):
        return [_plain(row) for row in value.to_dict("records")]
    if isinstance(value, PowerLaw):
        return _plain(value.to_dict())
    if isinstance(value, Estimate):
        return _plain({"value": value.value, "low": value.low, "high": value.high})
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _cell(value: Any, digits: int | None) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return "–"
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        if digits is None or abs(value) >= 1e6:
            return f"{value:.4g}"
        return f"{value:,.{digits}f}"
    return str(value)
