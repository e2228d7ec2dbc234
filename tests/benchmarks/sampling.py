"""Speed of sampling: a cache of keys and values against recomputing every prefix (Sec. 6)."""

import time
from collections.abc import Callable
from statistics import median

import pandas as pd

from ieee_lib.config.scale import Scale
from ieee_lib.plots.saving import Table

REPEATS = 5
SEQUENCES = 512
"""Sequences written at once."""


def run(scale: Scale) -> dict[str, Table]:
    """Return tokens/s of sampling with a cache against recomputing every prefix, side by side."""
    import torch

    from ieee_lib.jobs.job import device_of
    from ieee_lib.model.decoder import StackedDecoder
    from ieee_lib.training.sampling import sample

    device = device_of(scale.execution)
    torch.set_num_threads(scale.execution.threads or torch.get_num_threads())
    config = scale.models[scale.ensembles.model]
    rows = []
    for n_member in (1, scale.ensembles.members):
        model = StackedDecoder(config, seeds=list(range(n_member))).to(device).eval()
        first = torch.zeros(SEQUENCES - SEQUENCES % n_member, dtype=torch.long, device=device)

        def timed(write: Callable, model=model, first=first) -> float:
            generator = torch.Generator(device).manual_seed(0)
            start = time.perf_counter()
            write(model, first, generator)
            if device == "cuda":
                torch.cuda.synchronize()
            return first.numel() * config.block_size / (time.perf_counter() - start)

        def cached(model, first, generator):
            return sample(model, first, kind="mixture", generator=generator)

        rates = [(timed(cached), timed(recomputed)) for _ in range(1 + REPEATS)][1:]
        rows.append(
            {"model": scale.ensembles.model, "members": n_member, "context": config.block_size}
            | {"cached (tokens/s)": median(a for a, _ in rates)}
            | {"recomputed (tokens/s)": median(b for _, b in rates)}
            | {"ratio": median(a / b for a, b in rates)}
        )
    threads = f"{torch.get_num_threads()} CPU thread(s)" if device == "cpu" else "GPU"
    caption = f"{scale.name} scale · {SEQUENCES} sequences · {threads} · median of {REPEATS}"
    return {"tab_sampling": Table(pd.DataFrame(rows), caption, {"ratio": 1})}


def recomputed(model, first, generator):
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
