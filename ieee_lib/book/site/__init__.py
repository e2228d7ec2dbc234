"""The book as a static site: the pages that GitHub shows, with search, records and navigation.

    publish("laptop", "archive")             # runs the recorded book, and builds its site
    build(study, ran, out)

Sphinx with MyST reads the pages of `book.pages`. Everything that a page needs lies beside it, so
the site opens from a folder, without a network.
"""

import contextlib
import importlib.util
import io
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ieee_lib import paths
from ieee_lib.book.costs import records_behind
from ieee_lib.book.pages import INDEX, book_pages
from ieee_lib.book.run import Ran, run_book
from ieee_lib.errors import check, check_choice
from ieee_lib.plots.saving import SavedFigure, output, save_figure
from ieee_lib.plots.style import style
from ieee_lib.runs.store import Record
from ieee_lib.study import Study

HERE = Path(__file__).parent

OPTIONS: dict[str, Any] = {
    "project": "Pre-training under infinite compute: a companion",
    "extensions": ["myst_parser", "sphinx-mathjax-offline"],
    "html_theme": "furo",
    "html_title": "Infinite compute, recomputed",
    "html_show_sphinx": False,
    "html_show_copyright": False,
    "html_copy_source": False,
    "html_css_files": ["site.css"],
    "html_static_path": [str(HERE / "static")],
    "myst_enable_extensions": ["dollarmath"],
    "myst_heading_anchors": 3,
}
"""Of Sphinx."""

CONTENTS = """
```{{toctree}}
:caption: {caption}
:maxdepth: 1
:hidden:

{pages}
```
"""


def publish(scale: str, source: str) -> int:
    """Build the site of a recorded (archive) or reproduced (train) book; returns an exit code.

    Raises InputError for an unknown source, where Sphinx is missing, and MissingRuns where a
    notebook's runs are not recorded.
    """
    check_choice("source", source, ("archive", "train"))
    check_installed()
    study = Study.open(scale, source="archive" if source == "archive" else "records")
    with output(write=False):
        ran = run_book(study)
    out = paths.site(study.scale.name)
    for warning in build(study, ran, out):
        print(warning, file=sys.stderr)
    print(f"{out / 'index.html'}: opens in a browser, without a network")
    return 0


def check_installed() -> None:
    """Raise InputError where Sphinx or what it needs is missing."""
    for name in ("sphinx", "myst_parser", "furo", "sphinx-mathjax-offline"):
        is_installed = importlib.util.find_spec(name) is not None
        check(is_installed, "book", name, "is not installed: pip install 'ieee_lib[book]'")


def build(study: Study, ran: Mapping[str, Ran], out: Path) -> list[str]:
    """Write the site of a book whose notebooks ran from records; return Sphinx's warnings."""
    source = out.with_name(f"{out.name}.source")
    shutil.rmtree(source, ignore_errors=True)
    (source / "records").mkdir(parents=True)
    for each in ran.values():
        for saved in each.saved.values():
            if isinstance(saved, SavedFigure):
                _write_figure(saved, study, source)
    pages = book_pages(study, ran, source, records="records")
    notebooks = [each.path.stem for each in ran.values()]
    others = [name for name in pages if name not in (INDEX, *notebooks)]
    for caption, names in {"The book": notebooks, "Behind it": others}.items():
        pages[INDEX] += CONTENTS.format(caption=caption, pages="\n".join(names))
    for name, text in pages.items():
        page = "index" if name == INDEX else name
        (source / f"{page}.md").write_text(text, encoding="utf-8")
    return _sphinx(source, out)


def _write_figure(saved: SavedFigure, study: Study, source: Path) -> None:
    """Write a figure, its numbers, and a table of the records behind it."""
    with style(), output(["svg", "png"]):
        save_figure(saved.figure, source, saved.name, data=saved.data, caption=saved.caption)
    records = records_behind(saved.run_ids, study.store)
    if records:
        _records_frame(records).to_csv(source / "records" / f"{saved.name}.csv", index=False)


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
