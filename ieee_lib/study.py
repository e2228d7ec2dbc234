"""A study: one scale on one corpus, with its records. What every notebook opens first.

    study = Study.open("laptop")
    runs = study.ensure([study.spec("0.14M", wd=0.8, lr=3e-3, epochs=16, seed=s) for s in range(3)])

`source` says where runs come from: `train` trains what is missing, `records` takes what was
trained here and never trains, `archive` takes the recorded book that ships with the project, and
`auto` takes the archive where the scale has one and the text is its own, else it trains.
"""

import atexit
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ieee_lib import paths
from ieee_lib.config import EnsembleSpec, EvaluationSpec, RunSpec, SampleSpec
from ieee_lib.config.scale import Scale
from ieee_lib.errors import check
from ieee_lib.jobs.executors import Executor, open_executor, shared_failures
from ieee_lib.jobs.machine import visible_gpus
from ieee_lib.jobs.making import Maker
from ieee_lib.plots import saving
from ieee_lib.plots.style import folder_name
from ieee_lib.runs import frames, reader
from ieee_lib.runs.store import Record
from ieee_lib.runs.trace import Trace


@dataclass(repr=False)
class Study(reader.Reader):
    """A scale opened on a corpus: what it has recorded, trained where it is missing."""

    saved: dict[str, saving.SavedFigure | saving.Table] = field(default_factory=dict)
    """Figures and tables saved so far, by name."""
    failed: dict[str, str] = field(default_factory=shared_failures)
    """Run id -> reason: runs that failed since the study was opened, and are not tried again."""
    executor: Executor | None = None
    """Where jobs run; None where nothing is ever trained. Its workers start when needed."""

    def __post_init__(self) -> None:
        if self.source == "train" and self.executor is None:
            self.executor = open_executor(self.scale.execution)
            atexit.register(self.executor.close)

    @classmethod
    def open(
        cls, scale: str | Scale = "laptop", *, corpus: str = "", source: str = "train"
    ) -> "Study":
        """Open a scale; `corpus` replaces its text or options of it: "files:a.txt --split line".

        Raises InputError for an unknown scale, corpus or source, for a corpus shorter than the
        scale's largest D, and for a GPU scale where there is no GPU to train on.
        """
        scale = scale if isinstance(scale, Scale) else Scale.load(scale)
        on_gpu = scale.execution.accelerator == "gpu" and not scale.execution.ray_address
        check(
            reader.source_of(scale, corpus, source) != "train"
            or not on_gpu
            or bool(visible_gpus()),
            "scale",
            scale.name,
            "trains on a GPU and none is visible; smoke, laptop and workstation train on a CPU",
        )
        return cls(**vars(reader.open_reader(scale, corpus=corpus, source=source)))

    def beside(self, scale: Scale) -> "Study":
        """Return a study of another text or D, with the same records, source and workers.

        Raises InputError for a text shorter than the scale's largest D.
        """
        return replace(self, **vars(reader.open_text(scale, self)))

    def reading(self) -> "Study":
        """Return the same study as one that never trains, with a trace of its own."""
        source = "records" if self.source == "train" else self.source
        trace = Trace(answers=self.trace.answers)  # which name the source that they rest on
        return replace(self, source=source, executor=None, trace=trace, saved={})

    def spec(self, model: str, **fields: Any) -> RunSpec:
        """Return a run of this study's corpus; see `Scale.spec`. Raises InputError for a field."""
        allowed = "is the study's own; open the other text with Study.open(corpus=...)"
        check("corpus" not in fields, "corpus", fields.get("corpus"), allowed)
        return self.scale.spec(model, corpus=self.fingerprint, **fields)

    def ensure(
        self, specs: Iterable[RunSpec], *, weights: bool = False, label: str = "training"
    ) -> pd.DataFrame:
        """Train what is missing and return one row a run, in the order given.

        `weights` also asks for the final parameters. Raises MissingRuns where runs are missing
        and the source never trains, TrainingError where some could not be trained.
        """
        specs = list(specs)
        self._maker.train(specs, weights=weights, label=label)
        return self._frame(frames.runs_frame, specs)

    def score(self, ensembles: Iterable[EnsembleSpec], *, label: str = "ensembles") -> pd.DataFrame:
        """Score ensembles, training missing members first; one row a member subset.

        Columns as in `runs.frames.subsets_frame`. Raises as `ensure` does.
        """
        ensembles = _unique(ensembles)
        self._maker.score(ensembles, label=label)
        return self._frame(frames.subsets_frame, ensembles)

    def sample(self, samples: Iterable[SampleSpec], *, label: str = "sampling") -> list[str]:
        """Write the samples that are missing, training teachers first; return their run ids.

        Raises as `ensure` does.
        """
        samples = _unique(samples)
        self._maker.sample(samples, label=label)
        return [record["run_id"] for record in self.records(s.run_id for s in samples)]

    def evaluate(
        self,
        evaluations: Iterable[EvaluationSpec],
        *,
        files: str | Path | None = None,
        label: str = "evaluating",
    ) -> pd.DataFrame:
        """Evaluate models on multiple-choice tasks, training missing ones first.

        One row a member subset, columns as in `runs.frames.evaluations_frame`. `files` is the
        folder of the local items that some evaluations need. Raises as `ensure` does, and
        InputError for a task or files that cannot be used before anything is trained.
        """
        evaluations = _unique(evaluations)
        self._maker.evaluate(evaluations, files=files, label=label)
        return self._frame(frames.evaluations_frame, evaluations)

    def save(
        self,
        item: Figure | pd.DataFrame,
        name: str,
        *,
        caption: str,
        data: Mapping[str, Any] | None = None,
        digits: Mapping[str, int] | None = None,
        equations: Sequence[str] = (),
    ) -> saving.SavedFigure | saving.Table:
        """Write a figure with its numbers, or a frame as a table, below figures/; return it.

        `data` names everything that a figure shows: frames, laws, estimates. `digits` and
        `equations` are a table's decimals and what stands above it.
        """
        self.saved[name] = saving.save(
            item, self.figures_folder(), name,
            caption=caption, data=data, digits=digits, equations=equations,
        )  # fmt: skip
        return self.saved[name]

    def caption(
        self, shown: pd.DataFrame | Mapping[str, Any], *notes: str, ladder: Sequence[int] = ()
    ) -> str:
        """Return a figure's caption line: scale, corpus, D (base or several), what is shown.

        shown: what is counted by kind, such as {"single model": tuned, "ensemble": laws}, or points
        of several recipes; see `plots.captions.counted`.
        """
        return saving.caption(self.scale, shown, *self.held_out(), *notes, ladder=ladder)

    def figures_folder(self) -> Path:
        """Return where figures go.

        Those of the archive are the recorded ones at paper size on white, and slides/ in any other
        style: what is committed is one set.
        """
        name = folder_name(self.scale.name)
        if self.source != "archive":
            return paths.figures(name)
        kind = "recorded" if name == self.scale.name else "slides"
        return paths.figures(f"{kind}/{name}")

    def close(self) -> None:
        """End the worker processes, if any were started."""
        if self.executor is not None:
            self.executor.close()

    @property
    def _maker(self) -> Maker:
        return Maker(self, self.executor, self.failed)

    def _frame(
        self, build: Callable[[list[Record]], pd.DataFrame], specs: Sequence
    ) -> pd.DataFrame:
        records = self.records(spec.run_id for spec in specs)
        return frames.label_models(build(records), self.scale)


def _unique(specs: Iterable[Any]) -> list[Any]:
    """Return specs without repeats, in their order."""
    return list({spec.run_id: spec for spec in specs}.values())
