"""A budget of minutes: how long runs take on this machine, and whether they still fit.

plan.fits(plan.seconds(specs))
with until(deadline): ...                # plans that are opened in it end then
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import pandas as pd

from ieee_lib.config import RunSpec, SampleSpec

SLACK = 1.3
"""How many times its cost training takes: stacks are not full, workers wait."""
SAMPLED_A_SECOND = 40_000
"""Tokens that one worker's teacher writes a second, at 0.1M parameters."""

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Let plans that are opened in this block end at a time of `time.monotonic`."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


@dataclass(frozen=True)
class Plan:
    """What a budget buys on one text."""

    minutes: float
    rate: float
    """Cost (`RunSpec.cost`) that all workers of this machine do in a second, as measured here."""
    deadline: float
    """When the time is over, of `time.monotonic`."""
    table: pd.DataFrame
    """One row a step: runs, flops (training), minutes."""

    def seconds(self, specs: Iterable[RunSpec | SampleSpec]) -> float:
        """Return how long all workers take for runs, and one for a sample's text."""
        return seconds(specs, self.rate)

    def fits(self, seconds: float) -> bool:
        """Say whether so much time is left."""
        return time.monotonic() + seconds <= self.deadline


def deadline_after(minutes: float) -> float:
    """Return when a budget that starts now is over: earlier inside `until`."""
    end = _deadline.get()
    return time.monotonic() + 60 * minutes if end is None else end


def seconds(specs: Iterable[RunSpec | SampleSpec], rate: float) -> float:
    """Return how long runs and samples take at a rate; see `Plan.rate`."""
    specs = list(specs)
    written = sum(spec.n_token for spec in specs if isinstance(spec, SampleSpec))
    cost = sum(spec.cost for spec in specs if isinstance(spec, RunSpec))
    return SLACK * cost / rate + written / SAMPLED_A_SECOND
