"""One stack on several devices: a process each, joined by Lightning's DDP strategy.

Every process takes its share of each step's sequences, so the tokens of a step stay the same.

    launch(work, execution, on_tokens)     # work(execution, on_tokens) in every process

On one node the processes meet through a file and talk over loopback; on several (`be_node`) over
the network, at the address that whoever starts the nodes has chosen.
"""

import multiprocessing
import os
import sys
import tempfile

from ieee_lib.config.execution import Execution
from ieee_lib.jobs.job import Listener, Work
from ieee_lib.jobs.processes import of_library

NODE, MEET = "NODE_RANK", "IEEE_LIB_MEET"
"""Environment variables of a node that is one of several."""

LOOPBACK = {"linux": "lo", "darwin": "lo0"}


def be_node(place: int, meet: str) -> None:
    """Make this process's launches one node of several, which meet at tcp://HOST:PORT."""
    os.environ[NODE], os.environ[MEET] = str(place), meet


def launch(work: Work, execution: Execution, on_tokens: Listener) -> None:
    """Do the same work in `devices` processes of this node; the first one's tokens are heard.

    Raises torch's ProcessRaisedException or ProcessExitedException for the first that fails,
    after ending the others.
    """
    from torch.multiprocessing import start_processes

    heard = multiprocessing.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        meet = os.environ.get(MEET) or f"file://{folder}/meet"
        given = (work, execution, meet, heard)
        with of_library():
            ranks = start_processes(
                _join, given, execution.devices, join=False, start_method="spawn"
            )
        try:
            ended = False
            while not ended:
                ended = ranks.join(timeout=0.2)
                while not heard.empty():
                    on_tokens(heard.get())
        finally:
            for process in ranks.processes:
                process.kill() if process.is_alive() else None


def _join(local_rank: int, work: Work, execution: Execution, meet: str, heard) -> None:
    import torch
    from torch import distributed

    os.environ["LOCAL_RANK"] = str(local_rank)  # Lightning then starts no processes of its own
    if meet.startswith(("file:", "tcp://127.")) and sys.platform in LOOPBACK:
        os.environ["GLOO_SOCKET_IFNAME"] = LOOPBACK[sys.platform]
    on_gpu = torch.cuda.is_available() and execution.accelerator != "cpu"
    rank = execution.devices * int(os.environ.get(NODE, 0)) + local_rank
    size = execution.devices * execution.num_nodes
    backend = "nccl" if on_gpu else "gloo"
    distributed.init_process_group(backend, init_method=meet, rank=rank, world_size=size)
    try:
        work(execution, heard.put if rank == 0 else lambda tokens: None)
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """Return this process's place among those that train one stack together; 0 where alone."""
    from torch import distributed

    return distributed.get_rank() if distributed.is_initialized() else 0
