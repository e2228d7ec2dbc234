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


class StepBatches(Dataset):
    """Item i is the i-th forward pass of the whole run: a function of i alone.

    Sequences are shuffled once per `data_seed`; the same order is reused every epoch, or with
    `reshuffle` a new one drawn. Synthetic ones have an order of their own, and their share w is
    spread evenly over the stream.
    """

    def __init__(
        self,
        specs: Sequence[RunSpec],
        sequences: np.ndarray | PackedSequences,
        micro_batch: int,
        synthetic: np.ndarray | None = None,
    ) -> None:
        self.weight = specs[0].synthetic_weight
        self.batch_size = micro_batch
        self.n_pass = specs[0].n_step * specs[0].batch_size // micro_batch
        seeds = [spec.data_seed for spec in specs]
        only = specs[0].synthetic_only
        new = specs[0].reshuffle
        self.main = _Ordered(synthetic if only else sequences, seeds, new)
        self.synthetic = None if only or synthetic is None else _Ordered(synthetic, seeds, new)

    def __len__(self) -> int:
        return self.n_pass

    def __getitem__(self, index: int) -> Tensor:
        place = np.arange(index * self.batch_size, (index + 1) * self.batch_size)
        if self.synthetic is None:
            return self.main[place]  # (K, B, T)
        before = np.floor(place * self.weight).astype(np.int64)  # synthetic ones so far
        chosen = np.floor((place + 1) * self.weight).astype(np.int64) > before
        ids = self.main[place - before]
        ids[:, chosen] = self.synthetic[before[chosen]]
        return ids


class _Ordered:
    """Sequences in a random order a member, read round and round; `new`: another every round."""

    def __init__(
        self, sequences: np.ndarray | PackedSequences, seeds: Sequence[int], new: bool
    ) -> None:
        self.sequences = sequences  # (n, T)
        self.seeds, self.new = seeds, new
        self._order = lru_cache(maxsize=2)(self._order)  # a batch lies in two rounds at most

    def __getitem__(self, place: np.ndarray) -> Tensor:
        rounds, within = np.divmod(place, len(self.sequences))
        order = np.empty((len(self.seeds), len(place)), dtype=np.int64)
        for number in np.unique(rounds * self.new):
            chosen = rounds * self.new == number
            order[:, chosen] = self._order(int(number))[:, within[chosen]]
        return torch.from_numpy(self.sequences[order].astype(np.int64, copy=False))

    def _order(self, number: int) -> np.ndarray:
        """Return every member's order of one round (K, n)."""
        keys = [[seed, number] if number else seed for seed in self.seeds]
        return np.stack([np.random.default_rng(k).permutation(len(self.sequences)) for k in keys])


class ValidationBatches(Dataset):
    """The fixed held-out sequences, the same for every member, in batches of training shape."""

    def __init__(self, n_member: int, sequences: np.ndarray, micro_batch: int) -> None:
        self.batches = torch.from_numpy(sequences).unflatten(0, (-1, micro_batch))
        self.n_member = n_member

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Tensor:
        return self.batches[index].expand(self.n_member, -1, -1).contiguous()  # (K, B, T)


class SliceData(lightning.LightningDataModule):
    """Training and validation batches of a stack on one corpus."""

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

    def train_dataloader(self) -> DataLoader:
        return self._loader(self.batches, self.n_done)

    def val_dataloader(self) -> DataLoader:
        return self._loader(self.validation)

    def _loader(self, batches: Dataset, n_done: int = 0) -> DataLoader:
        on_gpu = self.trainer.strategy.root_device.type == "cuda"
        share = _Share(batches, self.trainer, n_done)
        return DataLoader(batches, batch_size=None, sampler=share, pin_memory=on_gpu)


class _Share(Sampler):
    """What one of several devices takes of the passes: every so-manieth, from `n_done` on.

    A step's passes are consecutive, so together the devices take the same steps as one alone.
    The length is that of the whole run, as Lightning counts.
    """

    def __init__(self, batches: Dataset, trainer: lightning.Trainer, n_done: int = 0) -> None:
        self.own = range(trainer.global_rank, len(batches), trainer.world_size)
        self.n_done = n_done

    def __iter__(self) -> Iterator[int]:
        return iter(self.own[self.n_done :])

    def __len__(self) -> int:
        return len(self.own)
