"""One stack on several devices: the same steps as on one, kept and continued alike."""

import os
import signal
import threading
import time
from dataclasses import replace

import pytest

from ieee_lib import InputError
from ieee_lib.config.execution import Execution
from ieee_lib.jobs.executors import InlineExecutor, LocalExecutor
from ieee_lib.jobs.progress import Progress
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.runs.store import RunStore
from ieee_lib.training.fit import can_compile

ALONE = Execution(compile="never", accelerator="cpu", logger="none", threads=1)
TWO = replace(ALONE, devices=2)

# Largest difference in nats/token: gradients are summed in another order (float32).
REORDERED = 2e-5


@pytest.fixture
def jobs(home, spec, corpus):
    specs = tuple(spec.replace(init_seed=s, data_seed=s, lr=1e-2 / (s + 1)) for s in range(2))
    return [TrainJob(specs, corpus.folder, scale, weights=True) for scale in ("one", "two")]


def curves(job):
    records = [RunStore.of(job.scale).get(spec.run_id) for spec in job.specs]
    return [[p[kind] for r in records for p in r["curve"]] for kind in ("val_loss", "train_loss")]


@pytest.mark.slow
@pytest.mark.parametrize("compile", ["never", "auto"])
def test_two_devices_take_the_same_steps_as_one(jobs, compile):
    one, two = jobs
    one.run(ALONE)
    heard = []
    two.run(replace(TWO, compile=compile), heard.append)
    for alone, together in zip(curves(one), curves(two), strict=True):
        assert together == pytest.approx(alone, abs=REORDERED)
    record = RunStore.of("two").get(two.specs[0].run_id)
    assert record["stack"]["compiled"] == (compile == "auto" and can_compile(False))
    assert record["stack"]["devices"] == 2 and record["tokens"] == one.specs[0].tokens
    assert heard[-1] == one.tokens and heard == sorted(heard)


@pytest.mark.slow
def test_two_devices_go_on_from_a_checkpoint_to_the_same_bits(jobs):
    """A process of the two is killed; the checkpoint it leaves carries what both had summed."""
    _, two = jobs
    two.run(TWO)
    undisturbed = curves(two)
    store = RunStore.of("two")
    for spec in two.specs:
        (store.records_folder / f"{spec.run_id}.json").unlink()
    unfinished = store.unfinished_path(spec.run_id for spec in two.specs)
    often = replace(TWO, checkpoint_minutes=1e-9)

    def kill_one_process():
        deadline = time.monotonic() + 60
        while not unfinished.is_file() and time.monotonic() < deadline:
            time.sleep(0.005)
        ranks = [int(p) for p in _children(os.getpid()) if "spawn_main" in _command(p)]
        os.kill(max(ranks), signal.SIGKILL)

    killer = threading.Thread(target=kill_one_process)
    killer.start()
    executor = InlineExecutor(often)
    progress = Progress("test", [two])
    failures = executor.run([two], progress)
    killer.join()
    assert "SIGKILL" in failures[0].why and unfinished.is_file()
    assert executor.run([two], progress) == []
    assert curves(two) == undisturbed


@pytest.mark.slow
def test_a_worker_may_have_several_devices(jobs):
    executor = LocalExecutor(replace(TWO, executor="local", workers=1))
    progress = Progress("test", jobs)
    assert executor.run(jobs, progress) == []
    executor.close()
    assert curves(jobs[0]) == curves(jobs[1])


def test_devices_must_share_a_batch(jobs):
    with pytest.raises(InputError, match=r"devices = 3: must divide batch_s"):
        ALONE.__class__(devices=3).sequences_at_once(4)


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return children.read().split()


def _command(pid):
    with open(f"/proc/{pid}/cmdline") as command:
        return command.read()
