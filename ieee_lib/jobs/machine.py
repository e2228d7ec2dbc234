"""Count this machine's GPUs and cores, and the workers that they carry.

worker_count(execution)          # jobs at once
"""

import os
import subprocess

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


def core_count() -> int:
    """Return the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
