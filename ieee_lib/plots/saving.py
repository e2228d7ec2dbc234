"""Figures and tables with their numbers, and the one place that writes them.

    save_figure(fig, folder, "fig03_...", data={"tuned": tuned, "law": law}, caption="...")
    save_table(frame, folder, "tab03_...", caption="...")

The same numbers give the same bytes: no dates, a fixed salt for SVG ids, sorted JSON. Saving puts
the caption below the figure for as long as it renders, so a reader can go on editing the figure.
"""

import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from ieee_lib.config.scale import Scale
from ieee_lib.errors import check_choice
from ieee_lib.files import write_atomically
from ieee_lib.laws.estimates import expand
from ieee_lib.plots.captions import captioned, counted
from ieee_lib.plots.numbers import RUN_COLUMNS, as_json, run_ids_of
from ieee_lib.plots.style import current_style, is_slide, style
from ieee_lib.runs.stages import DRAW, stage

BACKENDS = {"svg": "svg", "pdf": "pdf", "png": "agg"}
"""Format -> who writes it, whatever backend a user draws with."""
FORMATS = tuple(BACKENDS)
METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


@dataclass(frozen=True)
class Output:
    """How figures and tables are written."""

    formats: tuple[str, ...] = FORMATS
    write: bool = True
    """False: nothing is written; the saved item still holds its numbers."""
    names: frozenset[str] | None = None
    """What is written; None: everything."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """title, xlabel and ylabel of figures instead of their own."""
    caption: bool | None = None
    """Whether figures have a caption line; None: all but slides have one."""


_output: ContextVar[Output | None] = ContextVar("output", default=None)


@contextmanager
def output(
    formats: Sequence[str] = FORMATS,
    *,
    write: bool = True,
    names: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    caption: bool | None = None,
) -> Iterator[None]:
    """Set how everything that is saved in this block is written; see `Output`.

    Raises InputError for a format.
    """
    for kind in formats:
        check_choice("format", kind, FORMATS)
    chosen = None if names is None else frozenset(names)
    token = _output.set(Output(tuple(formats), write, chosen, dict(labels or {}), caption))
    try:
        yield
    finally:
        _output.reset(token)


@dataclass(frozen=True)
class SavedFigure:
    """A figure as it was saved, with the numbers that it shows."""

    figure: Figure
    name: str
    caption: str
    """Scale, text, D, what is shown, notes."""
    data: dict[str, Any]
    """Name -> frame, law or plain value: everything plotted."""
    run_ids: frozenset[str]
    """Records behind the data."""
    look: tuple[str, str] = field(default_factory=current_style)
    """Context and background that it was saved in."""

    def render(self, *formats: str) -> dict[str, bytes]:
        """Return the figure with its caption as files of some of `FORMATS`, of one layout."""
        caption = (_output.get() or Output()).caption
        with style(*self.look):  # not a user's own settings, nor those of a later cell
            has_line = not is_slide() if caption is None else caption
            return render(self.figure, *formats, caption=self.caption if has_line else "")

    def _repr_png_(self) -> bytes:
        return self.render("png")["png"]


@dataclass(frozen=True)
class Table:
    """A table, written as CSV, Markdown, LaTeX and JSON."""

    frame: pd.DataFrame
    """As given; a column of estimates becomes value, ci_low and ci_high in print."""
    caption: str
    digits: Mapping[str, int] = field(default_factory=dict)
    """Column -> decimals, also of its interval; 4 significant digits elsewhere."""
    equations: tuple[str, ...] = ()
    """What the rows say, in LaTeX; shown above them in a notebook."""
    name: str = ""

    @cached_property
    def numbers(self) -> pd.DataFrame:
        """Return the frame as plain numbers and text, without the columns that name records."""
        hidden = [name for name in self.frame.columns if name in RUN_COLUMNS]
        return expand(self.frame.drop(columns=hidden))

    @property
    def run_ids(self) -> frozenset[str]:
        """Return the records behind the rows."""
        return run_ids_of(self.frame)

    def formatted(self) -> pd.DataFrame:
        """Return the frame as text, as it is printed."""
        columns = {
            name: [_cell(value, self._digits(str(name))) for value in self.numbers[name]]
            for name in self.numbers
        }
        return pd.DataFrame(columns)

    def _digits(self, column: str) -> int | None:
        base = column.removesuffix(" ci_low").removesuffix(" ci_high")
        return self.digits.get(column, self.digits.get(base))

    def to_markdown(self) -> str:
        """Return a GitHub table with the caption below."""
        text = self.formatted()
        numeric = [pd.api.types.is_numeric_dtype(self.numbers[name]) for name in self.numbers]
        lines = [
            list(text.columns),
            ["--:" if n else ":--" for n in numeric],
            *text.to_numpy().tolist(),
        ]
        rows = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
        return f"{rows}\n\n{self.caption}\n"

    def to_latex(self) -> str:
        """Return a LaTeX tabular with the caption as a comment."""
        body = self.formatted().to_latex(index=False, escape=True)
        return f"% {self.caption}\n{body}"

    def _repr_markdown_(self) -> str:
        return "\n\n".join([*self.equations, self.to_markdown()])


def save(
    item: Figure | pd.DataFrame,
    folder: Path,
    name: str,
    *,
    caption: str,
    data: Mapping[str, Any] | None = None,
    digits: Mapping[str, int] | None = None,
    equations: Sequence[str] = (),
) -> "SavedFigure | Table":
    """Write a figure with its numbers, or a frame as a table; return it as it was saved."""
    with stage(DRAW):
        if isinstance(item, Figure):
            return save_figure(item, folder, name, data=data or {}, caption=caption)
        return save_table(item, folder, name, caption=caption, digits=digits, equations=equations)


def save_figure(
    figure: Figure, folder: Path, name: str, *, data: Mapping[str, Any], caption: str
) -> SavedFigure:
    """Write a figure, and its numbers as JSON; return it as it was saved.

    The figure is closed, so that a notebook shows the saved one alone, and stays editable: changes
    show when it is saved again, or when a cell ends with it.
    """
    plt.close(figure)
    saved = SavedFigure(figure, name, caption, dict(data), run_ids_of(data))
    how = _output.get() or Output()
    _relabel(figure, how.labels)
    if _is_written(how, name):
        numbers = as_json({"caption": caption, **data})
        _write(folder, name, {**saved.render(*how.formats), "json": numbers})
    return saved


def _is_written(how: Output, name: str) -> bool:
    return how.write and (how.names is None or name in how.names)


def _relabel(figure: Figure, labels: Mapping[str, str]) -> None:
    """Set the title above a figure and the labels of its axes, where they are given."""
    title = labels.get("title")
    if title and figure.legends:  # it stands where a title of the figure would
        figure.legends[0].set_title(title, prop=FontProperties(size=mpl.rcParams["axes.titlesize"]))
        figure.legends[0].set_alignment("left")
    elif title:
        figure.suptitle(title, x=0.01, ha="left")
    for name in ("xlabel", "ylabel"):
        if labels.get(name):
            for ax in figure.axes:
                if getattr(ax, f"get_{name}")():
                    ax.set(**{name: labels[name]})


def save_table(
    frame: pd.DataFrame,
    folder: Path,
    name: str,
    *,
    caption: str,
    digits: Mapping[str, int] | None = None,
    equations: Sequence[str] = (),
) -> Table:
    """Write a table as CSV, Markdown, LaTeX and JSON; return it to be shown.

    What a frame says of its columns, `frame.attrs["notes"]`, ends the caption.
    """
    caption = " · ".join([caption, *frame.attrs.get("notes", ())])
    table = Table(frame, caption, dict(digits or {}), tuple(equations), name)
    write_table(table, folder, name)
    return table


def write_table(table: Table, folder: Path, name: str) -> None:
    """Write a table as CSV, Markdown, LaTeX and JSON."""
    if not _is_written(_output.get() or Output(), name):
        return
    files = {
        "csv": table.numbers.to_csv(index=False, lineterminator="\n").encode(),
        "md": table.to_markdown().encode(),
        "tex": table.to_latex().encode(),
        "json": as_json({"caption": table.caption, "rows": table.numbers}),
    }
    _write(folder, name, files)


def _write(folder: Path, name: str, files: Mapping[str, bytes]) -> None:
    for kind, content in files.items():
        path = folder / f"{name}.{kind}"
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)


def render(figure: Figure, *formats: str, caption: str = "") -> dict[str, bytes]:
    """Return a figure as files of some of `FORMATS`, of one layout, with a caption line below."""
    files = {}
    with captioned(figure, caption) as area:
        for kind in formats:
            buffer = io.BytesIO()
            how: dict[str, Any] = {"backend": BACKENDS[kind], "metadata": METADATA[kind]}
            figure.savefig(buffer, format=kind, **how, dpi=2 * figure.dpi, bbox_inches=area)
            files[kind] = buffer.getvalue()
    return files


def caption(
    scale: Scale,
    shown: pd.DataFrame | Mapping[str, Any],
    *notes: str,
    ladder: Sequence[int] = (),
) -> str:
    """Return a caption line: scale, corpus, D (the base or several), what is shown, notes.

    shown: see `counted`.
    """
    tokens = ", ".join(f"{d:,}" for d in ladder or [scale.base_tokens])
    parts = [f"{scale.name} scale", scale.corpus.words, f"D = {tokens} tokens", counted(shown)]
    parts += notes
    if not scale.evidence:
        parts.append(f"{scale.name}: proves nothing")
    return " · ".join(part for part in parts if part)


def _cell(value: Any, digits: int | None) -> str:
    """Return a cell as text: counts with commas, numbers to some decimals, – for NaN, ∞."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        if digits is None or abs(value) >= 1e6:
            return f"{value:.4g}"
        return f"{value:,.{digits}f}"
    return str(value)
