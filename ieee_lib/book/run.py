"""Runs the cells of notebooks in this process, from records: for figures, slides, costs, verdicts.

    ran = run_notebooks(["03"], scale="laptop", source="archive")
    ran["03"].study.saved["fig05_loss_against_members"]
    ran["03"].names["by_model"]

The same cells that a reader runs; nothing is trained and no torch is imported. A notebook is a
plain script for this: its code cells in their order, with other parameters after their own.
"""

import linecache
import runpy
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat

from ieee_lib.claims.verdicts import Claim
from ieee_lib.plots.saving import SavedFigure, Table
from ieee_lib.plots.style import style
from ieee_lib.study import Study


@dataclass(frozen=True)
class Ran:
    """A notebook whose cells ran."""

    notebook: Path
    names: dict[str, Any]
    """What its cells defined."""

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


def run_notebook(path: Path, parameters: Mapping[str, Any]) -> Ran:
    """Run one notebook's code cells with parameters; errors of a cell are raised as they are."""
    with tempfile.TemporaryDirectory() as folder, style():
        script = Path(folder) / f"{path.stem}.py"
        script.write_text(script_of(path, parameters), encoding="utf-8")
        try:
            names = runpy.run_path(str(script))
        finally:
            plt.close("all")
            linecache.checkcache(str(script))
    return Ran(path, names)


def script_of(path: Path, parameters: Mapping[str, Any]) -> str:
    """Return a notebook's code cells as a script, with parameters set after its own."""
    lines = []
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type != "code":
            continue
        lines += [f"# cell {number} of {path.name}", cell.source, ""]
        if "parameters" in cell.metadata.get("tags", ()):
            lines += [f"{name} = {value!r}" for name, value in parameters.items()]
    return "\n".join(lines)
