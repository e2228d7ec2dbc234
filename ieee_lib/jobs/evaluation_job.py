"""Trained models and their ensembles on a multiple-choice task, and the record (Sec. 7.1).

spec = EvaluationSpec(models=EnsembleSpec(specs), task="continuation", n_item=200)
EvaluationJob(spec, corpus_folder, "laptop").run(execution)
"""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ieee_lib.config import EvaluationSpec, RunSpec
from ieee_lib.config.execution import Execution
from ieee_lib.errors import InputError, check
from ieee_lib.evaluation.probe import PROBE, answer_items, continuation_items
from ieee_lib.evaluation.tasks import digests, fingerprint, open_task, split_of
from ieee_lib.jobs.job import Listener, Models, ModelsJob
from ieee_lib.model.memory import SCORED_REQUESTS
from ieee_lib.runs.store import Record
from ieee_lib.text.corpus import Corpus


@dataclass(frozen=True)
class EvaluationJob(ModelsJob):
    """Evaluate one ensemble on one task: every member alone, and every prefix of two or more.

    Members that diverged are left out, and named in the record.
    """

    spec: EvaluationSpec
    files: Path | None = None
    """Folder of local files with the task's items; None: from the hub."""
    kind, role = "evaluation", "evaluated model"

    @property
    def label(self) -> str:
        """Name the job in messages."""
        return f"{self.spec.run_id} ({len(self.members)} models on {self.spec.task})"

    @property
    def members(self) -> tuple[RunSpec, ...]:
        """Return the models that answer."""
        return self.spec.models.members

    @property
    def tokens(self) -> int:
        """Return the tokens to read, over all members."""
        return self.spec.tokens

    def batch_size(self, execution: Execution) -> int:
        """Return the requests of one forward pass."""
        return SCORED_REQUESTS

    def result(self, models: Models, on_tokens: Listener) -> Record:
        """Return which items each subset answered correctly."""
        subsets = singles_and_prefixes(len(models.healthy))
        answers: Record = {"correct": {}, "tokens": 0}
        if models.healthy:
            answers = self._answers(models.corpus, models.stack(self.shape), subsets)
        tokens = len(models.healthy) * answers["tokens"]
        return {
            **models.named(),
            **answers,
            "subsets": [list(subset) for subset in subsets],
            "tokens": tokens,
            "flops": self.shape.flops_per_token() * tokens / 3,
        }

    def _answers(self, corpus: Corpus, model: Any, subsets: list[tuple[int, ...]]) -> Record:
        from ieee_lib.text.tokenizer import separator_id

        spec = self.spec
        questions = open_questions(spec, corpus, self.files)
        if spec.task == PROBE:
            separator = separator_id(corpus.tokenizer)
            answers = answer_items(questions, model, subsets, separator=separator)
            return {"split": "validation", **answers}
        from ieee_lib.evaluation.harness import StackLM, answer

        return {
            "split": split_of(questions),
            "files": digests(spec.task, self.files) if spec.files and self.files else {},
            "lm_eval": version("lm_eval"),
            **answer(questions, StackLM(model, subsets, corpus.tokenizer), n_item=spec.n_item),
        }


def open_questions(spec: EvaluationSpec, corpus: Corpus, files: Path | None) -> Any:
    """Return the probe's items or lm-eval's task; raises InputError for whatever is wrong."""
    if spec.task == PROBE:
        block_size = spec.models.members[0].model.block_size
        return continuation_items(corpus, block_size=block_size, n_item=spec.n_item)
    if spec.files:
        allowed = f"must be the folder with the local items of {spec.task}"
        if files is None:
            raise InputError("files", files, allowed)
        here = fingerprint(spec.task, files)
        allowed = f"holds items of {spec.task} with fingerprint {here}, not {spec.files}"
        check(here == spec.files, "files", str(files), allowed)
    task = open_task(spec.task, files=files if spec.files else None)
    n = len(task.eval_docs)
    allowed = f"task {spec.task} has {n} items in its {split_of(task)} split"
    check(spec.n_item <= n, "n_item", spec.n_item, allowed)
    return task


def singles_and_prefixes(n_member: int) -> list[tuple[int, ...]]:
    """Return the member subsets that are evaluated: each alone, then prefixes of two and more."""
    singles = [(i,) for i in range(n_member)]
    return singles + [tuple(range(k)) for k in range(2, n_member + 1)]
