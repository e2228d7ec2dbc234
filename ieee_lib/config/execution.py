"""How runs are executed: processes, devices, stacks. Nothing here changes a result.

Execution(executor="local", workers=2, stack=8)

A scale file's table `[execution]`; a command's options replace single fields.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ieee_lib.config.fields import Checked, NotNegative, OneOrMore, Positive, ZeroOrMore
from ieee_lib.errors import check


def check_ray_address(name: str, value: Any) -> None:
    """Raise InputError unless `value` is the address of a Ray cluster, or empty."""
    is_address = isinstance(value, str) and re.fullmatch(r"|auto|[^/\s]+:\d+", value) is not None
    allowed = "must be empty, auto or host:port (from outside a cluster: ray job submit)"
    check(is_address, name, value, allowed)


@dataclass(frozen=True, kw_only=True)
class Execution(Checked, prefix="execution."):
    """How runs are executed; nothing here changes a result beyond rounding."""

    executor: Literal["inline", "local", "ray"] = "inline"
    """inline (this process), local (worker processes) or ray (a Ray cluster)."""
    workers: ZeroOrMore = 0
    """Jobs at a time; 0: one per `devices` GPUs, or per `devices` times `threads` cores, of this
    machine or of the cluster as it is. A cluster that scales on demand grows to that many."""
    threads: ZeroOrMore = 0
    """CPU threads of a worker; 0: torch's default, which is 1 on a Ray cluster."""
    devices: OneOrMore = 1
    """GPUs of a node that train one stack together, or processes where it runs on CPUs."""
    gpu_share: Positive = 1.0
    """Share of a GPU that a job takes, in (0, 1]: at 0.5 two jobs share each GPU."""
    ray_address: Annotated[str, check_ray_address] = ""
    """Ray cluster that this machine is a node of: auto or host:port; empty: start a new one."""
    stack: OneOrMore = 8
    """Most members of a stack."""
    micro_batch: ZeroOrMore = 0
    """Sequences of one forward pass; gradients add up to the whole batch. 0: the whole batch."""
    keep_weights: bool = False
    """Keep the final weights of every run, not only of ensembles' members, so that ensembles of
    tuned runs need no second training."""
    compile: Literal["auto", "never"] = "auto"
    """auto (where a compiler exists) or never."""
    checkpoint_minutes: NotNegative = 10.0
    """Minutes between two checkpoints of a stack in training; 0: no checkpoints."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Lightning's accelerator: auto, cpu, gpu."""
    logger: Literal["csv", "tensorboard", "wandb", "none"] = "csv"
    """Lightning logger: csv, tensorboard, wandb or none."""
    flops_per_second: Positive = 5e10
    """FLOP/s of a worker that `plan` assumes until runs have been measured."""

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_gpu = self.gpu_share == 1 or (self.gpu_share < 1 and self.devices == 1)
        allowed = "must be 1, or less with devices = 1"
        check(whole_gpu, "execution.gpu_share", self.gpu_share, allowed)

    def sequences_at_once(self, batch_size: int) -> int:
        """Return the sequences of one forward pass on one device.

        Raises InputError where the devices cannot share a batch evenly.
        """
        share, left_over = divmod(batch_size, self.devices)
        allowed = f"must divide batch_size = {batch_size}"
        check(not left_over, "execution.devices", self.devices, allowed)
        size = self.micro_batch or share
        allowed = f"must divide a device's {share} sequences"
        check(share % size == 0, "execution.micro_batch", size, allowed)
        return size

    def jobs_per_node(self, n_device: int) -> int:
        """Return how many jobs fit at a time on the devices of one node; no job spans two nodes."""
        return n_device // self.devices * int(1 / self.gpu_share + 1e-9)
