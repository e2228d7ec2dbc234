"""The book as Markdown: every notebook as its cells ran, an index, all figures, all costs.

    write_pages(study, run_book(study), study.figures_folder())   # beside the figures, for GitHub
    book_pages(study, ran, folder)                                # the same text, for the site

Notebooks are stored without results; these pages hold them. The same records give the same text.
"""

import ast
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from pprint import pformat
from string import Template
from typing import Any

import nbformat
import pandas as pd
from matplotlib.figure import Figure

from ieee_lib.book.costs import kinds_of, ledger_frame, records_behind, sums_of
from ieee_lib.book.run import Ran, has_parameters
from ieee_lib.book.sections import SECTIONS
from ieee_lib.claims.verdicts import DOES_NOT, HOLDS, NOT_RUN, UNTESTABLE, numbers
from ieee_lib.config.scale import Scale
from ieee_lib.files import write_atomically
from ieee_lib.plots.marks import short_count
from ieee_lib.plots.saving import SavedFigure, Table, render
from ieee_lib.plots.style import style
from ieee_lib.study import Study

INDEX = "README"
"""Name of the page that GitHub shows for a folder."""
MOST_ROWS = 20
"""Of a frame that no table was saved of: a longer one is cut, and says so."""
MOST_COLUMNS = 9
"""Of a wider table, columns that say the same in every row are said once, below it."""
TEMPLATES = Path(__file__).parent / "site" / "pages"

_MATH = re.compile(
    r"^```.*?^```$|`[^`\n]+`|(?P<indent>^ *)?\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$]+?)\$",
    re.DOTALL | re.MULTILINE,
)


def write_pages(study: Study, ran: Mapping[str, Ran], folder: Path) -> list[str]:
    """Write the pages of a book for GitHub to the folder of its figures; return their names.

    Each links to the one before and after it. Pages of notebooks that are no more are removed.
    """
    pages = book_pages(study, ran, folder)
    names = list(pages)
    written = {*names, *_controls(ran)}
    for old in folder.glob("[0-9][0-9]_*"):
        if old.stem not in written:
            old.unlink()
    for before, name, after in zip(["", *names], names, [*names[1:], ""], strict=False):
        steps = [f"[← {title(pages[before])}]({before}.md)"] if before not in ("", INDEX) else []
        steps += [f"[Contents]({INDEX}.md)"] if name != INDEX else []
        steps += [f"[{title(pages[after])} →]({after}.md)"] if after else []
        line = " · ".join(steps)
        text = for_github(f"{line}\n\n{pages[name]}\n\n---\n\n{line}\n")
        write_atomically(folder / f"{name}.md", text.encode())
    return names


def book_pages(
    study: Study, ran: Mapping[str, Ran], folder: Path, *, records: str = ""
) -> dict[str, str]:
    """Return name -> Markdown: the index, the notebooks that ran, all figures, what they cost.

    Figures are linked as `NAME.png` and `NAME.svg`, their numbers as `NAME.json`, and the records
    behind them as `NAME.csv` in the folder `records` (none: not linked). Figures that a notebook
    shows without saving them are written to `folder`.
    """
    notebooks = {r.path.stem: "\n\n".join(_notebook(r, folder, records)) for r in ran.values()}
    caption = f"{study.scale.name} scale · what all runs behind each figure took"
    costs = ledger_frame(ran)
    costs["figure"] = costs.figure.map(in_words)
    values = {
        "scale": study.scale.name,
        "about": study.scale.about,
        "corpus": study.scale.corpus.words,
        "overview": "\n\n".join(
            _figure(saved, study, records)
            for saved in _saved_figures(ran)
            if saved.name == "fig01_overview"
        ),
        "notebooks": _contents(ran, notebooks),
        "claims": _verdicts(ran),
        "figures": "\n\n".join(
            f"## {in_words(saved.name)}\n\n{_figure(saved, study, records)}"
            for saved in _saved_figures(ran)
        ),
        "ledger": Table(costs, caption, {"seconds": 0}).to_markdown(),
    }
    texts = {page.stem: page.read_text(encoding="utf-8") for page in TEMPLATES.glob("*.md")}
    others = {name: Template(text).substitute(values).rstrip() for name, text in texts.items()}
    first = {INDEX: others.pop("index")}
    return {**first, **notebooks, **{name: others[name] for name in ("figures", "costs")}}


def title(page: str) -> str:
    """Return the title of a page: its first heading."""
    return page[page.index("# ") + 2 :].split("\n", 1)[0]


HEADINGS = {
    "fig03b_forms": "three forms of the law in N",
    "fig06b_forms": "three forms of the joint law",
    "fig07a_laws_in_size_at_every_data": "laws in N at every D",
    "fig09b_loss_against_synthetic_share": "students against the share of synthetic text",
    "fig17_one_member_and_many": "loss over epochs and decay, K = 1 and K → ∞",
    "fig20_beyond": "recipes beyond the paper",
}
"""Headings of figures whose names say too little."""


def in_words(name: str) -> str:
    """Return a figure's name as a heading: "Figure 2a: loss against epochs"."""
    match = re.fullmatch(r"fig0?(\d+[a-z]?)_(.+)", name)
    words = HEADINGS.get(name, (match[2] if match else name).replace("_", " "))
    if not match:
        return words
    return f"Figure {match[1]}" + (" as published" if words == "published" else f": {words}")


def for_github(text: str) -> str:
    """Return Markdown whose equations GitHub leaves whole: $`x`$ in a line, a block in a fence.

    Between plain dollars it would drop backslashes and read underscores as emphasis.
    """

    def fenced(match: re.Match) -> str:
        if match["inline"]:
            return f"$`{match['inline']}`$"
        if not match["block"]:
            return match[0]
        indent = match["indent"] or ""
        lines = [line.strip() for line in match["block"].strip().splitlines()]
        return "\n".join(f"{indent}{line}" for line in ["```math", *lines, "```"])

    return _MATH.sub(fenced, text)


def _notebook(ran: Ran, folder: Path, records: str) -> Iterator[str]:
    """Yield the parts of a notebook's page: its text, its code, and what each cell showed."""
    n_control = 0
    for place, cell in enumerate(nbformat.read(ran.path, as_version=4).cells):
        if cell.cell_type == "markdown":
            yield cell.source
            if place == 0:
                link = os.path.relpath(ran.path, folder).replace(os.sep, "/")
                scale = ran.study.scale.name
                yield f"*Run on the records of the {scale} scale · [the notebook]({link})*"
            continue
        source = _as_run(cell.source, ran.given) if has_parameters(cell) else cell.source
        summary = "Parameters" if has_parameters(cell) else "Code"
        yield f"<details><summary>{summary}</summary>\n\n```python\n{source}\n```\n\n</details>"
        yield from ran.printed.get(place, "").splitlines()
        value = ran.shown.get(place)
        if isinstance(value, Figure):
            n_control += 1
            path = folder / f"{ran.path.stem}_{n_control}.png"
            with style():
                write_atomically(path, render(value, "png")["png"])
            yield f"![Figure with controls]({path.name})\n\n*In JupyterLab it has controls.*"
        elif isinstance(value, SavedFigure):
            yield _figure(value, ran.study, records)
        elif value is not None:
            yield _shown(value)


def _controls(ran: Mapping[str, Ran]) -> Iterator[str]:
    """Yield the names of the figures that notebooks show without saving them."""
    for each in ran.values():
        n_control = sum(isinstance(value, Figure) for value in each.shown.values())
        yield from (f"{each.path.stem}_{i + 1}" for i in range(n_control))


def _as_run(source: str, given: Mapping[str, Any]) -> str:
    """Return the cell of parameters with the values that the notebook ran with."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in given:
            value = given[ast.unparse(node.targets[0])]
            value = value.name if isinstance(value, Scale) else value
            text = json.dumps(value) if isinstance(value, str) else repr(value)
            row, start, end = node.lineno - 1, node.value.col_offset, node.value.end_col_offset
            lines[row] = lines[row][:start] + text + lines[row][end:]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    """Return what a cell showed as Markdown: its own, an equation, a table, or plain text."""
    if isinstance(value, pd.Series | pd.DataFrame):
        rows = pd.DataFrame(value)
        if None in rows.index.names and not isinstance(rows.index, pd.RangeIndex):
            rows = rows.rename_axis("")  # else it would be called "index"
        rows = rows if isinstance(rows.index, pd.RangeIndex) else rows.reset_index()
        value = _narrowed(Table(rows, ""))
        if len(rows) > MOST_ROWS:
            caption = _joined(f"the first {MOST_ROWS} of {len(rows)} rows", value.caption)
            value = replace(value, frame=value.frame.head(MOST_ROWS), caption=caption)
    elif isinstance(value, Table):
        value = _narrowed(value)
    for form in ("_repr_markdown_", "_repr_latex_"):
        if hasattr(value, form):
            return getattr(value, form)().rstrip()
    text = value if isinstance(value, str) else pformat(value, width=90, sort_dicts=False)
    return f"```text\n{text}\n```"


def _narrowed(table: Table) -> Table:
    """Return a wide table without the columns whose cells are all alike; its caption names them."""
    text = table.formatted()
    if len(text.columns) <= MOST_COLUMNS or len(text) < 3:
        return table
    alike = {str(name): text[name][0] for name in text if text[name].nunique() == 1}
    values = [f"{name} = {cell}" for name, cell in alike.items() if cell != "–"]
    empty = [name for name, cell in alike.items() if cell == "–"]
    said = [f"in every row: {', '.join(values)}"] if values else []
    said += [f"no value: {', '.join(empty)}"] if empty else []
    frame = table.numbers.drop(columns=list(alike))
    return replace(table, frame=frame, caption=_joined(table.caption, *said))


def _joined(*parts: str) -> str:
    """Return the parts of a caption as one."""
    return " · ".join(part for part in parts if part)


NO_LOSSES = "settings, counts or published numbers, as its caption says, and no run's loss"
"""What a figure without records behind it shows."""


def _figure(saved: SavedFigure, study: Study, records: str) -> str:
    """Return a figure, and below it what it stands on."""
    name = saved.name
    link = f"[numbers]({name}.json)"
    picture = f"[![{in_words(name)}]({name}.png)]({name}.svg)"
    behind = records_behind(saved.run_ids, study.store)
    if not behind:
        return f"{picture}\n\n*Draws {NO_LOSSES} · {link}*"
    counts = {kind: n for kind, n in kinds_of(behind).items() if n}
    kinds = ", ".join(f"{n:,} {k if n > 1 else k.removesuffix('s')}" for k, n in counts.items())
    kinds = f"[{kinds}]({records}/{name}.csv)" if records else kinds
    sums = sums_of(behind)
    bill = f"{short_count(sums['tokens'])} tokens, {sums['FLOPs']:.1e} FLOPs"
    bill += f", {sums['seconds']:,.0f} s of one worker"
    return f"{picture}\n\n*Stands on {kinds}: {bill} · {link}*"


def _saved_figures(ran: Mapping[str, Ran]) -> Iterator[SavedFigure]:
    for each in ran.values():
        yield from (saved for saved in each.saved.values() if isinstance(saved, SavedFigure))


def _contents(ran: Mapping[str, Ran], notebooks: Mapping[str, str]) -> str:
    """Return one row a notebook: its page, its figures, its verdicts; then those without a page."""
    verdicts = (HOLDS, DOES_NOT, UNTESTABLE)
    rows = []
    for number, each in ran.items():
        figures = [in_words(saved.name).split(":")[0] for saved in _saved_figures({number: each})]
        counts = Counter(claim.verdict for claim in each.judged if number != "09")
        link = f"[{title(notebooks[each.path.stem])}]({each.path.stem}.md)"
        shows = ", ".join(name.removeprefix("Figure ") for name in figures)
        rows.append([link, shows, *(counts[verdict] or "" for verdict in verdicts)])
    columns = ["notebook", "figures", *verdicts]
    text = Table(pd.DataFrame(rows, columns=columns), "").to_markdown().rstrip()
    absent = [f"{n} {section.title}" for n, section in SECTIONS.items() if n not in ran]
    return text + (f"\n\nNot recorded at this scale: {', '.join(absent)}." if absent else "")


def _verdicts(ran: Mapping[str, Ran]) -> str:
    """Return every claim with its measure and verdict; notebook 09 says more."""
    if "09" not in ran:
        return "Not judged: not all of its runs are recorded."
    claims = [claim for claim in ran["09"].judged if claim.verdict != NOT_RUN]
    rows = [[claim.notebook, claim.statement, numbers(claim), claim.verdict] for claim in claims]
    columns = ["notebook", "statement", "measure [95 % interval]", "verdict"]
    return Table(pd.DataFrame(rows, columns=columns), "").to_markdown().rstrip()
