"""One ensemble of trained members, scored on the validation set and recorded (Sec. 4).

ScoreJob(EnsembleSpec(specs), corpus_folder, "laptop").run(execution)
"""

from dataclasses import dataclass

from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.jobs.job import Listener, Models, ModelsJob
from ieee_lib.runs.store import Record


@dataclass(frozen=True)
class ScoreJob(ModelsJob):
    """Score one ensemble on the validation set: every subset of members, by both averages.

    A subset whose weights are averaged is one model, so that both averages agree. Members that
    diverged are left out, and named in the record.
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
        """Return the tokens to read, over all members."""
        return self.spec.tokens

    def result(self, models: Models, on_tokens: Listener) -> Record:
        """Return the subsets and their losses (nats/token)."""
        import torch

        from ieee_lib.training.scoring import score_averages, score_subsets, subsets_of

        first = self.members[0]
        subsets: list[tuple[int, ...]] = []
        losses: dict[str, list[float]] = {"logits": [], "probabilities": []}
        if models.healthy:
            subsets = subsets_of(len(models.healthy))
            blocks = models.corpus.validation(first.val_sequences, first.model.block_size)
            batches = torch.from_numpy(blocks).split(models.batch_size)
            on_device = [batch.to(models.device) for batch in batches]
            score = score_averages if self.spec.average == "weights" else score_subsets
            losses = score(models.stack(self.shape), on_device, subsets)
        return {
            **models.named(),
            "subsets": [list(subset) for subset in subsets],
            "losses": losses,
            "tokens": self.tokens,
            "flops": self.spec.flops,
        }
