"""Executors: workers train what is asked, a dead one costs a retry, stacks are balanced."""

import os
import signal
import time
from collections import Counter

import pytest

from ieee_lib.config.execution import Execution
from ieee_lib.jobs.batch import into_stacks
from ieee_lib.jobs.executors import LocalExecutor, uninterrupted
from ieee_lib.jobs.outcome import out_of_memory
from ieee_lib.jobs.progress import Progress
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.runs.store import RunStore

EXECUTION = Execution(
    executor="local", workers=2, threads=1, compile="never", accelerator="cpu", logger="none"
)


class DyingExecutor(LocalExecutor):
    """Kills whoever works on one job, as the out-of-memory killer would, `deaths` times."""

    deaths, victim = 0, None

    def _ready(self):
        for worker in self.workers.values():
            if self.deaths and worker.job is self.victim:
                self.deaths -= 1
                os.kill(worker.process.pid, signal.SIGKILL)
                worker.process.join()
        return super()._ready()


@pytest.fixture
def jobs(home, spec, corpus):
    specs = [spec.replace(init_seed=seed) for seed in range(4)]
    return [TrainJob((s,), corpus.folder, "smoke", weights=False) for s in specs]


@pytest.mark.parametrize(("deaths", "n_done"), [(0, 4), (1, 4), (2, 3)])
def test_a_dead_worker_costs_a_retry_and_then_one_job(jobs, capfd, deaths, n_done):
    executor = DyingExecutor(EXECUTION)
    executor.deaths, executor.victim = deaths, jobs[0]
    progress = Progress("test", jobs)
    failures = executor.run(jobs, progress)
    executor.close()
    progress.close()
    assert len(list(RunStore.of("smoke").records())) == n_done
    assert len(failures) == 4 - n_done
    heard = capfd.readouterr().err
    assert heard.count("worker died (exit code -9)") == deaths
    assert f"{n_done}/4 runs" in heard


def test_stacks_hold_equal_shapes_and_share_the_work(spec):
    long = [spec.replace(epochs=8, init_seed=s) for s in range(6)]
    short = [spec.replace(epochs=2, init_seed=s) for s in range(5)]
    stacks = into_stacks(long + short, largest=4, n_worker=2)
    assert sorted(Counter(len(s) for s in stacks).items()) == [(2, 1), (3, 3)]
    assert all(len({m.stack_key for m in stack}) == 1 for stack in stacks)
    assert sorted(s.run_id for stack in stacks for s in stack) == sorted(
        s.run_id for s in long + short
    )
    costs = [sum(s.flops for s in stack) for stack in stacks]
    assert costs == sorted(costs, reverse=True)


def test_a_lone_group_is_split_over_the_workers(spec):
    stacks = into_stacks([spec.replace(init_seed=s) for s in range(6)], largest=8, n_worker=2)
    assert [len(s) for s in stacks] == [3, 3]


def test_every_library_has_its_words_for_no_memory():
    cublas = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate")
    assert out_of_memory(cublas) and out_of_memory(MemoryError())
    assert not out_of_memory(RuntimeError("CUDA error: an illegal memory access"))


def test_an_interruption_waits_for_the_end_of_a_block():
    """Between two halves of an import it would leave a torch that cannot be imported again."""
    passed = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        passed.append("whole")
    assert passed == ["whole"]
    with pytest.raises(KeyboardInterrupt):  # and the answer to the next one is as before
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
