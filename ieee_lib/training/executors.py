"""Where units run: in this process, or in worker processes that outlive a unit.

Workers are started once and reused, so a compiled shape is loaded once; a worker that dies
costs the unit it held, which is tried once more and then reported.

    executor = open_executor(execution)
    failures = executor.run(units, progress)
    executor.close()
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import subprocess
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from ieee_lib.errors import InputError
from ieee_lib.settings import Execution
from ieee_lib.spec import ModelConfig
from ieee_lib.training.progress import Progress
from ieee_lib.training.unit import Unit


class Executor(Protocol):
    """Runs units in any order; returns a line for each that failed."""

    n_worker: int

    def run(self, units: Sequence[Unit], progress: Progress) -> list[str]: ...

    def close(self) -> None: ...


def open_executor(execution: Execution) -> Executor:
    """Return the executor that a scale names."""
    if execution.executor == "local":
        return LocalExecutor(execution)
    return InlineExecutor(execution)


class InlineExecutor:
    """Works in the calling process."""

    n_worker = 1

    def __init__(self, execution: Execution) -> None:
        self.execution = execution

    def run(self, units: Sequence[Unit], progress: Progress) -> list[str]:
        for unit in units:
            unit.run(self.execution, partial(progress.moved, unit))
            progress.finished(unit)
        return []

    def close(self) -> None: ...


class LocalExecutor:
    """One worker process per GPU, or per `threads` cores."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.n_worker = worker_count(execution)
        self.workers: dict[int, _Worker] = {}
        self.compiled: set[ModelConfig] = set()
        """Shapes that have taken a first step."""

    def run(self, units: Sequence[Unit], progress: Progress) -> list[str]:
        waiting = [(unit, 1) for unit in units]  # (unit, tries left after a death)
        failures: list[str] = []
        while waiting or any(worker.unit for worker in self.workers.values()):
            for slot in range(self.n_worker):
                if waiting and not (slot in self.workers and self.workers[slot].unit):
                    if slot not in self.workers:
                        self.workers[slot] = _Worker(slot, self.execution)
                    unit, tries = waiting.pop(self._choose(waiting))
                    self.workers[slot].start(unit, tries)
            for slot in self._ready():
                self._hear(slot, waiting, failures, progress)
        return failures

    def _choose(self, waiting: list[tuple[Unit, int]]) -> int:
        """Return the costliest unit of a shape that nobody compiles right now, if there is one.

        Two workers that start with different shapes compile two at once; the second to need a
        shape then finds it in the cache.
        """
        compiling = {w.unit.shape for w in self.workers.values() if w.unit} - self.compiled
        new = (i for i, (unit, _) in enumerate(waiting) if unit.shape not in compiling)
        return next(new, 0)

    def _ready(self) -> list[int]:
        by_pipe = {w.pipe: slot for slot, w in self.workers.items() if w.unit}
        return [by_pipe[pipe] for pipe in multiprocessing.connection.wait(list(by_pipe))]

    def _hear(self, slot: int, waiting: list, failures: list[str], progress: Progress) -> None:
        worker = self.workers[slot]
        unit, tries = worker.unit, worker.tries
        try:
            kind, value = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(timeout=5)
            del self.workers[slot]
            why = f"worker died (exit code {worker.process.exitcode}) in the unit of {unit.label}"
            progress.note(f"{why}; {'trying it again' if tries else 'giving it up'}")
            progress.moved(unit, 0)
            if tries:
                waiting.append((unit, tries - 1))
            else:
                failures.append(why)
            return
        if kind == "tokens":
            self.compiled.add(unit.shape)
            progress.moved(unit, value)
            return
        worker.unit = None
        if kind == "done":
            progress.finished(unit)
        elif kind == "input":
            self.close()
            raise InputError(*value)
        else:
            progress.moved(unit, 0)
            failures.append(value)
            progress.note(value)

    def close(self) -> None:
        for worker in self.workers.values():
            # An idle worker holds nothing, and a notebook's kernel has a second to end in.
            worker.process.terminate() if worker.unit else worker.process.kill()
        for worker in self.workers.values():
            worker.process.join(timeout=10)
        self.workers.clear()


class _Worker:
    """A process that works on one unit after another, heard through a pipe."""

    def __init__(self, slot: int, execution: Execution) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, slot, execution), daemon=True)
        self.process.start()
        theirs.close()
        self.unit: Unit | None = None
        self.tries = 0

    def start(self, unit: Unit, tries: int) -> None:
        self.unit, self.tries = unit, tries
        with contextlib.suppress(OSError):  # already dead: the next receive says so
            self.pipe.send(unit)


def _work(pipe, slot: int, execution: Execution) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    gpus = visible_gpus() if execution.accelerator != "cpu" else []
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
    while True:
        try:
            unit = pipe.recv()
        except EOFError:
            return
        try:
            unit.run(execution, lambda tokens: pipe.send(("tokens", tokens)))
            pipe.send(("done", None))
        except InputError as error:
            pipe.send(("input", (error.field, error.value, error.allowed)))
        except Exception as error:
            line = f"{unit.label}: {type(error).__name__}: {error}"
            pipe.send(("failed", line.splitlines()[0]))


def worker_count(execution: Execution) -> int:
    """Return how many units run at once; 0 workers in the scale means one per GPU or core slot."""
    if execution.executor == "inline":
        return 1
    if execution.workers:
        return execution.workers
    gpus = visible_gpus() if execution.accelerator != "cpu" else []
    if gpus or execution.accelerator == "gpu":
        return max(1, len(gpus))
    return max(1, core_count() // execution.threads) if execution.threads else 1


def visible_gpus() -> list[str]:
    """Return the ids of NVIDIA GPUs, asked of the driver so that CUDA is not started here."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return [gpu for gpu in listed.split(",") if gpu and gpu != "-1"]
    try:
        lines = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(i) for i, line in enumerate(lines.stdout.splitlines()) if line.startswith("GPU")]


def core_count() -> int:
    """Return the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
