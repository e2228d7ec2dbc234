"""One bit flipped in each kind of file: it is named, quarantined, and made again as it was."""

import contextlib
import io
import os
import random
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from ieee_lib import paths
from ieee_lib.config import EnsembleSpec, RunSpec, SampleSpec
from ieee_lib.errors import InputError
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.runs.schema import result_of
from ieee_lib.runs.store import Archive, Record, pack_archive
from ieee_lib.study import Study
from tests.stress import Outcome


def run(home: Path, *, seed: int = 0) -> list[Outcome]:
    """Make a small store at the smoke scale, and corrupt one file of each kind in turn."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_run, home, random.Random(seed)).result()


def _run(home: Path, chance: random.Random) -> list[Outcome]:
    os.environ["IEEE_LIB_HOME"] = str(home)
    expected, outcomes = _make(), []
    for kind, find in KINDS.items():
        began, path = time.monotonic(), find(Study.open("smoke"))
        data = bytearray(path.read_bytes())
        place = chance.randrange(len(data))
        data[place] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        messages, results = _make_again(path)
        named, same = path.name in messages, results == expected
        found = f"bit in byte {place:,} of {len(data):,}: " + "not " * (not named) + "named, "
        found += "not " * (not same) + "the same"
        done = f"one bit flipped in {kind}"
        seconds = time.monotonic() - began
        outcomes.append(
            Outcome("corruption", done, "named, the same again", found, named and same, seconds)
        )
    return outcomes


def _specs(study: Study) -> list[RunSpec]:
    return [study.spec("9.0k", wd=0.8, lr=1e-2, epochs=epochs) for epochs in (2, 8)]


def _sample(study: Study) -> SampleSpec:
    return SampleSpec(teachers=EnsembleSpec(tuple(_specs(study))), kind="mixture", n_token=4096)


def _make() -> dict[str, Record]:
    """Have two runs, their ensemble, a sample of them and an archive; return all results."""
    study = Study.open("smoke")
    study.ensure(_specs(study), weights=True)
    study.sample([_sample(study)])
    study.score([_sample(study).teachers])
    study.store.failures()
    if not paths.archive("smoke").is_file():
        pack_archive(study.store.records(), paths.archive("smoke"))
    list(Archive.of("smoke").records())
    return {record["run_id"]: result_of(record) for record in study.store.records()}


def _make_again(corrupted: Path) -> tuple[str, dict[str, Record]]:
    """Return the messages, and all results."""
    stream = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stderr(stream):
        warnings.simplefilter("always")
        try:
            results = _make()
        except InputError as error:  # an archive ships with the project: it is fetched again
            print(error, file=stream)
            corrupted.unlink()
            results = _make()
    return stream.getvalue(), results


def _record(study: Study) -> Path:
    return study.store.records_folder / f"{_specs(study)[0].run_id}.json"


def _weights(study: Study) -> Path:
    return study.store.weights_path(_specs(study)[0].run_id)


def _checkpoint(study: Study) -> Path:
    """Stop a run in its middle."""
    spec = _specs(study)[1]
    (study.store.records_folder / f"{spec.run_id}.json").unlink()
    seen = []

    def stop(tokens: int) -> None:
        seen.append(tokens)
        if len(seen) > 1:
            raise KeyboardInterrupt

    often = replace(study.scale.execution, checkpoint_minutes=1e-9)
    unit = TrainJob((spec,), study.corpus_folder, study.scale.name, weights=True)
    with contextlib.suppress(KeyboardInterrupt):
        unit.run(often, stop)
    return study.store.unfinished_path([spec.run_id])


def _stack(study: Study) -> Path:
    """Note a stack, and lose the record of its run."""
    spec = _specs(study)[1]
    (study.store.records_folder / f"{spec.run_id}.json").unlink()
    study.store.begin([spec])
    return study.store.unfinished_path([spec.run_id]).with_suffix(".stack")


def _failure(study: Study) -> Path:
    spec = _specs(study)[0].replace(init_seed=9)
    study.store.put_failure(spec, "on purpose")
    return study.store.records_folder / "failed" / f"{spec.run_id}.json"


KINDS = {
    "a record": _record,
    "weights": _weights,
    "a shard of a sample": lambda study: study.store.shard_path(_sample(study).run_id, 0),
    "a checkpoint": _checkpoint,
    "the note of a stack": _stack,
    "the note of a failure": _failure,
    "packed training tokens": lambda study: study.corpus_folder / "train.bin",
    "packed validation tokens": lambda study: study.corpus_folder / "val.bin",
    "a tokenizer": lambda study: study.corpus_folder / "tokenizer.json",
    "a corpus' manifest": lambda study: study.corpus_folder / "manifest.json",
    "an archive": lambda study: paths.archive("smoke"),
}
"""Kind of file -> its path in a store, ready to be corrupted."""
