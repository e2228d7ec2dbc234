"""A stack of missing runs, trained and recorded.

TrainJob(specs, corpus_folder, "laptop", weights=True).run(execution)
"""

import gc
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ieee_lib import paths
from ieee_lib.config import ModelConfig, RunSpec, build
from ieee_lib.config.execution import Execution
from ieee_lib.errors import check
from ieee_lib.jobs.job import RECORD_BYTES, Listener, open_for, trained
from ieee_lib.jobs.ranks import launch, rank
from ieee_lib.jobs.sample_job import open_sample
from ieee_lib.model.memory import memory_of
from ieee_lib.runs.store import Record, RunStore

MANY = 5_000_000
"""Parameters of a stack above which its memory is wanted back at once."""


@dataclass(frozen=True)
class TrainJob:
    """Runs of equal shape that train as one stack."""

    specs: tuple[RunSpec, ...]
    corpus_folder: Path
    scale: str
    weights: bool
    """Keep the final weights."""
    begun: bool = False
    """Somebody began it before: train all of it again, though some of its runs may be done."""

    @property
    def label(self) -> str:
        more = f" and {len(self.specs) - 1} more" if len(self.specs) > 1 else ""
        return f"{self.specs[0].run_id}{more} ({self.specs[0].summary})"

    @property
    def shape(self) -> ModelConfig:
        return self.specs[0].model

    @property
    def disk_bytes(self) -> int:
        weights = 4 * self.shape.count().total * self.weights  # float32
        return len(self.specs) * (RECORD_BYTES + weights)

    def memory_bytes(self, execution: Execution) -> int:
        first = self.specs[0]
        return memory_of(
            self.shape,
            n_member=len(self.specs),
            batch=execution.sequences_at_once(first.batch_size),
            precision=first.precision,
            n_device=execution.world_size,
            on_cpu=execution.accelerator == "cpu",
        ).total

    @property
    def tokens(self) -> int:
        return sum(spec.tokens for spec in self.specs)

    @property
    def cost(self) -> float:
        return sum(spec.cost for spec in self.specs)

    def run(self, execution: Execution, on_tokens: Listener = lambda tokens: None) -> None:
        """Train what is still missing, and write its records."""
        store = RunStore.of(self.scale)
        with store.locked(spec.run_id for spec in self.specs):
            missing = [s for s in self.specs if not store.has(s.run_id, weights=self.weights)]
            if missing:
                self._train(missing, store, execution, on_tokens)
            store.end(self.specs)

    def assist(self, execution: Execution, on_tokens: Listener) -> None:
        """Train all of it as a further node; the first one, which has `begun` it, records."""
        launch(partial(self._train_here, self.specs, RunStore.of(self.scale)), execution, on_tokens)

    def _train(self, missing, store: RunStore, execution: Execution, on_tokens: Listener) -> None:
        work = partial(self._train_here, missing, store)
        if execution.world_size > 1:
            launch(work, execution, on_tokens)
        else:
            work(execution, on_tokens)

    def _train_here(self, missing, store: RunStore, execution: Execution, on_tokens: Listener):
        import safetensors.torch
        import torch

        from ieee_lib.runs.provenance import provenance
        from ieee_lib.training.fit import close_logger, open_logger, train

        specs = self.specs if self.begun else missing
        corpus = open_for(self.corpus_folder, execution, specs[0].corpus)
        logs = paths.root() / "data" / "logs" / self.scale
        logger = open_logger(execution.logger, logs, specs[0].run_id)
        sampled = specs[0].synthetic
        unfinished = store.unfinished_path(spec.run_id for spec in specs)
        results = train(
            specs,
            corpus,
            synthetic=open_sample(store, sampled) if sampled else None,
            start=_start_of(specs[0], store),
            execution=execution,
            checkpoint=unfinished,
            logger=logger,
            on_tokens=on_tokens,
        )
        close_logger(logger)
        if rank() > 0:
            return
        for result in (result for result in results if result.spec in missing):
            count = result.spec.model.count()
            last = result.curve[-1]
            record: Record = {
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
                    "devices": execution.world_size,
                    "compiled": result.compiled,
                    "threads": torch.get_num_threads(),
                    "compile_seconds": result.compile_seconds,
                    "evaluation_seconds": result.evaluation_seconds,
                },
                "weights": None,
                **provenance(corpus),
            }
            if self.weights and not result.diverged:
                tensors = {name: tensor.contiguous() for name, tensor in result.weights.items()}
                data = safetensors.torch.save(tensors)
                record["weights"] = store.put_weights(result.spec.run_id, data)
            store.put(record)
        unfinished.unlink(missing_ok=True)
        if sum(spec.model.count().total for spec in specs) > MANY:
            gc.collect()  # Lightning's cycles hold them until then: the next unit's room


def _start_of(spec: RunSpec, store: RunStore):
    """Return the weights that a run continues from, or None.

    Raises InputError for a start that diverged or has another shape, TrainingError for one
    without weights.
    """
    if not spec.start:
        return None
    if spec.start.startswith("hub:"):
        from ieee_lib.model.llama import read_llama

        model, weights = read_llama(spec.start, block_size=spec.model.block_size)
    else:
        from safetensors.torch import load_file

        record = trained(store, [spec.start], "start")[spec.start]
        check(record["status"] == "done", "start", spec.start, "diverged; choose another")
        model = build(ModelConfig, record["spec"]["model"], "model")
        weights = load_file(store.weights_path(spec.start))
    check(model == spec.model, "start", spec.start, f"is a {model}, not a {spec.model}")
    return weights
