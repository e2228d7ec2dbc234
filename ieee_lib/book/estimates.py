"""How long runs take, before they run; times and tables as text.

speed = Speed.of(study)
speed.seconds(spec)                      # of one worker
minutes_together(study, specs, speed)    # of all workers of this machine
duration(3725)                           # "62:05 min"
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.execution import Execution
from ieee_lib.jobs.machine import worker_count
from ieee_lib.study import Study


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
        """Return the speed of the runs recorded on a study's text."""
        flops: dict[int, float] = {}
        seconds: dict[int, float] = {}
        for record in study.store.records():
            if record["kind"] == "train" and record["corpus"]["fingerprint"] == study.fingerprint:
                N = record["parameters"]["total"]
                compiling = record["stack"].get("compile_seconds") or 0.0
                flops[N] = flops.get(N, 0.0) + record["flops"]
                seconds[N] = seconds.get(N, 0.0) + record["seconds"] - compiling
        rates = {N: flops[N] / seconds[N] for N in sorted(flops) if seconds[N] > 0}
        execution = study.scale.execution
        return cls(rates, execution.flops_per_second, device_kind(execution))

    def seconds(self, spec: RunSpec | EnsembleSpec) -> float:
        """Return how long one worker takes; sizes between those measured lie between them.

        Models beyond those measured are taken to be no slower than the scale assumes.
        """
        if not self.rates:
            return spec.flops / self.assumed
        first = spec if isinstance(spec, RunSpec) else spec.members[0]
        N = first.model.count().total
        sizes, rates = np.log(list(self.rates)), np.log(list(self.rates.values()))
        rate = float(np.exp(np.interp(np.log(N), sizes, rates)))
        is_beyond = max(self.rates) < N
        return spec.flops / (max(rate, self.assumed) if is_beyond else rate)

    def __str__(self) -> str:
        if not self.rates:
            return f"{self.assumed:.3g} FLOP/s a {self.kind}, assumed"
        slowest, fastest = (f"{end(self.rates.values()):.3g}" for end in (min, max))
        span = slowest if slowest == fastest else f"{slowest} to {fastest}"
        return f"{span} FLOP/s a {self.kind}, measured here"


def minutes_together(study: Study, specs: Iterable[RunSpec | EnsembleSpec], speed: Speed) -> float:
    """Return how long all workers of this machine take together."""
    return sum(map(speed.seconds, specs)) / worker_count(study.scale.execution) / 60


def device_kind(execution: Execution) -> str:
    """Return what a worker is called: GPU or worker."""
    return "GPU" if execution.accelerator == "gpu" else "worker"


def duration(seconds: float) -> str:
    """Return a time as 45 s, 3:20 min, 5.2 h or 12 days."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{int(seconds // 60)}:{int(seconds % 60):02d} min"
    return f"{seconds / 3600:.1f} h" if seconds < 4 * 86400 else f"{seconds / 86400:.0f} days"


def aligned(rows: list[list[str]], left: int = 1) -> list[str]:
    """Return rows of cells as lines; the first `left` columns are set to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells))
    return lines
