"""Speed of training: our stack beside what people use, taken in turns on one machine.

Every contender takes optimizer steps on the same batch of random ids; tokens/s count all of its
members, and the limit is the machine's own rate of float32 (on a GPU bf16) matrix products.

    run(Scale.load("laptop"))["tab_speed"]
"""

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

import matplotlib.pyplot as plt
import pandas as pd

from ieee_lib.analysis import plots
from ieee_lib.analysis.drawing import Drawing, Table, context, finish
from ieee_lib.scale import Scale
from ieee_lib.spec import ModelConfig

WIDTHS = (1, 2, 4, 8, 16)
"""Members of the stacks."""
REPEATS = 5
SECONDS = 0.5
"""Least time of one measurement."""
PLAIN = "plain loop, one run"
"""What speed-ups are against: the same architecture, trained one run after another."""

Run = Callable[[int], float]
"""Takes some optimizer steps, returns their seconds."""


@dataclass(frozen=True)
class Contender:
    """One way to train; `build` returns what takes its steps."""

    name: str
    n_member: int
    build: Callable[[ModelConfig, int, str], Run]
    """From shape, sequences a step and device."""


def contenders() -> list[Contender]:
    """Return all that can run here; those of packages that are missing are left out."""
    found = [Contender(PLAIN, 1, _plain), Contender("Lightning Trainer, one run", 1, _lightning)]
    try:
        import transformers  # noqa: F401

        found.append(Contender("transformers Llama, one run", 1, _transformers))
    except ModuleNotFoundError:
        pass
    for n_member in WIDTHS:
        for compiled in (False, True):
            name = f"stack of {n_member}, {'compiled' if compiled else 'eager'}"
            found.append(Contender(name, n_member, partial(_stack, n_member, compiled)))
    return found


def run(scale: Scale) -> dict[str, Drawing | Table]:
    """Return tokens/s of every contender for every model of a scale, and the gain of stacking."""
    import torch

    from ieee_lib.training.unit import device_of

    device = device_of(scale.execution)
    torch.set_num_threads(scale.execution.threads or torch.get_num_threads())
    limit = _matrix_rate(device)
    rows = []
    for model, shape in scale.models.items():
        rows += _compare(model, shape, scale, device, limit)
    frame = pd.DataFrame(rows)
    threads = f"{torch.get_num_threads()} thread(s)" if device == "cpu" else "one GPU"
    turns = f"{REPEATS} turns of {SECONDS} s or more, median, spread: half the range"
    batch = f"{scale.training.batch_size} sequences of {scale.training.block_size} tokens"
    caption = f"{scale.name} scale · {threads} · limit {limit:.3g} FLOP/s · {batch} · {turns}"
    digits = {"of limit": 2, "first step (s)": 1, "gain": 2, "spread (%)": 1}
    with context():
        drawing = _drawing(frame, caption)
    return {"tab_speed": Table(frame, caption, digits), "fig_speed": drawing}


def _compare(model: str, shape: ModelConfig, scale: Scale, device: str, limit: float) -> list[dict]:
    batch_size, tokens = scale.training.batch_size, scale.training.batch_size * shape.block_size
    runs, first = {}, {}
    for contender in contenders():
        began = time.perf_counter()
        runs[contender] = contender.build(shape, batch_size, device)
        runs[contender](1)
        first[contender] = time.perf_counter() - began
    steps = {c: max(1, round(SECONDS / (run(4) / 4))) for c, run in runs.items()}
    rates = {contender: [] for contender in runs}
    for _ in range(REPEATS):  # in turns, so that a slow minute slows all of them
        for contender, run in runs.items():
            taken = run(steps[contender])
            rates[contender].append(contender.n_member * steps[contender] * tokens / taken)
    plain = next(rates[c] for c in runs if c.name == PLAIN)
    rows = []
    for contender, own in rates.items():
        middle = median(own)
        rows.append(
            {"model": model, "width": shape.n_embd, "contender": contender.name}
            | {"members": contender.n_member, "tokens/s": middle}
            | {"spread (%)": 50 * (max(own) - min(own)) / middle}
            | {"gain": median(a / b for a, b in zip(own, plain, strict=True))}
            | {"of limit": middle * shape.flops_per_token() / limit}
            | {"first step (s)": first[contender]}
        )
    return rows


def _stack(n_member: int, compiled: bool, shape: ModelConfig, batch_size: int, device: str) -> Run:
    """Return our training step of a stack."""
    from ieee_lib.training.model import StackedDecoder
    from ieee_lib.training.optim import StackedAdamW

    model = StackedDecoder(shape, seeds=list(range(n_member))).to(device)
    if compiled:
        model.compile_regions()
    rates = {"lr": [3e-3] * n_member, "wd": [0.8] * n_member}
    optimizer = StackedAdamW(model, **rates)
    ids = _ids(shape, (n_member, batch_size), device)
    return _loop(lambda: model.losses(ids).sum(), optimizer, device)


def _plain(shape: ModelConfig, batch_size: int, device: str) -> Run:
    """Return an ordinary loop: one model, torch's AdamW and clipping, eager."""
    import torch

    from ieee_lib.training.model import StackedDecoder

    model = StackedDecoder(shape, seeds=[0]).to(device)
    ids = _ids(shape, (1, batch_size), device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.8)
    return _loop(lambda: model.losses(ids).sum(), optimizer, device, clipped=model)


def _transformers(shape: ModelConfig, batch_size: int, device: str) -> Run:
    """Return the same loop around transformers' model of the same shape."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from ieee_lib.training.llama_format import fields_of

    fields = {k: v for k, v in fields_of(shape).items() if k not in ("architectures", "model_type")}
    model = LlamaForCausalLM(LlamaConfig(**fields)).to(device).train()
    ids = _ids(shape, (batch_size,), device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.8)
    return _loop(lambda: model(input_ids=ids, labels=ids).loss, optimizer, device, clipped=model)


def _lightning(shape: ModelConfig, batch_size: int, device: str) -> Run:
    """Return fits by a stock Trainer, timed from its first step to its last."""
    import lightning
    import torch
    from torch.utils.data import DataLoader

    from ieee_lib.training.model import StackedDecoder

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = StackedDecoder(shape, seeds=[0])

        def training_step(self, ids, index):
            return self.model.losses(ids).sum()

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=3e-3, weight_decay=0.8)

        def on_train_start(self) -> None:
            self.began = time.perf_counter()

        def on_train_end(self) -> None:
            _wait(device)
            self.seconds = time.perf_counter() - self.began

    module = Module()
    ids = _ids(shape, (1, batch_size), "cpu")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)

    def run(n_step: int) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = lightning.Trainer(
                accelerator="gpu" if device == "cuda" else "cpu",
                devices=1,
                max_steps=n_step,
                gradient_clip_val=1.0,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            trainer.fit(module, DataLoader([ids] * n_step, batch_size=None))
        return module.seconds

    return run


def _loop(loss, optimizer, device: str, *, clipped=None) -> Run:
    import torch

    def run(n_step: int) -> float:
        began = time.perf_counter()
        for _ in range(n_step):
            optimizer.zero_grad()
            loss().backward()
            if clipped is not None:
                torch.nn.utils.clip_grad_norm_(clipped.parameters(), 1.0)
            optimizer.step()
        _wait(device)
        return time.perf_counter() - began

    return run


def _ids(shape: ModelConfig, lead: tuple[int, ...], device: str):
    import torch

    generator = torch.Generator().manual_seed(0)
    size = (*lead, shape.block_size)
    return torch.randint(0, shape.vocab_size, size, generator=generator).to(device)


def _wait(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def _matrix_rate(device: str) -> float:
    """Return FLOP/s of a large matrix product."""
    import torch

    n, kind = (8192, torch.bfloat16) if device == "cuda" else (1024, torch.float32)
    a = torch.randn(n, n, device=device, dtype=kind)
    best = 0.0
    for _ in range(20):
        began = time.perf_counter()
        a @ a
        _wait(device)
        best = max(best, 2 * n**3 / (time.perf_counter() - began))
    return best


def _drawing(frame: pd.DataFrame, caption: str) -> Drawing:
    """Draw the gain of compiled stacks over the plain loop against width, a line a K."""
    figure, ax = plt.subplots()
    stacks = frame[frame.contender.str.endswith("compiled")]
    colors = plots.shades("ensemble", stacks.members.nunique())
    for (n_member, own), color in zip(stacks.groupby("members"), colors, strict=True):
        ax.plot(own.width, own.gain, marker="D", color=color, label=f"stack of {n_member}")
    ax.axhline(1, color=plots.GREY, linestyle=":", label=PLAIN)
    widths = sorted(frame.width.unique())
    plots.log_ticks(ax, widths)
    ax.set(xlabel="model width (channels)", ylabel="tokens/s against one by one")
    plots.legend_above(figure, ax)
    return finish(figure, caption, gains=stacks)
