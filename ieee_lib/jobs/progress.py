"""One bar for everything that trains: share of the work, tokens/s, time left.

On a terminal it redraws itself, in JupyterLab it is a widget; elsewhere (papermill, a log) it
prints a line now and then.
"""

import sys
import time
from collections.abc import Sequence

from tqdm import tqdm

from ieee_lib.frontend import in_lab
from ieee_lib.jobs.job import Job

QUIET_SECONDS = 15.0
"""Between two lines where nobody watches."""


class Progress:
    """A bar over jobs' cost, so that time left is fair to small and large models alike."""

    def __init__(self, label: str, jobs: Sequence[Job]) -> None:
        watched = sys.stderr.isatty() or in_lab()
        self.label, self.n_run, self.n_done = label, sum(len(job.specs) for job in jobs), 0
        self.tokens: dict[int, int] = {}
        self.unseen = 0.0
        self.watched, self.trained, self.start = watched, 0, time.monotonic()
        kind = tqdm
        if in_lab():
            from tqdm.notebook import tqdm as kind
        self.bar = kind(
            total=sum(job.cost for job in jobs),
            mininterval=0.5 if watched else QUIET_SECONDS,
            miniters=1,
            leave=watched,
            ascii=not watched,
            delay=0 if watched else QUIET_SECONDS / 2,
            file=sys.stderr if watched else _Lines(),
            bar_format="{desc} {percentage:3.0f}% |{bar:24}| {elapsed} < {remaining}{postfix}",
        )
        self._describe()

    def moved(self, job: Job, tokens: int) -> None:
        """Hear that a job stands at `tokens`; 0 takes back what it had."""
        gain = tokens - self.tokens.get(id(job), 0)
        self.tokens[id(job)] = tokens
        self.trained += gain
        self.unseen += gain * job.cost / job.tokens
        if abs(self.unseen) < 0.01 * self.bar.total and tokens:
            return  # too little to guess a time from
        rate = self.trained / max(1e-9, time.monotonic() - self.start)
        self.bar.set_postfix_str(f"{rate / 1e3:.1f}k tokens/s", refresh=False)
        self.bar.update(self.unseen)
        self.unseen = 0.0

    def finished(self, job: Job) -> None:
        self.n_done += len(job.specs)
        self._describe()
        self.moved(job, job.tokens)

    def gave_up(self, failure) -> None:
        self.moved(failure.job, 0)
        self.note(f"{failure}; gave it up, the others go on")

    def note(self, line: str) -> None:
        """Print a line without breaking the bar."""
        tqdm.write(line, file=sys.stderr)

    def close(self) -> None:
        self.bar.close()
        if not self.watched:
            seconds = time.monotonic() - self.start
            done = f"{self.label}: {self.n_done}/{self.n_run} runs in {seconds:.0f} s"
            print(f"{done}, {self.trained / seconds / 1e3:.1f}k tokens/s", file=sys.stderr)

    def _describe(self) -> None:
        self.bar.set_description_str(
            f"{self.label}: {self.n_done}/{self.n_run} runs", refresh=False
        )


class _Lines:
    """Turns a bar that redraws itself into plain lines on standard error."""

    def write(self, text: str) -> None:
        text = text.strip("\r\n \x1b[A")
        if text:
            print(text, file=sys.stderr, flush=True)

    def flush(self) -> None: ...
