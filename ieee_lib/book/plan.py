"""What a scale costs, before anything runs: tokens, FLOPs, hours, and what is already done.

plan_frame(open_plan(Scale.load("laptop")))
"""

from collections.abc import Iterator, Mapping

import pandas as pd

from ieee_lib.book.estimates import Speed, aligned, device_kind, duration
from ieee_lib.book.sections import SECTIONS, Section
from ieee_lib.config import RunSpec
from ieee_lib.config.scale import Scale
from ieee_lib.errors import InputError
from ieee_lib.jobs.machine import worker_count
from ieee_lib.model.memory import memory_of
from ieee_lib.runs.reader import UNPREPARED
from ieee_lib.runs.store import RunStore
from ieee_lib.study import Study
from ieee_lib.text.sources import open_source


def open_plan(scale: Scale) -> Study:
    """Open a study for planning: nothing is downloaded, tokenized or trained."""
    return Study(scale, "records", RunStore.of(scale.name), UNPREPARED, None).beside(scale)


def plan_frame(study: Study, sections: Mapping[str, Section] | None = None) -> pd.DataFrame:
    """Return one row a section (all of them): runs, done, tokens, flops, device hours left.

    A run that two sections share counts in the first. Hours are those of one worker (`Speed`). A
    search counts as the least it can need: its start is optimal, and one seed shows it.
    """
    speed = Speed.of(study)
    rows = []
    for name, specs, missing in first_runs(study, sections or SECTIONS):
        rows.append(
            {
                "section": name,
                "runs": len(specs),
                "done": len(specs) - len(missing),
                "tokens": sum(s.tokens for s in specs),
                "flops": sum(s.flops for s in specs),
                "device_hours_left": sum(map(speed.seconds, missing)) / 3600,
            }
        )
    frame = pd.DataFrame(rows)
    total = pd.DataFrame([{"section": "all", **frame.drop(columns="section").sum()}])
    whole = {"runs": int, "done": int, "tokens": int}
    return pd.concat([frame, total], ignore_index=True).astype(whole)


def first_runs(
    study: Study, sections: Mapping[str, Section]
) -> Iterator[tuple[str, list[RunSpec], list[RunSpec]]]:
    """Yield each section's name, the runs that no earlier one needs, and those still missing."""
    counted: set[str] = set()
    for number, section in sections.items():
        specs = {s.run_id: s for s in section.needs(study) if s.run_id not in counted}
        counted |= set(specs)
        yield f"{number} {section.title}", list(specs.values()), study.missing(specs.values())


def plan_lines(study: Study, sections: Mapping[str, Section]) -> str:
    """Return the plan as text, with where its rate comes from."""
    frame = plan_frame(study, sections)
    execution = study.scale.execution
    n_worker, kind = worker_count(execution), device_kind(execution)
    rows = [["section", "runs", "done", "tokens", "FLOPs", "left"]]
    for row in frame.to_dict("records"):
        costs = [f"{row['runs']}", f"{row['done']}", f"{row['tokens']:.3g}", f"{row['flops']:.2e}"]
        rows.append([row["section"], *costs, duration(row["device_hours_left"] * 3600)])
    hours = frame.device_hours_left.iloc[-1]
    return "\n".join(
        [
            f"Scale {study.scale.name}: {study.scale.about}",
            *aligned(rows),
            f"Left: {hours:.3g} {kind}-hours at {Speed.of(study)}; "
            f"{duration(hours * 3600 / n_worker)} on {n_worker} {kind}(s). Searches count as the "
            "least they can need; writing synthetic text and answering questions are not counted.",
            memory_line(study.scale),
            *not_run_lines(study.scale, sections),
            *missing_text(study.scale),
        ]
    )


def not_run_lines(scale: Scale, planned: Mapping[str, Section]) -> list[str]:
    """Return what is no part of a plan: optional notebooks, and items without runs, and why."""
    left_out = [s.notebook for n, s in SECTIONS.items() if s.optional and n not in planned]
    lines = [f"Optional, not planned here: {', '.join(left_out)} (--only)."] if left_out else []
    for section in SECTIONS.values():
        items: dict[str, list[str]] = {}
        for item, why in section.not_run(scale).items():
            items.setdefault(why, []).append(item)
        for why, names in items.items():
            lines.append(f"Not run by {section.notebook}: {', '.join(names)}; {why}.")
    return lines


def missing_text(scale: Scale) -> list[str]:
    """Return a line on each text that a scale names and that is not on this machine."""
    lines = []
    for role, name in (("corpus", scale.corpus.source), ("target", scale.midtraining.target)):
        try:
            open_source(name, role=role).state()
        except InputError as error:
            lines.append(f"Its text is not here yet: {error}")
    return lines


def memory_line(scale: Scale) -> str:
    """Return what training takes of its device's memory: the largest stack of every model."""
    execution, training = scale.execution, scale.training
    batch = execution.sequences_at_once(training.batch_size)
    shapes = dict(scale.models)
    if scale.midtraining.model is not None:
        shapes["continued"] = scale.midtraining.model
    parts = []
    for name, model in shapes.items():
        memory = memory_of(
            model,
            n_member=execution.stack,
            batch=batch,
            precision=training.precision,
            n_device=execution.devices,
            on_cpu=execution.accelerator == "cpu",
        )
        parts.append(f"{name} {memory.total / 1e9:.3g} GB")
    return (
        f"Memory a stack of {execution.stack} trains in, {batch} sequence(s) of "
        f"{training.block_size} tokens a pass: {', '.join(parts)}."
    )
