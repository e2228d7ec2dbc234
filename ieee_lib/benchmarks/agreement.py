"""Is it the same run on another device? One small run, done in every way that should not matter.

    run(Scale.load("laptop"), device="cuda")["tab_agreement"]

The reference is float32 on the CPU, alone and eager. Bounds were written before any of it was run.
"""

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ieee_lib.benchmarks.speed import chosen_device
from ieee_lib.config import RunSpec
from ieee_lib.config.execution import Execution
from ieee_lib.config.scale import Scale
from ieee_lib.plots.saving import Table
from ieee_lib.text.corpus import Corpus
from ieee_lib.text.packing import prepare

ROUNDING = 2e-3
"""nats: other orders of the same float32 sums, through about a hundred steps."""
HALF = 2e-2
"""nats: products in bfloat16."""
EPOCHS = 2


class _Stopped(Exception):
    """A run that was stopped on purpose."""


def run(scale: Scale, *, device: str = "") -> dict[str, Table]:
    """Return how far each way's final validation loss is from the reference (nats/token).

    `device`: cpu or cuda, beside the CPU; empty: what is there. Raises InputError for a device
    that is not there.
    """
    from ieee_lib.training.fit import can_compile

    device = chosen_device(device)
    corpus = prepare(scale.corpus)
    name = scale.ensembles.model
    spec = scale.spec(name, corpus=corpus.fingerprint, wd=0.8, lr=3e-3, epochs=EPOCHS)
    spec = spec.replace(precision="32-true", evals=1)
    half = spec.replace(precision="bf16-mixed")
    on_cpu = Execution(accelerator="cpu", compile="never", checkpoint_minutes=0.0)
    there = replace(on_cpu, accelerator="gpu" if device == "cuda" else "cpu")
    exact = 0.0 if device == "cpu" else ROUNDING
    ways: list[tuple[str, str, float, Callable[[], float]]] = [
        ("alone, eager, float32", "cpu", 0.0, lambda: _alone(spec, corpus, on_cpu)),
        ("the same again", device, exact, lambda: _alone(spec, corpus, there)),
        ("in a stack of 4", device, ROUNDING, lambda: _stacked(spec, corpus, there)),
        ("stopped in the middle and resumed", device, exact,
         lambda: _resumed(spec, corpus, there)),
        ("bf16-mixed", device, HALF, lambda: _alone(half, corpus, there)),
    ]  # fmt: skip
    if can_compile(device == "cuda"):
        fast = replace(there, compile="auto")
        ways += [
            ("in a stack of 4, compiled", device, ROUNDING, lambda: _stacked(spec, corpus, fast)),
            ("bf16-mixed, in a stack of 4, compiled", device, HALF,
             lambda: _stacked(half, corpus, fast)),
        ]  # fmt: skip
    rows: list[dict] = []
    reference = float("nan")
    for way, where, bound, loss in ways:
        value = loss()
        reference = value if not rows else reference
        apart = abs(value - reference)
        row = {"way": way, "device": where, "validation loss": value, "apart": apart}
        rows.append({**row, "bound": bound, "holds": apart <= bound})
    caption = f"{scale.name} scale · {name} · D = {spec.seed_tokens:,} · {spec.n_step} steps"
    table = Table(pd.DataFrame(rows), caption, {"validation loss": 5, "apart": 6, "bound": 4})
    return {"tab_agreement": table}


def _alone(spec: RunSpec, corpus: Corpus, execution: Execution) -> float:
    return _losses([spec], corpus, execution)


def _stacked(spec: RunSpec, corpus: Corpus, execution: Execution) -> float:
    others = [spec.replace(init_seed=seed, data_seed=seed) for seed in (1, 2, 3)]
    return _losses([spec, *others], corpus, execution)


def _resumed(spec: RunSpec, corpus: Corpus, execution: Execution) -> float:
    """Stop a run halfway; another one goes on from its checkpoint. NaN if it begins anew."""
    import lightning

    class Halfway(lightning.Callback):
        began = 0

        def on_train_start(self, trainer, *_) -> None:
            self.began = trainer.global_step

        def on_train_batch_end(self, trainer, *_) -> None:
            if not self.began and 2 * trainer.global_step > trainer.max_steps:
                raise _Stopped

    halfway = Halfway()
    often = replace(execution, checkpoint_minutes=1e-9)
    with tempfile.TemporaryDirectory() as folder:
        options = {"checkpoint": Path(folder) / "run.checkpoint", "callbacks": [halfway]}
        with contextlib.suppress(_Stopped):
            _losses([spec], corpus, often, **options)
        with contextlib.suppress(_Stopped):
            return _losses([spec], corpus, often, **options)
    return float("nan")


def _losses(specs: list[RunSpec], corpus: Corpus, execution: Execution, **options) -> float:
    from ieee_lib.training.fit import train

    return train(specs, corpus, execution=execution, **options)[0].curve[-1]["val_loss"]
