"""Train one stack on several devices of one node: a process each, joined by Lightning's DDP.

Every process takes its share of each step's sequences, so the tokens of a step stay the same.

    launch(work, execution, on_tokens)     # work(execution, on_tokens) in every process

The processes meet through a file and talk over loopback. For a run on several nodes, fit a
`StackModule` on `SliceData` with Lightning's `Trainer(num_nodes=...)` under torchrun or Slurm.
"""

import multiprocessing
import os
import sys
import tempfile
from multiprocessing.queues import SimpleQueue

from ieee_lib.config.execution import Execution
from ieee_lib.jobs.job import Listener, Work, ignore
from ieee_lib.jobs.processes import of_library

LOOPBACK = {"linux": "lo", "darwin": "lo0"}
"""Platform -> name of its loopback interface."""


def launch(work: Work, execution: Execution, on_tokens: Listener) -> None:
    """Do the same work in `devices` processes; `on_tokens` receives what the first one reports.

    Raises torch's ProcessRaisedException or ProcessExitedException for the first that fails,
    after ending the others.
    """
    from torch.multiprocessing import start_processes

    reports = multiprocessing.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        args = (work, execution, f"file://{folder}/meet", reports)
        with of_library():
            ranks = start_processes(
                _join, args, execution.devices, join=False, start_method="spawn"
            )
        try:
            ended = False
            while not ended:
                ended = ranks.join(timeout=0.2)
                while not reports.empty():
                    on_tokens(reports.get())
        finally:
            for process in ranks.processes:
                process.kill()


def _join(
    rank: int, work: Work, execution: Execution, meet: str, reports: "SimpleQueue[int]"
) -> None:
    import torch
    from torch import distributed

    os.environ["LOCAL_RANK"] = str(rank)  # Lightning then starts no processes of its own
    if sys.platform in LOOPBACK:
        os.environ["GLOO_SOCKET_IFNAME"] = LOOPBACK[sys.platform]
    on_gpu = torch.cuda.is_available() and execution.accelerator != "cpu"
    backend = "nccl" if on_gpu else "gloo"
    distributed.init_process_group(
        backend, init_method=meet, rank=rank, world_size=execution.devices
    )
    try:
        work(execution, reports.put if rank == 0 else ignore)
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """Return this process's place among those that train one stack together; 0 where alone."""
    from torch import distributed

    return distributed.get_rank() if distributed.is_initialized() else 0
