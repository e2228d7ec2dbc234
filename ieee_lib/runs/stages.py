"""Where a book's wall time goes: seconds by stage, each without the stages inside it.

    with stage("fit"):
        ...                       # written to the file that IEEE_LIB_STAGES names, if any

Notebooks run in kernels of their own, so the stages of a book meet in one file.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd

from ieee_lib.files import writing_to

FILE = "IEEE_LIB_STAGES"
"""Environment variable: the file that stages are added to."""

PREPARE, WORK, FIT, DRAW = "split and tokenize", "work", "fit", "draw"
"""What a study or a notebook does in its own process; in `WORK` it waits for its workers."""

_open: list[float] = []
"""Seconds spent in stages inside each stage that is open now."""


def log_to(folder: Path) -> Path:
    """Start the file of a new book in a folder; return its path."""
    path = folder / "stages.jsonl"
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    os.environ[FILE] = str(path)
    return path


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time a stage of this process, less the stages inside it."""
    _open.append(0.0)
    began = time.perf_counter()
    try:
        yield
    finally:
        took = time.perf_counter() - began
        inside = _open.pop()
        if _open:
            _open[-1] += took
        if path := os.environ.get(FILE):
            with suppress(OSError), open(path, "a") as file:  # a full disk has worse to say
                file.write(json.dumps({"stage": name, "seconds": took - inside}) + "\n")


def read_stages(path: Path) -> dict[str, float]:
    """Return seconds by stage; empty where nothing was timed."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    frame = pd.DataFrame(lines, columns=["stage", "seconds"])
    sums = frame.groupby("stage").seconds.sum()
    return {str(name): float(seconds) for name, seconds in sums.items()}
