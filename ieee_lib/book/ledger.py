"""What each figure stands on: the records behind it, and what they cost.

    rows = ledger(Study.open("laptop", source="archive"))
    rows["fig05_loss_against_members"].cost          # runs, tokens, FLOPs, seconds

A figure is drawn once more from a copy of what its section has gathered that notes which parts
are asked for; the runs that these parts name, and whatever those were made of, are its records.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ieee_lib.book.chapters import Section, recorded
from ieee_lib.config import KINDS
from ieee_lib.plots.saving import Drawing, Table, context
from ieee_lib.study import Study

Record = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One figure or table with its records."""

    section: Section
    """Whose notebook shows it."""
    item: Drawing | Table
    records: list[Record]
    """In the order of run ids; members, samples and teachers included."""

    @property
    def cost(self) -> dict[str, float]:
        """Return records by kind, and their tokens, FLOPs and worker seconds."""
        kinds = Counter(KINDS[record["kind"]] for record in self.records)
        sums = {"tokens": "tokens", "FLOPs": "flops", "seconds": "seconds"}
        return {kind: kinds[kind] for kind in KINDS.values()} | {
            name: sum(record[key] for record in self.records) for name, key in sums.items()
        }


def ledger(study: Study) -> dict[str, Entry]:
    """Return every item of the book by its file name. Raises as `Chapter.open` does."""
    known = {record["run_id"]: record for record in study.store.records()}
    found = {}
    reader = study.reading()
    for chapter in recorded(reader):
        gathered = set(reader.touched)
        for name, draw in chapter.section.items.items():
            reader.touched.clear()
            watched, asked = _watched(chapter.found)
            with context(*study.look):
                item = draw(watched)
            named = [set(_ids(getattr(chapter.found, part), known)) for part in asked]
            whole = gathered if not all(named) else set()  # a part that does not say: all of it
            ids = _closure(set().union(reader.touched, whole, *named), known)
            found[name] = Entry(chapter.section, item, [known[i] for i in sorted(ids)])
        reader.touched.clear()
    return found


def ledger_table(entries: Mapping[str, Entry], *, caption: str) -> Table:
    """Return what every figure cost; figures share runs, so the rows do not add up."""
    rows = [
        {"figure": name, "notebook": entry.section.notebook, **entry.cost}
        for name, entry in entries.items()
        if isinstance(entry.item, Drawing)
    ]
    return Table(pd.DataFrame(rows), caption, {"seconds": 0})


def _watched(found: Any) -> tuple[Any, set[str]]:
    """Return a copy of what was gathered, and the set that fills with the parts asked of it."""
    names = {f.name for f in dataclasses.fields(found)} - {"study", "setting"}
    asked: set[str] = set()

    class Watched(type(found)):
        def __getattribute__(self, name: str) -> Any:
            if name in names:
                asked.add(name)
            return super().__getattribute__(name)

    copy = object.__new__(Watched)
    for each in dataclasses.fields(found):
        object.__setattr__(copy, each.name, getattr(found, each.name))
    return copy, asked


def _ids(value: Any, known: Mapping[str, Record]) -> Iterator[str]:
    """Yield the ids of records that a gathered value holds, however deep."""
    if isinstance(value, str):
        if value in known:
            yield value
    elif isinstance(value, pd.DataFrame):
        for _, column in value.select_dtypes(exclude="number").items():
            yield from _ids(list(column), known)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _ids(part, known)
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from _ids(part, known)
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            yield from _ids(getattr(value, each.name), known)


def _closure(ids: set[str], known: Mapping[str, Record]) -> set[str]:
    """Add what records were made of: members, teachers, samples, the run they continue from."""
    found, new = set(), set(ids)
    while new:
        found |= new
        made_of = set()
        for record in (known[i] for i in new):
            made_of |= set(record.get("members", ()))
            made_of |= {record["spec"].get("synthetic"), record["spec"].get("start")}
        new = (made_of & set(known)) - found
    return found
