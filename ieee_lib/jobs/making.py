"""Make what has no record yet: train, score, sample, evaluate; or say what is missing.

    maker = Maker(reader, executor, failed={})
    maker.train(specs)                       # afterwards reader.store has a record of each

Each method does nothing for specs that have a record. It raises MissingRuns where some are missing
and the source never trains, and TrainingError where some could not be made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ieee_lib.config import EnsembleSpec, EvaluationSpec, RunSpec, SampleSpec
from ieee_lib.errors import MissingRuns
from ieee_lib.jobs.batch import run_batch, training_jobs
from ieee_lib.jobs.evaluation_job import EvaluationJob, open_questions
from ieee_lib.jobs.executors import Executor
from ieee_lib.jobs.job import Job
from ieee_lib.jobs.sample_job import SampleJob
from ieee_lib.jobs.score_job import ScoreJob
from ieee_lib.runs.reader import Reader
from ieee_lib.runs.stages import WORK, stage
from ieee_lib.runs.store import RunStore
from ieee_lib.text.corpus import open_corpus


@dataclass(frozen=True)
class Maker:
    """Makes the records that a study lacks."""

    reader: Reader
    executor: Executor | None
    """Where jobs run; None where nothing is ever trained."""
    failed: dict[str, str]
    """Run id -> reason: runs that failed before, and are not tried again."""

    def train(self, specs: Sequence[RunSpec], *, weights: bool, label: str) -> None:
        """Train the runs that have no record, or no weights where those are asked for."""
        # Who only reads needs no weights.
        missing = self.reader.missing(specs, weights=weights and self.reader.source == "train")
        if not missing:
            return
        folder, store, executor = self._workplace(missing, len(specs), label)
        execution = self.reader.scale.execution
        jobs = training_jobs(
            missing,
            specs,
            store=store,
            scale=self.reader.scale.name,
            corpus_folder=folder,
            execution=execution,
            n_worker=executor.n_worker,
            weights=weights or execution.keep_weights,
        )
        self._run(jobs, label)

    def score(self, ensembles: Sequence[EnsembleSpec], *, label: str) -> None:
        """Score the ensembles that have no record, training missing members first."""
        missing = self.reader.missing(ensembles)
        if not missing:
            return
        folder, _, _ = self._workplace(missing, len(ensembles), label)
        self.train([m for e in missing for m in e.members], weights=True, label=label)
        jobs = [ScoreJob(ensemble, folder, self.reader.scale.name) for ensemble in missing]
        self._run(jobs, f"{label}, scoring")

    def sample(self, samples: Sequence[SampleSpec], *, label: str) -> None:
        """Write the samples that have no record, training teachers first."""
        with_shards = self.reader.source == "train"  # who only reads needs no shards
        missing = self.reader.missing(samples, weights=with_shards)
        if not missing:
            return
        folder, _, _ = self._workplace(missing, len(samples), label)
        self.train([m for s in missing for m in s.teachers.members], weights=True, label=label)
        self._run([SampleJob(sample, folder, self.reader.scale.name) for sample in missing], label)

    def evaluate(
        self, evaluations: Sequence[EvaluationSpec], *, files: str | Path | None, label: str
    ) -> None:
        """Evaluate what has no record, training missing models first.

        Raises InputError for a task or files that cannot be used before anything is trained.
        """
        missing = self.reader.missing(evaluations)
        if not missing:
            return
        folder, _, _ = self._workplace(missing, len(evaluations), label)
        files = None if files is None else Path(files).expanduser().resolve()
        shapes = {(e.task, e.n_item, e.files, e.models.members[0].model): e for e in missing}
        for evaluation in shapes.values():
            open_questions(evaluation, open_corpus(folder), files)
        self.train([m for e in missing for m in e.models.members], weights=True, label=label)
        jobs = [EvaluationJob(e, folder, self.reader.scale.name, files) for e in missing]
        self._run(jobs, f"{label}, answering")

    def _workplace(
        self, missing: Sequence[Any], n: int, label: str
    ) -> tuple[Path, RunStore, Executor]:
        """Return corpus folder, store and executor; raises MissingRuns where nothing is trained."""
        folder, store = self.reader.corpus_folder, self.reader.store
        if self.reader.source != "train":
            raise _missing_runs(self.reader, missing, n, label)
        assert folder is not None and self.executor is not None and isinstance(store, RunStore)
        return folder, store, self.executor

    def _run(self, jobs: Sequence[Job], label: str) -> None:
        store = self.reader.store
        assert self.executor is not None and isinstance(store, RunStore)
        with stage(WORK):
            run_batch(jobs, label, executor=self.executor, store=store, failed=self.failed)


def _missing_runs(reader: Reader, missing: Sequence[Any], n: int, label: str) -> MissingRuns:
    """Return the error that names how to train what is missing, and which runs failed before."""
    failures = reader.store.failures() if isinstance(reader.store, RunStore) else []
    ids = {spec.run_id for spec in missing}
    tried = [f"\n  {f['run_id']}: {f['why']}" for f in failures if f["run_id"] in ids]
    name = reader.scale.name
    allowed = (
        f"{len(missing)} of {n} runs for '{label}' are not recorded; train them with source = "
        f"'train' (runs of the book: `python -m ieee_lib reproduce --scale {name}`)"
    )
    if tried:
        allowed += "; could not be made:" + "".join(tried)
    return MissingRuns("source", reader.source, allowed)
