"""Runs the book: papermill, one notebook after another, stopping at the first that fails.

    reproduce("laptop", only="01,02", parameters={"context": "talk"})

What a notebook still needs is trained before its kernel starts, by one set of workers for the
whole book. Finished runs are never trained again, so a stopped book goes on where it was.
"""

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ieee_lib import paths
from ieee_lib.book.archive import compare
from ieee_lib.book.estimates import Speed, duration
from ieee_lib.book.run import Ran, declared, one_book, run_notebook
from ieee_lib.book.sections import SECTIONS, Section, choose, extra_parameters
from ieee_lib.book.times import stage_table
from ieee_lib.claims.verdicts import NOT_RUN, Claim, numbers
from ieee_lib.config import RunSpec
from ieee_lib.config.scale import Scale
from ieee_lib.config.session import SESSION
from ieee_lib.errors import InputError, MissingRuns, TrainingError, check, check_choice
from ieee_lib.files import writing_to
from ieee_lib.jobs.executors import sharing_workers
from ieee_lib.plots.saving import Table, output, write_table
from ieee_lib.plots.style import style
from ieee_lib.runs.stages import FIT, log_to, read_stages, stage
from ieee_lib.runs.store import RunStore
from ieee_lib.study import Study

INCOMPLETE = 3
"""Exit code of a book in which some runs could not be made: what needs them is not drawn."""


def reproduce(
    scale: str,
    *,
    only: str = "",
    source: str = "train",
    corpus: str = "",
    parameters: Mapping[str, str] | None = None,
) -> int:
    """Execute the chosen notebooks and return 0, or 1 after printing the cell that failed.

    A notebook whose runs could not all be trained says which, and the others go on: `INCOMPLETE`.

    Raises InputError for a bad scale, section, source, corpus or parameter before any training.
    """
    sections = choose(only)
    given = _given({"scale": scale, "source": source, "corpus": corpus}, parameters or {})
    defaults = {number: declared(section.path) for number, section in sections.items()}
    names = sorted(set().union(*defaults.values()))
    for name in given:
        check_choice("parameter", name, names)
    typed = {number: _typed(given, defaults[number]) for number in sections}
    loaded = Scale.load(scale)
    start, stages = time.monotonic(), log_to(executed(loaded.name, source))
    with contextlib.ExitStack() as stack:
        names = [name for name in ("context", "background") if name in given]
        stack.enter_context(style(**{name: given[name] for name in names}))
        stack.enter_context(one_book())
        if source == "train":
            stack.enter_context(sharing_workers(loaded.execution))
        study = Study.open(scale, source=source, corpus=corpus)
        for number, section in sections.items():
            section.check(study, {**defaults[number], **typed[number]})
        recorded_ids = {record["run_id"] for record in study.store.records()}
        incomplete, code = _run(study, sections, typed)
        if code:
            return code
        seconds = time.monotonic() - start
        _report(study, len(sections), seconds)
        new = [r for r in study.store.records() if r["run_id"] not in recorded_ids]
        if any(record["kind"] == "train" for record in new):
            n_worker = study.executor.n_worker if study.executor else 1
            table = stage_table(read_stages(stages), new, seconds, n_worker)
            if not only:  # the book's times outlast a section that is run again
                write_table(table, study.figures_folder(), "tab_stages")
            print(f"Where the time went:\n{table.formatted().to_string(index=False)}")
        if incomplete:
            _report_incomplete(study, incomplete)
            return INCOMPLETE
    return 0


def _given(options: Mapping[str, str], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return all parameters of the notebooks; raises InputError for an option given with -p."""
    for name in options:
        check(name not in parameters, f"-p {name}", parameters.get(name), f"say --{name} instead")
    return {**options, **parameters}


def _typed(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that a notebook declares, each of the type of its default."""
    return {
        name: convert(name, given[name], type(default))
        for name, default in defaults.items()
        if name in given
    }


def convert(name: str, value: Any, kind: type) -> Any:
    """Convert a parameter's text to the type of its default; raises InputError.

    papermill itself would pass `-p flag false` as a truthy string.
    """
    if not isinstance(value, str):
        return value
    try:
        if kind is bool:
            return {"true": True, "false": False}[value.lower()]
        return kind(value)
    except (ValueError, KeyError):
        names = {bool: "true or false", int: "a whole number", float: "a number"}
        raise InputError(name, value, f"must be {names.get(kind, kind.__name__)}") from None


def executed(scale: str, source: str) -> Path:
    """Return where executed notebooks go; those of recorded runs have a folder of their own."""
    return paths.executed(scale if source == "train" else f"{scale}-{source}")


def _run(
    study: Study, sections: Mapping[str, Section], typed: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str], int]:
    """Train all sections, then execute them; return the incomplete ones, and a code to stop with.

    What one notebook says may rest on what another trains (the laws at every D), so the first is
    executed once all are trained: as it is redrawn later.
    """
    if not study.scale.evidence:
        name = study.scale.name
        print(f"Scale {name} is a smoke test: it shows that everything runs, and proves nothing.")
    needs = [section.needs(study) for section in sections.values()]
    waves = _waves(sections) if study.source == "train" else {}
    parameters = {number: dict(typed[number]) for number in sections}
    for i, (number, section) in enumerate(sections.items()):
        ahead = _ahead(study, [spec for specs in needs[i:] for spec in specs])
        print(f"[{i + 1}/{len(sections)}] {section.notebook}: {ahead}", flush=True)
        if number in waves:
            as_planned = [n for n in waves[number] if not extra_parameters(typed[n])]
            _train_together(study, [sections[n] for n in as_planned])
        must_train = study.source == "train" and section.needs(study)
        if must_train and not _train(section, typed[number]):
            parameters[number]["source"] = "records"  # it says what is missing, and tries no more
    with one_book() as session:
        session.ran.clear()  # verdicts of cells that ran before all was trained
    incomplete: list[str] = []
    for number, section in sections.items():
        began = time.monotonic()
        out = executed(study.scale.name, study.source) / f"{section.notebook}.ipynb"
        code = execute(section, out, parameters[number])
        if code not in (0, INCOMPLETE):
            return incomplete, code
        if code == INCOMPLETE:
            incomplete.append(section.notebook)
        ended = "incomplete after" if code else "executed in"
        print(f"      {section.notebook}: {ended} {duration(time.monotonic() - began)}", flush=True)
    return incomplete, 0


def _ahead(study: Study, needed: Sequence[RunSpec]) -> str:
    """Say how much training the rest of a book needs, given what is recorded by now."""
    if study.source != "train":
        return f"from {study.source}"
    if not (missing := study.missing(needed)):
        return "nothing to train"
    n_worker = study.executor.n_worker if study.executor else 1
    seconds = sum(map(Speed.of(study).seconds, missing)) / n_worker
    return f"at least {duration(seconds)} of training left"


def _waves(sections: Mapping[str, Section]) -> dict[str, list[str]]:
    """Return which notebooks' runs train together, by the first notebook that needs them.

    Those that search settings come first: the others' follow from what they find.
    """
    searching = [number for number, section in sections.items() if section.searches]
    others = [number for number in sections if number > max(searching, default="")]
    return {wave[0]: wave for wave in (searching, others) if wave}


def _train_together(study: Study, sections: Sequence[Section]) -> None:
    """Train what several notebooks are known to need: full stacks, and no worker that waits."""
    specs = [spec for section in sections for spec in section.needs(study)]
    alone = [s for s in specs if s.corpus == study.fingerprint and not s.follows]
    with contextlib.suppress(TrainingError):  # whoever needs it says so
        study.ensure(alone, label=", ".join(section.number for section in sections))


def _train(section: Section, parameters: Mapping[str, Any]) -> bool:
    """Train what one notebook still needs; False where some of it could not be made.

    Its cells run here first, so that one set of workers serves the whole book.
    """
    try:
        with output(write=False), stage(FIT):
            run_notebook(section.path, parameters)
    except TrainingError as error:
        print(f"\n{section.notebook}: {error}", file=sys.stderr)
        return False
    except Exception:
        return True  # the notebook meets it again, and its cell is printed
    return True


def execute(section: Section, out: Path, parameters: Mapping[str, Any]) -> int:
    """Execute one notebook; returns 0, 2 for bad input found by a cell, `INCOMPLETE`, else 1."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    os.environ.setdefault("MPLBACKEND", "agg")
    os.environ.pop(SESSION, None)  # the kernel is ours, even where a notebook's cell started us
    try:
        with warnings.catch_warnings(), writing_to(out.parent):
            warnings.simplefilter("ignore")
            papermill.execute_notebook(
                str(section.path),
                str(out),
                parameters=dict(parameters),
                kernel_name="python3",
                progress_bar=False,
                stderr_file=sys.stderr,
                extra_arguments=["--log-level=ERROR"],  # kernels warn of TCP on loopback
            )
    except DeadKernelError:
        print(f"\n{section.notebook}: its kernel died, perhaps for want of memory", file=sys.stderr)
        return 1
    except PapermillExecutionError as error:
        if error.ename == InputError.__name__:
            print(f"error: {error.evalue}", file=sys.stderr)
            return 2
        if error.ename in (MissingRuns.__name__, TrainingError.__name__):
            print(f"\n{section.notebook}: {error.evalue}", file=sys.stderr)
            return INCOMPLETE
        print(f"\n{section.notebook}, cell {error.cell_index}, failed:\n\n{error.source}\n")
        print(f"{error.ename}: {error.evalue}\n\nThe executed copy is {out}", file=sys.stderr)
        return 1
    return 0


def _report(study: Study, n_section: int, seconds: float) -> None:
    """Print where things are, the claims that ran, and how they compare with the recorded book."""
    name = study.scale.name
    print(f"Book of scale {name}: {n_section} notebooks in {duration(seconds)}")
    print(f"  executed notebooks: {executed(name, study.source)}")
    print(f"  figures and tables: {study.figures_folder()}")
    judged = _judge(study).judged
    ran = [claim for claim in judged if claim.verdict != NOT_RUN]
    if not study.scale.evidence:
        print(f"No verdicts: scale {name} proves nothing.")
    elif ran:
        print("Claims of the paper at this scale:", *map(_line, ran), sep="\n")
    if study.scale.evidence and len(ran) < len(judged):
        print(f"Not run yet: {len(judged) - len(ran)} of {len(judged)} claims.")
    if ran and study.source == "train" and paths.recorded(name).is_file():
        comparison = compare(study, judged)
        comparison.write(study.figures_folder())
        print("Against the recorded book of this scale:", *comparison.lines, sep="\n  ")


def _judge(study: Study) -> Ran:
    """Run the notebook that judges all claims on what is recorded now, and write its table."""
    reader = study.reading()
    with output(write=False):
        ran = run_notebook(SECTIONS["09"].path, {"scale": study.scale, "source": reader.source})
    table = ran.saved["claims"]
    assert isinstance(table, Table)
    write_table(table, study.figures_folder(), "claims")
    return ran


def _line(claim: Claim) -> str:
    """Return a claim's verdict and measure on one line."""
    text = f"  {claim.notebook}  {claim.verdict:27} {claim.statement}  {numbers(claim)}"
    return text.rstrip()


def _report_incomplete(study: Study, incomplete: Sequence[str]) -> None:
    """Print which runs could not be made."""
    print(f"Incomplete: {', '.join(incomplete)}. Runs that could not be made:")
    failures = study.store.failures() if isinstance(study.store, RunStore) else []
    for failure in failures:
        print(f"  {failure['run_id']} on {failure['host']}, {failure['when']}: {failure['why']}")
    print("The same command tries them again.", flush=True)
