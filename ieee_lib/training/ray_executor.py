"""Units on a Ray cluster: results go through the shared store, nothing else comes back.

A worker is an actor that keeps its GPUs while it lives, as a worker of `LocalExecutor` does.
(Ray's tasks would be handed another GPU between two units, in a process that has opened the
first and still holds memory there; or a new process each, which compiles anew.) A unit is one
call to one worker, so a stack and its devices stay together on a node.

    executor = RayExecutor(execution)
    failures = executor.run(units, progress)
    executor.close()
"""

import contextlib
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from ieee_lib import paths
from ieee_lib.errors import check
from ieee_lib.settings import Execution
from ieee_lib.training.executors import TRIES, Failure, Outcome, first_line, settle, worker_count
from ieee_lib.training.progress import Progress
from ieee_lib.training.ray_cluster import RayCluster, check_installed
from ieee_lib.training.ray_worker import Ear, Worker
from ieee_lib.training.unit import Unit

LOSSES = 5
"""Of nodes under a unit, until it is given up: it is not to blame for them."""

POLL_SECONDS = 0.5
"""Between two looks at who has ended and how far the others are."""

IDLE_SECONDS = 60.0
"""After which workers without a unit give their GPUs back to the cluster."""


@dataclass
class _Job:
    """A unit, and what may still happen to it."""

    unit: Unit
    tries: int = TRIES
    losses: int = LOSSES
    key: int = -1
    """Of the present attempt."""


@dataclass
class _Hand:
    """A worker as the driver sees it."""

    actor: Any
    node: Any
    """Reference to the id of its node; there as soon as it is up."""
    up: bool = False
    job: _Job | None = None
    reference: Any = None
    """To how that job ends."""


class RayExecutor:
    """One worker for every free place of the cluster, as far as `workers` allows."""

    def __init__(self, execution: Execution) -> None:
        check_installed()
        # A unit on several nodes would be a placement group of `num_nodes` bundles of
        # `RayCluster.needs` (STRICT_SPREAD) with a `Worker` in each: `_staff` is the place.
        one = execution.num_nodes == 1
        check(one, "execution.num_nodes", execution.num_nodes, "must be 1 with executor = 'ray'")
        self.execution = execution
        self.cluster: RayCluster | None = None
        self.ear: Any = None
        self.hands: list[_Hand] = []
        self.memory = 0
        """Bytes that each of them has asked for."""
        self.keys = count()
        self.idle: threading.Timer | None = None

    @property
    def n_worker(self) -> int:
        """Units at once; asks an existing cluster, and starts none."""
        if self.execution.ray_address and not self.execution.workers:
            return max(1, self._opened().room())
        return worker_count(self.execution)

    def run(self, units: Sequence[Unit], progress: Progress) -> list[Failure]:
        self._stop_clock()
        cluster = self._opened()
        self.ear = self.ear or cluster.here(Ear)
        memory = max((unit.memory_bytes(self.execution) for unit in units), default=0)
        cluster.check_room(memory)
        if memory > self.memory:
            self._release()  # one size for all, so that no worker is too small for what waits
            self.memory = memory
        waiting = deque(_Job(unit) for unit in units)
        failures: list[Failure] = []
        while waiting or self._busy():
            if waiting:
                cluster.check_store()  # before any unit, and whenever a node has joined
                self._staff(waiting)
            for hand in self._ended():
                self._hear(hand, waiting, failures, progress)
            self._tell(progress)
        for hand in [hand for hand in self.hands if not hand.up]:
            self._dismiss(hand)
        self.idle = threading.Timer(IDLE_SECONDS, self._release)
        self.idle.daemon = True
        self.idle.start()
        return failures

    def _opened(self) -> RayCluster:
        self.cluster = self.cluster or RayCluster(self.execution)
        return self.cluster

    def _busy(self) -> list[_Hand]:
        return [hand for hand in self.hands if hand.job]

    def _staff(self, waiting: deque) -> None:
        """Start waiting units on workers that are up and idle; ask for more, as room allows.

        A unit is bound to no worker that is still to come: its place may never be free.
        """
        for hand in [hand for hand in self.hands if hand.up and not hand.job][: len(waiting)]:
            hand.job, key = waiting.popleft(), next(self.keys)
            hand.job.key, hand.reference = key, hand.actor.work.remote(hand.job.unit, key)
        coming = sum(not hand.up for hand in self.hands)
        for _ in range(min(len(waiting) - coming, self.n_worker - len(self.hands))):
            worker = self.cluster.ray.remote(**self.cluster.needs(), memory=self.memory)(Worker)
            actor = worker.remote(self.execution, self.ear, str(paths.root()))
            self.hands.append(_Hand(actor, actor.node.remote()))

    def _ended(self) -> list[_Hand]:
        """Wait until a unit has ended or a worker has come up; return the workers that ended."""
        watched = {hand.reference if hand.job else hand.node: hand for hand in self.hands}
        ready, _ = self.cluster.ray.wait(
            [r for r, hand in watched.items() if hand.job or not hand.up], timeout=POLL_SECONDS
        )
        for reference in ready:
            watched[reference].up = True
        return [watched[reference] for reference in ready if watched[reference].job]

    def _hear(self, hand: _Hand, waiting: deque, failures: list, progress: Progress) -> None:
        job, hand.job = hand.job, None
        ray, lost = self.cluster.ray, False
        try:
            outcome: Outcome = ray.get(hand.reference)
        except ray.exceptions.RayTaskError as error:  # the unit could not be read there
            outcome = "failed", first_line(error.cause)
        except ray.exceptions.RayError as error:
            self._dismiss(hand)
            name, alive = self.cluster.about(self._node_of(hand))
            lost = not alive or isinstance(error, ray.exceptions.ActorUnavailableError)
            outcome = "died", f"its node {name} was lost" if lost else f"its worker on {name} died"
        job.losses, job.tries = job.losses - lost, job.tries - (not lost)
        left = job.losses if lost else job.tries
        if settle(job.unit, left, outcome, failures, progress):
            (waiting.appendleft if lost else waiting.append)(job)

    def _node_of(self, hand: _Hand) -> str:
        """Return the id of a worker's node; empty where it never came to life."""
        ray = self.cluster.ray
        with contextlib.suppress(ray.exceptions.RayError):
            return ray.get(hand.node, timeout=0)
        return ""

    def _tell(self, progress: Progress) -> None:
        """Pass on how far units are; what a dead attempt has left has another key."""
        units = {hand.job.key: hand.job.unit for hand in self._busy()}
        with contextlib.suppress(self.cluster.ray.exceptions.RayActorError):  # it is restarted
            for key, tokens in self.cluster.ray.get(self.ear.take.remote()).items():
                if key in units:
                    progress.moved(units[key], tokens)

    def _dismiss(self, hand: _Hand) -> None:
        self.cluster.ray.kill(hand.actor)
        self.hands.remove(hand)

    def _release(self) -> None:
        for hand in list(self.hands):
            self._dismiss(hand)

    def _stop_clock(self) -> None:
        """Keep idle workers; or wait until they are gone, if it is too late."""
        if self.idle is not None:
            self.idle.cancel()
            self.idle.join()

    def close(self) -> None:
        self._stop_clock()
        if self.cluster is not None and self.cluster.ray.is_initialized():
            self._release()
            if self.ear is not None:
                self.cluster.ray.kill(self.ear)
            self.cluster.close()
        self.cluster, self.ear, self.hands = None, None, []
