"""Several processes that want the same runs at once: each run is trained by one of them."""

import multiprocessing
import os
import time
from pathlib import Path

from tests.stress import Outcome

N_PROCESS = 4
SEEDS = range(3)
"""Of each of the smoke scale's four models: 12 runs."""


def run(home: Path) -> list[Outcome]:
    """Let processes train the same runs, and count who trained how many."""
    began = time.monotonic()
    spawn = multiprocessing.get_context("spawn")
    counts, start = spawn.SimpleQueue(), spawn.Barrier(N_PROCESS)
    writers = [
        spawn.Process(target=_train_all, args=(home, start, counts)) for _ in range(N_PROCESS)
    ]
    for process in writers:
        process.start()
    trained = [counts.get() for _ in writers]
    for process in writers:
        process.join()
    (n_run,) = {n for n, _ in trained}
    n_trained = [n for _, n in trained]
    what = f"{N_PROCESS} processes want the same {n_run} runs at once"
    found = f"{sum(n_trained)} trainings ({' + '.join(map(str, n_trained))})"
    seconds = time.monotonic() - began
    return [
        Outcome(
            "concurrent writers",
            what,
            f"{n_run} trainings",
            found,
            sum(n_trained) == n_run,
            seconds,
        )
    ]


def _train_all(home: Path, start, counts) -> None:
    os.environ["IEEE_LIB_HOME"] = str(home)
    from ieee_lib.jobs.train_job import TrainJob
    from ieee_lib.study import Study

    n_trained, train = [], TrainJob._train

    def counted(unit, missing, *arguments) -> None:
        n_trained.append(len(missing))
        train(unit, missing, *arguments)

    TrainJob._train = counted
    study = Study.open("smoke")
    settings = study.scale.settings("regularized", study.scale.base_tokens)
    specs = [
        study.spec(row.model, seed=seed, wd=row.wd, lr=row.lr, epochs=row.epochs)
        for row in settings
        for seed in SEEDS
    ]
    start.wait()
    frame = study.ensure(specs)
    counts.put((len(frame), sum(n_trained)))
