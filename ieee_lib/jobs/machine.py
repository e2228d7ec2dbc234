"""Count this machine's GPUs and cores, and the workers that they carry.

worker_count(execution)          # jobs at once
"""

import contextlib
import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ieee_lib.config.execution import Execution


def worker_count(execution: Execution) -> int:
    """Return how many jobs run at once on this machine; 0 workers: what its GPUs or cores carry."""
    if execution.executor == "inline":
        return 1
    if execution.workers:
        return execution.workers
    gpus = visible_gpus() if execution.accelerator != "cpu" else []
    if gpus or execution.accelerator == "gpu":
        return max(1, execution.jobs_per_node(len(gpus)))
    cores = execution.threads * execution.devices
    return max(1, core_count() // cores) if cores else 1


def visible_gpus() -> list[str]:
    """Return the ids of NVIDIA GPUs, asked of the driver so that CUDA is not started here."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return [gpu for gpu in listed.split(",") if gpu and gpu != "-1"]
    try:
        lines = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(i) for i, line in enumerate(lines.stdout.splitlines()) if line.startswith("GPU")]


def core_count(system: Path = Path("/")) -> int:
    """Return the CPU cores that this process may use: the least of affinity and a cgroup's quota.

    `system` is where /proc and /sys lie.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    n_core = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, min([n_core, *(math.floor(quota) for quota in _quotas(system))]))


def _quotas(system: Path) -> Iterator[float]:
    """Yield the CPUs that each cgroup of this process, or one above it, may use at a time.

    Version 2 says both numbers in one file, version 1 in two, below a mount of its own. In a
    container the path may be the host's, while its own groups are mounted at the root.
    """
    try:
        lines = (system / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in ("", "unified") if not controllers else ("cpu", controllers):
            group = PurePosixPath(mount) / path.lstrip("/")
            for folder in (group, *group.parents):
                yield from _quota(system / "sys/fs/cgroup" / folder)


def _quota(folder: Path) -> Iterator[float]:
    """Yield the quota that a cgroup's folder states, in CPUs; nothing where it states none."""
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        with contextlib.suppress(OSError, ValueError):  # no such file; "max"
            quota, period = " ".join((folder / name).read_text() for name in names).split()
            if int(quota) > 0:  # -1: no limit
                yield int(quota) / int(period)
