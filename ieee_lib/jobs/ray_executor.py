"""Units on a Ray cluster: results go through the shared store, nothing else comes back.

A worker is an actor that keeps its GPUs while it lives, as a worker of `LocalExecutor` does.
(Ray's tasks would be handed another GPU between two units, in a process that has opened the
first and still holds memory there; or a new process each, which compiles anew.) A unit is one
call to one worker, so a stack and its devices stay together on a node; where a stack takes
`num_nodes`, a crew of workers has a node each, and the first of them records.

    executor = RayExecutor(execution)
    failures = executor.run(units, progress)
    executor.close()
"""

import contextlib
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, NamedTuple

from ieee_lib import paths
from ieee_lib.config.execution import Execution
from ieee_lib.jobs.executors import TRIES, Failure, Outcome, first_line, settle, worker_count
from ieee_lib.jobs.job import Unit
from ieee_lib.jobs.progress import Progress
from ieee_lib.jobs.ray_cluster import RayCluster, check_installed
from ieee_lib.jobs.ray_worker import Ear, Worker
from ieee_lib.jobs.train_job import TrainJob

LOSSES = 5
"""Of nodes under a unit, until it is given up: it is not to blame for them."""

DONE: Outcome = ("done", None)

UNHEARD: Outcome = ("died", "it was not heard of")
"""Of one of a crew that goes on while the others have ended."""

PARTING_SECONDS = 60.0
"""In which Ray notices a lost node, after the others of its crew have failed for want of it."""

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

    crew: list[Any]
    """Actors on a node each, the recording one first; mostly it is alone."""
    group: Any
    """Placement group that keeps a crew's nodes; None where it is one."""
    muster: Any
    """Reference to what `Worker.muster` returns; there as soon as all are up."""
    up: bool = False
    job: _Job | None = None
    references: dict[Any, int] = field(default_factory=dict)
    """To how that job ends, with the place in the crew; without helpers that ended well."""


class _End(NamedTuple):
    """How a job ended for one of a crew."""

    outcome: Outcome
    gone: bool = False
    """With its worker."""
    lost: bool = False
    """With its worker's whole node."""


class RayExecutor:
    """One worker for every free place of the cluster, as far as `workers` allows."""

    def __init__(self, execution: Execution) -> None:
        check_installed()
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
            hand.job = waiting.popleft()
            hand.job.key = next(self.keys)
            hand.references = self._start(hand, hand.job.unit, hand.job.key)
        coming = sum(not hand.up for hand in self.hands)
        for _ in range(min(len(waiting) - coming, self.n_worker - len(self.hands))):
            self.hands.append(self._engage())

    def _engage(self) -> _Hand:
        """Ask for a worker, or a crew of them; it comes up when there is room."""
        group, kinds = self.cluster.places(Worker, self.memory)
        crew = [kind.remote(self.execution, self.ear, str(paths.root())) for kind in kinds]
        return _Hand(crew, group, crew[0].muster.remote(*(h.node.remote() for h in crew[1:])))

    def _start(self, hand: _Hand, unit: Unit, key: int) -> dict[Any, int]:
        """Hand out a unit. Only training takes several nodes, and then all train all of it."""
        head, *helpers = hand.crew
        if not (helpers and isinstance(unit, TrainJob)):
            return {head.work.remote(unit, key): 0}
        unit = replace(unit, begun=True)
        calls = {head.work.remote(unit, key, hand.muster): 0}
        return calls | {h.assist.remote(unit, i, hand.muster): i for i, h in enumerate(helpers, 1)}

    def _ended(self) -> list[_Hand]:
        """Wait until a unit has ended or a worker has come up; return the workers that ended."""
        watched = {r: hand for hand in self.hands if hand.job for r in hand.references}
        watched |= {hand.muster: hand for hand in self.hands if not hand.up}
        ended = []
        for reference in self.cluster.ray.wait(list(watched), timeout=POLL_SECONDS)[0]:
            hand = watched[reference]
            if not hand.up:
                hand.up = True
            elif hand.references[reference] and self._end(hand, reference).outcome == DONE:
                del hand.references[reference]
            else:
                ended.append(hand)
        return ended

    def _hear(self, hand: _Hand, waiting: deque, failures: list, progress: Progress) -> None:
        job, hand.job = hand.job, None
        end = self._end_of_crew(hand)
        if end.gone or len(hand.crew) > 1:
            self._dismiss(hand)
        job.losses, job.tries = job.losses - end.lost, job.tries - (not end.lost)
        left = job.losses if end.lost else job.tries
        if settle(job.unit, left, end.outcome, failures, progress):
            (waiting.appendleft if end.lost else waiting.append)(job)

    def _end_of_crew(self, hand: _Hand) -> _End:
        """Return how a job ended; where it failed, perhaps for want of another one's node."""
        references = list(hand.references)
        end = self._end(hand, references[0])
        if end.outcome == DONE or len(references) == 1:
            return end
        self.cluster.ray.wait(references, num_returns=len(references), timeout=PARTING_SECONDS)
        ends = [self._end(hand, reference) for reference in references]
        return max(ends, key=lambda end: (end.lost, end.gone, end.outcome != UNHEARD))

    def _end(self, hand: _Hand, reference) -> _End:
        ray = self.cluster.ray
        try:
            return _End(ray.get(reference, timeout=0))
        except ray.exceptions.GetTimeoutError:
            return _End(UNHEARD)
        except ray.exceptions.RayTaskError as error:  # the unit could not be read there
            return _End(("failed", first_line(error.cause)))
        except ray.exceptions.RayError as error:
            name, alive = self.cluster.about(self._node_of(hand, reference))
            lost = not alive or isinstance(error, ray.exceptions.ActorUnavailableError)
            why = f"its node {name} was lost" if lost else f"its worker on {name} died"
            return _End(("died", why), gone=True, lost=lost)

    def _node_of(self, hand: _Hand, reference) -> str:
        """Return the id of the node of one of a crew; empty where they never came to life."""
        ray = self.cluster.ray
        with contextlib.suppress(ray.exceptions.RayError):
            nodes, _ = ray.get(hand.muster, timeout=0)
            return nodes[hand.references[reference]]
        return ""

    def _tell(self, progress: Progress) -> None:
        """Pass on how far units are; what a dead attempt has left has another key."""
        units = {hand.job.key: hand.job.unit for hand in self._busy()}
        with contextlib.suppress(self.cluster.ray.exceptions.RayActorError):  # it is restarted
            for key, tokens in self.cluster.ray.get(self.ear.take.remote()).items():
                if key in units:
                    progress.moved(units[key], tokens)

    def _dismiss(self, hand: _Hand) -> None:
        for actor in hand.crew:
            self.cluster.ray.kill(actor)
        self.cluster.free(hand.group)
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
