"""Reading records, and the whole chain of intervals from them.

run(Scale.load("laptop"))["tab_records"]
"""

import tempfile
import time
from pathlib import Path

import pandas as pd

from ieee_lib.book.run import run_notebook
from ieee_lib.book.sections import SECTIONS
from ieee_lib.config.scale import Scale
from ieee_lib.laws.estimates import N_DRAW
from ieee_lib.plots.saving import Table, output
from ieee_lib.runs.frames import runs_frame
from ieee_lib.runs.store import Archive, RunStore

RECORDS = 10_000


def run(scale: Scale) -> dict[str, Table]:
    """Return seconds to load many records, and to fit the K, N and D chain of the archive."""
    trained = [r for r in Archive.of(scale.name).records() if r["kind"] == "train"]
    with tempfile.TemporaryDirectory() as scratch:
        folders = (Path(scratch) / name for name in ("runs", "weights", "samples"))
        store = RunStore(*folders)
        for i in range(RECORDS):
            store.put({**trained[i % len(trained)], "run_id": f"{i:016x}"})
        began = time.perf_counter()
        n_row = len(runs_frame(store.records()))
        loaded = time.perf_counter() - began
    began = time.perf_counter()
    with output(write=False):
        run_notebook(SECTIONS["05"].path, {"scale": scale, "source": "archive"})
    fitted = time.perf_counter() - began
    rows = [
        {"what": f"read and verify {n_row:,} records into a frame", "seconds": loaded},
        {
            "what": f"fit K, N and D in turn, {N_DRAW:,} draws, and draw (notebook 05)",
            "seconds": fitted,
        },
    ]
    caption = f"{scale.name} scale · records of the archive, one process"
    return {"tab_records": Table(pd.DataFrame(rows), caption, {"seconds": 2})}
