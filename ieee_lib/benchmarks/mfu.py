"""Model FLOPs utilisation: training FLOPs a second over the device's own matrix rate.

FLOPs a token are `ModelConfig.flops_per_token`: 6 a matrix weight plus causal attention. The rate
is that of a large bf16 (on a CPU float32) matrix product, measured beside it.

    run(Scale.load("paper"), device="cuda", seconds=300)["tab_mfu"]
"""

import gc

import pandas as pd

from ieee_lib.benchmarks.budget import Budget
from ieee_lib.benchmarks.contenders import matrix_rate, stack
from ieee_lib.benchmarks.speed import chosen_device
from ieee_lib.config import ModelConfig
from ieee_lib.config.scale import Scale
from ieee_lib.jobs.outcome import out_of_memory
from ieee_lib.plots.saving import Table

STEPS = 5
"""Steps of one measurement, after two that warm up."""
LARGEST = 64
"""Sequences a pass: doubled up to here, or until memory ends or a pass is no faster a token."""


def run(scale: Scale, *, device: str = "", seconds: float = 0.0) -> dict[str, Table]:
    """Return the utilisation of one compiled run of every model, at its best batch in a pass.

    `device`: cpu or cuda; empty: what is there. `seconds`: no batch is begun that would end after
    them; 0: all are. Raises InputError for a device that is not there.
    """
    device = chosen_device(device)
    budget, rows, peak = Budget(seconds), [], matrix_rate(device)
    for model, shape in scale.models.items():
        sequences, best = 1, 0.0
        while sequences <= LARGEST and budget.allows_another():
            rate, memory = _measured(shape, sequences, device)
            if rate:
                utilisation = rate * shape.flops_per_token() / peak
                at = [model, shape.block_size, sequences]
                rows.append([*at, rate, utilisation, memory / 1e9])
            if not rate or rate < 1.02 * best:  # no room, or no gain
                break
            sequences, best = 2 * sequences, rate
    caption = f"{scale.name} scale · {device} · peak {peak:.3g} FLOP/s · compiled, one run"
    caption += " · 6 FLOPs a matrix weight and token plus causal attention, over that peak"
    columns = ["model", "context", "sequences a pass", "tokens/s", "MFU", "peak memory (GB)"]
    frame = pd.DataFrame(rows, columns=columns)
    return {"tab_mfu": Table(frame, caption, {"MFU": 3, "peak memory (GB)": 2})}


def _measured(shape: ModelConfig, sequences: int, device: str) -> tuple[float, int]:
    """Return tokens/s and peak bytes (CUDA only) of a compiled run; 0 where memory ends."""
    import torch

    gc.collect()  # compiled modules refer to themselves: the last one's weights are still there
    if device == "cuda":
        torch.cuda.empty_cache()
    try:
        take = stack(1, True, shape, sequences, device)
        take(2)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds = take(STEPS)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return 0.0, 0
    memory = torch.cuda.max_memory_allocated() if device == "cuda" else 0
    return STEPS * sequences * shape.block_size / seconds, memory
