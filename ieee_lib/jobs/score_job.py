"""One ensemble of trained members, scored on the validation set and recorded (Sec. 4).

ScoreJob(EnsembleSpec(specs), corpus_folder, "laptop").run(execution)
"""

import time
from dataclasses import dataclass
from pathlib import Path

from ieee_lib.config import EnsembleSpec, ModelConfig
from ieee_lib.config.execution import Execution
from ieee_lib.jobs.job import RECORD_BYTES, Listener, device_of, open_for, trained
from ieee_lib.model.memory import memory_of_reading
from ieee_lib.runs.store import Record, RunStore


@dataclass(frozen=True)
class ScoreJob:
    """One ensemble, scored on the validation set: every subset, by both averages."""

    ensemble: EnsembleSpec
    corpus_folder: Path
    scale: str

    @property
    def label(self) -> str:
        return f"{self.ensemble.run_id} (ensemble of {len(self.ensemble.members)})"

    @property
    def specs(self) -> tuple[EnsembleSpec]:
        return (self.ensemble,)

    @property
    def disk_bytes(self) -> int:
        return RECORD_BYTES

    def memory_bytes(self, execution: Execution) -> int:
        members = self.ensemble.members
        return memory_of_reading(
            self.shape,
            n_member=len(members),
            batch=execution.micro_batch or members[0].batch_size,
            precision=members[0].precision,
            on_cpu=execution.accelerator == "cpu",
        ).total

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
            records = trained(store, members, "ensemble member")
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

        from ieee_lib.runs.provenance import provenance
        from ieee_lib.training.scoring import load_stack, score_subsets, subsets_of

        corpus = open_for(self.corpus_folder, execution, self.ensemble.members[0].corpus)
        device = device_of(execution)
        start = time.perf_counter()
        subsets = subsets_of(len(healthy)) if healthy else []
        losses = {"logits": [], "probabilities": []}
        if healthy:
            first = self.ensemble.members[0]
            files = [store.weights_path(run_id) for run_id in healthy]
            model = load_stack(first.model, files).to(device)
            ids = torch.from_numpy(corpus.validation(first.val_sequences, first.model.block_size))
            batches = (
                batch.to(device) for batch in ids.split(execution.micro_batch or first.batch_size)
            )
            with torch.autocast(device, torch.bfloat16, first.precision == "bf16-mixed"):
                losses = score_subsets(model, batches, subsets)
        return {
            "subsets": [list(subset) for subset in subsets],
            "losses": losses,
            "seconds": time.perf_counter() - start,
            "device": device,
            **provenance(corpus),
        }
