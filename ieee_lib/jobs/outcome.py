"""How a job ended, and what follows: the rule that all executors share.

A job whose worker died, or ran out of memory, is tried once more and has then failed; the others
go on. Bad input stops everything, since the next job would meet it too.

    outcome = attempt(job.run, execution, on_tokens)
    retry = handle(job, outcome, tries_left=1, failures=failures, progress=progress)
"""

from dataclasses import dataclass
from typing import Any, Literal

from ieee_lib.config.execution import Execution
from ieee_lib.errors import InputError
from ieee_lib.jobs.job import Job, Listener, Work
from ieee_lib.jobs.progress import Progress

TRIES = 2
"""Of a job whose worker dies."""


@dataclass(frozen=True)
class Failure:
    """A job that failed, and the reason in one line."""

    job: Job
    why: str

    def __str__(self) -> str:
        return f"{self.job.label}: {self.why}"


@dataclass(frozen=True)
class Outcome:
    """How a job ended, in words: exceptions do not travel well between processes."""

    kind: Literal["done", "failed", "died", "input"]
    """died: the job may go well when it is tried again; input: the input was bad."""
    why: str = ""
    input_error: tuple[str, Any, str] = ("", None, "")
    """Field, value and what is allowed, where the input was bad."""


DONE = Outcome("done")


def attempt(work: Work, execution: Execution, on_tokens: Listener) -> Outcome:
    """Do a job's work and return how it ended; raises nothing that is an Exception."""
    try:
        work(execution, on_tokens)
        return DONE
    except InputError as error:
        return Outcome("input", str(error), (error.field, error.value, error.allowed))
    except Exception as error:
        return Outcome("died" if out_of_memory(error) else "failed", type_and_line(error))


def handle(
    job: Job, outcome: Outcome, *, tries_left: int, failures: list[Failure], progress: Progress
) -> bool:
    """Report a job's outcome, and return whether to try it again.

    Adds to `failures` a job that will not be tried again. Raises InputError for bad input.
    """
    if outcome.kind == "input":
        raise InputError(*outcome.input_error)
    if outcome.kind == "done":
        progress.finished(job)
        return False
    progress.moved(job, 0)
    if outcome.kind == "died" and tries_left > 0:
        progress.note(f"{job.label}: {outcome.why}; trying it again")
        return True
    failure = Failure(job, outcome.why)
    failures.append(failure)
    progress.note(f"{failure}; gave it up, the others go on")
    return False


def out_of_memory(error: Exception) -> bool:
    """Say whether memory was short, or a process was ended from outside: it may not come again."""
    torchs = {"OutOfMemoryError", "ProcessExitedException"}  # torch may not be imported here
    named = type(error).__name__ in torchs or "ALLOC_FAILED" in str(error)  # cuBLAS's, cuDNN's
    return isinstance(error, MemoryError) or named


def type_and_line(error: BaseException) -> str:
    """Return an exception's type and the first line of its message."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
