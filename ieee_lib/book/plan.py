"""What a scale costs, before anything runs: tokens, FLOPs, hours, and what is already done.

plan_frame(open_plan(Scale.load("laptop")), choose(""))
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ieee_lib.book.chapters import Section
from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.execution import Execution
from ieee_lib.config.scale import Scale
from ieee_lib.errors import InputError
from ieee_lib.model.memory import memory_of
from ieee_lib.runs.reader import UNPREPARED
from ieee_lib.runs.store import RunStore
from ieee_lib.study import Study
from ieee_lib.text.sources import open_source


def open_plan(scale: Scale) -> Study:
    """Open a study for planning: nothing is downloaded, tokenized or trained."""
    return Study(scale, "records", RunStore.of(scale.name), UNPREPARED, None).beside(scale)


def plan_frame(study: Study, sections: Mapping[str, Section]) -> pd.DataFrame:
    """Return one row a section: runs, done, tokens, flops, device hours of what is left.

    A run that two sections share counts in the first. Hours are those of one worker (`Speed`). A
    search counts as the least it can need: its start is optimal, and one seed shows it.
    """
    speed = Speed.of(study)
    rows = []
    for name, specs, missing in own_runs(study, sections):
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
    sums = frame.drop(columns="section").sum()
    return pd.concat([frame, pd.DataFrame([{"section": "all", **sums}])], ignore_index=True).astype(
        {"runs": int, "done": int, "tokens": int}
    )


def own_runs(
    study: Study, sections: Mapping[str, Section]
) -> Iterator[tuple[str, list[RunSpec], list[RunSpec]]]:
    """Yield each section's name, its runs that no earlier one needs, and those still missing."""
    counted: set[str] = set()
    for number, section in sections.items():
        specs = {s.run_id: s for s in section.specs(study) if s.run_id not in counted}
        counted |= set(specs)
        yield f"{number} {section.title}", list(specs.values()), study.missing(specs.values())


@dataclass(frozen=True)
class Speed:
    """How fast one worker is: as measured here at each size, else as the scale assumes."""

    rates: dict[int, float]
    """N -> FLOP/s of the runs recorded here; small models are far below what a device can."""
    assumed: float
    kind: str
    """What a worker is called."""

    @classmethod
    def of(cls, study: Study) -> "Speed":
        sums: dict[int, list[float]] = {}
        for r in study.store.records():
            if r["kind"] == "train" and r["corpus"]["fingerprint"] == study.fingerprint:
                known = sums.setdefault(r["parameters"]["total"], [0.0, 0.0])
                known[0] += r["flops"]
                known[1] += r["seconds"] - (r["stack"].get("compile_seconds") or 0.0)
        rates = {n: flops / seconds for n, (flops, seconds) in sorted(sums.items()) if seconds > 0}
        execution = study.scale.execution
        return cls(rates, execution.flops_per_second, device_kind(execution))

    def seconds(self, spec: RunSpec | EnsembleSpec) -> float:
        """Return how long one worker takes; sizes between those measured lie between them.

        Models beyond those measured are taken to be no slower than the scale assumes.
        """
        if not self.rates:
            return spec.flops / self.assumed
        first = spec if isinstance(spec, RunSpec) else spec.members[0]
        n = first.model.count().total
        sizes, rates = np.log(list(self.rates)), np.log(list(self.rates.values()))
        rate = float(np.exp(np.interp(np.log(n), sizes, rates)))
        return spec.flops / (max(rate, self.assumed) if n > max(self.rates) else rate)

    def __str__(self) -> str:
        if not self.rates:
            return f"{self.assumed:.3g} FLOP/s a {self.kind}, assumed"
        ends = sorted({f"{rate:.3g}" for rate in self.rates.values()}, key=float)
        return f"{' to '.join(ends[:1] + ends[1:][-1:])} FLOP/s a {self.kind}, measured here"


def plan_lines(study: Study, sections: Mapping[str, Section]) -> str:
    """Return the plan as text, with where its rate comes from."""
    from ieee_lib.jobs.machine import worker_count

    frame = plan_frame(study, sections)
    execution = study.scale.execution
    n_worker = worker_count(execution)
    rows = [["section", "runs", "done", "tokens", "FLOPs", "left"]]
    for row in frame.itertuples():
        left = duration(row.device_hours_left * 3600)
        rows.append(
            [
                row.section,
                f"{row.runs}",
                f"{row.done}",
                f"{row.tokens:.3g}",
                f"{row.flops:.2e}",
                left,
            ]
        )
    kind = device_kind(execution)
    hours = frame.device_hours_left.iloc[-1]
    return "\n".join(
        [
            f"Scale {study.scale.name}: {study.scale.about}",
            *aligned(rows),
            f"Left: {hours:.3g} {kind}-hours at {Speed.of(study)}; "
            f"{duration(hours * 3600 / n_worker)} on {n_worker} {kind}(s). Searches count as the "
            "least they can need; writing synthetic text and answering questions are not counted.",
            memory_line(study.scale),
            *missing_text(study.scale),
        ]
    )


def missing_text(scale: Scale) -> list[str]:
    """Return a line on each text that a scale names and that is not on this machine."""
    found = []
    for role, name in (("corpus", scale.corpus.source), ("target", scale.midtraining.target)):
        try:
            open_source(name, role=role).state()
        except InputError as error:
            found.append(f"Its text is not here yet: {error}")
    return found


def memory_line(scale: Scale) -> str:
    """Return what training takes of its device's memory: the largest stack of every model."""
    execution, training = scale.execution, scale.training
    batch = execution.sequences_at_once(training.batch_size)
    shapes = dict(scale.models)
    if scale.midtraining.model is not None:
        shapes["continued"] = scale.midtraining.model
    found = []
    for name, model in shapes.items():
        memory = memory_of(
            model,
            n_member=execution.stack,
            batch=batch,
            precision=training.precision,
            n_device=execution.devices,
            on_cpu=execution.accelerator == "cpu",
        )
        found.append(f"{name} {memory.total / 1e9:.3g} GB")
    return (
        f"Memory a stack of {execution.stack} trains in, {batch} sequence(s) of "
        f"{training.block_size} tokens a pass: {', '.join(found)}."
    )


def device_kind(execution: Execution) -> str:
    return "GPU" if execution.accelerator == "gpu" else "worker"


def aligned(rows: list[list[str]], left: int = 1) -> list[str]:
    """Return rows of cells as lines; the first `left` columns are set to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def duration(seconds: float) -> str:
    """Return a time as 45 s, 3:20 min, 5.2 h or 12 days."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{int(seconds // 60)}:{int(seconds % 60):02d} min"
    return f"{seconds / 3600:.1f} h" if seconds < 4 * 86400 else f"{seconds / 86400:.0f} days"
