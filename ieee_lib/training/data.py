"""Batches of a stack: every member walks the same slice in its own fixed order (Sec. 2).

data = SliceData(specs, corpus, micro_batch=8)
next(iter(data.train_dataloader()))          # ids (K, B, T) of the first pass
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ieee_lib.config import RunSpec
from ieee_lib.text.corpus import Corpus, PackedSequences

Sequences = np.ndarray | PackedSequences
"""Token ids (n, T), in memory or on the disk."""


class StepBatches(Dataset[Tensor]):
    """Give the i-th forward pass of the whole run as item i, a function of i alone.

    Sequences are shuffled once per `data_seed`, and every epoch reuses that order; `reshuffle`
    draws a new one for each. Synthetic sequences have an order of their own, and their share w is
    spread evenly over the stream.
    """

    def __init__(
        self,
        specs: Sequence[RunSpec],
        sequences: Sequences,
        micro_batch: int,
        synthetic: np.ndarray | None = None,
    ) -> None:
        first = specs[0]
        seeds = [spec.data_seed for spec in specs]
        self.weight = first.synthetic_weight
        self.batch_size = micro_batch
        self.n_pass = first.n_step * first.batch_size // micro_batch
        self.synthetic = None
        if synthetic is not None and first.synthetic_only:
            sequences = synthetic
        elif synthetic is not None:
            self.synthetic = _ShuffledSequences(synthetic, seeds, reshuffle=first.reshuffle)
        self.main = _ShuffledSequences(sequences, seeds, reshuffle=first.reshuffle)

    def __len__(self) -> int:
        return self.n_pass

    def __getitem__(self, index: int) -> Tensor:
        place = np.arange(index * self.batch_size, (index + 1) * self.batch_size)  # in the stream
        if self.synthetic is None:
            return self.main[place]  # (K, B, T)
        n_before = np.floor(place * self.weight).astype(np.int64)  # synthetic ones so far
        n_after = np.floor((place + 1) * self.weight).astype(np.int64)
        is_synthetic = n_after > n_before
        ids = self.main[place - n_before]
        ids[:, is_synthetic] = self.synthetic[n_before[is_synthetic]]
        return ids


class _ShuffledSequences:
    """Sequences (n, T) in a random order a member, read round and round."""

    def __init__(self, sequences: Sequences, seeds: Sequence[int], *, reshuffle: bool) -> None:
        self.sequences, self.seeds, self.reshuffle = sequences, seeds, reshuffle
        self.order = lru_cache(maxsize=2)(self._draw_order)  # a batch lies in two rounds at most

    def __getitem__(self, place: np.ndarray) -> Tensor:
        rounds, within = np.divmod(place, len(self.sequences))
        if not self.reshuffle:
            rounds = np.zeros_like(rounds)
        rows = np.empty((len(self.seeds), len(place)), dtype=np.int64)
        for number in np.unique(rounds):
            chosen = rounds == number
            rows[:, chosen] = self.order(int(number))[:, within[chosen]]
        return torch.from_numpy(self.sequences[rows].astype(np.int64, copy=False))  # (K, B, T)

    def _draw_order(self, number: int) -> np.ndarray:
        """Return every member's order of one round (K, n)."""
        keys = [[seed, number] if number else seed for seed in self.seeds]
        return np.stack([np.random.default_rng(k).permutation(len(self.sequences)) for k in keys])


class ValidationBatches(Dataset[Tensor]):
    """Give the fixed held-out sequences, the same to every member, in batches of training shape."""

    def __init__(self, n_member: int, sequences: np.ndarray, micro_batch: int) -> None:
        self.batches = torch.from_numpy(sequences).unflatten(0, (-1, micro_batch))
        self.n_member = n_member

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Tensor:
        return self.batches[index].expand(self.n_member, -1, -1).contiguous()  # (K, B, T)


class SliceData(lightning.LightningDataModule):
    """Load the training and validation batches of a stack on one corpus.

    `n_done` are the passes of each device that a resumed run has behind it.
    """

    def __init__(
        self,
        specs: Sequence[RunSpec],
        corpus: Corpus,
        micro_batch: int,
        synthetic: np.ndarray | None = None,
        *,
        n_done: int = 0,
    ) -> None:
        super().__init__()
        self.n_done = n_done
        spec = specs[0]
        block_size = spec.model.block_size
        seed_slice = corpus.sequences(spec.seed_tokens, block_size)
        self.batches = StepBatches(specs, seed_slice, micro_batch, synthetic)
        held_out = corpus.validation(spec.val_sequences, block_size)
        self.validation = ValidationBatches(len(specs), held_out, micro_batch)

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Return this device's training batches, ids (K, B, T)."""
        return self._loader(self.batches, self.n_done)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Return this device's validation batches, ids (K, B, T)."""
        return self._loader(self.validation)

    def _loader(
        self, batches: StepBatches | ValidationBatches, n_done: int = 0
    ) -> DataLoader[Tensor]:
        assert self.trainer is not None
        sampler = _DeviceSampler(len(batches), self.trainer, n_done)
        on_gpu = self.trainer.strategy.root_device.type == "cuda"
        return DataLoader(batches, batch_size=None, sampler=sampler, pin_memory=on_gpu)


class _DeviceSampler(Sampler[int]):
    """One device's share of the passes: every `world_size`-th, from the `n_done`-th on.

    A step's passes are consecutive, so together the devices take the same steps as one alone.
    The length is that of the whole run, as Lightning counts.
    """

    def __init__(self, n_pass: int, trainer: lightning.Trainer, n_done: int = 0) -> None:
        self.passes = range(trainer.global_rank, n_pass, trainer.world_size)
        self.n_done = n_done

    def __iter__(self) -> Iterator[int]:
        return iter(self.passes[self.n_done :])

    def __len__(self) -> int:
        return len(self.passes)
