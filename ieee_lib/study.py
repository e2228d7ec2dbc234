"""A study: one scale on one corpus, with its records. What every notebook opens first.

    study = Study.open("laptop")
    runs = study.ensure([study.spec("0.14M", wd=0.8, lr=3e-3, epochs=16, seed=s) for s in range(3)])

`source` says where runs come from: `train` trains what is missing, `records` takes what was
trained here and never trains, `archive` takes the recorded book that ships with the project.
"""

import atexit
import math
import platform
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from ieee_lib import paths
from ieee_lib.book.stages import PREPARE, WORK, stage
from ieee_lib.config import EnsembleSpec, EvaluationSpec, RunSpec, SampleSpec
from ieee_lib.config.scale import Scale
from ieee_lib.errors import MissingRuns, TrainingError, check, check_choice
from ieee_lib.files import check_free_space
from ieee_lib.jobs.evaluation_job import EvaluationJob, open_questions
from ieee_lib.jobs.executors import Executor, Failure, open_executor, visible_gpus
from ieee_lib.jobs.job import Unit
from ieee_lib.jobs.sample_job import SampleJob
from ieee_lib.jobs.score_job import ScoreJob
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.runs.frames import (
    curves_frame,
    evaluations_frame,
    mean_curve,
    runs_frame,
    subsets_frame,
)
from ieee_lib.runs.provenance import versions_of
from ieee_lib.runs.store import Archive, RunStore
from ieee_lib.text.corpus import folder_of, is_packed, open_corpus

UNPREPARED = "0" * 16
"""Stands for the fingerprint of a text that was never packed here, so none of its runs is done."""

T = TypeVar("T")

CONTEXTS = ("paper", "talk")
GROUNDS = ("white", "transparent", "dark")
SOURCES = ("train", "records", "archive")


@dataclass
class Study:
    """A scale opened on a corpus."""

    scale: Scale
    source: str
    store: RunStore | Archive
    fingerprint: str
    """Fingerprint of the corpus; part of every run's spec."""
    corpus_folder: Path | None
    """Where the packed corpus lies; None where only records are read."""
    context: str = "paper"
    """Size of figures: paper or talk."""
    ground: str = "white"
    """What figures are drawn on: white, transparent or dark."""
    touched: set[str] | None = None
    """Run ids of the records read so far, where asked for (`reading`)."""
    given_up: dict[str, str] = field(default_factory=dict)
    """Run id -> why: what could not be made since the study was opened, and is not tried again."""
    known: dict[Any, tuple[Any, set[str]]] = field(default_factory=dict)
    """What was asked before (`once`), with the run ids that it was read from."""
    executor: Executor | None = None
    """Where units run; None where nothing is ever trained. Its workers start when needed."""

    def __post_init__(self) -> None:
        if self.source == "train" and self.executor is None:
            self.executor = open_executor(self.scale.execution)
            atexit.register(self.executor.close)

    @classmethod
    def open(
        cls,
        scale: str | Scale = "laptop",
        *,
        corpus: str = "",
        source: str = "train",
        context: str = "paper",
        ground: str = "white",
    ) -> "Study":
        """Open a scale; `corpus` replaces the scale's own text source.

        Raises InputError for an unknown scale, corpus, source, context or ground, for a corpus
        shorter than the scale's largest D, and for a GPU scale where there is no GPU to train on.
        """
        scale = scale if isinstance(scale, Scale) else Scale.load(scale)
        check_choice("source", source, SOURCES)
        check_choice("context", context, CONTEXTS)
        check_choice("ground", ground, GROUNDS)
        look = {"context": context, "ground": ground}
        if corpus:
            scale = scale.on(corpus)
        if source == "archive":
            check(not corpus, "corpus", corpus, "recorded runs have their own; leave it empty")
            archive = Archive.of(scale.name)
            own = _fingerprint_of(archive, scale) or _fingerprint_of(archive)
            return cls(scale, source, archive, own, None, **look)
        if source == "records" and not is_packed(scale.corpus):  # records may come from elsewhere
            store = RunStore.of(scale.name)
            own = _fingerprint_of(store, scale)
            if corpus and not own:
                folder_of(scale.corpus)  # a name that matches no file is the nearer fault
            allowed = f"nothing was trained here at scale {scale.name}; run "
            allowed += f"`python -m ieee_lib reproduce --scale {scale.name}` first"
            check(bool(own), "source", source, allowed)
            return cls(scale, source, store, own, None, **look)
        if source != "records":
            elsewhere = bool(scale.execution.ray_address)
            check(
                scale.execution.accelerator != "gpu" or elsewhere or bool(visible_gpus()),
                "scale",
                scale.name,
                "trains on a GPU and none is visible; smoke, laptop and workstation train on a CPU",
            )
        study = cls(scale, source, RunStore.of(scale.name), UNPREPARED, None, **look)
        return study.beside(scale)

    def beside(self, scale: Scale) -> "Study":
        """Return a study of another text or D, with the same records, source and workers.

        Where its text was never packed here, or is not here, and nothing is to be trained, none of
        its runs are recorded. Raises InputError for a text shorter than the scale's largest D.
        """
        if self.source == "archive":
            found = (r["corpus"] for r in self.store.records())
            known = {about["source"]: about["fingerprint"] for about in found}
            # A text that no record names may be the scale's own: cut short, two can be one.
            fingerprint = known.get(scale.corpus.source, self.fingerprint)
            return replace(self, scale=scale, fingerprint=fingerprint, known={})
        if self.source != "train" and not is_packed(scale.corpus):
            return replace(self, scale=scale, fingerprint=UNPREPARED, corpus_folder=None, known={})
        folder = folder_of(scale.corpus)
        if self.source == "train":
            from ieee_lib.text.packing import prepare

            with stage(PREPARE):
                packed = prepare(scale.corpus, _say)
            packed.check_length(
                seed_tokens=max(scale.seed_tokens),
                val_sequences=scale.training.val_sequences,
                block_size=scale.training.block_size,
            )
        else:
            packed = open_corpus(folder)
        fingerprint = packed.fingerprint
        return replace(self, scale=scale, fingerprint=fingerprint, corpus_folder=folder, known={})

    def spec(self, model: str, **fields: Any) -> RunSpec:
        """Return a run of this study's corpus; see `Scale.spec`."""
        return self.scale.spec(model, corpus=self.fingerprint, **fields)

    def missing(self, specs: Iterable[RunSpec], *, weights: bool = False) -> list[RunSpec]:
        """Return the runs that have no record yet, each once."""
        unique = {spec.run_id: spec for spec in specs}
        return [s for i, s in unique.items() if not self.store.has(i, weights=weights)]

    def ensure(
        self, specs: Iterable[RunSpec], *, weights: bool = False, label: str = "training"
    ) -> pd.DataFrame:
        """Train what is missing and return one row a run, in the order asked for.

        `weights` also asks for the final parameters. Raises InputError where runs are missing
        and the source never trains, TrainingError where some could not be trained.
        """
        specs = list(specs)
        # Who only reads needs no weights.
        if missing := self.missing(specs, weights=weights and self.source == "train"):
            self._check_may_train(missing, len(specs), label)
            kept = weights or self.scale.execution.keep_weights
            self._run(self._units(missing, specs, kept), label)
        return self.label(runs_frame(self._records(specs)))

    def score(
        self, ensembles: Iterable[EnsembleSpec], *, label: str = "scoring ensembles"
    ) -> pd.DataFrame:
        """Score ensembles, training missing members first; one row a member subset.

        Columns as in `frame.subsets_frame`. Raises as `ensure` does.
        """
        ensembles = list({e.run_id: e for e in ensembles}.values())
        missing = [e for e in ensembles if not self.store.has(e.run_id)]
        if missing:
            self._check_may_train(missing, len(ensembles), label)
            self.ensure([m for e in missing for m in e.members], weights=True, label=label)
            at = (self.corpus_folder, self.scale.name)
            self._run([ScoreJob(ensemble, *at) for ensemble in missing], f"{label}, scoring")
        return self.label(subsets_frame(self._records(ensembles)))

    def sample(self, samples: Iterable[SampleSpec], *, label: str = "sampling") -> list[str]:
        """Write the samples that are missing, training teachers first; return their run ids.

        Raises as `ensure` does.
        """
        samples = list({s.run_id: s for s in samples}.values())
        kept = self.source == "train"  # who only reads needs no shards
        missing = [s for s in samples if not self.store.has(s.run_id, weights=kept)]
        if missing:
            self._check_may_train(missing, len(samples), label)
            teachers = [m for s in missing for m in s.teachers.members]
            self.ensure(teachers, weights=True, label=label)
            at = (self.corpus_folder, self.scale.name)
            self._run([SampleJob(sample, *at) for sample in missing], label)
        self._records(samples)
        return [s.run_id for s in samples]

    def evaluate(
        self,
        evaluations: Iterable[EvaluationSpec],
        *,
        files: str | Path | None = None,
        label: str = "evaluating",
    ) -> pd.DataFrame:
        """Evaluate models on multiple-choice tasks, training missing ones first.

        One row a member subset, columns as in `frame.evaluations_frame`. `files` is the folder of
        the local items that some evaluations ask for. Raises as `ensure` does, and InputError for
        a task or files that cannot be used before anything is trained.
        """
        evaluations = list({e.run_id: e for e in evaluations}.values())
        missing = [e for e in evaluations if not self.store.has(e.run_id)]
        if missing:
            self._check_may_train(missing, len(evaluations), label)
            files = None if files is None else Path(files).expanduser().resolve()
            corpus = open_corpus(self.corpus_folder)
            shapes = {(e.task, e.n_item, e.files, e.models.members[0].model): e for e in missing}
            for evaluation in shapes.values():
                open_questions(evaluation, corpus, files)
            self.ensure([m for e in missing for m in e.models.members], weights=True, label=label)
            at = (self.corpus_folder, self.scale.name, files)
            units = [EvaluationJob(evaluation, *at) for evaluation in missing]
            self._run(units, f"{label}, answering")
        return self.label(evaluations_frame(self._records(evaluations)))

    def curves(self, specs: Iterable[RunSpec]) -> pd.DataFrame:
        """Return the loss curves of recorded runs, one row an evaluation."""
        return curves_frame(self._records(specs))

    def mean_curves(self, runs: pd.DataFrame, by: str) -> dict[Any, pd.DataFrame]:
        """Return the loss curve of each value of a setting, mean over seeds; see `mean_curve`."""
        return {
            value: mean_curve(curves_frame(self.store.get(run_id) for run_id in group.run_id))
            for value, group in runs.groupby(by)
        }

    def runs(self) -> pd.DataFrame:
        """Return every recorded training run of this scale and corpus."""
        frame = runs_frame(self.store.records())
        return self.label(frame[frame.corpus == self.fingerprint])

    def label(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add the column `model`: the scale's name for a shape, empty for a foreign one."""
        names = {m.count().total: name for name, m in self.scale.models.items()}
        return frame.assign(model=[names.get(n, "") for n in frame.N])

    def caption(self, n_point: int, *notes: str, seeds: int = 0, ladder: Sequence[int] = ()) -> str:
        """Return a figure's caption line: scale, corpus, D (base or ladder), seeds, points."""
        data = ", ".join(f"{d:,}" for d in ladder or [self.scale.base_tokens])
        n_seed = seeds or self.scale.seeds
        elsewhere = f" ({self.scale.ladder_seeds} off the base D)" if ladder else ""
        parts = [
            f"{self.scale.name} scale",
            self.scale.corpus.source,
            f"D = {data} tokens",
            f"{n_seed} seed{'s' * (n_seed > 1)} a point{elsewhere}",
            f"{n_point} points",
            *notes,
        ]
        if not self.scale.evidence:
            parts.append(f"{self.scale.name}: proves nothing")
        return " · ".join(parts)

    def __str__(self) -> str:
        n_run = sum(1 for _ in self.store.records())
        corpus = f"{self.scale.corpus.source} ({self.fingerprint})"
        return f"{self.scale.name} scale on {corpus}, {n_run} records from {self.source}"

    def corpus_table(self) -> pd.DataFrame:
        """Return what the packed corpus holds: documents and tokens by split, vocabulary."""
        if self.corpus_folder is not None:
            manifest = open_corpus(self.corpus_folder).manifest
            about = {**manifest["config"], **manifest}
        else:
            found = (record["corpus"] for record in self.store.records())
            about = next(about for about in found if about["fingerprint"] == self.fingerprint)
        rows = {
            "source": about["source"],
            "credits": about.get("credits", ""),
            "training documents": about["documents"]["train"],
            "validation documents": about["documents"]["val"],
            "exact duplicates dropped": about["documents"]["duplicates"],
            "training tokens": about["tokens"]["train"],
            "validation tokens": about["tokens"]["val"],
            "vocabulary": about["vocab_size"],
            "fingerprint": about["fingerprint"],
        }
        return pd.DataFrame({"corpus": rows})

    def versions(self) -> pd.DataFrame:
        """Return the versions of what made the recorded runs, and of what reads them here."""
        here = {"python": platform.python_version()}
        here |= versions_of(("ieee_lib", "torch", "lightning", "numpy", "lmfit"))
        recorded = next(iter(self.store.records()), {}).get("versions", {})
        return pd.DataFrame({"here": here, "recorded runs": recorded}).fillna("")

    @property
    def look(self) -> tuple[str, str]:
        """How figures are drawn: their context and ground."""
        return self.context, self.ground

    def figures_folder(self) -> Path:
        """Return where figures go; those drawn from the archive are the recorded ones."""
        name = f"recorded/{self.scale.name}" if self.source == "archive" else self.scale.name
        look = [self.context] * (self.context != "paper") + [self.ground] * (self.ground != "white")
        return paths.figures("/".join([name, *look]))

    def reading(self) -> "Study":
        """Return the same study as one that never trains; it also notes which records it reads."""
        source = "records" if self.source == "train" else self.source
        return replace(self, source=source, executor=None, touched=set())

    @property
    def takes_what_is_there(self) -> bool:
        """Whether a search counts without its neighbours: a plan trains them last, if at all."""
        return self.scale.search.optional

    def once(self, question: Hashable, answer: Callable[["Study"], T]) -> T:
        """Return an answer that rests on records, which never change: so it is found once.

        Not where more may be used as it comes (`takes_what_is_there`).
        """
        if self.takes_what_is_there:
            return answer(self)
        if question not in self.known:
            asked = replace(self, touched=set())
            self.known[question] = answer(asked), asked.touched
        found, run_ids = self.known[question]
        if self.touched is not None:
            self.touched |= run_ids
        return found

    def close(self) -> None:
        """End the worker processes, if any were started."""
        if self.executor is not None:
            self.executor.close()

    def _check_may_train(self, missing: Sequence[Any], n: int, label: str) -> None:
        if self.source == "train":
            return
        allowed = f"{len(missing)} of {n} runs for '{label}' are not recorded; train them with "
        failures = self.store.failures() if isinstance(self.store, RunStore) else []
        ids = {spec.run_id for spec in missing}
        tried = [f"\n  {f['run_id']}: {f['why']}" for f in failures if f["run_id"] in ids]
        allowed += f"`python -m ieee_lib reproduce --scale {self.scale.name}`, or source = 'train' "
        allowed += "in a notebook" + "; could not be made:" * bool(tried) + "".join(tried)
        raise MissingRuns("source", self.source, allowed)

    def _records(
        self, specs: Iterable[RunSpec | EnsembleSpec | SampleSpec | EvaluationSpec]
    ) -> list[dict[str, Any]]:
        records = [r for r in (self.store.get(spec.run_id) for spec in specs) if r is not None]
        if self.touched is not None:
            self.touched |= {record["run_id"] for record in records}
        return records

    def _units(self, missing: list[RunSpec], asked: list[RunSpec], weights: bool) -> list[TrainJob]:
        """Return the stacks to train, costliest first; those begun before keep their members."""
        largest, at = self.scale.execution.stack, (self.corpus_folder, self.scale.name)
        left, units = {spec.run_id: spec for spec in missing}, []
        asked_ids, missing_ids = {spec.run_id for spec in asked}, set(left)
        for stack in self.store.begun():
            together = {spec.run_id for spec in stack}
            known = together <= asked_ids and len(stack) <= largest
            if known and set() < together & missing_ids <= set(left):
                units.append(TrainJob(stack, *at, weights, begun=True))
                left = {run_id: spec for run_id, spec in left.items() if run_id not in together}
        for stack in into_stacks(list(left.values()), largest, self.executor.n_worker):
            self.store.begin(stack)
            units.append(TrainJob(tuple(stack), *at, weights))
        return sorted(units, key=lambda unit: -unit.cost)

    def _run(self, units: Sequence[Unit], label: str) -> None:
        from ieee_lib.jobs.progress import Progress

        check_free_space(self.store.records_folder, sum(unit.disk_bytes for unit in units))
        again = {unit: why for unit in units if (why := self._why_not(unit))}
        progress = Progress(label, units)
        try:
            with stage(WORK):
                failures = self.executor.run([u for u in units if u not in again], progress)
        except BaseException:
            self.close()
            raise
        finally:
            progress.close()
        failures += [Failure(u, why) for u, why in again.items()]
        for failure in failures:
            for spec in failure.unit.specs:
                self.given_up[spec.run_id] = failure.why
                self.store.put_failure(spec, failure.why)
        if failures:
            n = sum(len(failure.unit.specs) for failure in failures)
            n_all = sum(len(unit.specs) for unit in units)
            lines = "\n  ".join(map(str, failures))
            raise TrainingError(
                f"{n} of {n_all} runs to make for '{label}' could not be made, so nothing is drawn "
                f"from them; the same command tries them again:\n  {lines}"
            )

    def _why_not(self, unit: Unit) -> str:
        """Return why a unit was given up before, or nothing."""
        return next((w for s in unit.specs if (w := self.given_up.get(s.run_id))), "")


def into_stacks(specs: list[RunSpec], largest: int, n_worker: int) -> list[list[RunSpec]]:
    """Group runs of equal shape into stacks, costliest first, split so that no worker idles."""
    groups: dict[str, list[RunSpec]] = {}
    for spec in specs:
        groups.setdefault(spec.stack_key, []).append(spec)
    fair_share = max(1.0, sum(spec.cost for spec in specs) / n_worker)
    stacks = []
    for group in groups.values():
        cost = sum(spec.cost for spec in group)
        by_cost = math.ceil(cost / fair_share - 1e-9)
        n_stack = min(len(group), max(math.ceil(len(group) / largest), by_cost))
        stacks += [group[i::n_stack] for i in range(n_stack)]
    return sorted(stacks, key=lambda stack: -sum(spec.cost for spec in stack))


def _fingerprint_of(store: RunStore | Archive, scale: Scale | None = None) -> str:
    """Return the text of most records (those of the scale's source), empty without any."""
    about = (record["corpus"] for record in store.records())
    own = (a["fingerprint"] for a in about if scale is None or a["source"] == scale.corpus.source)
    return max(Counter(own).items(), key=lambda text: text[1], default=("", 0))[0]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
