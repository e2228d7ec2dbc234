"""A Ray cluster as units need it: reached or started, with room, and one store for all nodes.

cluster = RayCluster(execution)
cluster.check_store()          # InputError names the node that does not see the project's folder
cluster.room()                 # units at once
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
from typing import Any

from ieee_lib import paths
from ieee_lib.config.execution import Execution
from ieee_lib.errors import InputError, check
from ieee_lib.jobs.executors import first_line, visible_gpus, worker_count
from ieee_lib.jobs.ray_worker import sees

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
    found = importlib.util.find_spec("ray") is not None
    check(found, "execution.executor", "ray", "needs a package: pip install 'ieee_lib[ray]'")


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
            why = f"no Ray cluster answers there: {first_line(error)}"
            raise InputError("execution.ray_address", address, why) from error

    @property
    def cpus(self) -> int:
        """CPUs of a unit."""
        return self.execution.devices * max(1, self.execution.threads)

    def nodes(self) -> list[Node]:
        """Return every node that is alive."""
        return [node for node in self.ray.nodes() if node["Alive"]]

    def about(self, node_id: str) -> tuple[str, bool]:
        """Return what people call a node, and whether it is alive; one not known may be."""
        found = (node for node in self.ray.nodes() if node["NodeID"] == node_id)
        return next(((_name(node), node["Alive"]) for node in found), ("an unknown node", True))

    def needs(self) -> dict[str, float]:
        """Return what a unit takes of its node, memory aside."""
        kind = self.execution.accelerator
        gpus = kind == "gpu" or (kind == "auto" and any("GPU" in _has(n) for n in self.nodes()))
        per_device = self.execution.gpu_share if gpus else 0
        return {"num_cpus": self.cpus, "num_gpus": self.execution.devices * per_device}

    def fitting(self, memory: int = 0) -> list[tuple[Node, int]]:
        """Return the nodes that hold units of so much memory, and how many each holds."""
        needs, found = self.needs(), []
        for node in self.nodes():
            has = _has(node)
            units = int(has.get("CPU", 0) // needs["num_cpus"])
            if needs["num_gpus"]:
                units = min(units, self.execution.jobs_per_node(int(has.get("GPU", 0))))
            if units and has.get("memory", 0) >= memory:
                found.append((node, units))
        return found

    def room(self, memory: int = 0) -> int:
        """Return how many units run at once, each on `num_nodes` nodes."""
        held, n = [units for _, units in self.fitting(memory)], self.execution.num_nodes
        at_once = range(sum(held) // n, 0, -1)
        return next((k for k in at_once if sum(min(units, k) for units in held) >= n * k), 0)

    def check_room(self, memory: int) -> None:
        """Raise InputError where a unit would wait for ever; a cluster that may grow is trusted."""
        needs, n = self.needs(), self.execution.num_nodes
        allowed = (f"has not {n} nodes" if n > 1 else "has no node") + (
            f" with the {needs['num_cpus']:g} CPU(s), {needs['num_gpus']:g} GPU(s) and "
            f"{memory / 1e9:.1f} GB of memory that a unit takes; where it grows on demand, "
            "execution.workers says how far"
        )
        enough = bool(self.execution.workers or self.room(memory))
        check(enough, "execution.ray_address", self.execution.ray_address, allowed)

    def check_store(self) -> None:
        """Ask every node that may get a unit, once, whether it sees what was written here.

        Raises InputError for one that does not, or that cannot run this package.
        """
        new = [node for node, _ in self.fitting() if node["NodeID"] not in self.seen_from]
        if not new:
            return
        with _marker(paths.root() / "data") as marker:
            asked = {}
            for node in new:
                at = self._at(node["NodeID"])
                task = self.ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=at)(sees)
                asked[task.remote(str(marker))] = node
            self.ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS)
            for reference, node in asked.items():
                self._hear(reference, node)
        self.seen_from |= {node["NodeID"] for node in new}

    def _hear(self, reference, node: Node) -> None:
        try:
            seen = self.ray.get(reference, timeout=0)
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

    def places(self, actor: type, memory: int) -> tuple[Any, list[Any]]:
        """Return actor classes that take a unit's place each, and the group that keeps them.

        They are `num_nodes`, each bound to a node of its own; a group keeps them where they are
        several.
        """
        needs, n = {**self.needs(), "memory": memory}, self.execution.num_nodes
        if n == 1:
            return None, [self.ray.remote(**needs)(actor)]
        from ray.util import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        bundle = {"CPU": needs["num_cpus"], "GPU": needs["num_gpus"], "memory": memory}
        bundle = {name: amount for name, amount in bundle.items() if amount}
        group = placement_group([bundle] * n, strategy="STRICT_SPREAD")
        at = [
            PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=i)
            for i in range(n)
        ]
        return group, [self.ray.remote(**needs, scheduling_strategy=one)(actor) for one in at]

    def free(self, group) -> None:
        """Give back what a group has kept."""
        if group is not None:
            self.ray.util.remove_placement_group(group)

    def here(self, actor: type):
        """Return a new actor beside the driver, which takes nothing from the cluster."""
        at = self._at(self.ray.get_runtime_context().get_node_id())
        return self.ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=at)(actor).remote()

    def _at(self, node_id: str):
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node_id, soft=False)

    def close(self) -> None:
        if self.connected_here:
            self.ray.shutdown()


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
