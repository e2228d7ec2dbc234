"""In which order a book would train on G GPUs, and when it would be done: executors, simulated.

Sections follow one another, as notebooks do; what a section still needs is stacked as
`Study.ensure` stacks it and handed out as executors do: the costliest to whoever is free first.

    schedule = simulate(study, choose(""), execution, n_slot=32, n_gpu=64)
    schedule.wall, schedule.busy
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ieee_lib.book.estimates import Speed, aligned, device_kind, duration
from ieee_lib.book.plan import first_runs
from ieee_lib.book.sections import Section
from ieee_lib.config import RunSpec, check_integer
from ieee_lib.config.tables import Execution
from ieee_lib.errors import check
from ieee_lib.jobs.executors import worker_count
from ieee_lib.study import Study, into_stacks


@dataclass(frozen=True)
class Planned:
    """A unit on the time line of a book."""

    section: str
    what: str
    start: float
    """Seconds after the book's start."""
    end: float


@dataclass(frozen=True)
class Schedule:
    """A book's units in the order in which they start."""

    units: tuple[Planned, ...]
    gpus: float
    """GPUs, or workers where there are none, that a unit takes; a share of one counts as such."""
    n_gpu: int

    @property
    def wall(self) -> float:
        """Seconds from the first unit's start to the last one's end."""
        return max((unit.end for unit in self.units), default=0.0)

    @property
    def gpu_seconds(self) -> float:
        return sum(self.gpus * (unit.end - unit.start) for unit in self.units)

    @property
    def busy(self) -> float:
        """Share of all GPUs' time that units take."""
        return self.gpu_seconds / (self.n_gpu * self.wall) if self.units else 0.0

    @property
    def longest(self) -> Planned:
        return max(self.units, key=lambda unit: unit.end - unit.start)


def place(seconds: Iterable[float], n_slot: int, start: float = 0.0) -> list[tuple[float, float]]:
    """Return start and end of units that go, in this order, to the slot that is free first."""
    free = [start] * n_slot
    placed = []
    for length in seconds:
        begin = heapq.heappop(free)
        heapq.heappush(free, begin + length)
        placed.append((begin, begin + length))
    return placed


def simulate(study: Study, sections: Mapping[str, Section], *, n_slot: int, n_gpu: int) -> Schedule:
    """Place what the sections still need on `n_slot` units at once, which take `n_gpu` GPUs."""
    execution = study.scale.execution
    n_device = execution.devices * execution.num_nodes
    speed, start, units = Speed.of(study), 0.0, []
    for section, _, missing in first_runs(study, sections):
        stacks = into_stacks(missing, execution.stack, n_slot) if missing else []
        seconds = [sum(map(speed.seconds, stack)) / n_device for stack in stacks]
        for stack, (begin, end) in zip(stacks, place(seconds, n_slot, start), strict=True):
            units.append(Planned(section, describe(study, stack), begin, end))
        start = max((unit.end for unit in units), default=0.0)
    return Schedule(tuple(units), n_device * execution.gpu_share, n_gpu)


def describe(study: Study, stack: Sequence[RunSpec]) -> str:
    """Say what a unit trains, in words that units of equal work share."""
    first = stack[0]
    names = {shape: name for name, shape in study.scale.models.items()}
    N = first.model.count().total
    words = [
        names.get(first.model, f"{N / 1e9:.1f}B" if N >= 1e9 else f"{N / 1e6:.2g}M"),
        f"D = {first.seed_tokens:,}",
        f"{first.epochs} epoch{'s' * (first.epochs > 1)}",
    ]
    words += [f"{first.synthetic_weight:.0%} synthetic"] if first.synthetic else []
    words += [f"stack of {len(stack)}"] if len(stack) > 1 else []
    return ", ".join(words)


def slots(execution: Execution, n_gpu: int | None) -> tuple[int, int]:
    """Return how many units run at once on so many GPUs or workers (None: this machine's).

    Also returns the number of GPUs. Raises InputError where not one unit fits.
    """
    n_device = execution.devices * execution.num_nodes
    if n_gpu is None:
        n_slot = worker_count(execution)
        return n_slot, -(-n_slot // execution.units_on(execution.devices)) * n_device
    check_integer("--gpus", n_gpu, 1)
    check(n_gpu >= n_device, "--gpus", n_gpu, f"must be at least {n_device}: a unit takes as many")
    at_once = n_gpu // execution.num_nodes
    n_slot = execution.units_on(at_once)
    return (1 if execution.executor == "inline" else n_slot), n_gpu


def schedule_lines(
    study: Study, sections: Mapping[str, Section], *, executor: str | None, n_gpu: int | None
) -> str:
    """Return the order of units as text, equal neighbours on one line, then what it costs.

    Raises InputError for an unknown executor, and for fewer GPUs than a unit takes.
    """
    scale = study.scale
    execution = replace(scale.execution, executor=executor or scale.execution.executor)
    study = replace(study, scale=replace(scale, execution=execution))
    n_slot, n_gpu = slots(execution, n_gpu)
    book = simulate(study, sections, n_slot=n_slot, n_gpu=n_gpu)
    kind = device_kind(execution)
    unit, name = (3600, "h") if book.wall > 7200 else (60, "min")
    rows = [["section", "units", "each", f"{kind}s each", f"start ({name})", f"end ({name})"]]
    for (section, what), group in groupby(book.units, key=lambda u: (u.section, u.what)):
        units = list(group)
        times = (units[0].start / unit, max(u.end for u in units) / unit)
        counted = [section, f"{len(units)} x", what, f"{book.gpus:g}"]
        rows.append([*counted, *(f"{time:,.1f}" for time in times)])
    head = f"Scale {scale.name} with executor {execution.executor} on {n_gpu} {kind}(s): "
    head += f"{n_slot} unit(s) at once"
    if not book.units:
        return f"{head}\nNothing is left to train."
    longest = book.longest
    took = duration(longest.end - longest.start)
    return "\n".join(
        [
            head,
            *aligned(rows, left=3),
            f"{book.gpu_seconds / 3600:.3g} {kind}-hours in {duration(book.wall)}, {kind}s busy "
            f"{book.busy:.0%} of it, at {Speed.of(study)}. Longest unit: {longest.what}, {took}.",
            "Each section is taken as known from its start: searches that move, and what waits for "
            "text that is still to be written, take longer.",
        ]
    )
