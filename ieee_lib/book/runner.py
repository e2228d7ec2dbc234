"""Runs the book: papermill, one notebook after another, stopping at the first that fails.

    reproduce("laptop", only="01,02", parameters={"context": "talk"})

Finished runs are never trained again, so a stopped book goes on where it was.
"""

import ast
import contextlib
import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ieee_lib import paths
from ieee_lib.book.chapters import SECTIONS, Chapter, Section, choose, own_options
from ieee_lib.book.plan import duration, plan_frame
from ieee_lib.book.recorded import compare
from ieee_lib.jobs.stages import log_to, read_stages
from ieee_lib.claims.verdicts import Claim
from ieee_lib.config.scale import Scale
from ieee_lib.errors import InputError, MissingRuns, TrainingError, check, check_choice
from ieee_lib.files import writing_to
from ieee_lib.frontend import SESSION
from ieee_lib.plots.saving import save
from ieee_lib.book.stages import stage_table
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
    own = {"scale": scale, "source": source, "corpus": corpus}
    parameters = dict(parameters or {})
    for name in own:
        check(name not in parameters, f"-p {name}", parameters.get(name), f"say --{name} instead")
    given = {**own, **parameters}
    defaults = {number: declared(section) for number, section in sections.items()}
    names = sorted(set().union(*defaults.values()))
    for name in given:
        check_choice("parameter", name, names)
    typed = {
        number: {n: convert(n, given[n], type(default)) for n, default in own.items() if n in given}
        for number, own in defaults.items()
    }
    start, stages = time.monotonic(), log_to(executed(Scale.load(scale).name, source))
    study = Study.open(scale, source=source, corpus=corpus, context=given.get("context", "paper"))
    name = study.scale.name
    if not study.scale.evidence:
        print(f"Scale {name} is a smoke test: it shows that everything runs, and proves nothing.")
    for number, section in sections.items():
        section.check(study, typed[number])
    left = plan_frame(study, sections).device_hours_left.tolist()
    n_worker = study.executor.n_worker if study.executor else 1
    known = {record["run_id"] for record in study.store.records()}
    out = executed(name, source)
    incomplete = []
    options = {n: own_options(typed[n]) for n in sections}
    waves = _waves(sections) if source == "train" else {}
    for i, (number, section) in enumerate(sections.items()):
        ahead = duration(sum(left[i:-1]) * 3600 / n_worker)  # the last row is the sum
        print(f"[{i + 1}/{len(sections)}] {section.notebook}: at least {ahead} of training left")
        began = time.monotonic()
        given = typed[number]
        if number in waves:
            _train_together(study, [sections[n] for n in waves[number] if not options[n]])
        trains = source == "train" and section.specs(study)
        if trains and not _train(number, study, options[number]):
            given = {**given, "source": "records"}  # it says what is missing, and tries no more
        code = _execute(section, out / f"{section.notebook}.ipynb", given)
        if code not in (0, INCOMPLETE):
            return code
        incomplete += [section.notebook] * (code == INCOMPLETE)
        ended = "incomplete after" if code else "done in"
        print(f"      {ended} {duration(time.monotonic() - began)}", flush=True)
    took = time.monotonic() - start
    print(f"Book of scale {name}: {len(sections)} notebooks in {duration(took)}")
    print(f"  executed notebooks: {out}\n  figures and tables: {study.figures_folder()}")
    claims = _print_claims(study)
    if source == "train" and paths.archive(name).is_file():
        against = compare(study, claims)
        against.save(study.figures_folder())
        print("Against the recorded book of this scale:", *against.lines, sep="\n  ")
    new = [record for record in study.store.records() if record["run_id"] not in known]
    if any(record["kind"] == "train" for record in new):
        table = stage_table(read_stages(stages), new, took, n_worker)
        save(table, study.figures_folder(), "tab_stages")
        print(f"Where the time went:\n{table.formatted().to_string(index=False)}")
    if incomplete:
        print(f"Incomplete: {', '.join(incomplete)}. Runs that could not be made:")
        for each in study.store.failures():
            print(f"  {each['run_id']} on {each['host']}, {each['when']}: {each['why']}")
        print("The same command tries them again.", flush=True)
        return INCOMPLETE
    return 0


def _waves(sections: Mapping[str, Section]) -> dict[str, list[str]]:
    """Return which notebooks' runs train together, by the first notebook that needs them.

    Those that search settings come first: the others' follow from what is found.
    """
    searching = [number for number, section in sections.items() if section.searches]
    others = [number for number in sections if number > max(searching, default="")]
    return {wave[0]: wave for wave in (searching, others) if wave}


def _train_together(study: Study, sections: Sequence[Section]) -> None:
    """Train what several notebooks are known to need: full stacks, and no worker that waits."""
    specs = [spec for section in sections for spec in section.specs(study)]
    own = [s for s in specs if s.corpus == study.fingerprint and not (s.synthetic or s.start)]
    with contextlib.suppress(TrainingError):  # whoever needs it says so
        study.ensure(own, label=", ".join(section.number for section in sections))


def _train(number: str, study: Study, options: Mapping[str, Any]) -> bool:
    """Train what one notebook still needs; False where some of it could not be made.

    It is done here, so that one set of workers serves the whole book.
    """
    try:
        Chapter.open(number, study, **options)
    except TrainingError as error:
        print(f"\n{SECTIONS[number].notebook}: {error}", file=sys.stderr)
        return False
    except Exception:
        return True  # the notebook meets it again, and its cell is printed
    return True


def executed(scale: str, source: str) -> Path:
    """Return where executed notebooks go; those of recorded runs have a folder of their own."""
    return paths.executed(scale if source == "train" else f"{scale}-{source}")


def _print_claims(study: Study) -> list[Claim]:
    """Judge all claims from what is recorded now, write them, and print one line each."""
    chapter = Chapter.open("09", study)
    rows = chapter.show("claims").frame
    print("Claims of the paper at this scale:")
    for row in rows.itertuples():
        number = "" if row.measure != row.measure else f"  {row.measure:.3f}"
        known = "" if row.low == row.high or not number else f" [{row.low:.3f}, {row.high:.3f}]"
        print(f"  {row.notebook}  {row.verdict:27} {row.statement}{number}{known}")
    return chapter.found.claims


def declared(section: Section) -> dict[str, Any]:
    """Return the parameters that a notebook has, with their defaults.

    papermill itself would only warn about a name that no notebook has.
    """
    import papermill

    check(section.path.is_file(), "notebook", str(section.path), "is missing from notebooks/")
    found = papermill.inspect_notebook(str(section.path))
    return {name: ast.literal_eval(about["default"]) for name, about in found.items()}


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


def _execute(section: Section, out: Path, parameters: Mapping[str, Any]) -> int:
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
