"""What a unit of work is: what every executor runs, in this process or in a worker.

A unit skips what has a record already, so running it twice does nothing twice. There are four:
`TrainJob`, `ScoreJob`, `SampleJob`, `EvaluationJob`.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from ieee_lib.config import ModelConfig
from ieee_lib.config.execution import Execution
from ieee_lib.errors import TrainingError, check
from ieee_lib.runs.store import Record, RunStore

RECORD_BYTES = 20_000
"""About what the larger records take."""

Listener = Callable[[int], None]
"""Hears the tokens that a unit has worked through so far."""


Work = Callable[[Execution, Listener], None]
"""What a unit does, in the process that calls it."""


class Unit(Protocol):
    """One piece of work; small to send, whole or absent in the store."""

    @property
    def label(self) -> str:
        """Names it in messages."""

    @property
    def specs(self) -> tuple:
        """What it writes records of, each with `run_id` and `to_dict()`."""

    @property
    def disk_bytes(self) -> int:
        """About what it leaves on the disk."""

    def memory_bytes(self, execution: Execution) -> int:
        """What it needs of its device's memory at about most (`training.memory`)."""

    @property
    def shape(self) -> ModelConfig:
        """Units of one shape share compiled code."""

    @property
    def tokens(self) -> int: ...

    @property
    def cost(self) -> float:
        """Relative time, for order and progress."""

    def run(self, execution: Execution, on_tokens: Listener = ...) -> None: ...


def open_for(folder: Path, execution: Execution, fingerprint: str):
    """Open a corpus in a worker, with the threads that the scale gives it.

    Raises InputError where it is not the one that the unit's spec names.
    """
    import torch

    from ieee_lib.text.corpus import open_corpus

    if execution.threads:
        torch.set_num_threads(execution.threads)
    keep_freed_memory()
    corpus = open_corpus(folder)
    check(corpus.fingerprint == fingerprint, "corpus", str(folder), f"is not {fingerprint}")
    return corpus


@cache
def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed: activations come back at every step.

    Handing them to the system and back costs a step up to a fifth of its time. Other C libraries
    are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3  # names of malloc.h
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**25)


def trained(store: RunStore, run_ids: Sequence[str], role: str) -> dict[str, Record]:
    """Return the records of runs by id; raises TrainingError for one without weights."""
    records = {}
    for run_id in run_ids:
        records[run_id] = store.get(run_id)
        if records[run_id] is None or not store.has(run_id, weights=True):
            raise TrainingError(f"{role} {run_id} has no weights in the store")
    return records


def device_of(execution: Execution) -> str:
    """Return where a unit that only reads models runs."""
    import torch

    return "cuda" if torch.cuda.is_available() and execution.accelerator != "cpu" else "cpu"
