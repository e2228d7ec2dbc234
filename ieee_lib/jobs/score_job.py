"""One ensemble of trained members, scored on the validation set and recorded (Sec. 4).

ScoreJob(EnsembleSpec(specs), corpus_folder, "laptop").run(execution)
"""

import time
from dataclasses import dataclass

from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.execution import Execution
from ieee_lib.jobs.job import (
    Listener,
    ModelsJob,
    Records,
    device_of,
    healthy_and_diverged,
    open_for,
)
from ieee_lib.model.memory import memory_of_reading
from ieee_lib.runs.store import Record, RunStore


@dataclass(frozen=True)
class ScoreJob(ModelsJob):
    """Score one ensemble on the validation set: every subset of members, by both averages.

    Members that diverged are left out, and named in the record.
    """

    spec: EnsembleSpec
    kind, role = "ensemble", "ensemble member"

    @property
    def label(self) -> str:
        """Name the job in messages."""
        return f"{self.spec.run_id} (ensemble of {len(self.members)})"

    @property
    def members(self) -> tuple[RunSpec, ...]:
        """Return the members of the ensemble."""
        return self.spec.members

    @property
    def tokens(self) -> int:
        """Return the tokens scored, over all members."""
        return self.spec.tokens

    def memory_bytes(self, execution: Execution) -> int:
        """Return about the most device memory that scoring needs."""
        first = self.members[0]
        return memory_of_reading(
            self.shape,
            n_member=len(self.members),
            batch=execution.micro_batch or first.batch_size,
            precision=first.precision,
            on_cpu=execution.accelerator == "cpu",
        ).total

    def result(
        self, records: Records, store: RunStore, execution: Execution, on_tokens: Listener
    ) -> Record:
        """Return the subsets and their losses (nats/token), with what scoring took."""
        import torch

        from ieee_lib.runs.provenance import provenance
        from ieee_lib.training.scoring import load_stack, score_subsets, subsets_of

        members, first = healthy_and_diverged(records), self.members[0]
        corpus = open_for(self.corpus_folder, execution, first.corpus)
        device = device_of(execution)
        start = time.perf_counter()
        subsets: list[tuple[int, ...]] = []
        losses: dict[str, list[float]] = {"logits": [], "probabilities": []}
        if members["members"]:
            subsets = subsets_of(len(members["members"]))
            files = [store.weights_path(run_id) for run_id in members["members"]]
            model = load_stack(first.model, files).to(device)
            ids = torch.from_numpy(corpus.validation(first.val_sequences, first.model.block_size))
            batch_size = execution.micro_batch or first.batch_size
            batches = (batch.to(device) for batch in ids.split(batch_size))
            with torch.autocast(device, torch.bfloat16, first.precision == "bf16-mixed"):
                losses = score_subsets(model, batches, subsets)
        return {
            **members,
            "subsets": [list(subset) for subset in subsets],
            "losses": losses,
            "tokens": self.tokens,
            "flops": self.spec.flops,
            "seconds": time.perf_counter() - start,
            "device": device,
            **provenance(corpus),
        }
