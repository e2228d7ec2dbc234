"""Run whole jobs on a Ray cluster: results go through the shared store, nothing else comes back.

A worker is an actor that keeps its GPUs while it lives, as a worker of `LocalExecutor` does.
(Ray's tasks would be handed another GPU between two jobs, in a process that has opened the first
and still keeps memory there; or a new process each, which compiles anew.) A job is one call to one
worker, so a stack and its devices stay together on a node.

    executor = RayExecutor(execution)
    failures = executor.run(jobs, progress)
    executor.close()
"""

import contextlib
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from ieee_lib.config.execution import Execution
from ieee_lib.jobs.job import Job
from ieee_lib.jobs.machine import worker_count
from ieee_lib.jobs.outcome import TRIES, Failure, Outcome, handle, type_and_line
from ieee_lib.jobs.progress import Progress
from ieee_lib.jobs.ray_cluster import RayCluster, check_installed
from ieee_lib.jobs.ray_worker import WorkerHandle

if TYPE_CHECKING:
    from ray import ObjectRef

LOSSES = 5
"""Of nodes under a job, until it has failed: it is not to blame for them."""

POLL_SECONDS = 0.5
"""Between two looks at which jobs have ended and how far the others are."""

IDLE_SECONDS = 60.0
"""After which workers without a job give their GPUs back to the cluster."""


@dataclass
class _Queued:
    """A job, and how often it may still be tried."""

    job: Job
    tries: int = TRIES
    losses: int = LOSSES


@dataclass
class _Attempt:
    """A job that a worker runs."""

    queued: _Queued
    key: int
    """Names the attempt in reports: what a dead one has left has another key."""
    result: "ObjectRef[Outcome]"


@dataclass
class _Handle:
    """A worker as the driver sees it."""

    actor: WorkerHandle
    node: "ObjectRef[str]"
    """The id of its node; ready as soon as the worker is up."""
    up: bool = False
    attempt: _Attempt | None = None


class _Result(NamedTuple):
    """How an attempt ended."""

    outcome: Outcome
    worker_gone: bool = False
    node_lost: bool = False


class RayExecutor:
    """Runs jobs on one worker for every free place of the cluster, as far as `workers` allows."""

    def __init__(self, execution: Execution) -> None:
        check_installed()
        self.execution = execution
        self.cluster: RayCluster | None = None
        self.handles: list[_Handle] = []
        self.memory = 0
        """Bytes that each worker has asked for."""
        self.keys = count()
        self.idle: threading.Timer | None = None

    @property
    def n_worker(self) -> int:
        """Return how many jobs run at once; connects to an existing cluster, and starts none."""
        if self.execution.ray_address and not self.execution.workers:
            return max(1, self._opened().room())
        return worker_count(self.execution)

    def run(self, jobs: Sequence[Job], progress: Progress) -> list[Failure]:
        """Run jobs on the cluster and return those that failed.

        Raises InputError for bad input, for a cluster that no job fits on, and for a node that
        does not see the store.
        """
        self._stop_clock()
        cluster = self._opened()
        memory = max((job.memory_bytes(self.execution) for job in jobs), default=0)
        cluster.check_free_space(memory)
        if memory > self.memory:
            self._release()  # one size for all, so that no worker is too small for what waits
            self.memory = memory
        waiting = deque(_Queued(job) for job in jobs)
        failures: list[Failure] = []
        while waiting or any(handle.attempt for handle in self.handles):
            if waiting:
                cluster.check_store()  # before any job, and whenever a node has joined
                self._start_waiting(waiting)
            for worker in self._ended():
                self._receive(worker, waiting, failures, progress)
            self._pass_on_reports(progress)
        for worker in [worker for worker in self.handles if not worker.up]:
            self._dismiss(worker)
        self.idle = threading.Timer(IDLE_SECONDS, self._release)
        self.idle.daemon = True
        self.idle.start()
        return failures

    def _opened(self) -> RayCluster:
        if self.cluster is None:
            self.cluster = RayCluster(self.execution)
        return self.cluster

    def _start_waiting(self, waiting: deque[_Queued]) -> None:
        """Start waiting jobs on workers that are up and idle; ask for more, as room allows.

        A job is bound to no worker that is still to come: its place may never be free.
        """
        for worker in self.handles:
            if waiting and worker.up and worker.attempt is None:
                queued, key = waiting.popleft(), next(self.keys)
                result = worker.actor.work.remote(queued.job, key)
                worker.attempt = _Attempt(queued, key, result)
        coming = sum(not worker.up for worker in self.handles)
        for _ in range(min(len(waiting) - coming, self.n_worker - len(self.handles))):
            actor = self._opened().start_worker(self.memory)
            self.handles.append(_Handle(actor, actor.node.remote()))

    def _ended(self) -> list[_Handle]:
        """Wait until a job has ended or a worker has come up; return workers whose job ended."""
        watched: dict[ObjectRef[Any], _Handle] = {}
        for worker in self.handles:
            if worker.attempt:
                watched[worker.attempt.result] = worker
            elif not worker.up:
                watched[worker.node] = worker
        ready, _ = self._opened().ray.wait(list(watched), timeout=POLL_SECONDS)
        ended = []
        for reference in ready:
            worker = watched[reference]
            if worker.attempt:
                ended.append(worker)
            else:
                worker.up = True
        return ended

    def _receive(
        self,
        worker: _Handle,
        waiting: deque[_Queued],
        failures: list[Failure],
        progress: Progress,
    ) -> None:
        """Take how a worker's job ended; one lost with its node goes first among those waiting."""
        assert worker.attempt is not None
        queued = worker.attempt.queued
        result = self._result(worker, worker.attempt)
        worker.attempt = None
        if result.worker_gone:
            self._dismiss(worker)
        if result.node_lost:
            queued.losses -= 1
        else:
            queued.tries -= 1
        left = queued.losses if result.node_lost else queued.tries
        if handle(
            queued.job, result.outcome, tries_left=left, failures=failures, progress=progress
        ):
            if result.node_lost:
                waiting.appendleft(queued)
            else:
                waiting.append(queued)

    def _result(self, worker: _Handle, attempt: _Attempt) -> _Result:
        cluster = self._opened()
        ray = cluster.ray
        try:
            return _Result(ray.get(attempt.result))
        except ray.exceptions.RayTaskError as error:  # the job could not be read there
            return _Result(Outcome("failed", type_and_line(error.cause)))
        except ray.exceptions.RayError as error:
            node_id = self._node_id(worker)
            name = cluster.name_of(node_id)
            unavailable = isinstance(error, ray.exceptions.ActorUnavailableError)
            if unavailable or cluster.is_lost(node_id):
                outcome = Outcome("died", f"its node {name} was lost")
                return _Result(outcome, worker_gone=True, node_lost=True)
            return _Result(Outcome("died", f"its worker on {name} died"), worker_gone=True)

    def _node_id(self, worker: _Handle) -> str:
        """Return the id of a worker's node; empty where it never came to life."""
        ray = self._opened().ray
        with contextlib.suppress(ray.exceptions.RayError):
            return ray.get(worker.node, timeout=0)
        return ""

    def _pass_on_reports(self, progress: Progress) -> None:
        """Pass on how far jobs are."""
        cluster = self._opened()
        with contextlib.suppress(cluster.ray.exceptions.RayActorError):  # it is restarted
            n_token = cluster.ray.get(cluster.progress.take.remote())
            for worker in self.handles:
                if worker.attempt and worker.attempt.key in n_token:
                    progress.moved(worker.attempt.queued.job, n_token[worker.attempt.key])

    def _dismiss(self, worker: _Handle) -> None:
        self._opened().end(worker.actor)
        self.handles.remove(worker)

    def _release(self) -> None:
        for worker in list(self.handles):
            self._dismiss(worker)

    def _stop_clock(self) -> None:
        """Keep idle workers; or wait until they are gone, if it is too late."""
        if self.idle is not None:
            self.idle.cancel()
            self.idle.join()

    def close(self) -> None:
        """End all workers, and the cluster where it was started here."""
        self._stop_clock()
        if self.cluster is not None and self.cluster.ray.is_initialized():
            self._release()
            self.cluster.close()
        self.cluster, self.handles = None, []
