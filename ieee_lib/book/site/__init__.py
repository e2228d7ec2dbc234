"""The book as a static site: notebooks as they ran, figures with what they stand on, claims.

    publish("laptop", "archive")             # executes the recorded book, and builds its site
    build(study, executed_folder, out)

Sphinx with MyST-NB reads the executed notebooks. Everything that a page needs lies beside it, so
the site opens from a folder, without a network.
"""

import contextlib
import importlib.util
import io
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

import nbformat
import pandas as pd

from ieee_lib import paths
from ieee_lib.book.costs import kinds_of, ledger_frame, records_behind, sums_of
from ieee_lib.book.run import Ran, run_book, saved_names
from ieee_lib.book.runner import executed, reproduce
from ieee_lib.book.sections import SECTIONS, Section
from ieee_lib.errors import check, check_choice
from ieee_lib.plots.marks import short_count
from ieee_lib.plots.saving import SavedFigure, Table, output, save_figure
from ieee_lib.plots.style import style
from ieee_lib.runs.store import Record
from ieee_lib.study import Study

HERE = Path(__file__).parent

OPTIONS: dict[str, Any] = {
    "project": "Pre-training under infinite compute: a companion",
    "extensions": ["myst_nb", "sphinx-mathjax-offline"],
    "html_theme": "furo",
    "html_title": "Infinite compute, recomputed",
    "html_show_sphinx": False,
    "html_show_copyright": False,
    "html_copy_source": False,
    "html_css_files": ["site.css"],
    "html_static_path": [str(HERE / "static")],
    "myst_enable_extensions": ["dollarmath", "attrs_inline", "colon_fence"],
    "myst_heading_anchors": 3,
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "nb_render_markdown_format": "myst",
    "nb_mime_priority_overrides": [("html", "text/markdown", 0)],
    "suppress_warnings": ["mystnb.unknown_mime_type"],
}
"""Of Sphinx."""


def publish(scale: str, source: str) -> int:
    """Build the site of a recorded (archive) or reproduced (train) book; returns an exit code.

    The recorded book is executed first. Raises InputError for an unknown source, where Sphinx is
    missing, and where a notebook was not executed.
    """
    check_choice("source", source, ("archive", "train"))
    check_installed()
    study = Study.open(scale, source="archive" if source == "archive" else "records")
    with output(write=False):
        ran = run_book(study)
    if source == "archive":
        code = reproduce(scale, only=",".join(ran), source="archive")
        if code:
            return code
    out = paths.site(study.scale.name)
    for warning in build(study, ran, executed(study.scale.name, source), out):
        print(warning, file=sys.stderr)
    print(f"{out / 'index.html'}: opens in a browser, without a network")
    return 0


def check_installed() -> None:
    """Raise InputError where Sphinx or what it needs is missing."""
    for name in ("sphinx", "myst_nb", "furo", "sphinx-mathjax-offline"):
        is_installed = importlib.util.find_spec(name) is not None
        check(is_installed, "book", name, "is not installed: pip install 'ieee_lib[book]'")


def build(study: Study, ran: Mapping[str, Ran], executed: Path, out: Path) -> list[str]:
    """Write the site of a study's book to `out`; returns Sphinx's warnings.

    ran: its notebooks, run from records. executed: the folder of its executed notebooks. Raises
    InputError where one is missing.
    """
    sections = [SECTIONS[number] for number in ran]
    for section in sections:
        path = executed / f"{section.notebook}.ipynb"
        check(path.is_file(), "book", str(path), "is missing: reproduce the whole book first")
    source = out.with_name(f"{out.name}.source")
    shutil.rmtree(source, ignore_errors=True)
    (source / "records").mkdir(parents=True)
    links, gallery = {}, []
    for section in sections:
        for name, saved in ran[section.number].saved.items():
            if isinstance(saved, SavedFigure):
                links[name] = _write_figure(saved, study, source)
                gallery.append(_gallery_entry(name, section, links[name]))
    for section in sections:
        notebook = nbformat.read(executed / f"{section.notebook}.ipynb", as_version=4)
        nbformat.write(_linked(notebook, links), source / f"{section.notebook}.ipynb")
    _write_pages(study, ran, gallery, source)
    return _sphinx(source, out)


def _write_figure(saved: SavedFigure, study: Study, source: Path) -> str:
    """Write a figure, its numbers and its records; return the line that links to them."""
    folder, name = source / "figures", saved.name
    with style(), output(["svg"]):
        save_figure(saved.figure, folder, name, data=saved.data, caption=saved.caption)
    records = records_behind(saved.run_ids, study.store)
    _records_frame(records).to_csv(source / "records" / f"{name}.csv", index=False)
    numbers = f"[numbers](figures/{name}.json)"
    if not records:
        return f"*Stands on no run of ours · {numbers}*"
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in kinds_of(records).items() if n)
    sums = sums_of(records)
    bill = f"{short_count(sums['tokens'])} tokens, {sums['FLOPs']:.1e} FLOPs"
    bill += f", {sums['seconds']:,.0f} s of one worker"
    return f"*Stands on [{kinds}](records/{name}.csv): {bill} · {numbers}*"


def _records_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row a record behind a figure, with what tells it from the others."""
    settings = ["seed_tokens", "epochs", "wd", "lr", "init_seed", "data_seed"]
    rows = []
    for record in records:
        row = {name: record[name] for name in ("run_id", "kind", "status")}
        row |= {name: record["spec"].get(name) for name in settings}
        row["val_loss"] = record.get("val_loss")
        rows.append(row | {name: record[name] for name in ("tokens", "flops", "seconds")})
    return pd.DataFrame(rows)


def _linked(notebook: Any, links: Mapping[str, str]) -> Any:
    """Put below every figure what it stands on, and leave out what belongs to one machine."""
    cells = []
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            continue
        cells.append(cell)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
            shown = [links[name] for name in saved_names(cell.source) if name in links]
            cells += [nbformat.v4.new_markdown_cell(line) for line in shown]
    notebook.cells = cells
    notebook.metadata.pop("papermill", None)
    return notebook


def _gallery_entry(name: str, section: Section, link: str) -> str:
    return (
        f"## {name}\n\n![{name}](figures/{name}.svg)\n\n{link}\n\n"
        f"From [{section.title}]({section.notebook}.ipynb)."
    )


def _write_pages(
    study: Study, ran: Mapping[str, Ran], gallery: Iterable[str], source: Path
) -> None:
    caption = f"{study.scale.name} scale · what all runs behind each figure took"
    claims = ran["09"].saved["claims"]
    assert isinstance(claims, Table)
    given = {
        "scale": study.scale.name,
        "about": study.scale.about,
        "corpus": study.scale.corpus.source,
        "claims": claims.to_markdown(),
        "notebooks": "\n".join(SECTIONS[number].notebook for number in ran),
        "figures": "\n\n".join(gallery),
        "ledger": Table(ledger_frame(ran), caption, {"seconds": 0}).to_markdown(),
    }
    for page in (HERE / "pages").glob("*.md"):
        text = Template(page.read_text(encoding="utf-8")).substitute(given)
        (source / page.name).write_text(text, encoding="utf-8")


def _sphinx(source: Path, out: Path) -> list[str]:
    from sphinx.application import Sphinx

    warnings = io.StringIO()
    shutil.rmtree(out, ignore_errors=True)
    with contextlib.redirect_stdout(io.StringIO()):
        app = Sphinx(
            source, None, out, source / ".doctrees", "html",
            confoverrides=OPTIONS, status=None, warning=warnings, freshenv=True,
        )  # fmt: skip
        app.build()
    shutil.rmtree(source)
    return [line for line in warnings.getvalue().splitlines() if line.strip()]
