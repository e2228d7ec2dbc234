"""In which order a book would train on G GPUs, and when it would be done: executors, simulated.

Sections follow one another, as notebooks do; what a section still needs is stacked as
`Study.ensure` stacks it and handed out as executors do: the costliest to whoever is free first.

    schedule = simulate(study, choose(""), n_slot=32, n_gpu=64)
    schedule.wall, schedule.busy
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ieee_lib.book.estimates import Speed, aligned, device_kind, duration
from ieee_lib.book.plan import first_runs
from ieee_lib.book.sections import Section
from ieee_lib.config import RunSpec, build, check_integer
from ieee_lib.config.execution import Execution
from ieee_lib.errors import check
from ieee_lib.jobs.batch import into_stacks
from ieee_lib.jobs.machine import worker_count
from ieee_lib.study import Study


@dataclass(frozen=True)
class PlannedJob:
    """A job on the time line of a book."""

    section: str
    what: str
    start: float
    """Seconds after the book's start."""
    end: float

    @property
    def seconds(self) -> float:
        """Return how long it takes."""
        return self.end - self.start


@dataclass(frozen=True)
class Schedule:
    """A book's jobs in the order in which they start."""

    jobs: tuple[PlannedJob, ...]
    gpus: float
    """GPUs, or workers where there are none, that a job takes; a share of one counts as such."""
    n_gpu: int

    @property
    def wall(self) -> float:
        """Return the seconds from the first job's start to the last one's end."""
        return max((job.end for job in self.jobs), default=0.0)

    @property
    def gpu_seconds(self) -> float:
        """Return the seconds of all GPUs that jobs take."""
        return sum(self.gpus * job.seconds for job in self.jobs)

    @property
    def busy(self) -> float:
        """Return the share of all GPUs' time that jobs take."""
        return self.gpu_seconds / (self.n_gpu * self.wall) if self.jobs else 0.0

    @property
    def longest(self) -> PlannedJob:
        """Return the job that takes longest."""
        return max(self.jobs, key=lambda job: job.seconds)


def place(seconds: Iterable[float], n_slot: int, start: float = 0.0) -> list[tuple[float, float]]:
    """Return start and end of jobs that go, in this order, to the slot that is free first."""
    free = [start] * n_slot
    placed = []
    for length in seconds:
        begin = heapq.heappop(free)
        heapq.heappush(free, begin + length)
        placed.append((begin, begin + length))
    return placed


def simulate(study: Study, sections: Mapping[str, Section], *, n_slot: int, n_gpu: int) -> Schedule:
    """Place what the sections still need on slots that run one job each, on `n_gpu` GPUs."""
    execution = study.scale.execution
    n_device = execution.devices
    speed, start = Speed.of(study), 0.0
    jobs: list[PlannedJob] = []
    for section, _, missing in first_runs(study, sections):
        stacks = into_stacks(missing, execution.stack, n_slot) if missing else []
        seconds = [sum(map(speed.seconds, stack)) / n_device for stack in stacks]
        for stack, (begin, end) in zip(stacks, place(seconds, n_slot, start), strict=True):
            jobs.append(PlannedJob(section, describe(study, stack), begin, end))
        start = max((job.end for job in jobs), default=0.0)
    return Schedule(tuple(jobs), n_device * execution.gpu_share, n_gpu)


def describe(study: Study, stack: Sequence[RunSpec]) -> str:
    """Return what a job trains, in words that jobs of equal work share."""
    first = stack[0]
    names = {shape: name for name, shape in study.scale.models.items()}
    N = first.model.count().total
    words = [
        names.get(first.model, f"{N / 1e9:.1f}B" if N >= 1e9 else f"{N / 1e6:.2g}M"),
        f"D = {first.seed_tokens:,}",
        "1 epoch" if first.epochs == 1 else f"{first.epochs} epochs",
    ]
    if first.synthetic:
        words.append(f"{first.synthetic_weight:.0%} synthetic")
    if len(stack) > 1:
        words.append(f"stack of {len(stack)}")
    return ", ".join(words)


def slots(execution: Execution, n_gpu: int | None) -> tuple[int, int]:
    """Return how many jobs run at once on so many GPUs or workers (None: this machine's).

    Also returns the number of GPUs. Raises InputError where not one job fits.
    """
    n_device = execution.devices
    if n_gpu is None:
        n_slot = worker_count(execution)
        return n_slot, -(-n_slot // execution.jobs_per_node(execution.devices)) * n_device
    check_integer("--gpus", n_gpu, 1)
    check(n_gpu >= n_device, "--gpus", n_gpu, f"must be at least {n_device}: a job takes as many")
    n_slot = 1 if execution.executor == "inline" else execution.jobs_per_node(n_gpu)
    return n_slot, n_gpu


def schedule_lines(
    study: Study, sections: Mapping[str, Section], *, executor: str | None, n_gpu: int | None
) -> str:
    """Return the order of jobs as text, equal neighbours on one line, then what it costs.

    Raises InputError for an unknown executor, and for fewer GPUs than a job takes.
    """
    scale = study.scale
    fields = vars(scale.execution) | ({"executor": executor} if executor else {})
    execution = build(Execution, fields, "execution")
    n_slot, n_gpu = slots(execution, n_gpu)
    schedule = simulate(study, sections, n_slot=n_slot, n_gpu=n_gpu)
    kind = device_kind(execution)
    head = f"Scale {scale.name} with executor {execution.executor} on {n_gpu} {kind}(s): "
    head += f"{n_slot} job(s) at once"
    if not schedule.jobs:
        return f"{head}\nNothing is left to train."
    unit, name = (3600, "h") if schedule.wall > 7200 else (60, "min")
    rows = [["section", "jobs", "each", f"{kind}s each", f"start ({name})", f"end ({name})"]]
    for (section, what), group in groupby(schedule.jobs, key=lambda job: (job.section, job.what)):
        jobs = list(group)
        start, end = jobs[0].start / unit, max(job.end for job in jobs) / unit
        counted = [section, f"{len(jobs)} x", what, f"{schedule.gpus:g}"]
        rows.append([*counted, f"{start:,.1f}", f"{end:,.1f}"])
    longest = schedule.longest
    return "\n".join(
        [
            head,
            *aligned(rows, left=3),
            f"{schedule.gpu_seconds / 3600:.3g} {kind}-hours in {duration(schedule.wall)}, "
            f"{kind}s busy {schedule.busy:.0%} of it, at {Speed.of(study)}. "
            f"Longest job: {longest.what}, {duration(longest.seconds)}.",
            "Each section is taken as known from its start: searches that move, and what waits for "
            "text that is still to be written, take longer.",
        ]
    )
