"""Units of work: what every executor runs, in this process or in a worker.

A unit skips what has a record already, so running it twice does nothing twice.

    TrainUnit(specs, corpus_folder, "laptop", weights=True).run(execution)
    ScoreUnit(EnsembleSpec(specs), corpus_folder, "laptop").run(execution)
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from ieee_lib import paths
from ieee_lib.errors import TrainingError
from ieee_lib.scale import Execution
from ieee_lib.spec import EnsembleSpec, ModelConfig, RunSpec
from ieee_lib.training.store import Record, RunStore

Listener = Callable[[int], None]
"""Hears the tokens that a unit has worked through so far."""


class Unit(Protocol):
    """One piece of work; small to send, whole or absent in the store."""

    @property
    def label(self) -> str:
        """Names it in messages."""

    @property
    def n_run(self) -> int:
        """Records it writes."""

    @property
    def shape(self) -> ModelConfig:
        """Units of one shape share compiled code."""

    @property
    def tokens(self) -> int: ...

    @property
    def cost(self) -> float:
        """Relative time, for order and progress."""

    def run(self, execution: Execution, on_tokens: Listener = ...) -> None: ...


@dataclass(frozen=True)
class TrainUnit:
    """Runs of equal shape that train as one stack."""

    specs: tuple[RunSpec, ...]
    corpus_folder: Path
    scale: str
    weights: bool
    """Keep the final weights."""

    @property
    def label(self) -> str:
        more = f" and {len(self.specs) - 1} more" if len(self.specs) > 1 else ""
        return self.specs[0].run_id + more

    @property
    def n_run(self) -> int:
        return len(self.specs)

    @property
    def shape(self) -> ModelConfig:
        return self.specs[0].model

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

    def _train(self, specs, store: RunStore, execution: Execution, on_tokens: Listener) -> None:
        import safetensors.torch
        import torch

        from ieee_lib.training.provenance import provenance
        from ieee_lib.training.train import close_logger, open_logger, train

        corpus = _open(self.corpus_folder, execution)
        logs = paths.root() / "data" / "logs" / self.scale
        logger = open_logger(execution.logger, logs, specs[0].run_id)
        results = train(
            specs,
            corpus,
            accelerator=execution.accelerator,
            compile=execution.compile,
            micro_batch=execution.micro_batch,
            logger=logger,
            on_tokens=on_tokens,
        )
        close_logger(logger)
        for result in results:
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
                "device": result.device,
                "stack": {
                    "size": result.stack_size,
                    "compiled": result.compiled,
                    "threads": torch.get_num_threads(),
                },
                "weights": None,
                **provenance(corpus),
            }
            if self.weights and not result.diverged:
                tensors = {name: tensor.contiguous() for name, tensor in result.weights.items()}
                data = safetensors.torch.save(tensors)
                record["weights"] = store.put_weights(result.spec.run_id, data)
            store.put(record)


@dataclass(frozen=True)
class ScoreUnit:
    """One ensemble, scored on the validation set: every subset, by both averages."""

    ensemble: EnsembleSpec
    corpus_folder: Path
    scale: str

    @property
    def label(self) -> str:
        return f"{self.ensemble.run_id} (ensemble of {len(self.ensemble.members)})"

    @property
    def n_run(self) -> int:
        return 1

    @property
    def shape(self) -> ModelConfig:
        return self.ensemble.members[0].model

    @property
    def tokens(self) -> int:
        return self.ensemble.tokens

    @property
    def cost(self) -> float:
        return self.ensemble.flops

    def run(self, execution: Execution, on_tokens: Listener = lambda tokens: None) -> None:
        """Score the ensemble and write its record; its members must be trained, with weights.

        Members that diverged are left out, and named in the record.
        """
        store = RunStore.of(self.scale)
        with store.locked([self.ensemble.run_id]):
            if store.has(self.ensemble.run_id):
                return
            members = [m.run_id for m in self.ensemble.members]
            records = {i: store.get(i) for i in members}
            for run_id, record in records.items():
                if record is None or not store.has(run_id, weights=True):
                    raise TrainingError(f"ensemble member {run_id} has no weights in the store")
            healthy = [i for i in members if records[i]["status"] == "done"]
            scored = self._score(healthy, store, execution)
            store.put(
                {
                    "kind": "ensemble",
                    "run_id": self.ensemble.run_id,
                    "spec": self.ensemble.to_dict(),
                    "N": records[members[0]]["parameters"]["total"],
                    "status": "done" if healthy else "diverged",
                    "members": healthy,
                    "diverged": [i for i in members if i not in healthy],
                    "tokens": self.tokens,
                    "flops": self.ensemble.flops,
                    **scored,
                }
            )
        on_tokens(self.tokens)

    def _score(self, healthy: list[str], store: RunStore, execution: Execution) -> Record:
        import torch

        from ieee_lib.training.provenance import provenance
        from ieee_lib.training.scoring import load_stack, score_subsets, subsets_of

        corpus = _open(self.corpus_folder, execution)
        on_gpu = torch.cuda.is_available() and execution.accelerator != "cpu"
        device = "cuda" if on_gpu else "cpu"
        start = time.perf_counter()
        subsets = subsets_of(len(healthy)) if healthy else []
        losses = {"logits": [], "probabilities": []}
        if healthy:
            first = self.ensemble.members[0]
            files = [store.weights_path(run_id) for run_id in healthy]
            model = load_stack(first.model, files).to(device)
            ids = torch.from_numpy(corpus.validation(first.val_sequences, first.model.block_size))
            batches = (batch.to(device) for batch in ids.split(first.batch_size))
            with torch.autocast(device, torch.bfloat16, first.precision == "bf16-mixed"):
                losses = score_subsets(model, batches, subsets)
        return {
            "subsets": [list(subset) for subset in subsets],
            "losses": losses,
            "seconds": time.perf_counter() - start,
            "device": device,
            **provenance(corpus),
        }


def _open(folder: Path, execution: Execution):
    import torch

    from ieee_lib.text.corpus import open_corpus

    if execution.threads:
        torch.set_num_threads(execution.threads)
    return open_corpus(folder)
