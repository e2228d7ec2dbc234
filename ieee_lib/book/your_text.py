"""The command `try`: notebook 12 on one's own text, within a budget of minutes.

    try_text("files:my.txt", minutes=20)

The cells train here until the time is over; then the notebook is executed on what is recorded.
"""

import contextlib
import sys
import time
from typing import Any

import nbformat

from ieee_lib import recipes
from ieee_lib.book.estimates import aligned, duration
from ieee_lib.book.run import one_book, run_notebook
from ieee_lib.book.run_plan import interrupted_at
from ieee_lib.book.runner import INCOMPLETE, execute, executed
from ieee_lib.book.sections import YOUR_TEXT
from ieee_lib.config.execution import Execution
from ieee_lib.config.your_text import execution
from ieee_lib.errors import MissingRuns, TrainingError
from ieee_lib.jobs.executors import sharing_workers
from ieee_lib.plots.saving import output
from ieee_lib.plots.style import style
from ieee_lib.recipes.budget import Plan, until
from ieee_lib.recipes.text_plan import COMPILES_FROM
from ieee_lib.study import Study

CLOSING = 25.0
"""Seconds of the budget that are kept for the executed notebook and its figure."""


def try_text(
    corpus: str,
    *,
    tokens: int = 0,
    parameters: int = 0,
    minutes: float = 20.0,
    context: str = "paper",
    background: str = "white",
) -> int:
    """Print the plan, train what fits, execute notebook 12 and print its answers.

    Returns 0, `INCOMPLETE` where the time did not suffice for the starts of the searches or runs
    failed, else the code of a cell that failed. Raises InputError as `recipes.open_text` does.
    """
    request: dict[str, Any] = {"corpus": corpus, "minutes": minutes}
    request |= {"tokens": tokens, "parameters": parameters}
    looks = {"context": context, "background": background}
    workers = Execution(**execution(minutes >= COMPILES_FROM))
    with contextlib.ExitStack() as stack:
        stack.enter_context(style(**looks))
        stack.enter_context(one_book())
        stack.enter_context(sharing_workers(workers))
        study, plan = recipes.open_text(**request)
        print("\n".join(plan_lines(study, plan)), flush=True)
        _train(plan, {**request, **looks})
    try:
        recipes.tune_within(study.reading(), plan)
    except MissingRuns:
        print("The time was over before the first answer; the same command goes on.", flush=True)
        return INCOMPLETE
    folder = executed(study.scale.name, "train")
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"{YOUR_TEXT.notebook}.ipynb"
    code = execute(YOUR_TEXT, out, {**request, **looks, "source": "records"})
    if code == 0:
        (answer,) = nbformat.read(out, as_version=4).cells[-1].outputs
        print(answer["data"]["text/plain"], f"Executed notebook: {out}", sep="\n")
        print(f"Figure and tables: {study.figures_folder()}")
    return code


def _train(plan: Plan, parameters: dict[str, Any]) -> None:
    """Run the cells until the time is over; what is recorded by then counts."""
    end = plan.deadline - CLOSING
    try:
        with interrupted_at(end), until(end), output(write=False):
            run_notebook(YOUR_TEXT.path, parameters)
    except KeyboardInterrupt:
        if time.monotonic() < end:  # a person's, or a scheduler's
            raise
        print("The time is over; the same command goes on where this one ended.", flush=True)
    except TrainingError as error:
        print(error, file=sys.stderr)


def plan_lines(study: Study, plan: Plan) -> list[str]:
    """Return what will be done, and what it costs, as text."""
    scale = study.scale
    sizes = ", ".join(f"{model.count().total:,}" for model in scale.models.values())
    rows = [["step", "runs", "FLOPs", "time"]]
    for row in plan.table.to_dict("records"):
        cost = [f"{row['runs']}", f"{row['flops']:.1e}", duration(60 * row["minutes"])]
        rows.append([row["step"], *cost])
    return [
        f"{scale.corpus.source}: D = {scale.base_tokens:,} tokens, N = {sizes}, "
        f"budget {plan.minutes:g} min",
        *aligned(rows),
        "Times are at this machine's rate, as short runs measured it. A step begins only where it "
        "still fits.",
    ]
