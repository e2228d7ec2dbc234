"""What to know of a GPU that is there for minutes: correct? fast? then records of the gpu scale.

    run(Scale.load("gpu"), minutes=9)["tab_gpu"]

Each part is a command of its own in processes of its own: one that hangs, crashes or fills the
card leaves the others theirs. What has ended is kept in data/bench_gpu/ and not measured again, so
that the next call has more time for the plan, which goes on where it stopped.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ieee_lib import paths
from ieee_lib.benchmarks.speed import chosen_device
from ieee_lib.config.scale import Scale
from ieee_lib.errors import check
from ieee_lib.plots.saving import Table

RECORDS = "records"
"""Folder of the plan's records and predictions, in the project's root."""
MARGIN = 20.0
"""Seconds: a part that measures for a given time starts and ends in as much besides."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """A benchmark, its share of the time left when it begins, and its result in a few words."""

    what: str
    benchmark: str
    scale: str
    share: float
    has_seconds: bool
    """It takes --seconds and ends by itself; any other is stopped when its time is over."""
    words: Callable[[dict[str, Rows]], str]


def run(
    scale: Scale, *, device: str = "", minutes: float = 9.0, corpus: str = ""
) -> dict[str, Table]:
    """Return `tab_gpu`, a row a part: seconds, how it ended, what it found; and the parts' tables.

    `device`: cpu (a rehearsal) or cuda; empty: what is there. `corpus`: the plan's text, where the
    scale's cannot be reached. The plan's records go to records/. Raises InputError for a device
    that is not there.
    """
    device = chosen_device(device)
    check(minutes > 0, "minutes", minutes, "must be positive")
    deadline = time.monotonic() + 60 * minutes
    tables, rows = {}, []
    for part in _parts(scale.name, device):
        measured, row = _measure(part, device, deadline)
        rows.append({"part": part.what, **row})
        for name, records in measured.items():
            if name.startswith("tab_"):
                caption = f"{part.scale} scale · {device}"
                tables[name.replace("tab_", "tab_gpu_")] = Table(pd.DataFrame(records), caption)
    rows.append({"part": "a piece of the plan", **_plan(scale.name, deadline, corpus)})
    caption = f"{scale.name} scale · {device} · {minutes:g} minutes"
    return {**tables, "tab_gpu": Table(pd.DataFrame(rows), caption, {"seconds": 0})}


def _parts(scale: str, device: str) -> list[Part]:
    """Return what is measured, the most valuable first."""
    paper = "paper" if device == "cuda" else scale  # the paper's models are too large for a CPU
    return [
        Part("agreement with the CPU", "agreement", "laptop", 0.35, False, _agreement),
        Part("stacks against one by one", "speed", scale, 0.4, True, _speed),
        Part("model FLOPs utilisation", "mfu", paper, 0.4, True, _utilisation),
    ]


def _agreement(tables: dict[str, Rows]) -> str:
    rows = tables["tab_agreement"]
    return f"{sum(row['holds'] for row in rows)} of {len(rows)} within their bounds"


def _speed(tables: dict[str, Rows]) -> str:
    rows = tables["tab_speed_gains"]
    gains = [f"{row['model']} {row['against stack of 1']:.1f}x" for row in rows]
    return ", ".join(gains) or "no stack ended"


def _utilisation(tables: dict[str, Rows]) -> str:
    best: dict[str, float] = {}
    for row in tables["tab_mfu"]:
        best[row["model"]] = max(best.get(row["model"], 0.0), row["MFU"])
    return ", ".join(f"{model} {value:.2f}" for model, value in best.items()) or "none ended"


def _measure(part: Part, device: str, deadline: float) -> tuple[dict[str, Rows], dict[str, Any]]:
    """Return a part's tables and its row; what an earlier call measured is read."""
    home = paths.data() / "bench_gpu" / f"{part.benchmark}-{part.scale}-{device}"
    file = home / "tables.json"
    home.mkdir(parents=True, exist_ok=True)
    row: dict[str, Any] = {"seconds": 0.0, "ended": "measured before"}
    if not file.exists():
        seconds = part.share * (deadline - time.monotonic())
        arguments = ["bench", part.benchmark, "--scale", part.scale, "--device", device]
        if part.has_seconds:
            arguments += ["--seconds", f"{max(1.0, seconds - MARGIN):.0f}"]
        made = home / "made.json"
        row = _call([*arguments, "--json", str(made)], seconds, home)
        if not made.exists():
            return {}, {**row, "result": ""}
        made.replace(file)
    tables = json.loads(file.read_text())
    return tables, {**row, "result": part.words(tables)}


def _plan(scale: str, deadline: float, corpus: str) -> dict[str, Any]:
    """Run steps of the scale's book until the time is over."""
    out = paths.root() / RECORDS
    seconds = deadline - time.monotonic()
    arguments = ["run-plan", "--scale", scale, "--budget-minutes", f"{seconds / 60:.2f}"]
    arguments += ["--out", str(out), "--hold"]
    if corpus:
        arguments += ["--corpus", corpus]
    row = _call(arguments, seconds + MARGIN, None)
    return {**row, "result": f"{len(list(out.glob('*.json')))} records in {RECORDS}/"}


def _call(arguments: Sequence[str], seconds: float, home: Path | None) -> dict[str, Any]:
    """Run a command of ours for so long at most; return the seconds it took and how it ended."""
    environment = {**os.environ, "PYTHONPATH": str(paths.PACKAGE.parent)}
    if home is not None:  # its tables are ours to write
        environment["IEEE_LIB_HOME"] = str(home)
    command = [sys.executable, "-m", "ieee_lib", *arguments]
    print(f"{' '.join(command[1:])}: {seconds:.0f} s at most", flush=True)
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        code = process.wait(timeout=max(1.0, seconds))
        ended = "" if code == 0 else f"exit code {code}"
    except subprocess.TimeoutExpired:
        ended = f"stopped after {seconds:.0f} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # its workers too
            process.wait()
    return {"seconds": time.monotonic() - began, "ended": ended or "in time"}
