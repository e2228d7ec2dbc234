"""Where jobs run: in this process, in worker processes that outlive a job, or on a Ray cluster.

Workers are started once and reused, so a compiled shape is loaded once; a worker that dies, or
runs out of memory, costs the job it had, which is tried once more (`outcome.handle`).

    executor = open_executor(execution)
    failures = executor.run(jobs, progress)
    executor.close()
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Protocol

from ieee_lib.config import ModelConfig
from ieee_lib.config.execution import Execution
from ieee_lib.errors import MachineWarning
from ieee_lib.jobs.job import Job
from ieee_lib.jobs.machine import visible_gpus, worker_count
from ieee_lib.jobs.outcome import TRIES, Failure, Outcome, attempt, handle
from ieee_lib.jobs.processes import of_library
from ieee_lib.jobs.progress import Progress

PARTING_SECONDS = 0.8
"""In which idle workers may end by themselves: a notebook's kernel has a second to end in."""


class Executor(Protocol):
    """Runs jobs in any order."""

    @property
    def n_worker(self) -> int:
        """Return how many jobs run at once."""

    def run(self, jobs: Sequence[Job], progress: Progress) -> list[Failure]:
        """Run jobs and return those that failed; raises InputError for bad input."""

    def close(self) -> None:
        """End the workers, at once where they are busy."""


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
    """Return the executor that a scale names, or the shared one (`sharing_workers`).

    Raises InputError where its package is missing.
    """
    if (workers := _workers.get()) is not None:
        return workers.executor
    if execution.executor == "ray":
        from ieee_lib.jobs.ray_executor import RayExecutor

        return RayExecutor(execution)
    if execution.executor == "local":
        return LocalExecutor(execution)
    return InlineExecutor(execution)


class InlineExecutor:
    """Runs jobs in the calling process."""

    n_worker = 1

    def __init__(self, execution: Execution) -> None:
        self.execution = execution

    def run(self, jobs: Sequence[Job], progress: Progress) -> list[Failure]:
        """Run jobs one after another and return those that failed."""
        with uninterrupted():  # a torch that was half imported cannot be imported again
            import ieee_lib.training.fit  # noqa: F401
        failures: list[Failure] = []
        for job in jobs:
            outcome = attempt(job.run, self.execution, partial(progress.moved, job))
            handle(job, outcome, tries_left=0, failures=failures, progress=progress)
        return failures

    def close(self) -> None:
        """Do nothing: there are no workers."""


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the end of a block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: received.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if received:
        raise KeyboardInterrupt


class LocalExecutor:
    """Runs jobs in one worker process per GPU, or per `threads` cores."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.n_worker = worker_count(execution)
        self.workers: dict[int, _Worker] = {}
        self.compiled: set[ModelConfig] = set()
        """Shapes that have taken a first step."""

    def run(self, jobs: Sequence[Job], progress: Progress) -> list[Failure]:
        """Run jobs on all workers and return those that failed."""
        waiting = [(job, TRIES) for job in jobs]
        failures: list[Failure] = []
        while waiting or self._busy():
            for slot in range(self.n_worker):
                if slot not in self.workers and waiting:
                    self.workers[slot] = _Worker(slot, self.execution)
                if waiting and self.workers[slot].job is None:
                    job, tries = waiting.pop(self._choose(waiting))
                    self.workers[slot].start(job, tries)
            for slot in self._ready():
                self._receive(slot, waiting, failures, progress)
        return failures

    def _busy(self) -> dict[int, "_Worker"]:
        return {slot: worker for slot, worker in self.workers.items() if worker.job is not None}

    def _choose(self, waiting: list[tuple[Job, int]]) -> int:
        """Return the place of the costliest job of a shape that nobody compiles right now.

        Two workers that start with different shapes compile two at once; the second to need a
        shape then finds it in the cache. Where every shape is being compiled, it is the first job.
        """
        shapes = {worker.job.shape for worker in self.workers.values() if worker.job}
        compiling = shapes - self.compiled
        for place, (job, _) in enumerate(waiting):
            if job.shape not in compiling:
                return place
        return 0

    def _ready(self) -> list[int]:
        """Wait until workers have sent something, or died; return their slots."""
        busy = self._busy()
        pipes = wait([worker.pipe for worker in busy.values()])
        return [slot for slot, worker in busy.items() if worker.pipe in pipes]

    def _receive(
        self,
        slot: int,
        waiting: list[tuple[Job, int]],
        failures: list[Failure],
        progress: Progress,
    ) -> None:
        """Take what a worker has sent: a token count, or how its job ended."""
        worker = self.workers[slot]
        job, tries = worker.job, worker.tries - 1
        assert job is not None
        try:
            message: int | Outcome = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(timeout=5)
            del self.workers[slot]
            message = Outcome("died", f"its worker died (exit code {worker.process.exitcode})")
        if isinstance(message, int):
            self.compiled.add(job.shape)
            progress.moved(job, message)
            return
        worker.job = None
        if handle(job, message, tries_left=tries, failures=failures, progress=progress):
            waiting.append((job, tries))

    def close(self) -> None:
        """End all workers: idle ones by themselves, busy ones at once."""
        for worker in self.workers.values():
            if worker.job is None:
                worker.pipe.close()
            else:
                worker.process.terminate()
        deadline = time.monotonic() + PARTING_SECONDS
        for worker in self.workers.values():
            left = max(0, deadline - time.monotonic())
            worker.process.join(timeout=left if worker.job is None else 10)
            worker.process.kill()
        self.workers.clear()


class _Worker:
    """A process that works on one job after another, connected by a pipe."""

    def __init__(self, slot: int, execution: Execution) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        self.pipe, theirs = context.Pipe()
        daemon = execution.devices == 1  # a daemon may not start the processes of its devices
        args = (theirs, slot, execution)
        self.process = context.Process(target=_work, args=args, daemon=daemon)
        with of_library():
            self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.tries = 0

    def start(self, job: Job, tries: int) -> None:
        """Send a job, of which `tries` are left with this one."""
        self.job, self.tries = job, tries
        with contextlib.suppress(OSError):  # already dead: the next receive says so
            self.pipe.send(job)


def _work(pipe: Connection, slot: int, execution: Execution) -> None:
    """Run the jobs that come through a pipe; send back token counts and outcomes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    if slot > 0:
        warnings.simplefilter("ignore", MachineWarning)
    gpus = visible_gpus() if execution.accelerator != "cpu" else []
    if gpus:
        n = execution.devices
        assigned = [gpus[i % len(gpus)] for i in range(slot * n, (slot + 1) * n)]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(dict.fromkeys(assigned))
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(attempt(job.run, execution, pipe.send))
        except KeyboardInterrupt:  # ended by its parent, which knows
            raise SystemExit(1) from None
