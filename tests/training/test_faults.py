"""Killed, stopped and damaged: what was trained is kept, and the rest goes on to the same bits."""

import multiprocessing
import os
import signal
import time

import pytest

from ieee_lib.config.execution import Execution
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.runs.schema import result_of
from ieee_lib.runs.store import RunStore

OFTEN = Execution(compile="never", accelerator="cpu", logger="none", checkpoint_minutes=1e-6)
NEVER = Execution(compile="never", accelerator="cpu", logger="none", checkpoint_minutes=0.0)


def work(job, home):
    os.environ["IEEE_LIB_HOME"] = home
    job.run(OFTEN)


def what_was_found(store, specs):
    return [result_of(store.get(spec.run_id)) for spec in specs]


@pytest.mark.slow
def test_a_job_killed_again_and_again_ends_as_if_undisturbed(home, spec, corpus):
    """kill -9 whenever a checkpoint has been written, twice; then left alone."""
    specs = tuple(spec.replace(epochs=16, init_seed=s, data_seed=s) for s in range(2))
    job = TrainJob(specs, corpus.folder, "smoke", weights=True)
    store = RunStore.of("smoke")
    path = store.unfinished_path(s.run_id for s in specs)
    written = 0
    for _ in range(2):
        process = multiprocessing.get_context("spawn").Process(target=work, args=(job, str(home)))
        process.start()
        deadline = time.monotonic() + 60
        while not path.is_file() or path.stat().st_mtime_ns == written:
            assert process.is_alive() and time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        written = path.stat().st_mtime_ns
        assert not list(store.records())
    heard = []
    job.run(OFTEN, heard.append)
    assert heard[0] > specs[0].tokens_per_step * 2, "it began anew"
    assert not path.is_file()
    resumed = what_was_found(store, specs)
    for spec in specs:
        (store.records_folder / f"{spec.run_id}.json").unlink()
    job.run(NEVER)
    assert what_was_found(store, specs) == resumed


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_damaged_checkpoint_costs_the_run_and_nothing_else(home, spec, corpus, where):
    specs = (spec,)
    store = RunStore.of("smoke")
    path = store.unfinished_path([spec.run_id])
    path.parent.mkdir(parents=True)
    data = os.urandom(2000)
    path.write_bytes({"first": b"", "middle": data, "last": data[:70]}[where])
    with pytest.warns(UserWarning, match="is damaged: moved to"):
        TrainJob(specs, corpus.folder, "smoke", weights=True).run(OFTEN)
    assert store.get(spec.run_id)["status"] == "done"
    assert path.with_name(f"{path.name}.damaged").is_file() and not path.is_file()
