"""What runs on the nodes of a Ray cluster, with the code installed there."""

import os
import socket
import time
from typing import Any

from ieee_lib.config.execution import Execution
from ieee_lib.jobs.executors import Outcome, attempt
from ieee_lib.jobs.job import Unit
from ieee_lib.jobs.ranks import be_node
from ieee_lib.jobs.train_job import TrainJob

TELL_SECONDS = 1.0
"""Between two messages of a worker about its unit."""


class Worker:
    """Works on one unit after another."""

    def __init__(self, execution: Execution, ear: Any, home: str) -> None:
        os.environ["IEEE_LIB_HOME"] = home
        self.execution, self.ear, self.told = execution, ear, 0.0

    def node(self) -> str:
        import ray

        return ray.get_runtime_context().get_node_id()

    def muster(self, *others: str) -> "Mustered":
        """Return the ids of a crew's nodes, this one's first, and where they may meet."""
        import ray

        host = ray.util.get_node_ip_address()
        with socket.socket() as free:
            free.bind((host, 0))
            return [self.node(), *others], f"tcp://{host}:{free.getsockname()[1]}"

    def work(self, unit: Unit, key: int, mustered: "Mustered | None" = None) -> Outcome:
        def tell(tokens: int) -> None:
            if time.monotonic() - self.told > TELL_SECONDS:
                self.told = time.monotonic()
                self.ear.tell.remote(key, tokens)

        if mustered:
            be_node(0, mustered[1])
        return attempt(unit.run, self.execution, tell)

    def assist(self, unit: TrainJob, place: int, mustered: "Mustered") -> Outcome:
        """Train as a further node of the crew."""
        be_node(place, mustered[1])
        return attempt(unit.assist, self.execution, lambda tokens: None)


Mustered = tuple[list[str], str]


class Ear:
    """Lives beside the driver, and keeps what workers tell until the driver asks."""

    def __init__(self) -> None:
        self.heard: dict[int, int] = {}

    def tell(self, key: int, tokens: int) -> None:
        self.heard[key] = tokens

    def take(self) -> dict[int, int]:
        heard, self.heard = self.heard, {}
        return heard


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
