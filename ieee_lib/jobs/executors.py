"""Where units run: in this process, in worker processes that outlive a unit, or on a Ray cluster.

Workers are started once and reused, so a compiled shape is loaded once; a worker that dies, or
runs out of memory, costs the unit it held, which is tried once more and then given up.

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
import threading
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ieee_lib.config import ModelConfig
from ieee_lib.config.tables import Execution
from ieee_lib.errors import InputError
from ieee_lib.jobs.job import Listener, Unit, Work
from ieee_lib.jobs.processes import of_library
from ieee_lib.jobs.progress import Progress

TRIES = 2
"""Of a unit whose worker dies."""

PARTING_SECONDS = 0.8
"""In which idle workers may end by themselves: a notebook's kernel has a second to end in."""


@dataclass(frozen=True)
class Failure:
    """A unit that was given up; all others went on."""

    unit: Unit
    why: str

    def __str__(self) -> str:
        return f"{self.unit.label}: {self.why}"


class Executor(Protocol):
    """Runs units in any order; returns those that failed."""

    n_worker: int

    def run(self, units: Sequence[Unit], progress: Progress) -> list[Failure]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Workers:
    """An executor that several studies train with, and what failed on it."""

    executor: Executor
    failed: dict[str, str]
    """Run id -> reason: runs that failed, and are not tried again."""


_workers: ContextVar[Workers | None] = ContextVar("shared workers", default=None)


@contextlib.contextmanager
def sharing_workers(execution: Execution) -> Iterator[Workers]:
    """Let every study that opens in this block train with the same workers, and end them after it.

    A book runs many notebooks, each with a study of its own: workers start once, and a run that
    failed for one notebook is not tried again for the next.
    """
    workers = Workers(open_executor(execution), {})
    token = _workers.set(workers)
    try:
        yield workers
    finally:
        _workers.reset(token)
        workers.executor.close()


def shared_failures() -> dict[str, str]:
    """Return what failed on the shared workers; a new dict where none are shared."""
    workers = _workers.get()
    return {} if workers is None else workers.failed


def open_executor(execution: Execution) -> Executor:
    """Return the executor that a scale names, or the shared one (`sharing_workers`)."""
    if (workers := _workers.get()) is not None:
        return workers.executor
    if execution.executor == "ray":
        from ieee_lib.jobs.ray_executor import RayExecutor

        return RayExecutor(execution)
    if execution.executor == "local":
        return LocalExecutor(execution)
    return InlineExecutor(execution)


class InlineExecutor:
    """Works in the calling process."""

    n_worker = 1

    def __init__(self, execution: Execution) -> None:
        self.execution = execution

    def run(self, units: Sequence[Unit], progress: Progress) -> list[Failure]:
        with uninterrupted():  # a torch that was half imported cannot be imported again
            import ieee_lib.training.fit  # noqa: F401
        failures: list[Failure] = []
        for unit in units:
            outcome = attempt(unit.run, self.execution, partial(progress.moved, unit))
            settle(unit, 0, outcome, failures, progress)
        return failures

    def close(self) -> None: ...


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the end of a block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if seen:
        raise KeyboardInterrupt


class LocalExecutor:
    """One worker process per GPU, or per `threads` cores; more of them for stacks on several."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.n_worker = worker_count(execution)
        self.workers: dict[int, _Worker] = {}
        self.compiled: set[ModelConfig] = set()
        """Shapes that have taken a first step."""

    def run(self, units: Sequence[Unit], progress: Progress) -> list[Failure]:
        waiting = [(unit, TRIES) for unit in units]
        failures: list[Failure] = []
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

    def _hear(self, slot: int, waiting: list, failures: list[Failure], progress: Progress) -> None:
        worker = self.workers[slot]
        unit, tries = worker.unit, worker.tries - 1
        try:
            kind, value = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(timeout=5)
            del self.workers[slot]
            kind, value = "died", f"its worker died (exit code {worker.process.exitcode})"
        if kind == "tokens":
            self.compiled.add(unit.shape)
            progress.moved(unit, value)
            return
        worker.unit = None
        if settle(unit, tries, (kind, value), failures, progress):
            waiting.append((unit, tries))

    def close(self) -> None:
        for worker in self.workers.values():
            worker.process.terminate() if worker.unit else worker.pipe.close()
        deadline = time.monotonic() + PARTING_SECONDS
        for worker in self.workers.values():
            worker.process.join(timeout=10 if worker.unit else max(0, deadline - time.monotonic()))
            worker.process.kill()
        self.workers.clear()


class _Worker:
    """A process that works on one unit after another, heard through a pipe."""

    def __init__(self, slot: int, execution: Execution) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        self.pipe, theirs = context.Pipe()
        alone = execution.world_size == 1  # who starts processes of its own may not be a daemon
        self.process = context.Process(target=_work, args=(theirs, slot, execution), daemon=alone)
        with of_library():
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
        n = execution.devices
        own = [gpus[i % len(gpus)] for i in range(slot * n, (slot + 1) * n)]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(dict.fromkeys(own))
    while True:
        try:
            unit = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(unit.run, execution, lambda tokens: pipe.send(("tokens", tokens))))


Outcome = tuple[str, Any]
"""How a unit ended (done, failed, died: may go well next time, input: bad input), and why."""


def attempt(work: Work, execution: Execution, on_tokens: Listener) -> Outcome:
    """Do what a unit does, and put into words how it ended: exceptions do not travel well."""
    try:
        work(execution, on_tokens)
        return "done", None
    except InputError as error:
        return "input", (error.field, error.value, error.allowed)
    except Exception as error:
        return "died" if out_of_memory(error) else "failed", first_line(error)


def settle(
    unit: Unit, tries: int, outcome: Outcome, failures: list[Failure], progress: Progress
) -> bool:
    """Say whether to try a unit again, of which `tries` are left; note what became of it."""
    kind, value = outcome
    again = kind == "died" and tries > 0
    if kind == "done":
        progress.finished(unit)
    elif kind == "input":
        raise InputError(*value)
    elif again:
        progress.moved(unit, 0)
        progress.note(f"{unit.label}: {value}; trying it again")
    else:
        failures.append(Failure(unit, value))
        progress.gave_up(failures[-1])
    return again


def out_of_memory(error: Exception) -> bool:
    """Say whether memory was short, or a process was ended from outside: it may not come again."""
    torchs = {"OutOfMemoryError", "ProcessExitedException"}  # torch may not be imported here
    named = type(error).__name__ in torchs or "ALLOC_FAILED" in str(error)  # cuBLAS's, cuDNN's
    return isinstance(error, MemoryError) or named


def first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def worker_count(execution: Execution) -> int:
    """Return how many units run at once on this machine; 0 workers: what its GPUs or cores hold."""
    if execution.executor == "inline":
        return 1
    if execution.workers:
        return execution.workers
    gpus = visible_gpus() if execution.accelerator != "cpu" else []
    if gpus or execution.accelerator == "gpu":
        return max(1, execution.units_on(len(gpus)))
    cores = execution.threads * execution.devices
    return max(1, core_count() // cores) if cores else 1


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
