"""What records cost: behind a figure, or altogether.

    records = records_behind(saved.run_ids, study.store)
    kinds_of(records), sums_of(records)      # {"runs": 12, ...}, {"tokens": ..., "seconds": ...}
    ledger_frame(ran)                        # one row a figure of the book

A saved figure names the records of its frames (`run_ids`); members, teachers, samples and the runs
that others continue from are added here.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import pandas as pd

from ieee_lib.book.run import Ran
from ieee_lib.book.sections import SECTIONS
from ieee_lib.config import KINDS
from ieee_lib.plots.saving import SavedFigure
from ieee_lib.runs.store import Archive, Record, RunStore


def kinds_of(records: Iterable[Record]) -> dict[str, int]:
    """Return how many records there are of each kind."""
    counts = Counter(KINDS[record["kind"]] for record in records)
    return {kind: counts[kind] for kind in KINDS.values()}


def sums_of(records: Iterable[Record]) -> dict[str, float]:
    """Return tokens and FLOPs of training, and seconds of one worker."""
    records = list(records)
    columns = {"tokens": "tokens", "FLOPs": "flops", "seconds": "seconds"}
    return {name: sum(record[key] for record in records) for name, key in columns.items()}


def records_behind(run_ids: Iterable[str], store: RunStore | Archive) -> list[Record]:
    """Return the records of some ids and of what they were made of, in the order of run ids."""
    records: dict[str, Record] = {}
    waiting = list(run_ids)
    while waiting:
        run_id = waiting.pop()
        record = None if run_id in records else store.get(run_id)
        if record is not None:
            records[run_id] = record
            waiting += made_of(record)
            waiting += [record["spec"]["start"]] if record["spec"].get("start") else []
    return [records[run_id] for run_id in sorted(records)]


def made_of(record: Record) -> list[str]:
    """Return the ids of the members of an ensemble, and of the sample that a student read."""
    ids = list(record.get("members", ()))
    if record["spec"].get("synthetic"):
        ids.append(record["spec"]["synthetic"])
    return ids


def ledger_frame(ran: Mapping[str, Ran]) -> pd.DataFrame:
    """Return what every figure cost; figures share runs, so the rows do not add up."""
    rows = []
    for number, notebook in ran.items():
        for name, saved in notebook.saved.items():
            if isinstance(saved, SavedFigure):
                records = records_behind(saved.run_ids, notebook.study.store)
                row = {"figure": name, "notebook": f"{number} {SECTIONS[number].title}"}
                rows.append({**row, **kinds_of(records), **sums_of(records)})
    return pd.DataFrame(rows)
