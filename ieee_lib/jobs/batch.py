"""Run a batch of jobs for a study: group missing runs into stacks, run them, report what failed.

    jobs = training_jobs(missing, specs, store=store, execution=execution, n_worker=2, ...)
    run_batch(jobs, "training", executor=executor, store=store, failed=failed)

A stack that was begun before keeps its members, so that a run which continues after a kill ends
at the same bits as one that nothing has disturbed.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from ieee_lib.config import RunSpec
from ieee_lib.config.execution import Execution
from ieee_lib.errors import TrainingError
from ieee_lib.files import check_free_space
from ieee_lib.jobs.executors import Executor
from ieee_lib.jobs.job import Job
from ieee_lib.jobs.outcome import Failure
from ieee_lib.jobs.progress import Progress
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.runs.store import RunStore

Stack = Sequence[RunSpec]
"""Runs of equal shape that train together."""


def training_jobs(
    missing: Sequence[RunSpec],
    requested: Iterable[RunSpec],
    *,
    store: RunStore,
    scale: str,
    corpus_folder: Path,
    execution: Execution,
    n_worker: int,
    weights: bool,
) -> list[TrainJob]:
    """Return the stacks that train the missing ones of the requested runs, costliest first.

    Stacks begun before come back as they were; the others are noted in the store as begun.
    """
    largest = execution.stack
    begun = begun_stacks(store, missing, requested, largest)
    continued_ids = {spec.run_id for stack in begun for spec in stack}
    new = into_stacks([s for s in missing if s.run_id not in continued_ids], largest, n_worker)
    for stack in new:
        store.begin(stack)
    jobs = [TrainJob(tuple(s), corpus_folder, scale, weights, begun=True) for s in begun]
    jobs += [TrainJob(tuple(s), corpus_folder, scale, weights) for s in new]
    return sorted(jobs, key=lambda job: -job.cost)


def begun_stacks(
    store: RunStore, missing: Sequence[RunSpec], requested: Iterable[RunSpec], largest: int
) -> list[Stack]:
    """Return the stacks to continue: begun before, of requested runs only, with one missing.

    A stack larger than `largest` is left out, and one that shares a missing run with a stack
    already chosen.
    """
    requested_ids = {spec.run_id for spec in requested}
    missing_ids = {spec.run_id for spec in missing}
    chosen: list[Stack] = []
    chosen_ids: set[str] = set()
    for stack in store.begun():
        stack_ids = {spec.run_id for spec in stack}
        if len(stack) > largest or not stack_ids <= requested_ids:
            continue
        to_train = stack_ids & missing_ids
        if to_train and not to_train & chosen_ids:
            chosen.append(stack)
            chosen_ids |= stack_ids
    return chosen


def into_stacks(specs: Sequence[RunSpec], largest: int, n_worker: int) -> list[list[RunSpec]]:
    """Group runs of equal shape into stacks, costliest first, split so that no worker idles."""
    groups: dict[str, list[RunSpec]] = {}
    for spec in specs:
        groups.setdefault(spec.stack_key, []).append(spec)
    fair_share = max(1.0, sum(spec.cost for spec in specs) / n_worker)
    stacks = []
    for group in groups.values():
        cost = sum(spec.cost for spec in group)
        by_cost = math.ceil(cost / fair_share - 1e-9)
        n_stack = min(len(group), max(math.ceil(len(group) / largest), by_cost))
        stacks += [group[i::n_stack] for i in range(n_stack)]
    return sorted(stacks, key=lambda stack: -sum(spec.cost for spec in stack))


def run_batch(
    jobs: Sequence[Job],
    label: str,
    *,
    executor: Executor,
    store: RunStore,
    failed: dict[str, str],
) -> None:
    """Run jobs under one progress bar; `failed` (run id -> reason) is read and extended.

    A job with a run in `failed` is not tried again. Raises InputError where the disk is too
    small, and TrainingError, after all others have run, where jobs failed. An interruption ends
    the executor's workers.
    """
    check_free_space(store.records_folder, sum(job.disk_bytes for job in jobs))
    to_run: list[Job] = []
    failures: list[Failure] = []
    for job in jobs:
        reasons = [failed[spec.run_id] for spec in job.specs if spec.run_id in failed]
        if reasons:
            failures.append(Failure(job, reasons[0]))
        else:
            to_run.append(job)
    progress = Progress(label, jobs)
    try:
        failures = executor.run(to_run, progress) + failures
    except BaseException:
        executor.close()
        raise
    finally:
        progress.close()
    for failure in failures:
        for spec in failure.job.specs:
            failed[spec.run_id] = failure.why
            store.put_failure(spec, failure.why)
    if failures:
        n_failed = sum(len(failure.job.specs) for failure in failures)
        n_run = sum(len(job.specs) for job in jobs)
        lines = "\n  ".join(map(str, failures))
        raise TrainingError(
            f"{n_failed} of {n_run} runs to make for '{label}' could not be made, so nothing is "
            f"drawn from them; the same command tries them again:\n  {lines}"
        )
