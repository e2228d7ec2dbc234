"""Where a long run stands, so that a killed one goes on with the next batch.

One sealed file of safetensors, whose metadata holds everything that is not a tensor as JSON.
Nothing is pickled. Lightning fills and reads it; a damaged file is set aside.

    trainer = lightning.Trainer(plugins=[SafeCheckpointIO()], callbacks=[Checkpoint(path, 600)])
    trainer.fit(module, data, ckpt_path=usable(path))
"""

import json
import time
from pathlib import Path
from typing import Any

import lightning
import safetensors.torch
import torch
from lightning.pytorch.plugins import CheckpointIO

from ieee_lib.files import DIGEST, read_sealed, write_sealed


class SafeCheckpointIO(CheckpointIO):
    """Lightning's checkpoints as safetensors and JSON."""

    def save_checkpoint(self, checkpoint: dict, path, storage_options: Any = None) -> None:
        tensors: dict[str, torch.Tensor] = {}
        tree = json.dumps(_without_tensors(checkpoint, tensors))
        write_sealed(Path(path), safetensors.torch.save(tensors, metadata={"tree": tree}))

    def load_checkpoint(self, path, map_location: Any = None, weights_only: Any = None) -> dict:
        tensors = safetensors.torch.load(Path(path).read_bytes()[DIGEST:])
        return _with_tensors(_tree(Path(path)), tensors)

    def remove_checkpoint(self, path) -> None:
        Path(path).unlink(missing_ok=True)


class Checkpoint(lightning.Callback):
    """Writes the file every so many seconds, never at a step that is about to be evaluated."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self.written = time.monotonic()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx: int) -> None:
        passes = trainer.accumulate_grad_batches
        between = (batch_idx + 1) % trainer.val_check_batch != 0 and (batch_idx + 1) % passes == 0
        due = between and time.monotonic() - self.written >= self.seconds
        if between and trainer.strategy.reduce_boolean_decision(due, all=False):
            trainer.save_checkpoint(self.path)
            self.written = time.monotonic()


def usable(path: Path | None) -> Path | None:
    """Return a checkpoint whose checksum holds; a damaged one is set aside as `*.damaged`."""
    return path if path is not None and read_sealed(path) is not None else None


def passes_done(path: Path) -> int:
    """Return the forward passes that a checkpoint has behind it."""
    loops = dict(_tree(path)["pairs"])["loops"]  # the weights themselves stay on the disk
    return _with_tensors(loops, {})["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"]


def _tree(path: Path) -> dict:
    """Return what `_without_tensors` made of a checkpoint, from the header of its safetensors."""
    with path.open("rb") as file:
        file.seek(DIGEST)
        length = int.from_bytes(file.read(8), "little")
        return json.loads(json.loads(file.read(length))["__metadata__"]["tree"])


def _without_tensors(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return JSON for a nested value, moving its tensors out; dicts become lists of pairs."""
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().contiguous().cpu()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"pairs": [[k, _without_tensors(v, tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return [_without_tensors(v, tensors) for v in value]
    return value


def _with_tensors(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, dict) and "tensor" in value:
        return tensors[value["tensor"]]
    if isinstance(value, dict):
        return {k: _with_tensors(v, tensors) for k, v in value["pairs"]}
    if isinstance(value, list):
        return [_with_tensors(v, tensors) for v in value]
    return value
