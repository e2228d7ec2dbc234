"""A store on a disk that fills up: one clear line, and everything finished stays readable."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.stress import Outcome

MEGABYTES = 5

PROGRAM = """
import sys
from ieee_lib.cli import main
from ieee_lib.runs.store import RunStore
code = main(["reproduce", "--scale", "smoke", "--only", "01,02"])
records = list(RunStore.of("smoke").records())
print(f"{code} {len(records)} {sum(r['status'] == 'done' for r in records)}")
"""

BALLAST = 'dd if=/dev/zero of="$0/data/ballast" bs=1k count={kilobytes} status=none'
"""What else lies on the disk."""

FILLING = '(sleep {seconds}; exec dd if=/dev/zero of="$0/data/more" bs=1k status=none 2>&-) &'
"""What somebody else writes until nothing fits any more."""


def run(home: Path) -> list[Outcome]:
    """Reproduce two notebooks on a small disk, with less and less room on it."""
    free = {"3 MB are free": 3000, "1.5 MB are free": 1500}
    outcomes = [
        _full(what, home / f"{kilobytes}", BALLAST.format(kilobytes=1024 * MEGABYTES - kilobytes))
        for what, kilobytes in free.items()
    ]
    what = "somebody else fills it while runs train"
    return [*outcomes, _full(what, home / "filling", FILLING.format(seconds=20))]


def _full(what: str, home: Path, before: str) -> Outcome:
    from ieee_lib.paths import PACKAGE

    began = time.monotonic()
    (home / "data").mkdir(parents=True)
    (home / "notebooks").symlink_to(PACKAGE.parent / "notebooks")
    mount = f'mount -t tmpfs -o size={MEGABYTES}m tmpfs "$0/data" || exit 9'
    script = f'{mount}\n{before}\nexec "$1" -c "$2"'
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
    what = f"a book on a disk of {MEGABYTES} MB; {what}"
    return Outcome("disk", what, expected, found, holds, time.monotonic() - began)
