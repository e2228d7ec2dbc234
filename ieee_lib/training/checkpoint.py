"""Where a long run stands, so that a killed one goes on with the next batch.

One file of safetensors, whose metadata holds everything that is not a tensor as JSON, and the
sha256 of all. Nothing is pickled, and nothing is copied: at 1.4B parameters it has 17 GB. Lightning
fills and reads it; a damaged file is set aside.

    trainer = lightning.Trainer(plugins=[SafeCheckpointIO()], callbacks=[Checkpoint(path, 600)])
    trainer.fit(module, data, ckpt_path=usable(path))
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.plugins import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from ieee_lib.files import atomic_path, check_free_space, quarantine


class SafeCheckpointIO(CheckpointIO):
    """Lightning's checkpoints as safetensors and JSON."""

    def save_checkpoint(self, checkpoint: dict, path, storage_options: Any = None) -> None:
        path, tensors = Path(path), {}
        tree = json.dumps(_without_tensors(checkpoint, tensors))
        n_byte = sum(tensor.nbytes for tensor in tensors.values())
        with atomic_path(path, n_byte) as temporary:
            check_free_space(path.parent, n_byte)  # safetensors does not say why it could not write
            save_file(tensors, temporary, {"tree": tree, "sha256": _sha256(tree, tensors)})

    def load_checkpoint(self, path, map_location: Any = None, weights_only: Any = None) -> dict:
        metadata, tensors = _read(path)
        return _with_tensors(json.loads(metadata["tree"]), tensors)

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
    if path is None or not path.is_file():
        return None
    try:
        metadata, tensors = _read(path)
        if metadata["sha256"] == _sha256(metadata["tree"], tensors):
            return path
    except (SafetensorError, KeyError, OSError, ValueError):
        pass  # safetensors has several ways to say that a file is none of its own
    quarantine(path)
    return None


def passes_done(path: Path) -> int:
    """Return the forward passes that a checkpoint has behind it."""
    loops = dict(json.loads(_read(path)[0]["tree"])["pairs"])["loops"]
    return _with_tensors(loops, {})["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"]


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Return metadata and tensors, which stay on the disk until they are looked at."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    return metadata, load_file(path)


def _sha256(tree: str, tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(tree.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


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
