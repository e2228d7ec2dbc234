"""One bar for everything that trains: share of the work, tokens/s, time left.

On a terminal it redraws itself, in JupyterLab it is a widget; elsewhere (papermill, a log) it
prints a line now and then.

    progress = Progress("training", jobs)
    progress.moved(job, n_token)
    progress.finished(job)
    progress.close()
"""

import sys
import time
from collections.abc import Sequence

from tqdm import tqdm

from ieee_lib.config.session import in_lab
from ieee_lib.jobs.job import Job

FORM = "{desc} {percentage:3.0f}% |{bar}| {elapsed} < {remaining}{postfix}"

QUIET_SECONDS = 15.0
"""Between two lines where nobody watches."""


class Progress:
    """A bar over jobs' cost, so that time left is fair to small and large models alike."""

    def __init__(self, label: str, jobs: Sequence[Job]) -> None:
        self.label, self.n_run, self.n_done = label, sum(len(job.specs) for job in jobs), 0
        self.n_job, self.n_job_done = len(jobs), 0
        self.watched = sys.stderr.isatty() or in_lab()
        self.start = time.monotonic()
        self.tokens: dict[int, int] = {}
        """Job -> tokens that it has worked through."""
        self.total_tokens = 0
        self.total_cost = sum(job.cost for job in jobs)
        self.unshown_cost = 0.0
        kind: type[tqdm] = tqdm
        bar = "{bar:24}"
        if in_lab():
            from tqdm.notebook import tqdm_notebook

            kind, bar = tqdm_notebook, "{bar}"  # any other width is drawn beside the widget's bar
        self.bar = kind(
            desc=self._done(),
            total=self.total_cost,
            mininterval=0.5 if self.watched else QUIET_SECONDS,
            miniters=1,
            leave=self.watched,
            ascii=None if self.watched else True,
            delay=0 if self.watched else QUIET_SECONDS / 2,
            file=sys.stderr if self.watched else _Lines(),
            bar_format=FORM.replace("{bar}", bar),
        )

    def moved(self, job: Job, n_token: int) -> None:
        """Show that a job stands at so many tokens; 0 takes back what it had."""
        gain = n_token - self.tokens.get(id(job), 0)
        self.tokens[id(job)] = n_token
        self.total_tokens += gain
        self.unshown_cost += gain * job.cost / job.tokens
        if abs(self.unshown_cost) < 0.01 * self.total_cost and n_token:
            return  # too little to guess a time from
        rate = self.total_tokens / max(1e-9, time.monotonic() - self.start)
        self.bar.set_postfix_str(f"{rate / 1e3:.1f}k tokens/s", refresh=False)
        self.bar.update(self.unshown_cost)
        self.unshown_cost = 0.0

    def finished(self, job: Job) -> None:
        """Show that a job is done."""
        self.n_done += len(job.specs)
        self.n_job_done += 1
        self.bar.set_description_str(self._done(), refresh=False)
        self.moved(job, job.tokens)

    def note(self, line: str) -> None:
        """Print a line without breaking the bar."""
        tqdm.write(line, file=sys.stderr)

    def close(self) -> None:
        """End the bar; where nobody watches, print what was done."""
        if self.n_done == self.n_run:  # whatever its sum of many shares was rounded to
            self.bar.n = self.total_cost
        self.bar.close()
        if not self.watched:
            seconds = time.monotonic() - self.start
            done = f"{self.label}: {self.n_done}/{self.n_run} runs in {seconds:.0f} s"
            print(f"{done}, {self.total_tokens / seconds / 1e3:.1f}k tokens/s", file=sys.stderr)

    def _done(self) -> str:
        """Say how much is done; the runs of a stack end together, so stacks are counted too."""
        done = f"{self.n_done}/{self.n_run} runs"
        stacks = f"{self.n_job_done}/{self.n_job} stacks, " if self.n_job < self.n_run else ""
        return f"{self.label}: {stacks}{done}"


class _Lines:
    """Turns a bar that redraws itself into plain lines on standard error."""

    def write(self, text: str) -> None:
        text = text.strip("\r\n \x1b[A")
        if text:
            print(text, file=sys.stderr, flush=True)

    def flush(self) -> None: ...
