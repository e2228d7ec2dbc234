"""Measurements of this code, each a table for figures/bench/: what it covers, how fast it is.

table = BENCHMARKS["sampling"](Scale.load("laptop"))
"""

import time
from collections.abc import Callable
from statistics import median

import pandas as pd

from ieee_lib.analysis.coverage import TRUTH, coverage_frame
from ieee_lib.analysis.drawing import Table
from ieee_lib.scale import Scale

DATA_SETS = 500
"""Synthetic data sets of each case of the coverage study."""

REPEATS = 5


def coverage(scale: Scale) -> Table:
    """Return how often 95 % intervals of a limit cover it, on data of known noise."""
    caption = f"95 % intervals of a limit on synthetic data sets with known noise; truth {TRUTH}"
    digits = {"coverage": 3, "median width": 3, "unbounded": 3}
    return Table(coverage_frame(n=DATA_SETS), caption, digits)


def sampling(scale: Scale, sequences: int = 512) -> Table:
    """Return tokens/s of sampling with a cache against recomputing every prefix, side by side."""
    import torch

    from ieee_lib.training.model import StackedDecoder
    from ieee_lib.training.sampling import sample
    from ieee_lib.training.unit import device_of

    device = device_of(scale.execution)
    torch.set_num_threads(scale.execution.threads or torch.get_num_threads())
    config = scale.models[scale.ensembles.model]
    rows = []
    for n_member in (1, scale.ensembles.members):
        model = StackedDecoder(config, seeds=list(range(n_member))).to(device).eval()
        first = torch.zeros(sequences - sequences % n_member, dtype=torch.long, device=device)

        def timed(write: Callable, model=model, first=first) -> float:
            generator = torch.Generator(device).manual_seed(0)
            start = time.perf_counter()
            write(model, first, generator)
            if device == "cuda":
                torch.cuda.synchronize()
            return first.numel() * config.block_size / (time.perf_counter() - start)

        def cached(model, first, generator):
            return sample(model, first, kind="mixture", generator=generator)

        rates = [(timed(cached), timed(_recomputed)) for _ in range(1 + REPEATS)][1:]
        rows.append(
            {"model": scale.ensembles.model, "members": n_member, "context": config.block_size}
            | {"cached (tokens/s)": median(a for a, _ in rates)}
            | {"recomputed (tokens/s)": median(b for _, b in rates)}
            | {"ratio": median(a / b for a, b in rates)}
        )
    threads = f"{torch.get_num_threads()} CPU thread(s)" if device == "cpu" else "GPU"
    caption = f"{scale.name} scale · {sequences} sequences · {threads} · median of {REPEATS}"
    return Table(pd.DataFrame(rows), caption, {"ratio": 1})


def _recomputed(model, first, generator):
    """Sample as `sampling.sample` does, passing the whole prefix for every token."""
    import torch

    from ieee_lib.training.sampling import draw

    ids = first.view(model.n_member, -1, 1)  # (K, B, t)
    with torch.no_grad():
        for _ in range(model.config.block_size - 1):
            hidden = model.hidden(ids).unflatten(1, ids.shape[1:])[:, :, -1]  # (K, B, C)
            p = model.lm_head(model.norm(hidden)).float().softmax(-1)
            ids = torch.cat((ids, draw(p, generator)[..., None]), dim=-1)
    return ids.flatten(0, 1)


BENCHMARKS: dict[str, Callable[[Scale], Table]] = {"coverage": coverage, "sampling": sampling}
