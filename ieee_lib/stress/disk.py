"""A store on a disk that fills up: one clear line, and everything finished stays readable."""

import os
import subprocess
import sys
import time
from pathlib import Path

from ieee_lib.stress import Outcome

MEGABYTES = 5

PROGRAM = """
import sys
from ieee_lib.cli import main
from ieee_lib.training.store import RunStore
code = main(["reproduce", "--scale", "smoke", "--only", "01,02"])
records = list(RunStore.of("smoke").records())
print(f"{code} {len(records)} {sum(r['status'] == 'done' for r in records)}")
"""

FILLED = "dd if=/dev/zero of=$0/data/ballast bs=1k count={kilobytes} status=none"
"""What else lies on the disk: the corpus fits beside it, the runs do not."""


def run(home: Path) -> list[Outcome]:
    """Reproduce on a small disk, beside something large, once from empty and once half-way."""
    return [
        _full("empty: the corpus does not fit", home / "first", kilobytes=1024 * MEGABYTES - 200),
        _full("runs fill it up", home / "second", kilobytes=1024 * MEGABYTES - 2200),
    ]


def _full(what: str, home: Path, kilobytes: int) -> Outcome:
    from ieee_lib.paths import PACKAGE

    began = time.monotonic()
    (home / "data").mkdir(parents=True)
    (home / "notebooks").symlink_to(PACKAGE.parent / "notebooks")
    script = f'mount -t tmpfs -o size={MEGABYTES}m tmpfs "$0/data" && '
    script += f'{FILLED.format(kilobytes=kilobytes)} && exec "$1" -c "$2"'
    # A mount of its own, seen by this process alone; it is gone when the process ends.
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script]
    environment = {**os.environ, "IEEE_LIB_HOME": str(home)}
    done = subprocess.run(
        [*command, str(home), sys.executable, PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: disk = ")]
    code, n_record, n_done = (done.stdout.split() or ["?"] * 3)[-3:]
    found = f"exit code {code}, {n_record} records read, {n_done} done: "
    found += lines[-1].partition(": ")[2].replace(str(home), "…") if lines else done.stderr[-200:]
    holds = code == "2" and len(lines) == 1 and "Traceback" not in done.stderr
    expected = "exit code 2 and one line that names the disk; the store can be read"
    what = f"a store on a disk of {MEGABYTES} MB, {what}"
    return Outcome("disk", what, expected, found, holds, time.monotonic() - began)
