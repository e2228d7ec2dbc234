"""A Ray cluster as jobs need it: reached or started, with room, and one store for all nodes.

cluster = RayCluster(execution)
cluster.check_store()          # InputError names the node that does not see the folder
cluster.room()                 # jobs at once
"""

import contextlib
import importlib.util
import logging
import os
import signal
import socket
import threading
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ieee_lib import paths
from ieee_lib.config.execution import Execution
from ieee_lib.errors import InputError, check
from ieee_lib.jobs.machine import visible_gpus, worker_count
from ieee_lib.jobs.outcome import type_and_line
from ieee_lib.jobs.ray_worker import ProgressActor, ProgressHandle, Worker, WorkerHandle, sees

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

LOOPBACK = "127.0.0.1"

ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux too: take no address but loopback
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_TOKEN": uuid.uuid4().hex,  # else Ray writes one into the home folder
}
"""Environment of a cluster started here, read as ray is imported: nobody else reaches it."""

OBJECT_STORE_BYTES = 100 * 2**20
"""Of a cluster started here: next to nothing travels through it."""

CONNECT_SECONDS = 10.0

ANSWER_SECONDS = 120.0
"""In which a node must say whether it sees the store; most of it may go into importing."""

REQUIRED = (
    "every node must mount it at the same path, on a file system where exclusive creation (O_EXCL) "
    "and renaming are the same for all (NFSv4, Lustre, GPFS, EFS; no bucket mounted as files), and "
    "IEEE_LIB_HOME names it"
)

Node = dict[str, Any]
"""What `ray.nodes` says of one."""


def check_installed() -> None:
    """Raise InputError where the package ray is missing."""
    installed = importlib.util.find_spec("ray") is not None
    check(installed, "execution.executor", "ray", "needs a package: pip install 'ieee_lib[ray]'")


class RayCluster:
    """A connection to an existing cluster, or one on this machine that ends with it."""

    def __init__(self, execution: Execution) -> None:
        if not execution.ray_address:
            for name, value in ALONE.items():
                os.environ.setdefault(name, value)
        logging.getLogger("ray.widgets").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tqdm, in a kernel without ipywidgets
            import ray

        self.ray, self.execution = ray, execution
        self.seen_from: set[str] = set()
        """Nodes that see the store."""
        self.connected_here = not ray.is_initialized()  # else it is the caller's, and stays
        if self.connected_here:
            with _kept_sigterm():
                self._connect()
        self.progress = self._start_progress()

    def _connect(self) -> None:
        execution, address = self.execution, self.execution.ray_address
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if not address:
            address = "local"
            options |= {
                "num_cpus": worker_count(execution) * self.cpus,
                "num_gpus": 0 if execution.accelerator == "cpu" else len(visible_gpus()),
                "object_store_memory": OBJECT_STORE_BYTES,
                "include_dashboard": False,
                "_node_ip_address": LOOPBACK,
            }
        try:
            if ":" in address:  # Ray itself would try for minutes
                host, port = address.rsplit(":", 1)
                socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
            self.ray.init(address=address, **options)
        except (OSError, RuntimeError, ValueError) as error:
            why = f"no Ray cluster answers there: {type_and_line(error)}"
            raise InputError("execution.ray_address", address, why) from error

    @property
    def cpus(self) -> int:
        """Return the CPUs that a job takes."""
        return self.execution.devices * max(1, self.execution.threads)

    def nodes(self) -> list[Node]:
        """Return every node that is alive."""
        return [node for node in self.ray.nodes() if node["Alive"]]

    def name_of(self, node_id: str) -> str:
        """Return what people call a node."""
        for node in self.ray.nodes():
            if node["NodeID"] == node_id:
                return _name(node)
        return "an unknown node"

    def is_lost(self, node_id: str) -> bool:
        """Say whether a node is known to have died."""
        return any(n["NodeID"] == node_id and not n["Alive"] for n in self.ray.nodes())

    def needs(self) -> dict[str, float]:
        """Return what a job takes of its node, memory aside, as Ray's options."""
        kind = self.execution.accelerator
        gpus = kind == "gpu" or (kind == "auto" and any("GPU" in _has(n) for n in self.nodes()))
        per_device = self.execution.gpu_share if gpus else 0
        return {"num_cpus": self.cpus, "num_gpus": self.execution.devices * per_device}

    def fitting(self, memory: int = 0) -> list[tuple[Node, int]]:
        """Return the nodes that fit jobs of so many bytes of memory, and how many each fits."""
        needs, fitting = self.needs(), []
        for node in self.nodes():
            has = _has(node)
            n_job = int(has.get("CPU", 0) // needs["num_cpus"])
            if needs["num_gpus"]:
                n_job = min(n_job, self.execution.jobs_per_node(int(has.get("GPU", 0))))
            if n_job and has.get("memory", 0) >= memory:
                fitting.append((node, n_job))
        return fitting

    def room(self, memory: int = 0) -> int:
        """Return how many jobs of so many bytes of memory run at once."""
        return sum(n_job for _, n_job in self.fitting(memory))

    def check_free_space(self, memory: int) -> None:
        """Raise InputError where a job would wait for ever; a cluster that may grow is trusted."""
        needs = self.needs()
        allowed = (
            f"has no node with the {needs['num_cpus']:g} CPU(s), {needs['num_gpus']:g} GPU(s) and "
            f"{memory / 1e9:.1f} GB of memory that a job takes; where it grows on demand, "
            "execution.workers says how far"
        )
        enough = bool(self.execution.workers or self.room(memory))
        check(enough, "execution.ray_address", self.execution.ray_address, allowed)

    def check_store(self) -> None:
        """Ask every node that may get a job, once, whether it sees what was written here.

        Raises InputError for one that does not, or that cannot run this package.
        """
        new = [node for node, _ in self.fitting() if node["NodeID"] not in self.seen_from]
        if not new:
            return
        with _marker(paths.root() / "data") as marker:
            answers = {}
            for node in new:
                task = self.ray.remote(**_on(node["NodeID"]), max_retries=0)(sees)
                answers[task.remote(str(marker))] = node
            self.ray.wait(list(answers), num_returns=len(answers), timeout=ANSWER_SECONDS)
            for answer, node in answers.items():
                self._check_answer(answer, node)
        self.seen_from |= {node["NodeID"] for node in new}

    def _check_answer(self, answer: "ObjectRef[bool]", node: Node) -> None:
        try:
            seen = self.ray.get(answer, timeout=0)
        except self.ray.exceptions.RayError as error:
            if node["NodeID"] not in {n["NodeID"] for n in self.nodes()}:
                return  # gone since
            silent = isinstance(error, self.ray.exceptions.GetTimeoutError)
            why = f"no answer in {ANSWER_SECONDS:.0f} s" if silent else _last_line(error)
            allowed = (
                f"node {_name(node)} cannot run ieee_lib, which must be installed there: {why}"
            )
            address = self.execution.ray_address
            raise InputError("execution.ray_address", address, allowed) from error
        folder = str(paths.root() / "data")
        allowed = f"node {_name(node)} does not see this folder: {REQUIRED}"
        check(seen, "IEEE_LIB_HOME", folder, allowed)

    def start_worker(self, memory: int) -> WorkerHandle:
        """Ask for a worker with a job's resources; its actor comes up when there is room."""
        options: dict[str, Any] = {**self.needs(), "memory": memory}
        worker = self.ray.remote(**options)(Worker)
        actor = worker.remote(self.execution, self.progress, str(paths.root()))
        return cast(WorkerHandle, actor)

    def _start_progress(self) -> ProgressHandle:
        """Return a new progress actor beside the driver, which takes nothing from the cluster."""
        options = _on(self.ray.get_runtime_context().get_node_id())
        actor = self.ray.remote(**options, max_restarts=-1)(ProgressActor).remote()
        return cast(ProgressHandle, actor)

    def end(self, actor: WorkerHandle | ProgressHandle) -> None:
        """End an actor at once; what it was asked for is gone."""
        self.ray.kill(cast("ActorHandle[Any]", actor))

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self.end(self.progress)
        if self.connected_here:
            self.ray.shutdown()


def _on(node_id: str) -> dict[str, Any]:
    """Return Ray's options for what runs on one node and takes nothing from it."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"num_cpus": 0, "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, False)}


@contextlib.contextmanager
def _marker(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".seen-{uuid.uuid4().hex}"
    path.touch(exist_ok=False)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _kept_sigterm() -> Iterator[None]:
    """Keep the process's answer to SIGTERM, which `ray.init` replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _has(node: Node) -> dict[str, float]:
    return node["Resources"]


def _name(node: Node) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def _last_line(error: Exception) -> str:
    """Return the line of a remote traceback that says what went wrong."""
    return [line for line in str(error).splitlines() if line.strip()][-1].strip()
