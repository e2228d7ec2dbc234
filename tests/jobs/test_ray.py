"""Units on Ray: nodes are lost, workers die, and the records are those of `inline`.

Clusters of real nodes, all on loopback and all ended here.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import pytest

from ieee_lib import paths
from ieee_lib.config.execution import Execution
from ieee_lib.errors import InputError
from ieee_lib.jobs.executors import InlineExecutor, open_executor
from ieee_lib.jobs.progress import Progress
from ieee_lib.jobs.ray_cluster import ALONE, LOOPBACK
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.runs.store import RunStore

os.environ |= ALONE
ray = pytest.importorskip("ray", reason="needs the package ray: pip install 'ieee_lib[ray]'")

EXECUTION = Execution(executor="ray", threads=1, compile="never", accelerator="cpu", logger="none")
TIMES = ("seconds", "stack", "sha256", "begun", "created")
"""What a record says of when and how fast."""
# Largest difference in nats/token: gradients are summed in another order (float32).
REORDERED = 2e-5
NODE = {"node_ip_address": LOOPBACK, "object_store_memory": 80 * 2**20}

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test


@dataclass(frozen=True)
class DyingUnit(TrainJob):
    """Ends its worker as the out-of-memory killer would."""

    def run(self, execution, on_tokens=lambda tokens: None):
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class NotingUnit(TrainJob):
    """Writes down which process runs it and which GPU that sees, and trains where it matters."""

    trains: bool = False

    def run(self, execution, on_tokens=lambda tokens: None):
        with (paths.root() / "seen").open("a") as file:
            file.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
        if self.trains:
            super().run(execution, on_tokens)
        time.sleep(0.2)


@dataclass(frozen=True)
class RefusedUnit(TrainJob):
    def run(self, execution, on_tokens=lambda tokens: None):
        raise InputError("corpus", "0123", "is not 4567")


@pytest.fixture(scope="module")
def cluster():
    """A head that takes no units, and a node with room for one."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **NODE})
    cluster.add_node(num_cpus=1, **NODE)
    yield cluster
    cluster.shutdown()


@contextlib.contextmanager
def another(cluster, **resources):
    """Add a node; take it away again unless that has been done."""
    node = cluster.add_node(**{"num_cpus": 1, **NODE, **resources})
    try:
        yield node
    finally:
        if node in cluster.worker_nodes:
            cluster.remove_node(node)


@contextlib.contextmanager
def opened(**fields):
    executor = open_executor(replace(EXECUTION, **fields))
    try:
        yield executor
    finally:
        executor.close()


@pytest.fixture
def units(home, spec, corpus):
    specs = [spec.replace(init_seed=seed) for seed in range(4)]
    return [TrainJob((s,), corpus.folder, "smoke", weights=False) for s in specs]


def run(executor, units, progress=None):
    progress = progress or Progress("test", units)
    try:
        return executor.run(units, progress)
    finally:
        progress.close()


def become(kind, unit, **fields):
    return kind(**vars(unit), **fields)


def longer(unit):
    return replace(unit, specs=tuple(s.replace(epochs=96) for s in unit.specs))


def seen(home):
    """Return the lines that noting units have written."""
    return (home / "seen").read_text().splitlines()


def results():
    found = {record["run_id"]: record for record in RunStore.of("smoke").records()}
    return {i: {k: v for k, v in r.items() if k not in TIMES} for i, r in found.items()}


class Killing(Progress):
    """Kills a node once so many units have told how far they are."""

    def __init__(self, units, kill, n_moving):
        super().__init__("test", units)
        self.kill, self.n_moving, self.moving = kill, n_moving, set()

    def moved(self, unit, tokens):
        super().moved(unit, tokens)
        if 0 < tokens < unit.tokens:
            self.moving.add(id(unit))
        if len(self.moving) == self.n_moving and self.kill:
            kill, self.kill = self.kill, None
            kill()


def test_a_lost_node_costs_time_and_nothing_else(cluster, units, capfd):
    units = [*map(longer, units[:2]), *units[2:]]
    with another(cluster) as node, opened(ray_address=cluster.address) as executor:
        assert executor.n_worker == 2
        killing = Killing(units, lambda: cluster.remove_node(node, allow_graceful=False), 2)
        assert run(executor, units, killing) == []
        assert killing.kill is None, "nothing was killed"
    heard = capfd.readouterr().err
    assert heard.count("was lost; trying it again") == 1 and "4/4 runs" in heard
    on_ray = results()
    shutil.rmtree(paths.runs("smoke"))
    assert run(InlineExecutor(EXECUTION), units) == []
    assert len(on_ray) == 4 and results() == on_ray


def test_a_stack_on_two_nodes_takes_the_steps_of_one_and_outlives_a_node(cluster, units, capfd):
    """Another node takes the place of the one that is lost."""
    calm = tuple(spec.replace(lr=1e-5) for spec in units[0].specs)  # so that rounding stays small
    units = [longer(replace(units[0], specs=calm))]
    with contextlib.ExitStack() as nodes:
        node = nodes.enter_context(another(cluster))

        def kill():
            cluster.remove_node(node, allow_graceful=False)
            nodes.enter_context(another(cluster))

        executor = nodes.enter_context(opened(ray_address=cluster.address, num_nodes=2))
        assert executor.n_worker == 1
        killing = Killing(units, kill, 1)
        assert run(executor, units, killing) == []
        assert killing.kill is None, "nothing was killed"
    heard = capfd.readouterr().err
    assert heard.count("was lost; trying it again") == 1 and "1/1 runs" in heard
    together = results()
    assert all(r["stack"]["devices"] == 2 for r in RunStore.of("smoke").records())
    shutil.rmtree(paths.runs("smoke"))
    assert run(InlineExecutor(EXECUTION), units) == []
    (run_id,) = together
    curves = [[p["val_loss"] for p in found[run_id]["curve"]] for found in (together, results())]
    assert curves[0] == pytest.approx(curves[1], abs=REORDERED)


def test_a_unit_that_kills_its_worker_is_tried_twice(cluster, units, home, capfd):
    units = [become(DyingUnit, units[0]), *(become(NotingUnit, unit) for unit in units[1:])]
    with opened(ray_address=cluster.address) as executor:
        failures = run(executor, units)
    assert [failure.unit for failure in failures] == units[:1]
    assert "its worker" in failures[0].why and "died" in failures[0].why
    heard = capfd.readouterr().err
    assert heard.count("trying it again") == 1 and heard.count("gave it up") == 1
    assert "3/4 runs" in heard and len(seen(home)) == 3


def test_bad_input_found_by_a_worker_stops_everything(cluster, units):
    with (
        opened(ray_address=cluster.address) as executor,
        pytest.raises(InputError, match="corpus = '0123': is not 4567"),
    ):
        run(executor, [become(RefusedUnit, unit) for unit in units])


def test_a_worker_keeps_its_gpu(cluster, units, home):
    """Ray's bookkeeping only: nothing here computes on a GPU."""
    noting = [become(NotingUnit, unit) for unit in units]
    with (
        another(cluster, num_cpus=4, num_gpus=2),
        opened(ray_address=cluster.address, accelerator="auto") as executor,
    ):
        assert executor.n_worker == 2, "only where there are GPUs"
        assert run(executor, noting) == []
    assert len(seen(home)) == 4
    pids, gpus = zip(*{tuple(line.split()) for line in seen(home)}, strict=True)
    assert len(set(pids)) == len(set(gpus)) == len(pids) and set(gpus) <= {"0", "1"}


def test_a_worker_that_never_comes_keeps_no_unit(cluster, units, home):
    """Two are asked for where one has room; a smaller one makes way for a larger."""
    larger = become(NotingUnit, replace(units[0], specs=tuple(unit.specs[0] for unit in units)))
    with opened(ray_address=cluster.address, workers=2) as executor:
        assert run(executor, [become(NotingUnit, unit) for unit in units]) == []
        assert len(set(seen(home))) == 1
        assert run(executor, [larger]) == []
    assert len(set(seen(home))) == 2


def test_what_no_node_can_hold_is_refused(cluster, units):
    message = r"has no node with the 4 CPU\(s\), 0 GPU\(s\) and"
    with (
        opened(ray_address=cluster.address, devices=4) as executor,
        pytest.raises(InputError, match=message),
    ):
        run(executor, units)


def test_too_few_nodes_are_refused(cluster, units):
    with (
        opened(ray_address=cluster.address, num_nodes=2) as executor,
        pytest.raises(InputError, match=r"has not 2 nodes with the 1 CPU\(s\)"),
    ):
        run(executor, units)


def test_an_address_where_nothing_answers_is_refused(units):
    with (
        opened(ray_address=f"{LOOPBACK}:1") as executor,
        pytest.raises(InputError, match="no Ray cluster answers there"),
    ):
        run(executor, units)


def test_a_node_that_does_not_see_the_store_is_named(cluster, units, home):
    """The node lives in a mount namespace of its own, where the project's folder is empty."""
    private = ["unshare", "--mount", *(["--map-root-user"] * (os.getuid() != 0))]
    if shutil.which("unshare") is None or subprocess.run([*private, "true"]).returncode:
        pytest.skip("needs the right to make a mount namespace")
    about = {"gcs_address": cluster.address, "num_cpus": 1, "node_manager_port": 0, **NODE}
    start = "import signal; from ray._private import node, parameter; "
    start += f"node.Node(parameter.RayParams(**{about}), head=False); signal.pause()"
    hidden = ["sh", "-c", f"mount -t tmpfs none '{home}' && exec '{sys.executable}' -c \"{start}\""]
    node = subprocess.Popen([*private, *hidden], start_new_session=True)
    try:
        with opened(ray_address=cluster.address) as executor:
            deadline = time.monotonic() + 60
            while executor.n_worker == 1:  # until it has joined
                assert node.poll() is None and time.monotonic() < deadline
                time.sleep(0.2)
            with pytest.raises(InputError) as refused:
                run(executor, units)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGTERM)
        node.wait(timeout=30)
    message = str(refused.value)
    assert f"IEEE_LIB_HOME = '{home / 'data'}': node " in message
    assert "does not see this folder" in message and "O_EXCL" in message
    assert not list((home / "data").iterdir())


class Interrupted(Progress):
    def moved(self, unit, tokens):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_cluster_on_demand_keeps_its_workers_and_ends_when_told(units, home):
    answer = signal.getsignal(signal.SIGTERM)
    noting = [become(NotingUnit, unit, trains=True) for unit in units]
    with opened(workers=1) as executor:
        assert executor.n_worker == 1 and executor.cluster is None, "started before it was needed"
        assert run(executor, noting[:2]) == []
        assert run(executor, noting[2:3]) == []
        assert signal.getsignal(signal.SIGTERM) == answer
        pids = {int(line.split()[0]) for line in seen(home)}
        assert len(pids) == 1 and os.getpid() not in pids, "one process worked on all"
        with pytest.raises(KeyboardInterrupt):
            run(executor, [longer(units[3])], Interrupted("test", units))
    assert not ray.is_initialized()
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{next(iter(pids))}"):
        assert time.monotonic() < deadline, "a worker outlived its cluster"
        time.sleep(0.1)
    assert len(results()) == 3


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"ray': needs a package: pip install 'ieee_lib\[ray\]'"):
        open_executor(EXECUTION)
