"""A study: one scale on one corpus, with its records. What every notebook opens first.

    study = Study.open("laptop")
    runs = study.ensure([study.spec("0.14M", wd=0.8, lr=3e-3, epochs=16, seed=s) for s in range(3)])

`source` says where runs come from: `train` trains what is missing, `records` takes what was
trained here and never trains, `archive` takes the recorded book that ships with the project, and
`auto` takes the archive where the scale has one and the text is its own, else it trains.
"""

import atexit
import math
import platform
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from matplotlib.figure import Figure

from ieee_lib import paths
from ieee_lib.config import EnsembleSpec, EvaluationSpec, RunSpec, SampleSpec
from ieee_lib.config.scale import Scale
from ieee_lib.errors import MissingRuns, TrainingError, check, check_choice
from ieee_lib.files import check_room
from ieee_lib.jobs.evaluation_job import EvaluationJob, open_questions
from ieee_lib.jobs.executors import Executor, Failure, open_executor, shared_failures, visible_gpus
from ieee_lib.jobs.job import Unit
from ieee_lib.jobs.sample_job import SampleJob
from ieee_lib.jobs.score_job import ScoreJob
from ieee_lib.jobs.stages import PREPARE, WORK, stage
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.plots.saving import SavedFigure, Table, caption, save_figure, save_table
from ieee_lib.plots.style import folder_name
from ieee_lib.runs.frames import (
    curves_frame,
    evaluations_frame,
    mean_curve,
    runs_frame,
    subsets_frame,
)
from ieee_lib.runs.provenance import versions_of
from ieee_lib.runs.store import Archive, RunStore
from ieee_lib.runs.trace import Trace
from ieee_lib.text.corpus import open_corpus, prepare

UNPREPARED = "0" * 16
"""Stands for the fingerprint of a text that was never packed here, so none of its runs is done."""

T = TypeVar("T")

SOURCES = ("auto", "train", "records", "archive")


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
    trace: Trace = field(default_factory=Trace.begin)
    """The records read so far, and what was worked out from them."""
    saved: dict[str, SavedFigure | Table] = field(default_factory=dict)
    """Figures and tables saved so far, by name."""
    given_up: dict[str, str] = field(default_factory=shared_failures)
    """Run id -> why: what could not be made since the study was opened, and is not tried again."""
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
    ) -> "Study":
        """Open a scale; `corpus` replaces the scale's own text source.

        Raises InputError for an unknown scale, corpus or source, for a corpus shorter than the
        scale's largest D, and for a GPU scale where there is no GPU to train on.
        """
        scale = scale if isinstance(scale, Scale) else Scale.load(scale)
        check_choice("source", source, SOURCES)
        if source == "auto":
            has_archive = paths.archive(scale.name).is_file()
            source = "archive" if has_archive and not corpus else "train"
        if corpus:
            scale = scale.on(corpus)
        if source == "archive":
            check(not corpus, "corpus", corpus, "recorded runs have their own; leave it empty")
            archive = Archive.of(scale.name)
            own = _fingerprint_of(archive, scale) or _fingerprint_of(archive)
            return cls(scale, source, archive, own, None)
        if source == "records" and not scale.corpus.is_here():  # records may come from elsewhere
            store = RunStore.of(scale.name)
            own = _fingerprint_of(store, scale)
            if corpus and not own:
                scale.corpus.folder()  # a name that matches no file is the nearer fault
            allowed = f"nothing was trained here at scale {scale.name}; run "
            allowed += f"`python -m ieee_lib reproduce --scale {scale.name}` first"
            check(bool(own), "source", source, allowed)
            return cls(scale, source, store, own, None)
        if source != "records":
            elsewhere = bool(scale.execution.ray_address)
            check(
                scale.execution.accelerator != "gpu" or elsewhere or bool(visible_gpus()),
                "scale",
                scale.name,
                "trains on a GPU and none is visible; smoke, laptop and workstation train on a CPU",
            )
        study = cls(scale, source, RunStore.of(scale.name), UNPREPARED, None)
        return replace(study.beside(scale), trace=Trace.begin())

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
            return replace(self, scale=scale, fingerprint=fingerprint, trace=Trace())
        if self.source != "train" and not scale.corpus.is_here():
            return replace(
                self, scale=scale, fingerprint=UNPREPARED, corpus_folder=None, trace=Trace()
            )
        folder = scale.corpus.folder()
        if self.source == "train":
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
        return replace(
            self, scale=scale, fingerprint=fingerprint, corpus_folder=folder, trace=Trace()
        )

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

    def curves(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Return the loss curves of the runs of a frame (`run_id` or `run_ids`), a row a point."""
        ids = runs["run_id"] if "run_id" in runs else [i for ids in runs["run_ids"] for i in ids]
        return curves_frame(self._recorded(ids))

    def mean_curves(self, runs: pd.DataFrame, by: str) -> dict[Any, pd.DataFrame]:
        """Return the loss curve of each value of a setting, mean over seeds."""
        return {value: mean_curve(self.curves(group)) for value, group in runs.groupby(by)}

    def runs(self) -> pd.DataFrame:
        """Return every recorded training run of this scale and corpus."""
        frame = runs_frame(self.store.records())
        return self.label(frame[frame.corpus == self.fingerprint])

    def label(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add the column `model`: the scale's name for a shape, empty for a foreign one."""
        names = {m.count().total: name for name, m in self.scale.models.items()}
        return frame.assign(model=[names.get(n, "") for n in frame.N])

    def caption(self, n_point: int, *notes: str, seeds: int = 0, ladder: Sequence[int] = ()) -> str:
        """Return a figure's caption line: scale, corpus, D (base or several), seeds, points."""
        return caption(self.scale, n_point, *notes, seeds=seeds, ladder=ladder)

    def save(
        self,
        item: Figure | pd.DataFrame,
        name: str,
        *,
        caption: str,
        data: Mapping[str, Any] | None = None,
        digits: Mapping[str, int] | None = None,
        equations: Sequence[str] = (),
    ) -> SavedFigure | Table:
        """Write a figure with its numbers, or a frame as a table, below figures/; return it.

        `data` names everything that a figure shows: frames, laws, estimates. `digits` and
        `equations` are a table's decimals and what stands above it.
        """
        folder = self.figures_folder()
        if isinstance(item, Figure):
            self.saved[name] = save_figure(item, folder, name, data=data or {}, caption=caption)
        else:
            self.saved[name] = save_table(
                item, folder, name, caption=caption, digits=digits, equations=equations
            )
        return self.saved[name]

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

    def figures_folder(self) -> Path:
        """Return where figures go; those drawn from the archive are the recorded ones."""
        name = f"recorded/{self.scale.name}" if self.source == "archive" else self.scale.name
        return paths.figures(folder_name(name))

    def reading(self) -> "Study":
        """Return the same study as one that never trains, with a trace of its own."""
        source = "records" if self.source == "train" else self.source
        return replace(self, source=source, executor=None, trace=Trace(), saved={})

    @property
    def allow_unsearched(self) -> bool:
        """Say whether a search counts without its neighbours: a plan trains them last, if at all."""
        return self.scale.search.optional

    def cached(self, question: Hashable, answer: Callable[["Study"], T]) -> T:
        """Return an answer that rests on records, worked out once: records never change.

        Where an unsearched point may stand for a searched one, only an archive never changes.
        """
        if self.allow_unsearched and self.source != "archive":
            return answer(self)
        key = (self.scale.name, self.source, self.fingerprint, question)
        return self.trace.cached(key, lambda: answer(self))

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
        return self._recorded(spec.run_id for spec in specs)

    def _recorded(self, run_ids: Iterable[str]) -> list[dict[str, Any]]:
        records = [r for r in map(self.store.get, run_ids) if r is not None]
        self.trace.read(records)
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

        check_room(self.store.records_folder, sum(unit.disk_bytes for unit in units))
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
