"""Trained models and their ensembles on a multiple-choice task, and the record (Sec. 7.1).

spec = EvaluationSpec(models=EnsembleSpec(specs), task="continuation", n_item=200)
EvaluationJob(spec, corpus_folder, "laptop").run(execution)
"""

import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ieee_lib.config import EvaluationSpec, ModelConfig
from ieee_lib.config.execution import Execution
from ieee_lib.errors import check
from ieee_lib.evaluation.probe import PROBE, answer_items, continuation_items
from ieee_lib.evaluation.tasks import digests, fingerprint, open_task, split_of
from ieee_lib.jobs.job import RECORD_BYTES, Listener, device_of, open_for, trained
from ieee_lib.model.memory import SCORED_REQUESTS, memory_of_reading
from ieee_lib.runs.store import Record, RunStore
from ieee_lib.text.corpus import Corpus


@dataclass(frozen=True)
class EvaluationJob:
    """One ensemble on one task: every member alone, and every prefix of two or more."""

    evaluation: EvaluationSpec
    corpus_folder: Path
    scale: str
    files: Path | None = None
    """Folder of local files with the task's items; None: from the hub."""

    @property
    def label(self) -> str:
        n_model = len(self.evaluation.models.members)
        return f"{self.evaluation.run_id} ({n_model} models on {self.evaluation.task})"

    @property
    def specs(self) -> tuple[EvaluationSpec]:
        return (self.evaluation,)

    @property
    def disk_bytes(self) -> int:
        return RECORD_BYTES

    def memory_bytes(self, execution: Execution) -> int:
        members = self.evaluation.models.members
        return memory_of_reading(
            self.shape,
            n_member=len(members),
            batch=SCORED_REQUESTS,
            precision=members[0].precision,
            on_cpu=execution.accelerator == "cpu",
        ).total

    @property
    def shape(self) -> ModelConfig:
        return self.evaluation.models.members[0].model

    @property
    def tokens(self) -> int:
        return self.evaluation.tokens

    @property
    def cost(self) -> float:
        return self.evaluation.flops

    def run(self, execution: Execution, on_tokens: Listener = lambda tokens: None) -> None:
        """Evaluate and write the record; the members must be trained, with weights.

        Members that diverged are left out, and named in the record.
        """
        store, spec = RunStore.of(self.scale), self.evaluation
        with store.locked([spec.run_id]):
            if store.has(spec.run_id):
                return
            members = [m.run_id for m in spec.models.members]
            records = trained(store, members, "evaluated model")
            healthy = [i for i in members if records[i]["status"] == "done"]
            store.put(
                {
                    "kind": "evaluation",
                    "run_id": spec.run_id,
                    "spec": spec.to_dict(),
                    "N": records[members[0]]["parameters"]["total"],
                    "status": "done" if healthy else "diverged",
                    "members": healthy,
                    "diverged": [i for i in members if i not in healthy],
                    **self._evaluate(healthy, store, execution),
                }
            )
        on_tokens(self.tokens)

    def _evaluate(self, healthy: list[str], store: RunStore, execution: Execution) -> Record:
        import torch

        from ieee_lib.runs.provenance import provenance
        from ieee_lib.training.scoring import load_stack

        first = self.evaluation.models.members[0]
        corpus = open_for(self.corpus_folder, execution, first.corpus)
        device = device_of(execution)
        start = time.perf_counter()
        subsets = singles_and_prefixes(len(healthy))
        answers = {"correct": {}, "tokens": 0}
        if healthy:
            files = [store.weights_path(run_id) for run_id in healthy]
            model = load_stack(first.model, files).to(device)
            with torch.autocast(device, torch.bfloat16, first.precision == "bf16-mixed"):
                answers = self._answers(corpus, model, subsets)
        tokens = len(healthy) * answers["tokens"]
        return {
            "subsets": [list(subset) for subset in subsets],
            **answers,
            "tokens": tokens,
            "flops": first.model.flops_per_token() * tokens / 3,
            "seconds": time.perf_counter() - start,
            "device": device,
            **provenance(corpus),
        }

    def _answers(self, corpus: Corpus, model, subsets: list[tuple[int, ...]]) -> Record:
        from ieee_lib.text.tokenizer import separator_id

        spec = self.evaluation
        asked = open_questions(spec, corpus, self.files)
        if spec.task == PROBE:
            separator = separator_id(corpus.tokenizer)
            answers = answer_items(asked, model, subsets, separator=separator)
            return {"split": "validation", **answers}
        from ieee_lib.evaluation.harness import StackLM, answer

        return {
            "split": split_of(asked),
            "files": digests(spec.task, self.files) if spec.files else {},
            "lm_eval": version("lm_eval"),
            **answer(asked, StackLM(model, subsets, corpus.tokenizer), n_item=spec.n_item),
        }


def open_questions(spec: EvaluationSpec, corpus: Corpus, files: Path | None):
    """Return the probe's items or lm-eval's task; raises InputError for whatever is wrong."""
    if spec.task == PROBE:
        block_size = spec.models.members[0].model.block_size
        return continuation_items(corpus, block_size=block_size, n_item=spec.n_item)
    if spec.files:
        allowed = f"must be the folder with the local items of {spec.task}"
        check(files is not None, "files", files, allowed)
        found = fingerprint(spec.task, files)
        allowed = f"holds items of {spec.task} with fingerprint {found}, not {spec.files}"
        check(found == spec.files, "files", str(files), allowed)
    task = open_task(spec.task, files=files if spec.files else None)
    n = len(task.eval_docs)
    allowed = f"task {spec.task} has {n} items in its {split_of(task)} split"
    check(spec.n_item <= n, "n_item", spec.n_item, allowed)
    return task


def singles_and_prefixes(n_member: int) -> list[tuple[int, ...]]:
    """Return the member subsets that are evaluated: each alone, then prefixes of two and more."""
    singles = [(i,) for i in range(n_member)]
    return singles + [tuple(range(k)) for k in range(2, n_member + 1)]
