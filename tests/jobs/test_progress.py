"""The progress bar: what it says on a terminal, in JupyterLab and in a log."""

import io
import sys

import pytest

from ieee_lib.config.session import SESSION
from ieee_lib.jobs.progress import Progress
from ieee_lib.jobs.train_job import TrainJob


@pytest.fixture
def stacks(spec, corpus):
    """Two stacks, of three runs and of two, whose shares of the whole are no round numbers."""
    specs = [spec.replace(init_seed=seed, epochs=3) for seed in range(5)]
    return [TrainJob(tuple(part), corpus.folder, "smoke", False) for part in (specs[:3], specs[3:])]


def work(progress, jobs):
    for job in jobs:
        for part in range(1, 8):
            progress.moved(job, job.tokens * part // 7)
        progress.finished(job)


def lab(monkeypatch, jobs):
    monkeypatch.setenv(SESSION, "a notebook in JupyterLab")
    progress = Progress("training", jobs)
    return progress, *progress.bar.container.children


def test_in_the_lab_a_finished_bar_is_full_and_the_only_one(stacks, monkeypatch, capsys):
    progress, left, bar, right = lab(monkeypatch, stacks)
    work(progress, stacks)
    progress.bar.n *= 1 - 1e-12  # as some sums of shares are
    progress.close()
    assert bar.bar_style == "success" and bar.value == bar.max
    assert left.value.replace("\u2007", " ") == "training: 2/2 stacks, 5/5 runs 100% "
    assert "█" not in right.value and "#" not in right.value
    assert "tokens/s" in right.value.replace("\u2007", " ")


def test_in_the_lab_a_bar_with_a_failed_run_is_red(stacks, monkeypatch):
    progress, left, bar, _ = lab(monkeypatch, stacks)
    work(progress, stacks[:1])
    progress.close()
    assert bar.bar_style == "danger" and "1/2 stacks, 3/5 runs" in left.value.replace("\u2007", " ")


def test_half_of_a_stack_is_counted_in_stacks(stacks, monkeypatch):
    progress, left, _, _ = lab(monkeypatch, stacks)
    assert "training: 0/2 stacks" in left.value.replace("\u2007", " "), "from the first moment"
    progress.moved(stacks[0], stacks[0].tokens * 3 // 4)
    progress.bar.refresh()
    shown = left.value.replace("\u2007", " ")
    assert shown.startswith("training: 0/2 stacks, 0/5 runs") and " 45%" in shown
    progress.close()


def test_lone_runs_are_no_stacks(spec, corpus, monkeypatch):
    jobs = [TrainJob((spec,), corpus.folder, "smoke", False)]
    progress, left, _, _ = lab(monkeypatch, jobs)
    assert "stacks" not in left.value and "0/1" in progress.bar.desc
    progress.close()


def test_a_terminal_that_knows_ascii_only_gets_a_bar_of_it(stacks, monkeypatch):
    class Terminal(io.TextIOWrapper):
        def isatty(self):
            return True

    monkeypatch.delenv(SESSION, raising=False)
    terminal = Terminal(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress("training", stacks)
    work(progress, stacks)
    progress.close()
    printed = terminal.buffer.getvalue().decode("ascii")
    assert "100% |########################|" in printed and "2/2 stacks" in printed
