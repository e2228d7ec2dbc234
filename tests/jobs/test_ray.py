"""Jobs on Ray: nodes are lost, workers die, and the records are those of `inline`.

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

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]

os.environ |= ALONE
ray = pytest.importorskip("ray", reason="needs the package ray: pip install 'ieee_lib[ray]'")

EXECUTION = Execution(executor="ray", threads=1, compile="never", accelerator="cpu", logger="none")
TIMES = ("seconds", "stack", "sha256", "begun", "created")
"""What a record says of when and how fast."""
NODE = {"node_ip_address": LOOPBACK, "object_store_memory": 80 * 2**20}

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test


@dataclass(frozen=True)
class DyingJob(TrainJob):
    """Ends its worker as the out-of-memory killer would."""

    def run(self, execution, on_tokens=lambda tokens: None):
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class NotingJob(TrainJob):
    """Writes down which process runs it and which GPU that sees, and trains where it matters."""

    trains: bool = False

    def run(self, execution, on_tokens=lambda tokens: None):
        with (paths.root() / "seen").open("a") as file:
            file.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
        if self.trains:
            super().run(execution, on_tokens)
        time.sleep(0.2)


@dataclass(frozen=True)
class RefusedJob(TrainJob):
    def run(self, execution, on_tokens=lambda tokens: None):
        raise InputError("corpus", "0123", "is not 4567")


@pytest.fixture(scope="module")
def cluster():
    """A head that takes no jobs, and a node with room for one."""
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
def jobs(home, spec, corpus):
    specs = [spec.replace(init_seed=seed) for seed in range(4)]
    return [TrainJob((s,), corpus.folder, "smoke", weights=False) for s in specs]


def run(executor, jobs, progress=None):
    progress = progress or Progress("test", jobs)
    try:
        return executor.run(jobs, progress)
    finally:
        progress.close()


def become(kind, job, **fields):
    return kind(**vars(job), **fields)


def longer(job):
    return replace(job, specs=tuple(s.replace(epochs=96) for s in job.specs))


def seen(home):
    """Return the lines that noting jobs have written."""
    return (home / "seen").read_text().splitlines()


def results():
    found = {record["run_id"]: record for record in RunStore.of("smoke").records()}
    return {i: {k: v for k, v in r.items() if k not in TIMES} for i, r in found.items()}


class Killing(Progress):
    """Kills a node once so many jobs have told how far they are."""

    def __init__(self, jobs, kill, n_moving):
        super().__init__("test", jobs)
        self.kill, self.n_moving, self.moving = kill, n_moving, set()

    def moved(self, job, tokens):
        super().moved(job, tokens)
        if 0 < tokens < job.tokens:
            self.moving.add(id(job))
        if len(self.moving) == self.n_moving and self.kill:
            kill, self.kill = self.kill, None
            kill()


def test_a_lost_node_costs_time_and_nothing_else(cluster, jobs, capfd):
    jobs = [*map(longer, jobs[:2]), *jobs[2:]]
    with another(cluster) as node, opened(ray_address=cluster.address) as executor:
        assert executor.n_worker == 2
        killing = Killing(jobs, lambda: cluster.remove_node(node, allow_graceful=False), 2)
        assert run(executor, jobs, killing) == []
        assert killing.kill is None, "nothing was killed"
    heard = capfd.readouterr().err
    assert heard.count("was lost; trying it again") == 1 and "4/4 runs" in heard
    on_ray = results()
    shutil.rmtree(paths.runs("smoke"))
    assert run(InlineExecutor(EXECUTION), jobs) == []
    assert len(on_ray) == 4 and results() == on_ray


def test_a_job_that_kills_its_worker_is_tried_twice(cluster, jobs, home, capfd):
    jobs = [become(DyingJob, jobs[0]), *(become(NotingJob, job) for job in jobs[1:])]
    with opened(ray_address=cluster.address) as executor:
        failures = run(executor, jobs)
    assert [failure.job for failure in failures] == jobs[:1]
    assert "its worker" in failures[0].why and "died" in failures[0].why
    heard = capfd.readouterr().err
    assert heard.count("trying it again") == 1 and heard.count("gave it up") == 1
    assert "3/4 runs" in heard and len(seen(home)) == 3


def test_bad_input_found_by_a_worker_stops_everything(cluster, jobs):
    with (
        opened(ray_address=cluster.address) as executor,
        pytest.raises(InputError, match="corpus = '0123': is not 4567"),
    ):
        run(executor, [become(RefusedJob, job) for job in jobs])


def test_a_worker_keeps_its_gpu(cluster, jobs, home):
    """Ray's bookkeeping only: nothing here computes on a GPU."""
    noting = [become(NotingJob, job) for job in jobs]
    with (
        another(cluster, num_cpus=4, num_gpus=2),
        opened(ray_address=cluster.address, accelerator="auto") as executor,
    ):
        assert executor.n_worker == 2, "only where there are GPUs"
        assert run(executor, noting) == []
    assert len(seen(home)) == 4
    pids, gpus = zip(*{tuple(line.split()) for line in seen(home)}, strict=True)
    assert len(set(pids)) == len(set(gpus)) == len(pids) and set(gpus) <= {"0", "1"}


def test_a_worker_that_never_comes_keeps_no_job(cluster, jobs, home):
    """Two are asked for where one has room; a smaller one makes way for a larger."""
    larger = become(NotingJob, replace(jobs[0], specs=tuple(job.specs[0] for job in jobs)))
    with opened(ray_address=cluster.address, workers=2) as executor:
        assert run(executor, [become(NotingJob, job) for job in jobs]) == []
        assert len(set(seen(home))) == 1
        assert run(executor, [larger]) == []
    assert len(set(seen(home))) == 2


def test_what_no_node_can_hold_is_refused(cluster, jobs):
    message = r"has no node with the 4 CPU\(s\), 0 GPU\(s\) and"
    with (
        opened(ray_address=cluster.address, devices=4) as executor,
        pytest.raises(InputError, match=message),
    ):
        run(executor, jobs)


def test_an_address_where_nothing_answers_is_refused(jobs):
    with (
        opened(ray_address=f"{LOOPBACK}:1") as executor,
        pytest.raises(InputError, match="no Ray cluster answers there"),
    ):
        run(executor, jobs)


def test_a_node_that_does_not_see_the_store_is_named(cluster, jobs, home):
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
                run(executor, jobs)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGTERM)
        node.wait(timeout=30)
    message = str(refused.value)
    assert f"IEEE_LIB_HOME = '{home / 'data'}': node " in message
    assert "does not see this folder" in message and "O_EXCL" in message
    assert not list((home / "data").iterdir())


class Interrupted(Progress):
    def moved(self, job, tokens):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_cluster_on_demand_keeps_its_workers_and_ends_when_told(jobs, home):
    answer = signal.getsignal(signal.SIGTERM)
    noting = [become(NotingJob, job, trains=True) for job in jobs]
    with opened(workers=1) as executor:
        assert executor.n_worker == 1 and executor.cluster is None, "started before it was needed"
        assert run(executor, noting[:2]) == []
        assert run(executor, noting[2:3]) == []
        assert signal.getsignal(signal.SIGTERM) == answer
        pids = {int(line.split()[0]) for line in seen(home)}
        assert len(pids) == 1 and os.getpid() not in pids, "one process worked on all"
        with pytest.raises(KeyboardInterrupt):
            run(executor, [longer(jobs[3])], Interrupted("test", jobs))
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
