"""What a study has read, and what it has worked out from that: for costs, archives and speed.

trace = Trace()
trace.read([record])                     # trace.accessed: the run ids so far
trace.cached("question", answer)         # answer() is called once; its reads count each time
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ieee_lib.runs.store import Record

T = TypeVar("T")

Answers = dict[Hashable, tuple[Any, frozenset[str]]]
"""Question -> its answer, and the run ids that it was read from."""

_shared: ContextVar[Answers | None] = ContextVar("shared answers", default=None)


@contextmanager
def sharing_answers() -> Iterator[None]:
    """Let all traces that begin in this block share their answers: one book, many notebooks."""
    token = _shared.set({})
    try:
        yield
    finally:
        _shared.reset(token)


@dataclass
class Trace:
    """The records read so far, and answers that rest on records, which never change."""

    accessed: set[str] = field(default_factory=set)
    """Run ids of the records read so far."""
    answers: Answers = field(default_factory=dict)

    @classmethod
    def begin(cls) -> "Trace":
        """Return an empty trace, with the answers of the book that it belongs to, if any."""
        shared = _shared.get()
        return cls() if shared is None else cls(answers=shared)

    def beside(self) -> "Trace":
        """Return the trace of another text: what it reads counts here too, its answers do not."""
        return Trace(self.accessed)

    def read(self, records: Iterable[Record]) -> None:
        """Note that records were read."""
        self.accessed |= {record["run_id"] for record in records}

    def cached(self, question: Hashable, answer: Callable[[], T]) -> T:
        """Return the answer to a question, worked out once; what it read counts each time."""
        if question not in self.answers:
            before = set(self.accessed)
            self.accessed.clear()  # in place: studies of other texts may share it
            try:
                self.answers[question] = answer(), frozenset(self.accessed)
            finally:
                self.accessed |= before
        result, run_ids = self.answers[question]
        self.accessed |= run_ids
        return result
