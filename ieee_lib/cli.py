"""The command line: reproduce, try, plan, run-plan, predict, figures, book, archive, bench, ...

Exit code 2 is bad input, 3 a book in which some runs could not be made. Paths are relative to the
working directory here, and made absolute before they go on; elsewhere they are below data/.

    python -m ieee_lib reproduce --scale laptop --only 01,02 -p context talk
"""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ieee_lib import paths
from ieee_lib.book.terminal import (
    Parser,
    absolute,
    add_corpus,
    add_looks,
    add_only,
    check_once,
    print_anywhere,
    typed_scale,
)
from ieee_lib.config.corpus import OPTIONS, corpus_text
from ieee_lib.errors import InputError, check, check_choice

Command = Callable[[argparse.Namespace], int]
BENCH_OPTIONS = ("device", "seconds", "minutes", "corpus")
"""Of which a benchmark takes some."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    print_anywhere()
    given = _parse(arguments)
    ended_by: list[int] = []

    def end(number: int, frame: object) -> None:
        ended_by.append(number)
        if hasattr(signal, "setitimer"):  # again, should Python lose this one in a destructor
            signal.setitimer(signal.ITIMER_REAL, 5.0)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)  # a scheduler's way to say Ctrl-C
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, end)
    try:
        paths.give_home()
        os.environ.setdefault("MPLBACKEND", "agg")  # a user's own may need a screen
        return given.command(given)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:  # a bare machine that has torch and little else
        print(f"error: package = {error.name!r}: is not installed; pip install it", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        logging.getLogger("asyncio").disabled = True  # reports the kernel that was just ended
        print("\nstopped; the same command goes on where this one ended", file=sys.stderr)
        return 128 + (ended_by[0] if ended_by else signal.SIGINT)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m ieee_lib", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Command, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(command=function)
        return sub

    def with_scale(name: str, function: Command, help: str) -> argparse.ArgumentParser:
        sub = command(name, function, help)
        what = "smoke, laptop, workstation, gpu, paper or a .toml"
        sub.add_argument("--scale", default="laptop", type=typed_scale, help=what)
        return sub

    instead = "text instead of the scale's: files:PATH (a file, a folder, a glob) or hub:…"

    sub = with_scale("reproduce", _reproduce, "train what is missing and execute the notebooks")
    add_only(sub)
    sub.add_argument("--source", default="train", help="train (here) or archive (recorded runs)")
    add_corpus(sub, instead)
    what = (
        "a parameter of the notebooks, as their cell `parameters` names it; may be repeated. All: "
        "context (paper, talk), background (white, transparent, dark). 01: wd, max_epochs. "
        "07: tasks, files. 08: target, text_field. Default: as in the notebook"
    )
    names = ("NAME", "VALUE")
    sub.add_argument(
        "-p", nargs=2, action="append", default=[], dest="parameters", metavar=names, help=what
    )

    what = "which recipe helps on one's own text: tune, compare and answer within some minutes"
    sub = command("try", _try, what)
    sub.add_argument("--tokens", type=int, default=0, help="D; 0: as many as the budget allows")
    sub.add_argument("--parameters", type=int, default=0, help="N; 0: what suits D and the budget")
    sub.add_argument("--minutes", type=float, default=20.0, help="that it may take")
    add_looks(sub)
    add_corpus(sub, "the text: files:PATH (a file, a folder, a glob) or hub:…")

    sub = with_scale("plan", _plan, "print runs, tokens, FLOPs and hours; trains nothing")
    add_only(sub)
    sub.add_argument("--executor", help="inline, local or ray: print order and wall time too")
    sub.add_argument("--gpus", type=int, help="GPUs, or workers without one: the same on so many")
    sub.add_argument("--budget-minutes", type=float, help="print instead what fits, by value")
    add_corpus(sub, instead)

    sub = with_scale("run-plan", _run_plan, "train what fits a time, by value; records go to --out")
    sub.add_argument("--budget-minutes", type=float, required=True, help="then it stops")
    sub.add_argument("--out", type=absolute, required=True, help="folder of records")
    what = "train nothing whose prediction is not committed"
    sub.add_argument("--hold", action="store_true", help=what)
    add_corpus(sub, instead)

    what = "write down what records predict of runs still to be made"
    add_corpus(with_scale("predict", _predict, what), "the text of the records")

    sub = with_scale("figures", _figures, "redraw figures and tables from records; trains nothing")
    what = "sections or names, such as 03,fig01,tab08; default: all of the paper"
    sub.add_argument("--only", default="", help=what)
    what = "records (of this machine), archive, or auto: the archive where there are no records"
    sub.add_argument("--source", default="auto", help=what)
    add_looks(sub)
    sub.add_argument("--format", default="svg,pdf,png", help="of svg, pdf, png")
    for name in ("title", "xlabel", "ylabel"):
        sub.add_argument(f"--{name}", default="", help="of the figures, instead of their own")
    what = "with or without the caption line; default: on all but slides"
    sub.add_argument("--caption", action=argparse.BooleanOptionalAction, help=what)
    add_corpus(sub, "the corpus the runs were trained on")

    what = "build the static site of a reproduced, or of the recorded book"
    sub = with_scale("book", _book, what)
    sub.add_argument("--source", default="archive", help="archive, or train (reproduced here)")

    sub = with_scale(
        "export", _export, "write a trained run as a Hugging Face Llama with tokenizer"
    )
    sub.add_argument("run_id", metavar="RUN_ID", help="a run whose weights were kept")
    sub.add_argument("folder", metavar="DIR", help="a new or empty folder")

    what = "recorded runs: pack, verify, compare one's own with them"
    sub = with_scale("archive", _archive, what)
    sub.add_argument("action", choices=["pack", "verify", "diff"])

    sub = with_scale("bench", _bench, "measure this code; tables go to figures/bench/")
    what = "agreement (of devices), coverage (of intervals), gpu (all that a lent one can tell), "
    what += "mfu, precision, speed (the default)"
    sub.add_argument("what", nargs="?", default="speed", help=what)
    sub.add_argument("--device", help="agreement, gpu, mfu, speed: cpu or cuda; default: either")
    sub.add_argument("--seconds", type=float, help="mfu, speed: the time they may take")
    sub.add_argument("--minutes", type=float, help="gpu: the time it may take (default: 9)")
    sub.add_argument("--json", metavar="FILE", help="write the tables' numbers there too")
    add_corpus(sub, "gpu: text of the plan, where the scale's cannot be reached")

    sub = command("readme", _readme, "put recorded numbers and tables into the README files")
    sub.add_argument("--check", action="store_true", help="only say whether it is up to date")
    return parser


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    given = _parser().parse_args(arguments)
    if "corpus" in given:
        given.corpus = corpus_text(given.corpus, {name: vars(given)[name] for name in OPTIONS})
    return given


def _reproduce(given: argparse.Namespace) -> int:
    from ieee_lib.book.runner import reproduce

    check_choice("source", given.source, ("train", "archive"))
    return reproduce(
        given.scale,
        only=given.only,
        source=given.source,
        corpus=given.corpus,
        parameters=check_once(given.parameters),
    )


def _try(given: argparse.Namespace) -> int:
    from ieee_lib.book.your_text import try_text

    names = ("corpus", "tokens", "parameters", "minutes", "context", "background")
    return try_text(**{name: getattr(given, name) for name in names})


def _plan(given: argparse.Namespace) -> int:
    from ieee_lib.book.plan import open_plan, plan_lines
    from ieee_lib.book.sections import choose
    from ieee_lib.config import check_number
    from ieee_lib.config.scale import Scale
    from ieee_lib.text.corpus import folder_of

    scale = Scale.load(given.scale)
    if given.corpus:
        scale = scale.on(given.corpus)
        folder_of(scale.corpus)  # raises InputError where there is no such text
    study, sections = open_plan(scale), choose(given.only)
    if given.budget_minutes is not None:
        from ieee_lib.book.run_plan import budget_lines

        check_number("--budget-minutes", given.budget_minutes, above=0.0)
        alone = not (given.only or given.executor or given.gpus)
        check(alone, "--budget-minutes", given.budget_minutes, "goes with --corpus alone")
        print(budget_lines(study, given.budget_minutes))
    elif given.executor is None and given.gpus is None:
        print(plan_lines(study, sections))
    else:
        from ieee_lib.book.schedule import schedule_lines

        print(schedule_lines(study, sections, executor=given.executor, n_gpu=given.gpus))
    return 0


def _run_plan(given: argparse.Namespace) -> int:
    from ieee_lib.book.run_plan import run_plan
    from ieee_lib.book.runner import INCOMPLETE
    from ieee_lib.config import check_number

    check_number("--budget-minutes", given.budget_minutes, above=0.0)
    failed = run_plan(
        given.scale,
        minutes=given.budget_minutes,
        out=Path(given.out),
        corpus=given.corpus,
        hold=given.hold,
    )
    return INCOMPLETE if failed else 0


def _predict(given: argparse.Namespace) -> int:
    from ieee_lib.predictions.log import predict, predictions
    from ieee_lib.study import Study

    study = Study.open(given.scale, source="records", corpus=given.corpus)
    before = len(predictions(study.scale.name))
    new = predict(study)
    allowed = "nothing can be predicted: a law needs three points that are trained, and a fourth"
    check(bool(new or before), "scale", study.scale.name, f"{allowed} that is not")
    for each in new:
        at = each["settings"]
        what = f"{each['recipe']}, {at['model']} x {each['K']}, D = {at['seed_tokens']:,}"
        loss = f"{each['predicted']:.4f} [{each['low']:.4f}, {each['high']:.4f}]"
        print(f"largest {each['axis']}: {what}: {loss}")
    folder = paths.predictions(study.scale.name).relative_to(paths.root())
    print(f"{folder}: {len(new)} new predictions, {before} before")
    return 0


def _figures(given: argparse.Namespace) -> int:
    from ieee_lib.book.figures import redraw

    redraw(
        given.scale,
        source=given.source,
        corpus=given.corpus,
        only=given.only,
        context=given.context,
        background=given.background,
        formats=[name.strip() for name in given.format.split(",")],
        labels={name: getattr(given, name) for name in ("title", "xlabel", "ylabel")},
        caption=given.caption,
    )
    return 0


def _book(given: argparse.Namespace) -> int:
    from ieee_lib.book.site import publish

    return publish(given.scale, given.source)


def _export(given: argparse.Namespace) -> int:
    from ieee_lib.config.scale import Scale
    from ieee_lib.model.llama import export_run, exportable
    from ieee_lib.runs.store import RunStore
    from ieee_lib.text.corpus import find_corpus

    store, folder = RunStore.of(Scale.load(given.scale).name), Path(given.folder)
    corpus_folder = find_corpus(exportable(store, given.run_id).corpus)
    export_run(store, given.run_id, corpus_folder=corpus_folder, folder=folder)
    print(f"{folder}: AutoModelForCausalLM.from_pretrained and AutoTokenizer read it")
    return 0


def _archive(given: argparse.Namespace) -> int:
    from ieee_lib.book.archive import compare, pack, verify
    from ieee_lib.book.verdicts import judged, run_records
    from ieee_lib.study import Study

    if given.action == "verify":
        table = verify(given.scale)
        print(f"{table.formatted().to_string(index=False)}\n{table.caption}")
        return 0
    study = Study.open(given.scale, source="records")
    if given.action == "pack":
        n, path = pack(study), paths.archive(study.scale.name)
        print(f"{n} records, {path.stat().st_size / 1e3:.0f} kB: {path.relative_to(paths.root())}")
        return 0
    comparison = compare(study, judged(run_records(study)))
    comparison.write(study.figures_folder())
    for table in (comparison.losses, comparison.verdicts):
        print(table.formatted().to_string(index=False), end="\n\n")
    print(*comparison.lines, sep="\n")
    return 0


def _bench(given: argparse.Namespace) -> int:
    from ieee_lib import benchmarks
    from ieee_lib.config.scale import Scale

    given_options = {name: vars(given)[name] for name in BENCH_OPTIONS}
    options = {name: value for name, value in given_options.items() if value not in (None, "")}
    benchmarks.check_options(given.what, options)
    json_file = Path(given.json) if given.json else None
    if json_file is not None:
        in_folder = json_file.parent.is_dir() and not json_file.is_dir()
        check(in_folder, "--json", given.json, "must be a file in a folder")
    tables = benchmarks.measure(given.what, Scale.load(given.scale), options)
    for table in tables.values():
        print(table.formatted().to_string(index=False))
    if json_file is not None:
        numbers = {n: json.loads(t.frame.to_json(orient="records")) for n, t in tables.items()}
        json_file.write_text(json.dumps(numbers, indent=1))
    return 0


def _readme(given: argparse.Namespace) -> int:
    from ieee_lib.book.readme import update

    return update(check_only=given.check)
