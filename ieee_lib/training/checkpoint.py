"""Checkpoints of a stack in training: a killed run resumes with the next batch.

A checkpoint is one file of safetensors. Its metadata holds everything that is not a tensor as
JSON, and the sha256 of all. Nothing is pickled, and nothing is copied: at 1.4B parameters a file
has 17 GB. Lightning fills and reads it; a damaged file is quarantined as `*.damaged`.

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
from torch import Tensor

from ieee_lib.files import atomic_path, check_free_space, quarantine


class SafeCheckpointIO(CheckpointIO):
    """Write and read Lightning's checkpoints as safetensors and JSON."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint, the whole file or none; raises InputError for a full disk."""
        path = Path(path)
        tensors: dict[str, Tensor] = {}
        tree = json.dumps(_without_tensors(checkpoint, tensors))
        n_byte = sum(tensor.nbytes for tensor in tensors.values())
        with atomic_path(path, n_byte) as temporary:
            check_free_space(path.parent, n_byte)  # safetensors does not say why it could not write
            save_file(tensors, temporary, {"tree": tree, "sha256": _sha256(tree, tensors)})

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: Any = None
    ) -> dict[str, Any]:
        """Return what `save_checkpoint` wrote, tensors on the CPU."""
        metadata, tensors = _read(Path(path))
        return _with_tensors(json.loads(metadata["tree"]), tensors)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint, if it is there."""
        Path(path).unlink(missing_ok=True)


class Checkpoint(lightning.Callback):
    """Write a checkpoint every so many seconds, never at a step that an evaluation follows."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self.written = time.monotonic()

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write after a whole step, when it is time on any device."""
        n_pass = batch_idx + 1
        step_ends = n_pass % trainer.accumulate_grad_batches == 0
        between = step_ends and n_pass % trainer.val_check_batch != 0
        due = between and time.monotonic() - self.written >= self.seconds
        if between and trainer.strategy.reduce_boolean_decision(due, all=False):
            trainer.save_checkpoint(self.path)
            self.written = time.monotonic()


def usable(path: Path | None) -> Path | None:
    """Return the path of a checkpoint whose checksum holds; None for an absent or damaged one."""
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
    """Return the forward passes, on each device, that a checkpoint has behind it."""
    loops = dict(json.loads(_read(path)[0]["tree"])["pairs"])["loops"]
    return _with_tensors(loops, {})["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"]


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return metadata and tensors; tensors stay on the disk until they are read."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    return metadata, load_file(path)


def _sha256(tree: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(tree.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _without_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a nested value as JSON: its tensors move out, its dicts become lists of pairs."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().contiguous().cpu()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"pairs": [[k, _without_tensors(v, tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return [_without_tensors(v, tensors) for v in value]
    return value


def _with_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return the nested value that `_without_tensors` took apart."""
    if isinstance(value, dict) and "tensor" in value:
        return tensors[value["tensor"]]
    if isinstance(value, dict):
        return {k: _with_tensors(v, tensors) for k, v in value["pairs"]}
    if isinstance(value, list):
        return [_with_tensors(v, tensors) for v in value]
    return value
