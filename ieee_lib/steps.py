"""A book in steps by value, so that any first part of them is a useful book; and as many as a time
allows.

    for step in steps(study): ...                        # what, runs, ensembles
    run_plan(study, minutes=9, out=Path("records"))      # stops by itself; records go to `out`

A step needs nothing that is not recorded, so a machine may begin bare: a stack is trained and its
ensembles are scored in one go. What a prediction is about (`ieee_lib.recipes.prediction`) is
trained after the prediction is written.
"""

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from ieee_lib import paths
from ieee_lib.errors import MissingRuns, TrainingError, check
from ieee_lib.files import whole_or_absent, writing_to
from ieee_lib.plan import aligned, duration, flops_per_second, rate_line
from ieee_lib.predictions import foretell, prediction_id, predictions
from ieee_lib.recipes import ensemble, single
from ieee_lib.recipes.prediction import Question, questions
from ieee_lib.recipes.search import specs_of
from ieee_lib.sections import distillation, downstream, ensembles, midtraining
from ieee_lib.spec import EnsembleSpec, RunSpec
from ieee_lib.study import Study
from ieee_lib.training.executors import worker_count

MARGIN = 1.25
"""By which a step may take longer than its FLOPs say, before it is begun."""


@dataclass(frozen=True)
class Step:
    """Part of a book that is worth having by itself."""

    what: str
    runs: tuple[RunSpec, ...] = ()
    ensembles: tuple[EnsembleSpec, ...] = ()
    section: ModuleType | None = None
    """Instead: a whole section, where one run follows from another."""

    @property
    def members(self) -> list[RunSpec]:
        return [member for e in self.ensembles for member in e.members]

    @property
    def ids(self) -> set[str]:
        """Run ids of what it trains and scores."""
        return {spec.run_id for spec in (*self.runs, *self.members, *self.ensembles)}

    def unscored(self, study: Study) -> list[EnsembleSpec]:
        return [e for e in self.ensembles if not study.store.has(e.run_id)]

    def missing(self, study: Study) -> list[RunSpec]:
        """Return what it trains: also members that are recorded, and whose weights are not here."""
        if self.section is not None:
            return study.missing(self.section.specs(study))
        members = [member for e in self.unscored(study) for member in e.members]
        found = study.missing([*self.runs, *self.members])
        found += study.missing(members, weights=True)
        return list({spec.run_id: spec for spec in found}.values())

    def is_done(self, study: Study) -> bool:
        if self.section is None:
            return not (self.missing(study) or self.unscored(study))
        try:
            self.section.gather(study.reading())
        except MissingRuns:
            return False
        return True

    def seconds(self, study: Study) -> float:
        """Return how long it still takes at the rate measured here, else assumed."""
        rate = flops_per_second(study) * worker_count(study.scale.execution)
        return sum(spec.flops for spec in (*self.missing(study), *self.unscored(study))) / rate

    def run(self, study: Study) -> None:
        """Train and score it. Raises TrainingError where some of it could not be made."""
        if self.section is not None:
            self.section.gather(study)
            return
        runs = [*self.runs, *self.members]
        study.ensure(runs, weights=bool(self.unscored(study)), label=self.what)
        study.score(self.ensembles, label=self.what)


def steps(study: Study) -> list[Step]:
    """Return the steps of a book, the most valuable first.

    The chain N, K, D at the scale's own settings, then of it what the rest foretells (the largest
    N, K and D); how good the settings are; ablations; the later sections.
    """
    targets = set().union(*(question.new_ids(study) for question in questions(study)))
    known, held = [], []
    for step in _chain(study):
        late = replace(
            step,
            what=f"{step.what}, foretold",
            runs=tuple(spec for spec in step.runs if spec.run_id in targets),
            ensembles=tuple(e for e in step.ensembles if Step("", ensembles=(e,)).ids & targets),
        )
        first = replace(
            step,
            runs=tuple(spec for spec in step.runs if spec not in late.runs),
            ensembles=tuple(e for e in step.ensembles if e not in late.ensembles),
        )
        known += [first] * bool(first.ids)
        held += [late] * bool(late.ids)
    held.sort(key=lambda step: sum(spec.flops for spec in (*step.runs, *step.members)))
    return [*known, *held, *_rest(study)]


def _chain(study: Study) -> Iterator[Step]:
    """Yield both recipes and the ensembles of every N and D, the base D first."""
    scale = study.scale
    for d in sorted(scale.ladder(), key=lambda d: (d != scale.base_tokens, d)):
        few, many = scale.ensembles.ladder_members, ensemble.size_at(study, d)
        for centre in single.known_centres(study, "regularized", d):
            settings = ensemble.heuristic(centre)
            runs = specs_of(study, centre, scale.seeds_at(d))
            small = ensemble.ensemble(study, settings, few)
            yield Step(f"{centre.model} alone and x {few}, D = {d:,}", tuple(runs), (small,))
            if many > few:
                large = ensemble.ensemble(study, settings, many)
                yield Step(f"{centre.model} x {many}, D = {d:,}", ensembles=(large,))
        centres = single.known_centres(study, "standard", d)
        runs = [spec for c in centres for spec in specs_of(study, c, scale.seeds_at(d))]
        yield Step(f"standard recipe, D = {d:,}", tuple(runs))


def _rest(study: Study) -> Iterator[Step]:
    scale = study.scale
    yield Step("loss against epochs", tuple(single.sweep_specs(study, scale.overfitting)))
    for recipe in ("regularized", "standard"):
        for centre in single.known_centres(study, recipe):
            ring = single.ring(study, recipe, centre)
            yield Step(f"{recipe} recipe, neighbours, {centre.model}", tuple(ring))
    yield Step("loss against weight decay", tuple(single.sweep_specs(study, scale.wd_sweep)))
    centres = single.known_centres(study, "regularized")
    for question, group in ensembles.ensembles(study, centres).items():
        yield Step(f"ensembles, {question}", ensembles=tuple(group))
    yield Step("epochs x weight decay", tuple(single.heatmap_specs(study)))
    yield Step("distillation", section=distillation)
    yield Step("downstream evaluations", section=downstream)
    yield Step("continued pre-training", section=midtraining)


def budget_lines(study: Study, minutes: float) -> str:
    """Return the steps as text: what each still trains, and when those that fit would end."""
    rows, end = [["step", "runs left", "min", "end (min)"]], 0.0
    for step in steps(study):
        took, n_run = step.seconds(study) / 60, len(step.missing(study))
        done = step.is_done(study)
        fits = end + MARGIN * took <= minutes
        end += took * fits
        said = "done" if done else f"{end:.1f}" if fits else "too long"
        rows.append([step.what, f"{n_run}", f"{took:.1f}", said])
    head = f"Scale {study.scale.name} in {minutes:g} minutes at {rate_line(study)}:"
    return "\n".join([head, *aligned(rows)])


def run_plan(study: Study, *, minutes: float, out: Path, hold: bool = False) -> list[str]:
    """Run the steps that fit, in their order, and stop; returns what was done.

    Records that lie in `out` are taken over first, and those of the scale are there after every
    step: to bring several such runs together is a copy. With `hold` what it has itself foretold
    waits for the next run, so that the predictions can be committed first.
    """
    deadline = time.monotonic() + 60 * minutes
    done, tried, new = [], set(), set()
    _take_over(out, study)
    over: list[bool] = []
    try:
        with _interrupted_after(60 * minutes, over):
            while True:
                new |= {each["prediction_id"] for each in foretell(study)}
                step = _next(study, tried, new if hold else set(), deadline)
                if step is None:
                    break
                tried.add(step.what)
                began = time.monotonic()
                try:
                    step.run(study)
                except TrainingError as error:
                    print(f"{step.what}: {error}", file=sys.stderr)
                    continue
                finally:
                    _copy_records(study, out)
                done.append(step.what)
                print(f"{step.what}: {duration(time.monotonic() - began)}", flush=True)
        if hold and new:
            where = paths.predictions(study.scale.name)
            print(f"{len(new)} predictions are in {where}: commit them, and go on")
    except KeyboardInterrupt:
        if not over:
            raise
        print("The time is over; the next such run goes on where this one ended.", flush=True)
    finally:
        _copy_records(study, out)
        study.close()
    return done


def _next(study: Study, tried: set[str], held: set[str], deadline: float) -> Step | None:
    """Return the first step that is not done, fits, and whose predictions are written, not held."""
    known = {each["prediction_id"] for each in predictions(study.scale.name)} - held
    for step in steps(study):
        fits = time.monotonic() + MARGIN * step.seconds(study) <= deadline
        if step.what in tried or not fits or step.is_done(study):
            continue
        asked = _asked(step, study)
        if all(prediction_id(q, study) in known or q.is_measured(study) for q in asked):
            return step
    return None


def _asked(step: Step, study: Study) -> list[Question]:
    """Return the questions that a step would answer."""
    return [q for q in questions(study) if q.new_ids(study) & step.ids]


@contextlib.contextmanager
def _interrupted_after(seconds: float, over: list[bool]) -> Iterator[None]:
    """Interrupt the main thread as Ctrl-C does, and note it; again every 5 s, should it be lost."""

    def end(number, frame) -> None:
        over.append(True)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, 5.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _take_over(out: Path, study: Study) -> None:
    """Copy records of an earlier run into the store; those already there stay."""
    check(not out.exists() or out.is_dir(), "--out", str(out), "must be a folder")
    _copy(out.glob("*.json"), study.store.records_folder)


def _copy_records(study: Study, out: Path) -> None:
    _copy(study.store.records_folder.glob("*.json"), out)


def _copy(files: Iterable[Path], folder: Path) -> None:
    with writing_to(folder):
        for file in files:
            if not (folder / file.name).exists():
                with whole_or_absent(folder / file.name) as path:
                    shutil.copyfile(file, path)
