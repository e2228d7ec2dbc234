"""Where a book's time goes: training, scoring, starting workers, drawing.

stage_table(seconds, records, wall, n_worker)
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from ieee_lib.jobs.stages import DRAW, FIT, PREPARE, WORK
from ieee_lib.plots.saving import Table


def stage_table(
    seconds: Mapping[str, float], records: Iterable[Mapping[str, Any]], wall: float, n_worker: int
) -> Table:
    """Return wall seconds and share of each stage of a book that took `wall` seconds.

    `records` are those it wrote. What workers did in parallel is given as wall time: their
    seconds over the number of workers.
    """
    records = list(records)
    trained = [r for r in records if r["kind"] == "train"]
    compiled = sum(r["stack"]["compile_seconds"] for r in trained)
    evaluated = sum(r["stack"]["evaluation_seconds"] for r in trained)
    parallel = {
        "training steps": sum(r["seconds"] for r in trained) - compiled - evaluated,
        "validation while training": evaluated,
        "scoring ensembles, sampling, answering": sum(
            r["seconds"] for r in records if r["kind"] != "train"
        ),
        "compile": compiled,
    }
    rows = {name: value / n_worker for name, value in parallel.items()}
    rows["start of workers, waiting for the last"] = seconds.get(WORK, 0.0) - sum(rows.values())
    rows |= {name: seconds.get(name, 0.0) for name in (PREPARE, FIT, DRAW)}
    rows["notebooks: kernels, imports, the rest"] = wall - sum(rows.values())
    frame = pd.DataFrame(rows.items(), columns=["stage", "seconds"])
    frame["share (%)"] = 100 * frame.seconds / wall
    total = pd.DataFrame([{"stage": "all", "seconds": wall, "share (%)": 100.0}])
    caption = f"{len(trained)} runs trained · {n_worker} worker(s), whose time counts divided"
    digits = {"seconds": 0, "share (%)": 1}
    return Table(pd.concat([frame, total], ignore_index=True), caption, digits)
