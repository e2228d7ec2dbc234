"""The book as a static site: notebooks as they ran, figures with what they stand on, claims.

    build(Study.open("laptop", source="archive"), executed, out)

Sphinx with MyST-NB reads the executed notebooks. Everything that a page needs lies beside it, so
the site opens from a folder, without a network.
"""

import contextlib
import importlib.util
import io
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

import nbformat
import pandas as pd

from ieee_lib.book.ledger import Entry, ledger, ledger_table
from ieee_lib.errors import check
from ieee_lib.plots.figures import short_count
from ieee_lib.plots.saving import Drawing, save
from ieee_lib.study import Study

HERE = Path(__file__).parent

SHOWN = re.compile(r'chapter\.show\("(\w+)"\)')

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


def check_installed() -> None:
    """Raise InputError where Sphinx or what it needs is missing."""
    for name in ("sphinx", "myst_nb", "furo", "sphinx-mathjax-offline"):
        found = importlib.util.find_spec(name) is not None
        check(found, "book", name, "is not installed: pip install 'ieee_lib[book]'")


def build(study: Study, executed: Path, out: Path) -> list[str]:
    """Write the site of a recorded study's book to `out`; returns Sphinx's warnings.

    executed: the folder of its executed notebooks. Raises InputError where one is missing.
    """
    entries = ledger(study)
    notebooks = dict.fromkeys(entry.section.notebook for entry in entries.values())
    for notebook in notebooks:
        path = executed / f"{notebook}.ipynb"
        check(path.is_file(), "book", str(path), "is missing: reproduce the whole book first")
    source = out.with_name(f"{out.name}.source")
    shutil.rmtree(source, ignore_errors=True)
    for folder in ("figures", "records"):
        (source / folder).mkdir(parents=True)
    figures = {name: e for name, e in entries.items() if isinstance(e.item, Drawing)}
    for name, entry in figures.items():
        save(entry.item, source / "figures", name, formats=["svg"])
        _records_frame(entry).to_csv(source / "records" / f"{name}.csv", index=False)
    for name in notebooks:
        notebook = nbformat.read(executed / f"{name}.ipynb", as_version=4)
        nbformat.write(_linked(notebook, figures), source / f"{name}.ipynb")
    _write_pages(study, entries, notebooks, source)
    return _sphinx(source, out)


def _records_frame(entry: Entry) -> pd.DataFrame:
    """Return one row a record behind a figure, with what tells it from the others."""
    names = ["seed_tokens", "epochs", "wd", "lr", "init_seed", "data_seed"]
    rows = [
        {name: record[name] for name in ("run_id", "kind", "status")}
        | {name: record["spec"].get(name) for name in names}
        | {"val_loss": record.get("val_loss"), "tokens": record["tokens"]}
        | {"flops": record["flops"], "seconds": record["seconds"]}
        for record in entry.records
    ]
    return pd.DataFrame(rows)


def _linked(notebook, figures: Mapping[str, Entry]):
    """Put below every figure what it stands on, and leave out what belongs to one machine."""
    cells = []
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        shown = SHOWN.fullmatch(cell.source.strip()) if cell.cell_type == "code" else None
        if "injected-parameters" in cell.metadata.get("tags", []):
            continue
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
        cells.append(cell)
        if shown and shown[1] in figures:
            cells.append(nbformat.v4.new_markdown_cell(_links(shown[1], figures[shown[1]])))
    notebook.cells = cells
    notebook.metadata.pop("papermill", None)
    return notebook


def _links(name: str, entry: Entry) -> str:
    cost = entry.cost
    kinds = [f"{n:,} {kind}" for kind, n in list(cost.items())[:4] if n]
    if not kinds:
        return f"*Stands on no run of ours · [numbers](figures/{name}.json)*"
    bill = (
        f"{short_count(cost['tokens'])} tokens, {cost['FLOPs']:.1e} FLOPs, {cost['seconds']:,.0f} s"
    )
    records = f"[{', '.join(kinds)}](records/{name}.csv)"
    return f"*Stands on {records}: {bill} of one worker · [numbers](figures/{name}.json)*"


def _write_pages(
    study: Study, entries: Mapping[str, Entry], notebooks: Iterable[str], source: Path
) -> None:
    caption = f"{study.scale.name} scale · what all runs behind each figure took"
    figures = [
        f"## {name}\n\n![{name}](figures/{name}.svg)\n\n{_links(name, entry)}\n\n"
        f"From [{entry.section.title}]({entry.section.notebook}.ipynb)."
        for name, entry in entries.items()
        if isinstance(entry.item, Drawing)
    ]
    given = {
        "scale": study.scale.name,
        "about": study.scale.about,
        "corpus": study.scale.corpus.source,
        "claims": entries["claims"].item.to_markdown(),
        "notebooks": "\n".join(notebooks),
        "figures": "\n\n".join(figures),
        "ledger": ledger_table(entries, caption=caption).to_markdown(),
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
