"""A stack of missing runs, trained and recorded.

TrainJob(specs, corpus_folder, "laptop", weights=True).run(execution)
"""

import gc
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ieee_lib import paths
from ieee_lib.config import ModelConfig, RunSpec, build
from ieee_lib.config.execution import Execution
from ieee_lib.errors import check
from ieee_lib.jobs.job import RECORD_BYTES, Listener, ignore, open_for, records_with_weights
from ieee_lib.jobs.ranks import launch, rank
from ieee_lib.jobs.sample_job import open_sample
from ieee_lib.model.memory import memory_of
from ieee_lib.runs.store import Record, RunStore

if TYPE_CHECKING:
    from torch import Tensor

    from ieee_lib.training.fit import RunResult

MANY = 5_000_000
"""Parameters of a stack above which its memory is wanted back at once."""


@dataclass(frozen=True)
class TrainJob:
    """Train runs of equal shape as one stack."""

    specs: tuple[RunSpec, ...]
    corpus_folder: Path
    scale: str
    weights: bool
    """Keep the final weights."""
    begun: bool = False
    """The stack was begun before: train all of it again, though some of its runs may be done."""

    @property
    def label(self) -> str:
        """Name the job in messages."""
        more = f" and {len(self.specs) - 1} more" if len(self.specs) > 1 else ""
        return f"{self.specs[0].run_id}{more} ({self.specs[0].summary})"

    @property
    def shape(self) -> ModelConfig:
        """Return the shape of all runs."""
        return self.specs[0].model

    @property
    def disk_bytes(self) -> int:
        """Return about what the records, and the weights if kept, take on the disk."""
        weights = 4 * self.shape.count().total if self.weights else 0  # float32
        return len(self.specs) * (RECORD_BYTES + weights)

    def memory_bytes(self, execution: Execution) -> int:
        """Return about the most memory that each device needs."""
        first = self.specs[0]
        return memory_of(
            self.shape,
            n_member=len(self.specs),
            batch=execution.sequences_at_once(first.batch_size),
            precision=first.precision,
            n_device=execution.devices,
            on_cpu=execution.accelerator == "cpu",
            weight_copies=first.weight_copies,
            passes=first.passes,
        ).total

    @property
    def tokens(self) -> int:
        """Return the tokens to train, over all runs."""
        return sum(spec.tokens for spec in self.specs)

    @property
    def cost(self) -> float:
        """Return the relative time of the whole stack."""
        return sum(spec.cost for spec in self.specs)

    def run(self, execution: Execution, on_tokens: Listener = ignore) -> None:
        """Train the runs that are still missing, and write their records.

        Raises InputError and TrainingError for a start or a sample that cannot be used.
        """
        store = RunStore.of(self.scale)
        with store.locked(spec.run_id for spec in self.specs):
            missing = [s for s in self.specs if not store.has(s.run_id, weights=self.weights)]
            if missing:
                train = partial(self._train, missing, store)
                if execution.devices > 1:
                    launch(train, execution, on_tokens)
                else:
                    train(execution, on_tokens)
            store.end(self.specs)

    def _train(
        self, missing: Sequence[RunSpec], store: RunStore, execution: Execution, on_tokens: Listener
    ) -> None:
        """Train the stack in this process, which is one of `devices`; the first one records."""
        from ieee_lib.runs.provenance import provenance
        from ieee_lib.training.fit import close_logger, open_logger, train

        specs = self.specs if self.begun else missing
        corpus = open_for(self.corpus_folder, execution, specs[0].corpus)
        logs = paths.root() / "data" / "logs" / self.scale
        logger = open_logger(execution.logger, logs, specs[0].run_id)
        sample_id = specs[0].synthetic
        unfinished = store.unfinished_path(spec.run_id for spec in specs)
        results = train(
            specs,
            corpus,
            synthetic=open_sample(store, sample_id) if sample_id else None,
            start=_weights_of(specs[0], "start", store),
            teacher=_weights_of(specs[0], "teacher", store),
            execution=execution,
            checkpoint=unfinished,
            logger=logger,
            on_tokens=on_tokens,
        )
        close_logger(logger)
        if rank() > 0:
            return
        for result in results:
            if result.spec in missing:
                self._record(result, store, execution.devices, provenance(corpus))
        unfinished.unlink(missing_ok=True)
        if sum(spec.model.count().total for spec in specs) > MANY:
            gc.collect()  # Lightning's reference cycles keep them until then

    def _record(
        self, result: "RunResult", store: RunStore, n_device: int, provenance: Record
    ) -> None:
        """Write the weights, if they are kept, and then the record of one run."""
        import safetensors.torch
        import torch

        weights = None
        if self.weights and not result.diverged:
            tensors = {name: tensor.contiguous() for name, tensor in result.weights.items()}
            data = safetensors.torch.save(tensors)
            weights = store.put_weights(result.spec.run_id, data)
        count = result.spec.model.count()
        last = result.curve[-1]
        store.put(
            {
                "kind": "train",
                "run_id": result.spec.run_id,
                "spec": result.spec.to_dict(),
                "parameters": {
                    **asdict(count),
                    "total": count.total,
                    "non_embedding": count.non_embedding,
                },
                "status": "diverged" if result.diverged else "done",
                "val_loss": None if result.diverged else last["val_loss"],
                "train_loss": None if result.diverged else last["train_loss"],
                "curve": json.loads(json.dumps(result.curve), parse_constant=lambda name: None),
                "tokens": result.spec.tokens,
                "flops": result.spec.flops,
                "seconds": result.seconds,
                "begun": datetime.fromtimestamp(result.begun, UTC).isoformat(timespec="seconds"),
                "device": result.device,
                "stack": {
                    "size": result.stack_size,
                    "devices": n_device,
                    "compiled": result.compiled,
                    "threads": torch.get_num_threads(),
                    "compile_seconds": result.compile_seconds,
                    "evaluation_seconds": result.evaluation_seconds,
                },
                "weights": weights,
                **provenance,
            }
        )


def _weights_of(spec: RunSpec, field: str, store: RunStore) -> "dict[str, Tensor] | None":
    """Return the weights that a run's `start` or `teacher` names, or None.

    Raises InputError for one that diverged or has another shape, TrainingError for one without
    weights.
    """
    name = getattr(spec, field)
    if not name:
        return None
    if name.startswith("hub:"):
        from ieee_lib.model.llama import read_llama

        model, weights = read_llama(name, block_size=spec.model.block_size)
    else:
        from safetensors.torch import load_file

        record = records_with_weights(store, [name], field)[name]
        check(record["status"] == "done", field, name, "diverged; choose another")
        model = build(ModelConfig, record["spec"]["model"], "model")
        weights = load_file(store.weights_path(name))
    check(model == spec.model, field, name, f"is a {model}, not a {spec.model}")
    return weights
