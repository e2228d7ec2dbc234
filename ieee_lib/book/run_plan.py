"""Runs as many steps of a book as a time allows, the most valuable first.

budget_lines(study, minutes=9)           # what would fit, as text
run_plan("gpu", minutes=9, out=Path("records"))      # stops by itself; records go to `out`
"""

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ieee_lib import paths
from ieee_lib.book.estimates import Speed, aligned, duration, minutes_together
from ieee_lib.book.steps import DOWNSTREAM, Step, steps
from ieee_lib.config import RunSpec
from ieee_lib.config.scale import Scale
from ieee_lib.errors import InputError, TrainingError, Unreachable, check
from ieee_lib.files import atomic_path, writing_to
from ieee_lib.jobs.executors import sharing_workers
from ieee_lib.predictions.log import committed, predict, prediction_id, predictions
from ieee_lib.predictions.questions import questions
from ieee_lib.recipes import downstream
from ieee_lib.runs.provenance import GitError
from ieee_lib.study import Study

MARGIN = 1.25
"""By which a step may take longer than its FLOPs say, before it is begun."""

EXPLAINED = f"""
A row is a step of the book; the steps that the others rest on come first. "x 5": scored as
ensembles of 5. "predicted": its losses are predicted, and sealed, before it is trained.
runs left: what it still trains, without what a step above it trains. min: that and scoring, on
all workers of this machine. end: when it would be done; "too long": left out, as {MARGIN:g} times
its estimate is more than the time left; shorter steps below it are still made."""


def budget_lines(study: Study, minutes: float) -> str:
    """Return the steps as text: what each still trains, and when those that fit would end."""
    rows, end, speed = [["step", "runs left", "min", "end (min)"]], 0.0, Speed.of(study)
    planned: set[str] = set()
    for step in steps(study):
        left = [spec for spec in step.left(study) if spec.run_id not in planned]
        n_run = sum(isinstance(spec, RunSpec) for spec in left)
        took = minutes_together(study, left, speed)
        ends = "too long"
        if step.is_done(study):
            ends = "done"
        elif end + MARGIN * took <= minutes:
            end += took
            planned |= {spec.run_id for spec in left}
            ends = f"{end:.1f}"
        rows.append([step.what, f"{n_run}", f"{took:.1f}", ends])
    head = f"Scale {study.scale.name} in {minutes:g} minutes at {speed}:"
    return "\n".join([head, *aligned(rows), EXPLAINED])


def run_plan(
    scale: str, *, minutes: float, out: Path, corpus: str = "", hold: bool = False
) -> list[str]:
    """Run the steps that fit, in their order, and stop; returns those that could not be made.

    Records and predictions that lie in `out` are taken over first, and all of the scale's are there
    after every step: to bring several such runs together is a copy. With `hold` nothing is trained
    whose prediction is not committed yet. Raises InputError for a bad scale, corpus or folder.
    """
    check(not out.exists() or out.is_dir(), "--out", str(out), "must be a folder")
    deadline = time.monotonic() + 60 * minutes
    loaded = Scale.load(scale)
    for unfinished in out.rglob(".*.json-*"):  # of a copy that was killed
        unfinished.unlink()
    _take_over(out, loaded.name)
    failed: list[str] = []
    with contextlib.ExitStack() as stack:
        stack.callback(_hand_out, out, loaded.name)
        stack.enter_context(sharing_workers(loaded.execution))
        try:
            with interrupted_at(deadline):
                study = Study.open(loaded, corpus=corpus)
                _run_steps(study, deadline, out, hold, failed)
        except KeyboardInterrupt:
            if time.monotonic() < deadline:  # a person's, or a scheduler's
                raise
            print("The time is over; the next such run goes on where this one ended.", flush=True)
        _report_waiting(loaded.name, hold)
    return failed


def _run_steps(study: Study, deadline: float, out: Path, hold: bool, failed: list[str]) -> None:
    """Run what fits, and add to `failed` what could not be made.

    Questions that cannot be had here are left out at once: the rest needs no network.
    """
    try:
        downstream.check(study)
    except Unreachable as error:
        print(f"{DOWNSTREAM}: left out, {error}", file=sys.stderr, flush=True)
        failed.append(DOWNSTREAM)
    finished = set(failed)
    while True:
        for each in predict(study):
            print(f"predicted: {each['prediction_id']}", flush=True)
        step = _next(study, finished, deadline, hold)
        if step is None:
            return
        finished.add(step.what)
        began = time.monotonic()
        try:
            step.run(study)
            print(f"{step.what}: {duration(time.monotonic() - began)}", flush=True)
        except (InputError, TrainingError) as error:
            print(f"{step.what}: {error}", file=sys.stderr)
            failed.append(step.what)
        finally:
            _hand_out(out, study.scale.name)


def _next(study: Study, finished: set[str], deadline: float, hold: bool) -> Step | None:
    """Return the first step that is not done, fits, and whose predictions are on record.

    `finished` names steps that were tried, and takes those that turn out to be done.
    """
    reader, speed = study.reading(), Speed.of(study)
    unpredicted = _unpredicted(study, hold)
    for step in steps(reader):
        if step.what in finished or any(new & step.ids for new in unpredicted):
            continue
        if step.notebook and unpredicted:  # it trains what it finds missing
            continue
        if step.is_done(reader):
            finished.add(step.what)
            continue
        minutes = MARGIN * minutes_together(study, step.left(reader), speed)
        if time.monotonic() + 60 * minutes <= deadline:
            return step
    return None


def _unpredicted(study: Study, hold: bool) -> list[frozenset[str]]:
    """Return the ids of every target that must wait for its prediction, or for its commit."""
    name = study.scale.name
    on_record = {each["prediction_id"] for each in predictions(name)}
    if hold:
        on_record &= _committed(name)[0]
    return [
        question.new_ids(study)
        for question in questions(study)
        if prediction_id(question, study) not in on_record
        and not (question.is_measured(study) or question.is_lost(study))
    ]


def _committed(name: str) -> tuple[set[str], str]:
    """Return the ids of the committed predictions, and git's reason where it does not say."""
    try:
        return committed(name), ""
    except GitError as error:
        return set(), str(error)


def _report_waiting(name: str, hold: bool) -> None:
    """Print how many predictions wait to be committed, or that git does not say."""
    if not hold:
        return
    committed, reason = _committed(name)
    if waiting := {each["prediction_id"] for each in predictions(name)} - committed:
        state = "are not committed"
        if reason:
            state = f"may not be committed: git does not say ({reason})"
        where = paths.predictions(name)
        print(f"{len(waiting)} predictions in {where} {state}; their targets wait")


@contextlib.contextmanager
def interrupted_at(deadline: float) -> Iterator[None]:
    """Interrupt the main thread as Ctrl-C does; again every 5 s, should it be lost."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, max(deadline - time.monotonic(), 1e-3), 5.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _take_over(out: Path, scale: str) -> None:
    """Copy the records and predictions of `out` to where they lie here."""
    _copy(out, paths.runs(scale))
    _copy(out / "predictions", paths.predictions(scale))


def _hand_out(out: Path, scale: str) -> None:
    """Copy the scale's records and predictions to `out`."""
    _copy(paths.runs(scale), out)
    _copy(paths.predictions(scale), out / "predictions")


def _copy(source: Path, folder: Path) -> None:
    """Copy the JSON files of a folder; what is already there stays."""
    with writing_to(folder):
        for file in source.glob("*.json"):
            if not (folder / file.name).exists():
                with atomic_path(folder / file.name) as path:
                    shutil.copyfile(file, path)
