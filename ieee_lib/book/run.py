"""Runs the cells of notebooks in this process: for figures, slides, costs, verdicts and training.

    ran = run_book(Study.open("laptop", source="archive"), choose("03"))
    ran["03"].saved["fig05_loss_against_members"]
    ran["03"].names["by_model"]

The same cells that a reader runs. From records nothing is trained and no torch is imported. A
notebook is a plain script for this: its code cells in their order, with other values of its
parameters set after its own.
"""

import ast
import linecache
import os
import runpy
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat

from ieee_lib.book.sections import SECTIONS, Section, choose, extra_parameters
from ieee_lib.claims.verdicts import Claim
from ieee_lib.config.session import SESSION
from ieee_lib.errors import InputError, MissingRuns, TrainingError, check, check_choice
from ieee_lib.plots.saving import SavedFigure, Table
from ieee_lib.plots.style import style
from ieee_lib.runs.trace import sharing_answers
from ieee_lib.study import Study

SHOWN = "_shown_by_cell"
"""Name, among a notebook's own, of what its cells show."""


class NotebookError(RuntimeError):
    """A cell failed; the message names the notebook and the cell."""


@dataclass(frozen=True)
class Ran:
    """A notebook whose cells ran."""

    path: Path
    names: dict[str, Any] = field(default_factory=dict)
    """What its cells defined; nothing where they were refused."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """The parameters it ran with, of those that it declares."""
    shown: Mapping[int, Any] = field(default_factory=dict)
    """Cell (its place) -> the value of its last line: what the notebook shows below it."""
    printed: Mapping[int, str] = field(default_factory=dict)
    """Cell (its place) -> what it printed; nothing of it goes to this process's output."""
    refused: str = ""
    """Why its records could not be judged, such as members lost to divergence."""

    @property
    def number(self) -> str:
        """Return the notebook's number, such as 03."""
        return self.path.stem[:2]

    @property
    def study(self) -> Study:
        """Return the study that its cells opened."""
        return self.names["study"]

    @property
    def saved(self) -> Mapping[str, SavedFigure | Table]:
        """Return the figures and tables that its cells saved, by name."""
        return self.study.saved

    @property
    def judged(self) -> list[Claim]:
        """Return the verdicts of its claims."""
        return self.names.get("judged", [])


@dataclass
class _Session:
    """Notebooks that run in this process as one book."""

    ran: dict[Path, Ran] = field(default_factory=dict)
    running: set[Path] = field(default_factory=set)


_session: ContextVar[_Session | None] = ContextVar("book session", default=None)


@contextmanager
def one_book() -> Iterator[_Session]:
    """Let the notebooks that run in this block share answers, and what ran already."""
    session = _session.get()
    if session is not None:
        yield session
        return
    token = _session.set(_Session())
    try:
        with sharing_answers():
            yield _session.get() or _Session()
    finally:
        _session.reset(token)


def run_book(
    study: Study,
    sections: Mapping[str, Section] | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    strict: bool = False,
    report: Callable[[Ran], None] = lambda ran: None,
) -> dict[str, Ran]:
    """Run the cells of several notebooks (all) on a study's records; return them by number.

    A notebook that may be absent is left out where its runs are not recorded, unless `strict`.
    `report` is called after each. Raises MissingRuns for any other whose runs are missing, and as
    `run_notebook` does.
    """
    given = {"scale": study.scale, "source": study.source, **(parameters or {})}
    results = {}
    with one_book():
        for number, section in (sections or SECTIONS).items():
            try:
                results[number] = run_notebook(section.path, given)
            except MissingRuns:
                if strict or not section.may_be_absent(study):
                    raise
                continue
            report(results[number])
    return results


def run_notebook(path: Path, parameters: Mapping[str, Any]) -> Ran:
    """Run one notebook's code cells with parameters.

    Raises InputError for a parameter that the notebook does not declare, NotebookError where a
    cell fails; InputError, MissingRuns and TrainingError of a cell come as they are.
    """
    names = declared(path)
    for name in parameters:
        check_choice("parameter", name, names)
    source, cells = _script(path)
    printed: dict[int, str] = {}

    def print_in_cell(*values: Any, sep: str = " ", end: str = "\n") -> None:
        place = _cell_at(sys._getframe(1).f_lineno, cells)
        printed[place] = printed.get(place, "") + sep.join(map(str, values)) + end

    figures = set(plt.get_fignums())
    with (
        one_book() as session,
        tempfile.TemporaryDirectory() as folder,
        style(),
        _without_reader(),
    ):
        script = Path(folder) / f"{path.stem}.py"
        script.write_text(source, encoding="utf-8")
        session.running.add(path)
        try:
            start = {"given_parameters": dict(parameters), SHOWN: {}, "print": print_in_cell}
            names = runpy.run_path(str(script), start)
        except (InputError, TrainingError):
            raise
        except Exception as error:
            raise NotebookError(_where(error, script, path, cells)) from error
        finally:
            session.running.discard(path)
            for number in set(plt.get_fignums()) - figures:
                plt.close(number)
            linecache.checkcache(str(script))
    names.pop("print", None)
    ran = Ran(path, names, parameters, names.pop(SHOWN), printed)
    if not extra_parameters(parameters):  # else it may differ from what a book would show
        session.ran[path] = ran
    return ran


def declared(path: Path) -> dict[str, Any]:
    """Return the parameters that a notebook declares, with their defaults."""
    check(path.is_file(), "notebook", str(path), "is missing from notebooks/")
    defaults = {}
    for _, cell in _code_cells(path):
        if has_parameters(cell):
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    defaults[node.targets[0].id] = ast.literal_eval(node.value)
    return defaults


def saved_names(source: str) -> list[str]:
    """Return the names of what a cell saves by `study.save(fig, "fig05_...", ...)`."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "study.save"
            and len(node.args) > 1
            and isinstance(node.args[1], ast.Constant)
        ):
            names.append(str(node.args[1].value))
    return names


def choose_figures(only: str) -> tuple[dict[str, Section], frozenset[str] | None]:
    """Return what "03,fig05" or "fig04a" asks for: sections, and the names to draw (None: all).

    A name may be cut short: fig02 is every figure that begins so. Raises InputError for a part
    that is neither a section's number nor the beginning of a name.
    """
    parts = [part.strip() for part in only.split(",") if part.strip()]
    numbers = [part for part in parts if part.isdigit()]
    starts = [part for part in parts if not part.isdigit()]
    sections = choose(",".join(numbers)) if numbers else {}
    names: set[str] = set()
    for number, section in SECTIONS.items():
        saved = {name for _, cell in _code_cells(section.path) for name in saved_names(cell.source)}
        matching = {name for name in saved if name.startswith(tuple(starts))}
        names |= saved if number in numbers else matching
        if matching:
            sections[number] = section
    for start in starts:
        allowed = "must be a section's number or how a figure's or table's name begins, of "
        allowed += ", ".join(sorted(all_saved_names()))
        check(any(name.startswith(start) for name in names), "only", start, allowed)
    in_order = {number: sections[number] for number in SECTIONS if number in sections}
    return in_order, frozenset(names) if starts else None


def all_saved_names() -> set[str]:
    """Return the names of everything that the book's notebooks save."""
    cells = [cell for section in SECTIONS.values() for _, cell in _code_cells(section.path)]
    return {name for cell in cells for name in saved_names(cell.source)}


def _code_cells(path: Path) -> list[tuple[int, Any]]:
    """Return a notebook's code cells with their place among all cells."""
    cells = nbformat.read(path, as_version=4).cells
    return [(place, cell) for place, cell in enumerate(cells) if cell.cell_type == "code"]


def has_parameters(cell: Any) -> bool:
    """Say whether a cell declares the notebook's parameters."""
    return "parameters" in cell.metadata.get("tags", ())


def _script(path: Path) -> tuple[str, dict[int, int]]:
    """Return a notebook's code cells as a script, and the first line of each cell by its place."""
    lines: list[str] = []
    first_lines = {}
    for place, cell in _code_cells(path):
        first_lines[place] = len(lines) + 1
        lines += _keeping_last(cell.source, place).splitlines()
        if has_parameters(cell):
            lines.append("globals().update(given_parameters)")
    return "\n".join([*lines, ""]), first_lines


def _keeping_last(source: str, place: int) -> str:
    """Return a cell's source, its lines in their places, that keeps the value of its last one."""
    try:
        last = ast.parse(source).body[-1:]
    except SyntaxError:  # said when the script runs
        return source
    if not last or not isinstance(last[0], ast.Expr):
        return source
    lines = [line.encode() for line in source.splitlines()]  # as ast counts columns
    end, column = (last[0].end_lineno or 0) - 1, last[0].end_col_offset
    lines[end] = lines[end][:column] + b")" + lines[end][column:]
    start, column = last[0].lineno - 1, last[0].col_offset
    lines[start] = lines[start][:column] + f"{SHOWN}[{place}] = (".encode() + lines[start][column:]
    return b"\n".join(lines).decode()


def _cell_at(line: int, first_lines: Mapping[int, int]) -> int:
    """Return the place of the cell that holds a line of the script."""
    return max((place for place, first in first_lines.items() if first <= line), default=0)


def _where(error: Exception, script: Path, path: Path, first_lines: Mapping[int, int]) -> str:
    """Return what failed, in which cell."""
    line = error.lineno or 0 if isinstance(error, SyntaxError) else 0
    trace = error.__traceback__
    while trace is not None and not line:
        if trace.tb_frame.f_code.co_filename == str(script):
            line = trace.tb_lineno
        trace = trace.tb_next
    place = _cell_at(line, first_lines)
    source = next((cell.source for at, cell in _code_cells(path) if at == place), "")
    return f"{path.stem}, cell {place}, failed: {type(error).__name__}: {error}\n\n{source}"


@contextmanager
def _without_reader() -> Iterator[None]:
    """Let cells draw plain figures, also where a person in JupyterLab has started them."""
    session = os.environ.pop(SESSION, None)
    try:
        yield
    finally:
        if session is not None:
            os.environ[SESSION] = session
