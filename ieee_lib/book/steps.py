"""A book in steps by value, so that any first part of them is a useful book; and as many as a time
allows.

    for step in steps(study): ...                        # what, runs, ensembles
    run_plan("gpu", minutes=9, out=Path("records"))      # stops by itself; records go to `out`

A step needs nothing that is not recorded, so a machine may begin bare: a stack is trained and its
ensembles are scored in one go. What a prediction is about (`ieee_lib.predictions.questions`) is
trained after the prediction is written.
"""

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType

from ieee_lib import paths
from ieee_lib.book.plan import Speed, aligned, duration
from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.scale import Scale
from ieee_lib.errors import InputError, TrainingError, Unreachable, check
from ieee_lib.files import atomic_path, writing_to
from ieee_lib.jobs.machine import worker_count
from ieee_lib.predictions.log import committed, foretell, prediction_id, predictions
from ieee_lib.predictions.questions import questions
from ieee_lib.recipes import ensembles, single
from ieee_lib.recipes.search import specs_of
from ieee_lib.sections import distillation, downstream, ensembles, midtraining
from ieee_lib.study import Study

QUESTIONS = "downstream evaluations"
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

    @cached_property
    def ids(self) -> frozenset[str]:
        """Run ids of what it trains and scores."""
        return frozenset(spec.run_id for spec in (*self.runs, *self.members, *self.ensembles))

    def unscored(self, study: Study) -> list[EnsembleSpec]:
        return [e for e in self.ensembles if not study.store.has(e.run_id)]

    def missing(self, study: Study) -> list[RunSpec]:
        """Return what it trains: also recorded runs whose weights it needs and are not here."""
        if self.section is not None:
            return study.missing(self.section.specs(study), weights=True)
        members = [member for e in self.unscored(study) for member in e.members]
        found = study.missing([*self.runs, *self.members])
        found += study.missing(members, weights=True)
        return list({spec.run_id: spec for spec in found}.values())

    def is_done(self, study: Study) -> bool:
        if self.section is None:
            return not (self.missing(study) or self.unscored(study))
        try:
            self.section.gather(study.reading())
        except InputError:  # something is not recorded, or has diverged
            return False
        return True

    def left(self, study: Study) -> list[RunSpec | EnsembleSpec]:
        """Return what it still trains and scores."""
        return [*self.missing(study), *self.unscored(study)]

    def run(self, study: Study) -> None:
        """Train and score it. Raises TrainingError where some of it could not be made."""
        if self.section is not None:
            self.section.gather(study)
            return
        weights = bool(self.unscored(study))
        study.ensure(self.missing(study), weights=weights, label=self.what)
        study.score(self.ensembles, label=self.what)


def steps(study: Study) -> list[Step]:
    """Return the steps of a book, the most valuable first.

    The chain N, K, D at the scale's own settings, where what the rest foretells (the largest N, K
    and D) follows the last step that foretells it; ablations; the later sections; how good the
    settings of all models are.
    """
    rests = {q.new_ids(study): q.basis_ids(study) for q in questions(study)}
    targets = frozenset().union(*rests)
    ordered: list[Step] = []
    held: list[Step] = []
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
        ordered += [first] * bool(first.ids)
        held += [late] * bool(late.ids)
        while ready := _ready(held, ordered, rests):
            held.remove(ready)
            ordered.append(ready)
    return [*ordered, *held, *_rest(study)]


def _ready(
    held: Sequence[Step],
    ordered: Sequence[Step],
    rests: Mapping[frozenset[str], frozenset[str]],
) -> Step | None:
    """Return the first held step that is foretold by what is in the order. rests: new on basis."""
    known = set().union(*(step.ids for step in ordered))
    for step in held:
        needed = (basis for new, basis in rests.items() if new & step.ids)
        if set().union(*needed) <= known:
            return step
    return None


def _chain(study: Study) -> Iterator[Step]:
    """Yield both recipes and the ensembles of every N and D, the base D first, the cheap first."""
    scale = study.scale
    for d in sorted(scale.ladder(), key=lambda d: (d != scale.base_tokens, d)):
        few, many = scale.ensembles.ladder_members, ensemble.size_at(study, d)
        large = []
        centres = scale.settings("standard", d)
        runs = [spec for c in centres for spec in specs_of(study, c, scale.seeds_at(d))]
        yield Step(f"standard recipe, D = {d:,}", tuple(runs))
        if d == scale.base_tokens:
            sweep = single.sweep_specs(study, scale.overfitting)
            yield Step("loss against epochs", tuple(sweep))
        for centre in scale.settings("regularized", d):
            settings = ensemble.heuristic(centre)
            runs = specs_of(study, centre, scale.seeds_at(d))
            if centre.model not in scale.members():
                yield Step(f"{centre.model} alone, D = {d:,}", tuple(runs))
                continue
            small = ensemble.ensemble(study, settings, few)
            yield Step(f"{centre.model} alone and x {few}, D = {d:,}", tuple(runs), (small,))
            large += [ensemble.ensemble(study, settings, many)] * (many > few)
        if large:  # together: one more member of each model fills no stack
            yield Step(f"all x {many}, D = {d:,}", ensembles=tuple(large))


def _rest(study: Study) -> Iterator[Step]:
    scale = study.scale
    small = scale.ensembles.model
    centres = scale.settings("regularized", scale.base_tokens)
    yield Step("loss against weight decay", tuple(single.sweep_specs(study, scale.wd_sweep)))
    yield Step("epochs x weight decay", tuple(single.heatmap_specs(study)))
    yield from _rings(study, [small])
    for question, group in ensembles.ensembles(study, centres).items():
        yield Step(f"ensembles, {question}", ensembles=tuple(group))
    yield Step("distillation", section=distillation)
    yield Step(QUESTIONS, section=downstream)
    yield Step("continued pre-training", section=midtraining)
    yield from _rings(study, [name for name in scale.models if name != small])


def _rings(study: Study, models: Collection[str]) -> Iterator[Step]:
    """Yield what certifies the settings of some models at the base D."""
    for recipe in single.AXES:
        for centre in study.scale.settings(recipe, study.scale.base_tokens):
            if centre.model in models:
                runs = single.ring(study, recipe, centre)
                yield Step(f"{recipe} recipe, neighbours, {centre.model}", tuple(runs))


def _minutes(study: Study) -> Callable[[Iterable[RunSpec | EnsembleSpec]], float]:
    """Return what says how long all workers of this machine take together."""
    speed, n_worker = Speed.of(study), worker_count(study.scale.execution)
    return lambda specs: sum(map(speed.seconds, specs)) / n_worker / 60


def budget_lines(study: Study, minutes: float) -> str:
    """Return the steps as text: what each still trains, and when those that fit would end."""
    rows, end, minutes_of = [["step", "runs left", "min", "end (min)"]], 0.0, _minutes(study)
    planned: set[str] = set()
    for step in steps(study):
        left = [spec for spec in step.left(study) if spec.run_id not in planned]
        n_run = sum(isinstance(spec, RunSpec) for spec in left)
        took, done = minutes_of(left), step.is_done(study)
        fits = end + MARGIN * took <= minutes
        if fits and not done:
            end += took
            planned |= {spec.run_id for spec in left}
        said = "done" if done else f"{end:.1f}" if fits else "too long"
        rows.append([step.what, f"{n_run}", f"{took:.1f}", said])
    head = f"Scale {study.scale.name} in {minutes:g} minutes at {Speed.of(study)}:"
    return "\n".join([head, *aligned(rows)])


def run_plan(
    scale: str, *, minutes: float, out: Path, corpus: str = "", hold: bool = False
) -> list[str]:
    """Run the steps that fit, in their order, and stop; returns those that could not be made.

    Records and predictions that lie in `out` are taken over first, and all of the scale's are there
    after every step: to bring several such runs together is a copy. With `hold` nothing is trained
    whose prediction is not committed yet. Raises InputError for a bad scale, corpus or folder.
    """
    check(not out.exists() or out.is_dir(), "--out", str(out), "must be a folder")
    deadline, over = time.monotonic() + 60 * minutes, []
    known = Scale.load(scale)
    for left_over in out.rglob(".*.json-*"):  # of a copy that was killed
        left_over.unlink()
    _carry(out, _folders(known.name), back=True)
    failed: list[str] = []
    with contextlib.ExitStack() as stack:
        stack.callback(_carry, out, _folders(known.name))
        try:
            with _interrupted_at(deadline, over):
                study = Study.open(known, corpus=corpus)
                stack.callback(study.close)
                _run_steps(study, deadline, out, hold, failed)
        except KeyboardInterrupt:
            if not over:
                raise
            print("The time is over; the next such run goes on where this one ended.", flush=True)
        waiting = {each["prediction_id"] for each in predictions(known.name)}
        if hold and (waiting := waiting - committed(known.name)):
            where = paths.predictions(known.name)
            print(
                f"{len(waiting)} predictions in {where} are not committed; what they foretell waits"
            )
    return failed


def _run_steps(study: Study, deadline: float, out: Path, hold: bool, failed: list[str]) -> None:
    """Run what fits, and add to `failed` what could not be made.

    Questions that cannot be had here are left out at once: the rest needs no network.
    """
    try:
        downstream.precheck(study)
    except Unreachable as error:
        print(f"{QUESTIONS}: left out, {error}", file=sys.stderr, flush=True)
        failed.append(QUESTIONS)
    tried = set(failed)
    while True:
        for each in foretell(study):
            print(f"foretold: {each['prediction_id']}", flush=True)
        step = _next(study, tried, deadline, hold)
        if step is None:
            return
        tried.add(step.what)
        began = time.monotonic()
        try:
            step.run(study)
            print(f"{step.what}: {duration(time.monotonic() - began)}", flush=True)
        except (InputError, TrainingError) as error:
            print(f"{step.what}: {error}", file=sys.stderr)
            failed.append(step.what)
        finally:
            _carry(out, _folders(study.scale.name))


def _next(study: Study, tried: set[str], deadline: float, hold: bool) -> Step | None:
    """Return the first step that is not done, fits, and whose predictions are on record."""
    name, reader, minutes_of = study.scale.name, study.reading(), _minutes(study)
    known = {each["prediction_id"] for each in predictions(name)}
    if hold:
        known &= committed(name)
    unknown = [
        question.new_ids(study)
        for question in questions(study)
        if prediction_id(question, study) not in known
        and not (question.is_measured(study) or question.is_lost(study))
    ]
    for step in steps(reader):
        # A section trains what it finds missing, so it comes after all that is to be foretold.
        waits = bool(unknown) if step.section else any(new & step.ids for new in unknown)
        if waits or step.what in tried or step.is_done(reader):
            continue
        if time.monotonic() + 60 * MARGIN * minutes_of(step.left(reader)) <= deadline:
            return step
    return None


@contextlib.contextmanager
def _interrupted_at(deadline: float, over: list[bool]) -> Iterator[None]:
    """Interrupt the main thread as Ctrl-C does, and note it; again every 5 s, should it be lost."""

    def end(number, frame) -> None:
        if time.monotonic() >= deadline:  # else it is another timer's
            over.append(True)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, max(deadline - time.monotonic(), 1e-3), 5.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _folders(scale: str) -> dict[str, Path]:
    """Return what travels: folder of `out` -> where it lies here."""
    return {".": paths.runs(scale), "predictions": paths.predictions(scale)}


def _carry(out: Path, folders: Mapping[str, Path], *, back: bool = False) -> None:
    """Copy what is here to `out`, or back; what is already there stays."""
    for name, here in folders.items():
        there = out / name
        _copy(*((there.glob("*.json"), here) if back else (here.glob("*.json"), there)))


def _copy(files: Iterable[Path], folder: Path) -> None:
    with writing_to(folder):
        for file in files:
            if not (folder / file.name).exists():
                with atomic_path(folder / file.name) as path:
                    shutil.copyfile(file, path)
