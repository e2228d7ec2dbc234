"""Measurements of this code, each a table for figures/bench/: what it covers, how fast it is.

table = BENCHMARKS["sampling"](Scale.load("laptop"))
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import pandas as pd

from ieee_lib.analysis.coverage import TRUTH, coverage_frame
from ieee_lib.analysis.drawing import Table
from ieee_lib.scale import Scale
from ieee_lib.text.corpus import CorpusConfig

DATA_SETS = 500
"""Synthetic data sets of each case of the coverage study."""

REPEATS = 5
SEQUENCES = 512
"""Sequences that the sampling benchmark writes at once."""


def coverage(scale: Scale) -> Table:
    """Return how often 95 % intervals of a limit cover it, on data of known noise."""
    caption = f"95 % intervals of a limit on synthetic data sets with known noise; truth {TRUTH}"
    digits = {"coverage": 3, "median width": 3, "unbounded": 3}
    return Table(coverage_frame(n=DATA_SETS), caption, digits)


def sampling(scale: Scale) -> Table:
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
    return Table(pd.DataFrame(rows), caption, {"ratio": 1})


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


def textbook(scale: Scale, *, corpus: str, files: str) -> Table:
    """Return what a model trained for some ten minutes on text of a corpus knows of science.

    Two million parameters, one pass over four million tokens, two CPU threads; `files` is the
    folder with the items of PIQA, SciQ and ARC-Easy.
    """
    from ieee_lib.analysis.downstream import error
    from ieee_lib.spec import EnsembleSpec, EvaluationSpec, ModelConfig
    from ieee_lib.study import Study
    from ieee_lib.training.probe import PROBE
    from ieee_lib.training.tasks import LOCAL, fingerprint

    shape = ModelConfig(
        n_layer=4, n_head=4, n_kv_head=4, n_embd=128, n_mlp=448, vocab_size=4096, block_size=256
    )
    tasks = {task: fingerprint(task, files) for task in LOCAL}
    own = replace(
        scale,
        name="textbook",
        corpus=CorpusConfig(source=corpus, vocab_size=shape.vocab_size),
        models={"2M": shape},
        training=replace(scale.training, block_size=shape.block_size),
        execution=replace(scale.execution, executor="inline", threads=2),
        seed_tokens=(2**22,),
        base_tokens=2**22,
    )
    study = Study.open(own)
    run = study.spec("2M", wd=0.1, lr=3e-3, epochs=1)
    trained = study.ensure([run], weights=True, label="textbook").iloc[0]
    models = EnsembleSpec((run,))
    asked = [EvaluationSpec(models=models, task=PROBE, n_item=2000)]
    asked += [EvaluationSpec(models=models, task=t, files=name) for t, name in tasks.items()]
    rows = []
    for row in study.evaluate(asked, files=files, label="textbook").itertuples():
        wrong = error(row.task, row.correct.astype(float), row.groups)
        rows.append(
            {"task": row.task, "split": row.split, "items": row.n_item, "metric": row.metric}
            | {"accuracy": 100 * (1 - wrong.value), "low": 100 * (1 - wrong.high)}
            | {"high": 100 * (1 - wrong.low), "chance": 100 * row.chance}
            | {"cut on the left": 100 * row.truncated}
        )
    about = study.store.get(run.run_id)["corpus"]
    caption = (
        f"{trained.N / 1e6:.1f}M parameters · {Path(about['source']).parent.name}, one pass over "
        f"{run.seed_tokens:,} tokens in {trained.seconds / 60:.1f} min on two CPU threads · "
        f"validation loss {trained.val_loss:.3f} nats/token · in %, 95 % over items"
    )
    digits = dict.fromkeys(("accuracy", "low", "high", "chance", "cut on the left"), 1)
    return Table(pd.DataFrame(rows), caption, digits)


BENCHMARKS: dict[str, Callable[..., Table]] = {
    "coverage": coverage,
    "sampling": sampling,
    "textbook": textbook,
}
