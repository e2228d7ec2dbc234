"""Final losses with products in bf16 against float32, beside the noise of seeds.

run(Scale.load("laptop"))["tab_precision"]

The regularized recipe's starting points at the base D; a seed of weights and order is a pair.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ieee_lib.config import RunSpec
from ieee_lib.config.execution import Execution
from ieee_lib.config.scale import Scale
from ieee_lib.plots.saving import Table
from ieee_lib.text.corpus import Corpus
from ieee_lib.text.packing import prepare

SEEDS = 8
"""Runs of each model and precision."""


def run(scale: Scale) -> dict[str, Table]:
    """Return each model's validation losses (nats/token) in both precisions, on the CPU.

    `bf16 - float32` is the mean over seeds of the difference between runs of one seed, `s.e.` its
    standard error, `noise of a seed` float32's standard deviation between seeds.
    """
    import torch

    corpus, rows = prepare(scale.corpus), []
    torch.set_num_threads(scale.execution.threads or torch.get_num_threads())
    for tuned in scale.settings("regularized", scale.base_tokens):
        settings = {"wd": tuned.wd, "lr": tuned.lr, "epochs": tuned.epochs, "evals": 1}
        specs = [
            scale.spec(tuned.model, corpus=corpus.fingerprint, seed=seed, **settings)
            for seed in range(SEEDS)
        ]
        single, half = (
            _losses([spec.replace(precision=precision) for spec in specs], corpus)
            for precision in ("32-true", "bf16-products")
        )
        apart, noise = half - single, single.std(ddof=1)
        rows.append(
            {"model": tuned.model, **settings, "seeds": SEEDS}
            | {"float32": single.mean(), "bf16": half.mean(), "bf16 - float32": apart.mean()}
            | {"s.e.": apart.std(ddof=1) / SEEDS**0.5, "noise of a seed": noise}
            | {"within noise": bool(abs(apart.mean()) <= noise)}
        )
    caption = f"{scale.name} scale · D = {scale.base_tokens:,} · final validation losses"
    caption += ", nats/token · precision 32-true against bf16-products"
    digits = dict.fromkeys(("float32", "bf16", "bf16 - float32", "s.e.", "noise of a seed"), 4)
    return {"tab_precision": Table(pd.DataFrame(rows).drop(columns="evals"), caption, digits)}


def _losses(specs: Sequence[RunSpec], corpus: Corpus) -> np.ndarray:
    from ieee_lib.training.fit import train

    execution = Execution(accelerator="cpu", checkpoint_minutes=0.0)
    return np.array([result.val_loss for result in train(specs, corpus, execution=execution)])
