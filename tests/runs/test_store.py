"""The run store: whole records or none, damage set aside, one training a run."""

import gzip
import json
import multiprocessing
import subprocess
import sys
import textwrap

import pytest

from ieee_lib import InputError, load_runs, paths
from ieee_lib.config.execution import Execution
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.runs.store import SCHEMA, Archive, RunStore, pack_archive, sealed

EXECUTION = Execution(compile="never", accelerator="cpu", logger="none")


@pytest.fixture
def job(home, spec, corpus):
    specs = tuple(spec.replace(init_seed=seed) for seed in range(3))
    return TrainJob(specs, corpus.folder, "smoke", weights=False)


def test_a_job_leaves_complete_records(job):
    job.run(EXECUTION)
    store = RunStore.of("smoke")
    record = store.get(job.specs[0].run_id)
    assert record["schema"] == SCHEMA and record["status"] == "done"
    assert record["parameters"]["total"] == job.specs[0].model.count().total
    assert record["tokens"] == job.specs[0].tokens and record["seconds"] > 0
    assert record["stack"]["size"] == 3 and record["versions"]["torch"]
    assert record["corpus"]["fingerprint"] == job.specs[0].corpus
    assert record["val_loss"] == record["curve"][-1]["val_loss"]


def test_weights_come_back_as_safetensors(job):
    import safetensors.torch
    import torch

    from ieee_lib.model.decoder import StackedDecoder

    store, spec = RunStore.of("smoke"), job.specs[0]
    job.run(EXECUTION)
    assert store.has(spec.run_id) and not store.has(spec.run_id, weights=True)
    TrainJob(job.specs, job.corpus_folder, "smoke", weights=True).run(EXECUTION)
    assert store.has(spec.run_id, weights=True)
    tensors = safetensors.torch.load_file(store.weights_path(spec.run_id))
    model = StackedDecoder(spec.model, seeds=[0])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[name][None])
    from ieee_lib.text.corpus import open_corpus

    ids = torch.from_numpy(open_corpus(job.corpus_folder).validation(spec.val_sequences, 16))
    loss = model.losses(ids[None]).item()
    assert loss == pytest.approx(store.get(spec.run_id)["val_loss"], abs=1e-5)


def test_a_run_is_known_since_it_was_first_recorded(job):
    store, run_id = RunStore.of("smoke"), job.specs[0].run_id
    job.run(EXECUTION)
    path = store.records_folder / f"{run_id}.json"
    known = store.get(run_id)
    assert known["begun"] <= known["created"]
    since = {"begun": "2026-01-02T03:04:01Z", "created": "2026-01-02T03:04:05Z"}
    path.write_text(json.dumps(sealed({**known, **since})))
    TrainJob(job.specs, job.corpus_folder, "smoke", weights=True).run(EXECUTION)
    assert store.has(run_id, weights=True)
    assert {name: store.get(run_id)[name] for name in since} == since


def test_a_diverged_run_is_recorded_without_numbers(home, spec, corpus):
    wild = spec.replace(lr=1e20)
    TrainJob((wild,), corpus.folder, "smoke", weights=True).run(EXECUTION)
    store = RunStore.of("smoke")
    record = store.get(wild.run_id)
    assert record["status"] == "diverged" and record["val_loss"] is None
    assert store.has(wild.run_id, weights=True)  # it would only diverge again
    json.loads(
        (store.records_folder / f"{wild.run_id}.json").read_text(), parse_constant=pytest.fail
    )


def test_a_damaged_record_is_set_aside_and_made_again(job):
    job.run(EXECUTION)
    store, run_id = RunStore.of("smoke"), job.specs[0].run_id
    path = store.records_folder / f"{run_id}.json"
    loss = store.get(run_id)["val_loss"]
    for damage in (
        path.read_text().replace('"val_loss": ', '"val_loss": 1'),
        path.read_text()[:99],
    ):
        path.write_text(damage)
        with pytest.warns(UserWarning, match=f"{run_id}.json is damaged: moved to"):
            assert store.get(run_id) is None
        assert path.with_name(f"{run_id}.json.damaged").is_file()
        job.run(EXECUTION)
        assert store.get(run_id)["val_loss"] == pytest.approx(loss, abs=1e-4)


def test_a_newer_schema_is_refused_by_name(home):
    store = RunStore.of("smoke")
    store.records_folder.mkdir(parents=True)
    (store.records_folder / "x.json").write_text(json.dumps({"schema": SCHEMA + 1}))
    with pytest.raises(InputError, match=rf"has schema {SCHEMA + 1}; this version reads 1 to"):
        store.get("x")


def test_a_killed_writer_leaves_no_half_record(home):
    program = textwrap.dedent("""
        import os, ieee_lib.runs.store as s
        os.replace = lambda *a: os._exit(9)
        s.RunStore.of("smoke").put({"run_id": "abc", "kind": "train"})
    """)
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == 9
    assert RunStore.of("smoke").get("abc") is None and not list(RunStore.of("smoke").records())


@pytest.mark.slow
def test_processes_that_want_the_same_runs_train_them_once(home, spec, corpus):
    """Two of three runs are shared: whoever comes second trains the one that is left, alone."""
    specs = [spec.replace(init_seed=seed, epochs=8) for seed in range(4)]
    jobs = [TrainJob(tuple(part), corpus.folder, "smoke", False) for part in (specs[:3], specs[1:])]
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=job.run, args=(EXECUTION,)) for job in jobs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    sizes = sorted(record["stack"]["size"] for record in RunStore.of("smoke").records())
    assert [w.exitcode for w in workers] == [0, 0] and sizes == [1, 3, 3, 3]


def test_an_archive_holds_the_records_and_is_stable(job, home):
    job.run(EXECUTION)
    store, path = RunStore.of("smoke"), paths.archive("smoke")
    assert pack_archive(store.records(), path) == 3
    first = path.read_bytes()
    pack_archive(store.records(), path)
    assert path.read_bytes() == first
    assert list(Archive.of("smoke").records()) == list(store.records())
    assert list(load_runs("smoke", source="archive").run_id) == list(load_runs("smoke").run_id)
    with pytest.raises(InputError, match="there is no recorded book of scale gpu"):
        Archive.of("gpu")


def test_a_damaged_archive_is_named(home):
    path = paths.archive("smoke")
    path.parent.mkdir(parents=True)
    record = sealed({"kind": "train", "run_id": "a", "val_loss": 3.0})
    path.write_bytes(gzip.compress(json.dumps({**record, "val_loss": 2.0}).encode()))
    with pytest.raises(InputError, match=r"smoke\.jsonl\.gz.*is damaged"):
        Archive.of("smoke").get("a")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match="cannot be read"):
        Archive.of("smoke").get("a")
