"""A job: what every executor runs, in this process or in a worker.

There are four: `TrainJob` trains a stack; `ScoreJob`, `SampleJob` and `EvaluationJob` read trained
models (`ModelsJob`). A job skips what has a record already, so running it twice does nothing twice.

    ScoreJob(EnsembleSpec(specs), corpus_folder, "laptop").run(execution)
"""

import ctypes
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from ieee_lib.config import EnsembleSpec, EvaluationSpec, ModelConfig, RunSpec, SampleSpec
from ieee_lib.config.execution import Execution
from ieee_lib.errors import TrainingError, check
from ieee_lib.jobs.machine import core_count
from ieee_lib.model.memory import memory_of_reading
from ieee_lib.runs.store import Record, RunStore
from ieee_lib.text.corpus import Corpus, open_corpus

if TYPE_CHECKING:
    from ieee_lib.model.decoder import StackedDecoder

RECORD_BYTES = 20_000
"""About what the larger records take."""

Spec = RunSpec | EnsembleSpec | SampleSpec | EvaluationSpec

Listener = Callable[[int], None]
"""Receives the tokens that a job has worked through so far."""

Work = Callable[[Execution, Listener], None]
"""What a job does, in the process that calls it."""


def ignore(n_token: int) -> None:
    """Receive a token count and do nothing with it."""


class Job(Protocol):
    """One piece of work; small to send, whole or absent in the store."""

    @property
    def label(self) -> str:
        """Name the job in messages."""

    @property
    def specs(self) -> Sequence[Spec]:
        """Return the specs that the job writes records of."""

    @property
    def disk_bytes(self) -> int:
        """Return about what the job leaves on the disk."""

    def memory_bytes(self, execution: Execution) -> int:
        """Return about the most memory that the job needs of each device (`model.memory`)."""

    @property
    def shape(self) -> ModelConfig:
        """Return the model's shape; jobs of one shape share compiled code."""

    @property
    def tokens(self) -> int:
        """Return the tokens that the job works through, over all members."""

    @property
    def cost(self) -> float:
        """Return relative time, for order and progress."""

    def run(self, execution: Execution, on_tokens: Listener = ignore) -> None:
        """Make the records that are missing.

        Raises InputError and TrainingError for a start, a sample or members that cannot be used.
        """


@dataclass(frozen=True)
class ModelsJob(ABC):
    """A job that reads trained models and writes one record."""

    spec: EnsembleSpec | SampleSpec | EvaluationSpec
    corpus_folder: Path
    scale: str

    kind: ClassVar[str]
    """Kind of the record."""
    role: ClassVar[str]
    """What errors call a member."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Name the job in messages."""

    @property
    @abstractmethod
    def members(self) -> tuple[RunSpec, ...]:
        """Return the runs whose models are read."""

    @property
    @abstractmethod
    def tokens(self) -> int:
        """Return the tokens to work through, over all members."""

    def batch_size(self, execution: Execution) -> int:
        """Return the sequences of one forward pass."""
        return execution.micro_batch or self.members[0].batch_size

    def memory_bytes(self, execution: Execution) -> int:
        """Return about the most device memory that reading the models needs."""
        return memory_of_reading(
            self.shape,
            n_member=len(self.members),
            batch=self.batch_size(execution),
            precision=self.members[0].precision,
            on_cpu=execution.accelerator == "cpu",
        ).total

    @property
    def specs(self) -> tuple[Spec]:
        """Return the one spec that the job writes a record of."""
        return (self.spec,)

    @property
    def disk_bytes(self) -> int:
        """Return about what the record takes."""
        return RECORD_BYTES

    @property
    def shape(self) -> ModelConfig:
        """Return the shape of all members."""
        return self.members[0].model

    @property
    def cost(self) -> float:
        """Return the FLOPs."""
        return self.spec.flops

    def run(self, execution: Execution, on_tokens: Listener = ignore) -> None:
        """Make the record if it is missing; the members must be trained, with weights.

        Raises TrainingError for a member without weights.
        """
        store, run_id = RunStore.of(self.scale), self.spec.run_id
        shards = self.kind == "sample"  # the only weights that such a record can have
        with store.locked([run_id]):
            if not store.has(run_id, weights=shards):
                store.put(
                    {
                        "kind": self.kind,
                        "run_id": run_id,
                        "spec": self.spec.to_dict(),
                        **self._timed_result(store, execution, on_tokens),
                    }
                )
        on_tokens(self.tokens)

    def _timed_result(self, store: RunStore, execution: Execution, on_tokens: Listener) -> Record:
        import torch

        from ieee_lib.runs.provenance import provenance

        first, run_ids = self.members[0], [member.run_id for member in self.members]
        records = records_with_weights(store, run_ids, self.role)
        corpus, device = open_for(self.corpus_folder, execution, first.corpus), device_of(execution)
        start = time.perf_counter()
        bf16 = first.precision == "bf16-products"
        models = Models(records, store, corpus, device, self.batch_size(execution), bf16)
        with torch.autocast(device, torch.bfloat16, first.precision == "bf16-mixed"):
            result = self.result(models, on_tokens)
        seconds = time.perf_counter() - start
        return {**result, "seconds": seconds, "device": device, **provenance(corpus)}

    @abstractmethod
    def result(self, models: "Models", on_tokens: Listener) -> Record:
        """Return the fields of the record that come from the models."""


@dataclass(frozen=True)
class Models:
    """What a `ModelsJob` reads: trained models, and the corpus that they were trained on."""

    records: dict[str, Record]
    """Run id -> record, in the order of the members."""
    store: RunStore
    corpus: Corpus
    device: str
    """cuda or cpu."""
    batch_size: int
    """Sequences of one forward pass."""
    bf16: bool = False
    """Multiply in bf16, as training did (precision bf16-products)."""

    @property
    def healthy(self) -> list[str]:
        """Return the run ids of the members that did not diverge."""
        return [i for i, record in self.records.items() if record["status"] == "done"]

    def named(self) -> Record:
        """Return the fields of a record that name its members; those that diverged are left out."""
        return {
            "N": next(iter(self.records.values()))["parameters"]["total"],
            "status": "done" if self.healthy else "diverged",
            "members": self.healthy,
            "diverged": [i for i in self.records if i not in self.healthy],
        }

    def stack(self, shape: ModelConfig) -> "StackedDecoder":
        """Return the healthy members as one stack on the device."""
        from ieee_lib.training.scoring import load_stack

        files = [self.store.weights_path(run_id) for run_id in self.healthy]
        return load_stack(shape, files, bf16=self.bf16).to(self.device)


def open_for(folder: Path, execution: Execution, fingerprint: str) -> Corpus:
    """Open a corpus in a worker, with the threads that the scale gives it.

    Raises InputError where it is not the one that the job's spec names.
    """
    import torch

    # torch's default counts all cores, whatever a container may use
    torch.set_num_threads(execution.threads or min(torch.get_num_threads(), core_count()))
    keep_freed_memory()
    corpus = open_corpus(folder)
    check(corpus.fingerprint == fingerprint, "corpus", str(folder), f"is not {fingerprint}")
    return corpus


@cache
def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed: activations come back at every step.

    Handing them to the system and back costs a step up to a fifth of its time. Other C libraries
    are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3  # names of malloc.h
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**25)


def records_with_weights(store: RunStore, run_ids: Sequence[str], role: str) -> dict[str, Record]:
    """Return the records of runs by id; raises TrainingError for one without weights."""
    records = {}
    for run_id in run_ids:
        record = store.get(run_id)
        if record is None or not store.has(run_id, weights=True):
            raise TrainingError(f"{role} {run_id} has no weights in the store")
        records[run_id] = record
    return records


def device_of(execution: Execution) -> str:
    """Return where a job that only reads models runs: cuda or cpu."""
    import torch

    return "cuda" if torch.cuda.is_available() and execution.accelerator != "cpu" else "cpu"
