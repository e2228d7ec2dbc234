"""A book that is killed again and again, at any instant, ends as one that was left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from ieee_lib.runs.schema import result_of
from ieee_lib.runs.store import Record, RunStore
from tests.stress import Outcome

N_KILL = 20
SECONDS = (3.0, 14.0)
"""How long a book lives: a notebook's start takes about four."""


def run(home: Path, *, n_kill: int = N_KILL, only: str = "", seed: int = 0) -> list[Outcome]:
    """Kill the smoke book (or some of its notebooks) so often, then let it end."""
    began = time.monotonic()
    undisturbed, _ = _book(home / "undisturbed", only)
    chance, n_before = random.Random(seed), []
    killed = home / "killed"
    for _ in range(n_kill):
        before = _files(killed)
        _book(killed, only, seconds=chance.uniform(*SECONDS))
        lost = [name for name, data in before.items() if _files(killed).get(name) != data]
        n_before.append(len(before))
        if lost:
            break
    before = _files(killed)
    ended, printed = _book(killed, only)
    after = _files(killed)
    lost = [name for name, data in before.items() if after.get(name) != data]
    same = sum(ended.get(i) == record for i, record in undisturbed.items())
    what = f"{n_kill} kills (-9) at random instants of the smoke book, then left alone"
    expected = f"the same {len(undisturbed)} records; none lost, none trained again"
    found = f"{same} of {len(ended)} the same; {len(lost)} lost or trained again"
    holds = undisturbed == ended and not lost and len(n_before) == n_kill and bool(undisturbed)
    if not ended:
        found += f"; {printed[-200:]}"
    return [Outcome("kills", what, expected, found, holds, time.monotonic() - began)]


def _book(home: Path, only: str, seconds: float | None = None) -> tuple[dict[str, Record], str]:
    """Run a book for so long; return the results it has left, and what it printed."""
    from ieee_lib.paths import PACKAGE

    if not (home / "notebooks").exists():
        home.mkdir(parents=True)
        (home / "notebooks").symlink_to(PACKAGE.parent / "notebooks")
    command = [sys.executable, "-m", "ieee_lib", "reproduce", "--scale", "smoke", "--only", only]
    environment = {**os.environ, "IEEE_LIB_HOME": str(home)}
    log = home / "printed.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            command, env=environment, stdout=out, stderr=out, start_new_session=True
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its kernels too: the machine goes down
            process.wait()
    store = _store(home)
    results = {record["run_id"]: result_of(record) for record in store.records()}
    return results, log.read_text()


def _files(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in _store(home).records_folder.glob("*.json")}


def _store(home: Path) -> RunStore:
    data = home / "data"
    return RunStore(data / "runs/smoke", data / "checkpoints/smoke", data / "samples/smoke")
