"""Train one stack with a Lightning `Trainer`.

results = train(specs, corpus)
results[0].val_loss                          # nats/token
"""

import contextlib
import logging
import math
import re
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from ieee_lib.config import RunSpec
from ieee_lib.config.execution import Execution
from ieee_lib.errors import InputError, MachineWarning, check, check_choice
from ieee_lib.model.products import warn_where_emulated
from ieee_lib.text.corpus import Corpus
from ieee_lib.training.checkpoint import Checkpoint, SafeCheckpointIO, passes_done, usable
from ieee_lib.training.data import SliceData
from ieee_lib.training.module import StackModule

ALONE = Execution(checkpoint_minutes=0.0)
"""One device, the whole batch at once, no checkpoints."""


@dataclass(frozen=True)
class RunResult:
    """Hold what training one run gave."""

    spec: RunSpec
    curve: list[dict[str, Any]]
    """Points {step, tokens, train_loss, val_loss}; train_loss is the mean since the last point
    of what is minimized: with a second loss or a teacher, of all terms."""
    seconds: float
    """The stack's wall time divided by its members, of all sessions together."""
    begun: float
    """When the first session began, seconds since 1970."""
    weights: dict[str, Tensor]
    """Final parameters, without the member axis."""
    device: str
    stack_size: int
    compiled: bool
    compile_seconds: float
    """Part of `seconds`: compiling."""
    evaluation_seconds: float
    """Part of `seconds`: validation."""

    @property
    def val_loss(self) -> float:
        """Return the final validation loss, nats/token."""
        return self.curve[-1]["val_loss"]

    @property
    def diverged(self) -> bool:
        """Say whether the final validation loss is not a finite number."""
        return not math.isfinite(self.val_loss)


def train(
    specs: Sequence[RunSpec],
    corpus: Corpus,
    *,
    execution: Execution = ALONE,
    synthetic: np.ndarray | None = None,
    start: dict[str, Tensor] | None = None,
    teacher: dict[str, Tensor] | None = None,
    checkpoint: Path | None = None,
    logger: Logger | bool = False,
    callbacks: Sequence[lightning.Callback] = (),
    on_tokens: Callable[[int], None] = lambda tokens: None,
) -> list[RunResult]:
    """Train runs of equal shape as one stack, and return their results in the same order.

    `synthetic` (n, T) are the ids that specs with a synthetic share mix in, `start` the weights
    (without member axis) that specs with a start continue from, `teacher` those of their teacher.
    The file `checkpoint` is written
    every `checkpoint_minutes` of `execution`; a run that finds it continues from there, to the
    same bits on a CPU. `on_tokens` receives the tokens trained so far over all members, a few times
    a second. Where `execution` has several devices, each calls this in a process of its own
    (`ranks.launch`) and gets the same results. Raises InputError when the specs differ in more
    than lr, wd and seeds, or the corpus is another.
    """
    first = specs[0]
    _check_stack(specs, corpus, synthetic)
    for field, weights in {"start": start, "teacher": teacher}.items():
        name = getattr(first, field)
        allowed = f"the weights must be given where the spec names a {field}, and only there"
        check((weights is not None) == bool(name), field, name, allowed)
    micro_batch = execution.sequences_at_once(first.batch_size)
    on_gpu = torch.cuda.is_available() and execution.accelerator != "cpu"
    if first.precision != "32-true" and not on_gpu:
        warn_where_emulated()
    # On a CPU a lone member would gain 1.25 times, and cost a compile of its own a shape.
    compiled = execution.compile == "auto" and (on_gpu or len(specs) > 1) and can_compile(on_gpu)

    resumed = usable(checkpoint)
    n_done = passes_done(resumed) if resumed else 0
    data = SliceData(specs, corpus, micro_batch, synthetic, n_done=n_done)
    module = StackModule(specs, compile=compiled, teacher=teacher)
    if start is not None:
        module.model.start_from(start)

    all_callbacks = [*callbacks, _TokenReport(on_tokens, specs)]
    if checkpoint and execution.checkpoint_minutes:
        all_callbacks.append(Checkpoint(checkpoint, 60 * execution.checkpoint_minutes))
    trainer = _trainer(first, execution, micro_batch, logger, all_callbacks)

    compile_seconds = -_compile_seconds()
    with _interruptible():
        trainer.fit(module, data, ckpt_path=resumed)
        if module.curve[-1]["step"] < first.n_step:  # evals do not divide the steps
            trainer.validate(module, data, verbose=False)
            module.curve[-1]["step"] = first.n_step
    compile_seconds += _compile_seconds()

    seconds = module.seconds
    return [
        RunResult(
            spec=spec,
            curve=_member_curve(module.curve, k, first.tokens_per_step),
            seconds=seconds / len(specs),
            begun=module.begun,
            weights={n: p[k].detach().cpu() for n, p in module.kept.named_parameters()},
            device=trainer.strategy.root_device.type,
            stack_size=len(specs),
            compiled=compiled,
            compile_seconds=compile_seconds / len(specs),
            evaluation_seconds=module.evaluation_seconds / len(specs),
        )
        for k, spec in enumerate(specs)
    ]


def _check_stack(specs: Sequence[RunSpec], corpus: Corpus, synthetic: np.ndarray | None) -> None:
    """Raise InputError unless the specs can train as one stack on what is given."""
    first = specs[0]
    for spec in specs:
        same_shape = spec.stack_key == first.stack_key
        check(same_shape, "specs", spec.run_id, "differs in shape from the first")
        same_corpus = spec.corpus == corpus.fingerprint
        check(same_corpus, "corpus", spec.corpus, f"is not {corpus.fingerprint}")
    divides = first.val_sequences % first.batch_size == 0
    allowed = f"must be a multiple of batch_size = {first.batch_size}"
    check(divides, "val_sequences", first.val_sequences, allowed)
    allowed = "the sample's ids must be given where the spec names a sample, and only there"
    check((synthetic is not None) == bool(first.synthetic), "synthetic", first.synthetic, allowed)


def _trainer(
    spec: RunSpec,
    execution: Execution,
    micro_batch: int,
    logger: Logger | bool,
    callbacks: list[lightning.Callback],
) -> lightning.Trainer:
    n_pass = spec.batch_size // (micro_batch * execution.devices)
    alone = execution.devices == 1
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        return lightning.Trainer(
            accelerator=execution.accelerator,
            devices=execution.devices,
            # Buffers hold each process's own sums; weights start equal, and gradients keep them so.
            strategy="auto" if alone else DDPStrategy(broadcast_buffers=False),
            use_distributed_sampler=False,
            # Lightning's bf16-mixed is autocast; products in bf16 are the model's own.
            precision="bf16-mixed" if spec.precision == "bf16-mixed" else "32-true",
            max_steps=spec.n_step,
            max_epochs=1,
            accumulate_grad_batches=n_pass,
            val_check_interval=max(1, spec.n_step // spec.evals) * n_pass,
            num_sanity_val_steps=0,
            inference_mode=False,
            logger=logger,
            log_every_n_steps=spec.n_step,
            callbacks=callbacks,
            enable_checkpointing=False,
            plugins=[SafeCheckpointIO(), LightningEnvironment()],  # never a scheduler's own
            enable_progress_bar=False,
            enable_model_summary=False,
        )


class _TokenReport(lightning.Callback):
    """Report the tokens trained so far over all members, at most five times a second."""

    def __init__(self, on_tokens: Callable[[int], None], specs: Sequence[RunSpec]) -> None:
        self.on_tokens = on_tokens
        self.tokens_per_step = len(specs) * specs[0].tokens_per_step
        self.reported = 0.0

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        now = time.monotonic()
        if now - self.reported > 0.2 or trainer.global_step == trainer.max_steps:
            self.reported = now
            self.on_tokens(trainer.global_step * self.tokens_per_step)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Silence Lightning's hints, and keep Ctrl-C working.

    Lightning would end the kernel on the first Ctrl-C and ignore all that follow.
    """
    on_interrupt = signal.getsignal(signal.SIGINT)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        except SystemExit as ended:
            signal.signal(signal.SIGINT, on_interrupt)
            raise KeyboardInterrupt from ended


def _member_curve(
    curve: list[dict[str, Any]], member: int, tokens_per_step: int
) -> list[dict[str, Any]]:
    return [
        {
            "step": point["step"],
            "tokens": point["step"] * tokens_per_step,
            "train_loss": point["train_loss"][member],
            "val_loss": point["val_loss"][member],
        }
        for point in curve
    ]


@cache
def can_compile(on_gpu: bool) -> bool:
    """Say whether torch.compile works here, by compiling something trivial once.

    Spaces in a path, a compiler that is missing, a folder for temporary files that forbids
    execution: many things stop it. Warns once with the reason; runs then train eagerly.
    """
    try:
        torch.compile(_trivial)(torch.ones(8, device="cuda" if on_gpu else "cpu"))
    except Exception as error:  # the compiler's, the linker's, the loader's, torch's own
        text = f"training eagerly, about 1.5x slower, as torch.compile fails here: {_reason(error)}"
        warnings.warn(text, MachineWarning, 2)
        return False
    return True


def _trivial(x: Tensor) -> Tensor:
    return x.sin() + 1


def _reason(error: Exception) -> str:
    """Return the line of a compiler's output that says what is wrong, and a path that may be."""
    output = str(error).partition("\nOutput:\n")[2] or str(error)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "error: " in line or "cannot find" in line]
    reason = [*telling, *lines, type(error).__name__][0][:200]
    folders = (tempfile.gettempdir(), torch.__path__[0])
    odd = [folder for folder in folders if re.search(r"[\s'\"]", folder)]
    return f"{reason} (a space or a quote in {', '.join(odd)})" if odd else reason


def _compile_seconds() -> float:
    """Return what compiling has taken in this process so far."""
    from torch._dynamo.utils import calculate_time_spent

    return calculate_time_spent().get("total_wall_time", 0.0)


def open_logger(kind: str, folder: Path, name: str) -> Logger | bool:
    """Return the Lightning logger of a kind (csv, tensorboard, wandb, none) for one stack's run.

    Raises InputError for another kind, and for a package that is missing.
    """
    check_choice("logger", kind, ("csv", "tensorboard", "wandb", "none"))
    if kind == "none":
        return False
    from lightning.pytorch import loggers

    folder.mkdir(parents=True, exist_ok=True)
    try:
        if kind == "csv":
            return loggers.CSVLogger(folder, name=name, version="")
        if kind == "tensorboard":
            return loggers.TensorBoardLogger(folder, name=name, version="")
        return loggers.WandbLogger(name=name, save_dir=folder, project="ieee_lib")
    except ModuleNotFoundError as error:
        raise InputError("logger", kind, f"needs a package: pip install {error.name}") from error


def close_logger(logger: Logger | bool) -> None:
    """End a logger's run where it has one (W&B), so that the next stack gets its own."""
    finish = getattr(getattr(logger, "experiment", None), "finish", None)
    if finish is not None:
        finish()
