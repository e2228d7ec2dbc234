"""The Lightning module of a stack: it trains on the sum of losses, and fills each member's curve.

module = StackModule(specs)
trainer.fit(module, SliceData(specs, corpus, micro_batch=8))
module.curve[-1]["val_loss"]                 # (K,), nats/token
"""

import time
from collections.abc import Sequence
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from ieee_lib.config import RunSpec
from ieee_lib.model.decoder import StackedDecoder, hash32
from ieee_lib.model.optim import StackedAdamW, StackedMuon, warmup_cosine
from ieee_lib.training.options import is_averaged, masked, replaced, teacher_of, weight_average

OPTIMIZERS = {"adamw": StackedAdamW, "muon": StackedMuon}

PROGRESS = ("curve", "train_sum", "n_train_batch", "evaluation_seconds", "seconds", "begun")
"""Attributes that a checkpoint keeps."""


class StackModule(lightning.LightningModule):
    """Train K runs of equal shape side by side; `curve` gets a point at each evaluation.

    Members share no parameter, so the gradient of the summed loss is each member's own.
    """

    train_sum: Tensor
    val_sum: Tensor
    data_seeds: Tensor

    def __init__(
        self,
        specs: Sequence[RunSpec],
        *,
        compile: bool = False,
        teacher: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.specs = list(specs)
        self.compiled = compile
        self.model = StackedDecoder(
            specs[0].model,
            seeds=[s.init_seed for s in specs],
            dropout=specs[0].dropout,
            bf16=specs[0].precision == "bf16-products",
        )
        self.average = weight_average(self.model, specs[0])
        self.teacher = teacher_of(specs[0], teacher)
        self.curve: list[dict[str, Any]] = []
        """Points {step, train_loss (K,), val_loss (K,)}, losses in nats/token."""
        zeros = torch.zeros(len(specs), dtype=torch.float64)
        self.register_buffer("train_sum", zeros.clone(), persistent=False)
        self.register_buffer("val_sum", zeros.clone(), persistent=False)
        data_seeds = torch.tensor([s.data_seed for s in specs])
        self.register_buffer("data_seeds", data_seeds, persistent=False)
        self.n_train_batch = 0
        self.n_val_batch = 0
        self.evaluation_seconds = 0.0
        self.evaluation_began = 0.0
        self.begun = time.time()
        """When the stack began, before any resumption; seconds since 1970."""
        self.seconds = 0.0

    @property
    def seconds(self) -> float:
        """Return what training has taken so far, less what was lost between checkpoint and kill."""
        return time.perf_counter() - self._since

    @seconds.setter
    def seconds(self, taken: float) -> None:
        self._since = time.perf_counter() - taken

    def configure_model(self) -> None:
        """Compile the model where that was chosen."""
        if self.compiled and not self.model.compiled:  # Lightning calls this more than once
            self.model.compile_regions()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the stack's optimizer, and the schedule that all members share."""
        spec = self.specs[0]
        optimizer = OPTIMIZERS[spec.optimizer](
            self.model,
            lr=[s.lr for s in self.specs],
            wd=[s.wd for s in self.specs],
            decay_mask=spec.decay_mask,
            beta1=spec.beta1,
            beta2=spec.beta2,
            eps=spec.eps,
            clip_norm=spec.clip_norm,
        )
        schedule = LambdaLR(optimizer, warmup_cosine(spec.n_step, spec.warmup_fraction))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, ids: Tensor, index: int) -> Tensor:
        """Return the sum over members of their losses on ids (K, B, T)."""
        losses = self._losses(ids)
        self.train_sum += losses.detach()
        self.n_train_batch += 1
        return losses.sum()

    def _losses(self, ids: Tensor) -> Tensor:
        """Return what each member minimizes (K,) on ids (K, B, T): the paper's loss by default."""
        spec, key = self.specs[0], self._dropout_key()
        inputs, teacher = ids, None
        if spec.replaced_inputs:
            inputs = replaced(
                ids, spec.replaced_inputs, self._sequence_keys(ids), spec.model.vocab_size
            )
        if self.teacher is not None:
            teacher = self.teacher.as_teacher(inputs, spec.teacher_weight, spec.temperature)
        losses = self.model.head_losses(self.model.hidden(inputs, key), ids, teacher)
        if spec.masked_weight:
            hidden = self.model.hidden(inputs, key, masked(inputs, self._sequence_keys(ids)))
            losses = losses + spec.masked_weight * self.model.head_losses(hidden, ids)
        return losses

    def _pass_index(self) -> Tensor:
        """Return the number of this forward pass, of all devices together, wherever it is made."""
        n_pass = self.trainer.global_step * self.trainer.accumulate_grad_batches
        n_pass += self.n_train_batch % self.trainer.accumulate_grad_batches
        index = n_pass * self.trainer.world_size + self.trainer.global_rank
        return torch.full((), index, device=self.device)

    def _dropout_key(self) -> Tensor | None:
        """Return a key (K,) of each member's seed and of the pass, or None without dropout."""
        if not self.specs[0].dropout:
            return None
        return hash32((hash32(self.data_seeds) + hash32(self._pass_index())) % 2**32)

    def _sequence_keys(self, ids: Tensor) -> Tensor:
        """Return a key (K, B) of each member's seed and of a sequence's place in the run."""
        n_sequence = ids.shape[1]
        places = self._pass_index() * n_sequence + torch.arange(n_sequence, device=self.device)
        return hash32((hash32(self.data_seeds)[:, None] + hash32(places)) % 2**32)

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Move the weights, and add them to their average where the step is one of it."""
        super().optimizer_step(*arguments, **options)
        if self.average is not None and is_averaged(self.specs[0], self.trainer.global_step + 1):
            self.average.update_parameters(self.model)

    @property
    def kept(self) -> StackedDecoder:
        """Return what is evaluated and kept: the average of the weights where there is one yet."""
        if self.average is None or not self.average.n_averaged:
            return self.model
        return cast(StackedDecoder, self.average.module)

    def validation_step(self, ids: Tensor, index: int) -> None:
        """Add each member's loss on ids (K, B, T) to the evaluation's sum."""
        # With gradients on, the compiled training forward serves here too: no second compile.
        model = self.kept
        with torch.enable_grad():
            x = model.hidden(ids)
        self.val_sum += model.head_losses(x.detach(), ids)
        self.n_val_batch += 1

    def on_validation_start(self) -> None:
        """Note when the evaluation began."""
        self.evaluation_began = time.perf_counter()

    def on_validation_epoch_end(self) -> None:
        """Add a point to the curve, and log it."""
        train_loss = self._over_devices(self.train_sum) / max(
            1, self.trainer.world_size * self.n_train_batch
        )
        n_val_batch = self._over_devices(torch.tensor(self.n_val_batch, device=self.device))
        point: dict[str, Any] = {
            "step": self.trainer.global_step,
            "train_loss": train_loss.tolist(),
            "val_loss": (self._over_devices(self.val_sum) / n_val_batch).tolist(),
        }
        self.curve.append(point)
        self.train_sum.zero_()
        self.val_sum.zero_()
        self.n_train_batch = self.n_val_batch = 0
        for split in ("train_loss", "val_loss"):
            for spec, loss in zip(self.specs, point[split], strict=True):
                self.log(f"{split}/{spec.run_id}", loss)

    def on_validation_end(self) -> None:
        """Add the evaluation's seconds to those before."""
        self.evaluation_seconds += time.perf_counter() - self.evaluation_began

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the attributes of `PROGRESS` to a checkpoint, sums over all devices."""
        progress = {name: getattr(self, name) for name in PROGRESS}
        progress["train_sum"] = self._over_devices(self.train_sum)
        checkpoint["progress"] = progress

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the attributes of `PROGRESS` from a checkpoint."""
        for name, value in checkpoint["progress"].items():
            if isinstance(value, Tensor):
                value = value.to(self.train_sum.device)
            setattr(self, name, value)
        if self.trainer.global_rank > 0:
            self.train_sum.zero_()  # the first device has the sum of all

    def _over_devices(self, x: Tensor) -> Tensor:
        """Return the sum of x over the devices that train together."""
        total = self.trainer.strategy.reduce(x.clone(), reduce_op="sum")
        assert isinstance(total, Tensor)
        return total
