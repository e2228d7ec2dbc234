"""Text that trained models write, shard by shard, and its record (Sec. 6).

SampleJob(SampleSpec(teachers=..., kind="mixture", n_token=...), folder, "laptop").run(execution)
open_sample(store, run_id)           # ids (n, T), verified
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ieee_lib.config import ModelConfig, RunSpec, SampleSpec, content_id
from ieee_lib.config.execution import Execution
from ieee_lib.errors import InputError, check
from ieee_lib.files import sha256_of
from ieee_lib.jobs.job import RECORD_BYTES, Listener, Models, ModelsJob
from ieee_lib.runs.store import Record, RunStore

if TYPE_CHECKING:
    from ieee_lib.model.decoder import StackedDecoder

SHARD_SEQUENCES = 4096
"""Sequences of a shard: what a killed sampler loses at most."""
BATCH_LOGITS = {"cpu": 2**20, "cuda": 2**28}
"""Next-token logits kept at once, per member: what a CPU's cache has room for; 1 GiB on a GPU."""
BATCH_KEYS = {"cpu": 2**24, "cuda": 2**30}
"""Cached keys and values kept at once, per member: 64 MiB; 4 GiB on a GPU."""


@dataclass(frozen=True)
class SampleJob(ModelsJob):
    """Write samples of trained models, shard by shard; a whole shard is not written again."""

    spec: SampleSpec
    kind, role = "sample", "teacher"

    @property
    def label(self) -> str:
        """Name the job in messages."""
        return f"{self.spec.run_id} (sample)"

    @property
    def disk_bytes(self) -> int:
        """Return about what the record and the shards take on the disk."""
        return RECORD_BYTES + 4 * self.spec.n_token

    @property
    def members(self) -> tuple[RunSpec, ...]:
        """Return the teachers."""
        return self.spec.teachers.members

    @property
    def tokens(self) -> int:
        """Return the tokens to write."""
        return self.spec.n_token

    def memory_bytes(self, execution: Execution) -> int:
        """Return about the most device memory that sampling needs."""
        rows = batch_rows(self.shape, "cpu" if execution.accelerator == "cpu" else "cuda")
        drawn_from = 4 * self.shape.vocab_size  # logits, probabilities, and their sums in float64
        values = self.shape.count().total + rows * (cached_values(self.shape) + drawn_from)
        return 4 * len(self.members) * values

    def result(self, models: Models, on_tokens: Listener) -> Record:
        """Write the shards that are missing; return the checksums of all."""
        for run_id, record in models.records.items():
            check(record["status"] == "done", "teacher", run_id, "diverged; choose another")
        model = models.stack(self.shape)
        block_size, n_teacher = self.shape.block_size, len(self.members)
        packed = models.corpus.sequences(self.members[0].seed_tokens, block_size)
        first_ids = packed.blocks[packed.order, 0]
        # Whole sequences, an equal number for each teacher, in all and in each shard.
        n_sequence = -(-self.spec.n_token // block_size)
        n_sequence += -n_sequence % n_teacher
        shard_size = SHARD_SEQUENCES - SHARD_SEQUENCES % n_teacher
        digests = []
        for shard, begin in enumerate(range(0, n_sequence, shard_size)):
            n = min(shard_size, n_sequence - begin)
            written = models.store.get_shard(self.spec.run_id, shard)
            if written is None or len(written) != n * block_size * 4:
                ids = self._shard(shard, n, model, first_ids, models.device)
                models.store.put_shard(self.spec.run_id, shard, ids)
                on_tokens(min(self.tokens, (begin + n) * block_size))
            digests.append(sha256_of(models.store.shard_path(self.spec.run_id, shard)))
        return {
            "status": "done",
            "tokens": self.tokens,
            "flops": self.spec.flops,
            "sequences": n_sequence,
            "shards": digests,
        }

    def _shard(
        self, shard: int, n: int, model: "StackedDecoder", first_ids: np.ndarray, device: str
    ) -> bytes:
        """Return the ids of one shard of n sequences, int32.

        Each sequence begins with one of `first_ids`, the first ids of training sequences.
        """
        import torch

        from ieee_lib.training.sampling import sample

        spec = self.spec
        seed = int(content_id("shard", {"sample": spec.run_id, "shard": shard})[:15], 16)
        generator = torch.Generator(device).manual_seed(seed)
        chosen = torch.randint(len(first_ids), (n,), generator=generator, device=device)
        starts = torch.as_tensor(first_ids.astype(np.int64), device=device)[chosen]
        rows = batch_rows(self.shape, device)
        if spec.kind == "mixture":  # each teacher writes a part of a batch
            rows *= len(self.members)
        parts = starts.split(rows)
        ids = [sample(model, part, kind=spec.kind, generator=generator) for part in parts]
        return torch.cat(ids).to(torch.int32).cpu().numpy().tobytes()


def batch_rows(model: ModelConfig, device: str) -> int:
    """Return the sequences of each member that are written at once."""
    keys = cached_values(model)
    return max(1, min(BATCH_LOGITS[device] // model.vocab_size, BATCH_KEYS[device] // keys))


def cached_values(model: ModelConfig) -> int:
    """Return the keys and values of a whole context."""
    return 2 * model.n_layer * model.n_kv_head * model.head_dim * model.block_size


def open_sample(store: RunStore, run_id: str) -> np.ndarray:
    """Return a sample's ids (n, T), int32, verified by checksum.

    Raises InputError where it is missing or a shard is damaged.
    """
    record = store.get(run_id)
    if record is None:
        raise InputError("synthetic", run_id, "is not a recorded sample")
    shape = (record["sequences"], record["spec"]["model"]["block_size"])
    ids, n = np.empty(shape, np.int32), 0
    for shard in range(len(record["shards"])):
        data = store.get_shard(run_id, shard)
        if data is None:
            allowed = "is damaged or missing; the same command writes it again"
            raise InputError("sample", str(store.shard_path(run_id, shard)), allowed)
        part = np.frombuffer(data, np.int32).reshape(-1, shape[1])
        ids[n : n + len(part)] = part
        n += len(part)
    return ids
