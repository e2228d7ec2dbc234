"""What runs on the nodes of a Ray cluster, with the code installed there.

worker.work.remote(job, key)           # on a node: reports tokens, returns an `Outcome`
progress.take.remote()                 # beside the driver: tokens by key
"""

import os
import time
from typing import TYPE_CHECKING, Any, Protocol

from ieee_lib.config.execution import Execution
from ieee_lib.jobs.job import Job
from ieee_lib.jobs.outcome import Outcome, attempt

if TYPE_CHECKING:
    from ray import ObjectRef

REPORT_SECONDS = 1.0
"""Between two reports of a worker on its job."""


class Remote(Protocol):
    """A method of an actor, as other processes call it."""

    def remote(self, *args: object) -> "ObjectRef[Any]":
        """Call the method; returns at once."""


class ProgressHandle(Protocol):
    """A `ProgressActor` as other processes see it."""

    report: Remote
    take: Remote


class WorkerHandle(Protocol):
    """A `Worker` as the driver sees it."""

    node: Remote
    work: Remote


class ProgressActor:
    """Lives beside the driver, and keeps what workers report until the driver takes it."""

    def __init__(self) -> None:
        self.received: dict[int, int] = {}

    def report(self, key: int, n_token: int) -> None:
        """Note how many tokens the attempt `key` has worked through."""
        self.received[key] = n_token

    def take(self) -> dict[int, int]:
        """Return the tokens by attempt that were reported since the last call."""
        received, self.received = self.received, {}
        return received


class Worker:
    """Runs one job after another."""

    def __init__(self, execution: Execution, progress: ProgressHandle, home: str) -> None:
        os.environ["IEEE_LIB_HOME"] = home
        self.execution, self.progress, self.reported = execution, progress, 0.0

    def node(self) -> str:
        """Return the id of the node that the worker is on."""
        import ray

        return ray.get_runtime_context().get_node_id()

    def work(self, job: Job, key: int) -> Outcome:
        """Run a job, report its tokens under a key, and return how it ended."""

        def report(n_token: int) -> None:
            if time.monotonic() - self.reported > REPORT_SECONDS:
                self.reported = time.monotonic()
                self.progress.report.remote(key, n_token)

        return attempt(job.run, self.execution, report)


def sees(marker: str) -> bool:
    """Say, on a node, whether a file is there: whether creating it exclusively is refused."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return True
    except OSError:
        return False
    os.unlink(marker)
    return False
