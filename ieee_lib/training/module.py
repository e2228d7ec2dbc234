"""The Lightning module of a stack: sum of members' losses down, each member's curve out."""

import time
from collections.abc import Sequence

import lightning
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from ieee_lib.config import RunSpec
from ieee_lib.model.decoder import StackedDecoder, mixed
from ieee_lib.model.optim import StackedAdamW, StackedMuon, warmup_cosine

PROGRESS = ("curve", "train_sum", "n_train_batch", "evaluation_seconds", "seconds", "begun")
"""What a module counts while it trains, and a checkpoint keeps."""


class StackModule(lightning.LightningModule):
    """Trains K runs of equal shape side by side; `curve` fills at each evaluation.

    Members share no parameter, so the gradient of the summed loss is each member's own.
    """

    def __init__(self, specs: Sequence[RunSpec], *, compile: bool = False) -> None:
        super().__init__()
        self.specs = list(specs)
        self.compiled = compile
        self.model = StackedDecoder(
            specs[0].model, seeds=[s.init_seed for s in specs], dropout=specs[0].dropout
        )
        self.curve: list[dict] = []
        """Points {step, train_loss (K,), val_loss (K,)}, losses in nats/token."""
        zeros = torch.zeros(len(specs), dtype=torch.float64)
        self.register_buffer("train_sum", zeros.clone(), persistent=False)
        self.register_buffer("val_sum", zeros.clone(), persistent=False)
        data_seeds = torch.tensor([s.data_seed for s in self.specs])
        self.register_buffer("data_seeds", data_seeds, persistent=False)
        self.n_train_batch = 0
        self.evaluation_seconds = 0.0
        self.begun = time.time()
        """When the stack began, before any resumption; seconds since 1970."""
        self.seconds = 0.0

    @property
    def seconds(self) -> float:
        """What training has taken so far, without what was lost between checkpoint and kill."""
        return time.perf_counter() - self._since

    @seconds.setter
    def seconds(self, taken: float) -> None:
        self._since = time.perf_counter() - taken

    def configure_model(self) -> None:
        if self.compiled and not self.model.compiled:  # Lightning calls this more than once
            self.model.compile_regions()

    def configure_optimizers(self) -> dict:
        spec = self.specs[0]
        optimizer = {"adamw": StackedAdamW, "muon": StackedMuon}[spec.optimizer](
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
        losses = self.model.losses(ids, self._dropout_key())
        self.train_sum += losses.detach()
        self.n_train_batch += 1
        return losses.sum()

    def _dropout_key(self) -> Tensor | None:
        """Return a key (K,) of every member's seed and of the pass, or None without dropout."""
        if not self.specs[0].dropout:
            return None
        # Passes of all devices so far: the same pass has the same key wherever it is made.
        done = self.trainer.global_step * self.trainer.accumulate_grad_batches
        done += self.n_train_batch % self.trainer.accumulate_grad_batches
        index = done * self.trainer.world_size + self.trainer.global_rank
        place = torch.full((), index, device=self.device)
        return mixed((mixed(self.data_seeds) + mixed(place)) % 2**32)

    def validation_step(self, ids: Tensor, index: int) -> None:
        # With gradients on, the compiled training forward serves here too: no second compile.
        with torch.enable_grad():
            x = self.model.hidden(ids)
        self.val_sum += self.model.head_losses(x.detach(), ids)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        progress = {name: getattr(self, name) for name in PROGRESS}
        progress["train_sum"] = self._over_devices(self.train_sum)
        checkpoint["progress"] = progress

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        for name, value in checkpoint["progress"].items():
            old = getattr(self, name)
            setattr(self, name, value.to(old.device) if isinstance(old, Tensor) else value)
        if self.trainer.global_rank > 0:
            self.train_sum.zero_()  # the first device has the sum of all

    def _over_devices(self, own: Tensor) -> Tensor:
        """Return a sum over the devices that train together."""
        return self.trainer.strategy.reduce(own.clone(), reduce_op="sum")

    def on_validation_start(self) -> None:
        self.evaluation_began = time.perf_counter()

    def on_validation_end(self) -> None:
        self.evaluation_seconds += time.perf_counter() - self.evaluation_began

    def on_validation_epoch_end(self) -> None:
        n_device = self.trainer.world_size
        n_val_batch = len(self.trainer.datamodule.validation)
        train_loss = self._over_devices(self.train_sum) / max(1, n_device * self.n_train_batch)
        point = {
            "step": self.trainer.global_step,
            "train_loss": train_loss.tolist(),
            "val_loss": (self._over_devices(self.val_sum) / n_val_batch).tolist(),
        }
        self.curve.append(point)
        self.train_sum.zero_()
        self.val_sum.zero_()
        self.n_train_batch = 0
        for kind in ("train_loss", "val_loss"):
            named = {f"{kind}/{s.run_id}": v for s, v in zip(self.specs, point[kind], strict=True)}
            self.log_dict(named)
