"""Puts what the code wrote into the README files, between markers.

update()                                      every README.md of `pages`

<!-- include: figures/bench/tab_speed.md -->  a file
<!-- summary: laptop workstation -->          headline claims, beside the paper's numbers
<!-- notebooks: laptop -->                    what each shows, and the minutes it trains
<!-- end -->                                  where the block ends
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from ieee_lib import paths
from ieee_lib.book.sections import YOUR_TEXT
from ieee_lib.claims.statements import STATEMENTS
from ieee_lib.errors import InputError, check

BLOCK = re.compile(r"(<!-- (\w+): ([^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)

SHOWS = {
    "00": ("Table 2", "text, models with exact parameter counts, cost of the book"),
    "01": ("Sec. 2, Fig 2", "loss against epochs and against N at weight decay 0.1"),
    "02": ("Sec. 3, Fig 3", "tuned weight decay, certified searches, the law in N, timescales"),
    "03": ("Sec. 4, Fig 4, 5, 16", "loss against K, settings for one model and for an ensemble"),
    "04": ("Sec. 4.3, Fig 6", "K → ∞ limits, the joint limit by three routes"),
    "05": ("Sec. 5, Fig 1, 7, 8", "laws in D, data efficiency, loss against compute, the overview"),
    "06": ("Sec. 6, Fig 9", "students of an ensemble, of one model, without real data"),
    "07": ("Sec. 7.1, Fig 10", "loss against downstream error: a probe, and lm-eval's tasks"),
    "08": ("Sec. 7.2, Table 1", "epochs and ensembles on a small target text"),
    "09": ("all", "every verdict, who else saw it, costs, the paper's points refitted"),
    "10": ("–", "dropout, Muon, masked inputs, averages, chains, at tuned decay"),
    "11": ("–", "losses predicted before training: how many intervals held"),
    "12": ("–", "which recipe helps on your text (`try`)"),
    "13": ("appendix", "ablations of the paper's appendix, from recorded runs and some minutes"),
}
"""Number of a notebook -> the part of the paper, and what it shows."""


def pages() -> list[Path]:
    """Return the Markdown pages that may hold blocks, README.md first."""
    root = paths.root()
    rooms = [path for name in ("[!.]*", "ieee_lib/*") for path in root.glob(f"{name}/README.md")]
    return [root / "README.md", *sorted(rooms)]


def update(*, check_only: bool = False) -> int:
    """Rewrite the pages, or only compare; returns 0 when they are (now) up to date, else 1."""
    path = paths.root() / "README.md"
    check(path.is_file(), "README.md", str(path), "is missing; it must have been written before")
    stale = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        fresh = rendered(text, str(page.relative_to(paths.root())))
        if fresh != text:
            stale.append(str(page.relative_to(paths.root())))
            if not check_only:
                page.write_text(fresh, encoding="utf-8")
    if check_only:
        print(f"stale: {', '.join(stale)}: make readme" if stale else "README.md is up to date")
    return int(check_only and bool(stale))


def rendered(text: str, page: str = "README.md") -> str:
    """Return a page with every block as it is now. Raises InputError for what is not there."""

    def written(match: re.Match) -> str:
        start, kind, words, end = match.groups()
        if kind not in BLOCKS:
            raise InputError(page, kind, f"is no block; allowed: {', '.join(BLOCKS)}")
        return f"{start}{BLOCKS[kind](page, *words.split())}\n{end}"

    return BLOCK.sub(written, text)


def include(page: str, name: str) -> str:
    """Return a file's text. Raises InputError where there is none."""
    path = paths.root() / name
    check(path.is_file(), page, name, "is included but does not exist")
    return path.read_text(encoding="utf-8").rstrip()


def summary(page: str, *scales: str) -> str:
    """Return the headline claims: the paper's number, each scale's, and verdicts in that order."""
    rows = {}
    for scale in scales:
        recorded = include(page, f"figures/recorded/{scale}/claims.json")
        rows[scale] = {row["statement"]: row for row in json.loads(recorded)["rows"]}
    lines = [
        f"| claim, measure | paper | {' | '.join(scales)} | verdict ({'; '.join(scales)}) |",
        "|---|--:|" + "--:|" * len(scales) + "---|",
    ]
    headlines = pd.read_csv(paths.published() / "headlines.csv", dtype=str)
    for line in headlines.to_dict("records"):
        statement = STATEMENTS[line["claim"]].statement
        judged = [rows[scale].get(statement) for scale in scales]
        values = [_value(row, int(line["decimals"])) for row in judged]
        verdicts = [row["verdict"] if row else "not run" for row in judged]
        words = dict.fromkeys(verdict.removesuffix(" at this scale") for verdict in verdicts)
        cells = [line["measure"], line["paper"], *values, "; ".join(words)]
        lines.append(f"| {' | '.join(cells)} |")
    counts = (f"{scale} {_counted(rows[scale])}" for scale in scales)
    return "\n".join([*lines, "", f"All {len(STATEMENTS)} claims: {'; '.join(counts)}."])


def notebooks(page: str, scale: str) -> str:
    """Return one row a notebook: what it shows, and the minutes that its own runs train."""
    costs = json.loads(include(page, f"figures/recorded/{scale}/tab_costs.json"))["rows"]
    minutes = {row["notebook"]: row["seconds"] / 60 / WORKERS for row in costs}
    lines = ["| rendered | source | paper | shows | minutes |", "|---|---|---|---|--:|"]
    for path in sorted(paths.notebooks().glob("*.ipynb")):
        number, name = path.stem[:2], path.stem
        folder = f"figures/recorded/{'workstation' if number == '11' else scale}"
        rendered = name if number == YOUR_TEXT.number else f"[{name}]({folder}/{name}.md)"
        section, shown = SHOWS[number]
        cells = [rendered, f"[ipynb](notebooks/{name}.ipynb)", section, shown]
        lines.append(f"| {' | '.join(cells)} | {_minutes(minutes.get(number))} |")
    return "\n".join(lines)


BLOCKS: dict[str, Callable[..., str]] = {
    "include": include,
    "summary": summary,
    "notebooks": notebooks,
}

WORKERS = 2
"""That the recorded laptop book was trained by, side by side."""


def _value(row: dict[str, Any] | None, decimals: int) -> str:
    if row is None:
        return "–"
    low, high = row["ci_low"], row["ci_high"]
    text = f"{row['measure']:.{decimals}f}"
    if not low == high == row["measure"]:
        start = "−∞" if low is None else f"{low:.{decimals}f}"
        end = "∞" if high is None else f"{high:.{decimals}f}"
        text += f" [{start},\u00a0{end}]"
    return text.replace("-", "−")


def _counted(rows: dict[str, dict[str, Any]]) -> str:
    verdicts = [row["verdict"] for row in rows.values()]
    held, failed = verdicts.count("holds"), verdicts.count("does not hold")
    return f"{held} hold, {failed} do not, {len(verdicts) - held - failed} are not testable"


def _minutes(minutes: float | None) -> str:
    return "–" if not minutes else f"{minutes:.1f}"
