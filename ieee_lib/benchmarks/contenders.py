"""Ways to train one shape: our stack, and what people use instead.

Every contender takes optimizer steps on one batch of random ids, by AdamW with clipping; on a GPU
under bf16 autocast, on a CPU in float32, and our stacks with bf16 products too where it has them.

    take = contenders()[0].build(shape, batch_size, "cpu")
    take(10)                                     # seconds of ten steps
"""

import importlib.util
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from ieee_lib.config import ModelConfig

WIDTHS = (1, 2, 4, 8, 16)
"""Members of the stacks."""
PLAIN = "plain loop"
"""What speed-ups are against: the same architecture, trained one run after another."""

Take = Callable[[int], float]
"""Takes some optimizer steps, returns their seconds."""


@dataclass(frozen=True)
class Contender:
    """One way to train."""

    name: str
    n_member: int
    build: Callable[[ModelConfig, int, str], Take]
    """From shape, sequences a step and device."""
    spread: bool = False
    """Runs as the scale's executor runs it, a worker for every few cores."""
    compiled: bool = False
    bf16: bool = False
    """Multiplies in bf16 on a CPU (precision bf16-products)."""

    @property
    def stacked(self) -> bool:
        """Say whether it is ours."""
        return self.name.startswith("stack of ")


def contenders(device: str = "cpu") -> list[Contender]:
    """Return all that can run here; those of packages that are missing are left out."""
    from ieee_lib.model.products import has_bf16

    choice = [
        Contender(PLAIN, 1, plain),
        Contender(f"{PLAIN}, a worker a core", 1, plain, spread=True),
        Contender("Lightning Trainer", 1, stock_lightning),
    ]
    for package, name, build in (
        ("transformers", "transformers Llama", transformers_llama),
        ("litgpt", "litgpt GPT", litgpt_gpt),
    ):
        if importlib.util.find_spec(package) is not None:
            choice.append(Contender(name, 1, build))
    for n_member in WIDTHS:
        ways = [(False, False), (True, False)]
        if device == "cpu" and has_bf16():
            ways.append((True, True))
        for compiled, bf16 in ways:
            name = f"stack of {n_member}, {'compiled' if compiled else 'eager'}"
            name += ", bf16" if bf16 else ""
            build = partial(stack, n_member, compiled, bf16=bf16)
            choice.append(Contender(name, n_member, build, True, compiled, bf16))
    return choice


def stack(
    n_member: int,
    compiled: bool,
    shape: ModelConfig,
    batch_size: int,
    device: str,
    *,
    bf16: bool = False,
) -> Take:
    """Return our training step of a stack."""
    from ieee_lib.jobs.job import keep_freed_memory
    from ieee_lib.model.decoder import StackedDecoder
    from ieee_lib.model.optim import StackedAdamW

    keep_freed_memory()
    model = StackedDecoder(shape, seeds=list(range(n_member)), bf16=bf16).to(device)
    if compiled:
        model.compile_regions()
    optimizer = StackedAdamW(model, lr=[3e-3] * n_member, wd=[0.8] * n_member)
    ids = random_ids(shape, (n_member, batch_size), device)
    return _loop(lambda: model.losses(ids).sum(), optimizer, device)


def plain(shape: ModelConfig, batch_size: int, device: str) -> Take:
    """Return an ordinary loop: one model, torch's AdamW and clipping, eager."""
    from ieee_lib.model.decoder import StackedDecoder

    model = StackedDecoder(shape, seeds=[0]).to(device)
    ids = random_ids(shape, (1, batch_size), device)
    return _loop(lambda: _stock_loss(model(ids)[0], ids[0]), _adamw(model), device, clipped=model)


def transformers_llama(shape: ModelConfig, batch_size: int, device: str) -> Take:
    """Return the same loop around transformers' model of the same shape."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from ieee_lib.model.llama_format import fields_of

    fields = {k: v for k, v in fields_of(shape).items() if k not in ("architectures", "model_type")}
    model = LlamaForCausalLM(LlamaConfig(**fields)).train()
    model.to(torch.device(device))
    ids = random_ids(shape, (batch_size,), device)
    return _loop(
        lambda: model(input_ids=ids, labels=ids).loss, _adamw(model), device, clipped=model
    )


def litgpt_gpt(shape: ModelConfig, batch_size: int, device: str) -> Take:
    """Return the same loop around litgpt's model of the same shape."""
    from litgpt import GPT, Config

    config = Config(
        block_size=shape.block_size,
        vocab_size=shape.vocab_size,
        padded_vocab_size=shape.vocab_size,
        n_layer=shape.n_layer,
        n_head=shape.n_head,
        n_query_groups=shape.n_kv_head,
        n_embd=shape.n_embd,
        head_size=shape.head_dim,
        intermediate_size=shape.n_mlp,
        rotary_percentage=1.0,
        rope_base=int(shape.rope_theta),
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        norm_eps=shape.norm_eps,
        mlp_class_name="LLaMAMLP",
    )
    model = GPT(config).to(device)
    ids = random_ids(shape, (batch_size,), device)
    return _loop(lambda: _stock_loss(model(ids), ids), _adamw(model), device, clipped=model)


def stock_lightning(shape: ModelConfig, batch_size: int, device: str) -> Take:
    """Return fits by a stock Trainer, timed from its first step to its last."""
    import lightning
    from torch.utils.data import DataLoader, Dataset

    from ieee_lib.model.decoder import StackedDecoder

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = StackedDecoder(shape, seeds=[0])

        def training_step(self, ids, index):
            return _stock_loss(self.model(ids)[0], ids[0])

        def configure_optimizers(self):
            return _adamw(self)

        def on_train_start(self) -> None:
            self.began = time.perf_counter()

        def on_train_end(self) -> None:
            wait(device)
            self.seconds = time.perf_counter() - self.began

    module = Module()
    ids = random_ids(shape, (1, batch_size), "cpu")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)

    def take(n_step: int) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = lightning.Trainer(
                accelerator="gpu" if device == "cuda" else "cpu",
                devices=1,
                precision="bf16-mixed" if device == "cuda" else "32-true",
                max_steps=n_step,
                gradient_clip_val=1.0,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            batches = cast(Dataset, [ids] * n_step)  # anything with a length and items is one
            trainer.fit(module, DataLoader(batches, batch_size=None))
        return module.seconds

    return take


def random_ids(shape: ModelConfig, lead: tuple[int, ...], device: str):
    """Return ids (*lead, T) of one fixed draw."""
    import torch

    generator = torch.Generator().manual_seed(0)
    size = (*lead, shape.block_size)
    return torch.randint(0, shape.vocab_size, size, generator=generator).to(device)


def wait(device: str) -> None:
    """Return when the device has done what it was asked."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def matrix_rate(device: str) -> float:
    """Return FLOP/s of a large matrix product with this process's threads."""
    import torch

    n, kind = (8192, torch.bfloat16) if device == "cuda" else (1024, torch.float32)
    a = torch.randn(n, n, device=device, dtype=kind)
    best = 0.0
    for _ in range(20):
        began = time.perf_counter()
        a @ a
        wait(device)
        best = max(best, 2 * n**3 / (time.perf_counter() - began))
    return best


def _loop(loss: Callable, optimizer, device: str, *, clipped=None) -> Take:
    import torch

    def take(n_step: int) -> float:
        began = time.perf_counter()
        for _ in range(n_step):
            optimizer.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                value = loss()
            value.backward()
            if clipped is not None:
                torch.nn.utils.clip_grad_norm_(clipped.parameters(), 1.0)
            optimizer.step()
        wait(device)
        return time.perf_counter() - began

    return take


def _adamw(model):
    import torch

    return torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.8)


def _stock_loss(logits, ids):
    """Return the mean cross-entropy as a plain loop writes it: logits (B, T, V), ids (B, T)."""
    import torch.nn.functional as F

    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())
