"""Text that trained models write, shard by shard, and its record (Sec. 6).

SampleJob(SampleSpec(teachers=..., kind="mixture", n_token=...), folder, "laptop").run(execution)
open_sample(store, run_id)           # ids (n, T), verified
"""

import time
from dataclasses import dataclass
from pathlib import Path

from ieee_lib.config import ModelConfig, SampleSpec, content_id
from ieee_lib.config.execution import Execution
from ieee_lib.errors import check
from ieee_lib.files import sha256_of
from ieee_lib.jobs.job import RECORD_BYTES, Listener, device_of, open_for, trained
from ieee_lib.runs.store import RunStore

SHARD_SEQUENCES = 4096
"""Sequences of a shard: what a killed sampler loses at most."""
BATCH_LOGITS = {"cpu": 2**20, "cuda": 2**28}
"""Next-token logits held at once, per member: what a CPU's cache has room for; 1 GiB on a GPU."""
BATCH_KEYS = {"cpu": 2**24, "cuda": 2**30}
"""Cached keys and values held at once, per member: 64 MiB; 4 GiB on a GPU."""


@dataclass(frozen=True)
class SampleJob:
    """Samples of trained models, written shard by shard; a shard that is whole is not redone."""

    sample: SampleSpec
    corpus_folder: Path
    scale: str

    @property
    def label(self) -> str:
        return f"{self.sample.run_id} (sample)"

    @property
    def specs(self) -> tuple[SampleSpec]:
        return (self.sample,)

    @property
    def disk_bytes(self) -> int:
        return RECORD_BYTES + 4 * self.sample.n_token

    def memory_bytes(self, execution: Execution) -> int:
        rows = batch_rows(self.shape, "cpu" if execution.accelerator == "cpu" else "cuda")
        drawn_from = 4 * self.shape.vocab_size  # logits, probabilities, and their sums in float64
        held = self.shape.count().total + rows * (cached_values(self.shape) + drawn_from)
        return 4 * len(self.sample.teachers.members) * held

    @property
    def shape(self) -> ModelConfig:
        return self.sample.teachers.members[0].model

    @property
    def tokens(self) -> int:
        return self.sample.n_token

    @property
    def cost(self) -> float:
        return self.sample.flops

    def run(self, execution: Execution, on_tokens: Listener = lambda tokens: None) -> None:
        """Write the shards that are missing, then the record; teachers need their weights."""
        store = RunStore.of(self.scale)
        with store.locked([self.sample.run_id]):
            if store.has(self.sample.run_id, weights=True):
                return
            teachers = [m.run_id for m in self.sample.teachers.members]
            for run_id, record in trained(store, teachers, "teacher").items():
                check(record["status"] == "done", "teacher", run_id, "diverged; choose another")
            written = self._sample(teachers, store, execution, on_tokens)
            store.put(
                {
                    "kind": "sample",
                    "run_id": self.sample.run_id,
                    "spec": self.sample.to_dict(),
                    "status": "done",
                    "tokens": self.sample.n_token,
                    "flops": self.sample.flops,
                    **written,
                }
            )

    def _sample(self, teachers, store: RunStore, execution: Execution, on_tokens: Listener):
        import numpy as np
        import torch

        from ieee_lib.runs.provenance import provenance
        from ieee_lib.training.sampling import sample
        from ieee_lib.training.scoring import load_stack

        spec, first = self.sample, self.sample.teachers.members[0]
        corpus = open_for(self.corpus_folder, execution, first.corpus)
        device = device_of(execution)
        start = time.perf_counter()
        model = load_stack(first.model, [store.weights_path(i) for i in teachers]).to(device)
        packed = corpus.sequences(first.seed_tokens, first.model.block_size)
        starts = packed.blocks[packed.chosen, 0]
        rows = batch_rows(first.model, device) * (1 if spec.kind == "average" else len(teachers))
        each = SHARD_SEQUENCES - SHARD_SEQUENCES % len(teachers)
        n_sequence = -(-spec.n_token // first.model.block_size)
        n_sequence += -n_sequence % len(teachers)
        digests = []
        for shard, begin in enumerate(range(0, n_sequence, each)):
            n = min(each, n_sequence - begin)
            path = store.shard_path(spec.run_id, shard)
            kept = store.get_shard(spec.run_id, shard)
            if kept is not None and len(kept) == n * first.model.block_size * 4:
                digests.append(sha256_of(path))
                continue
            seed = int(content_id("shard", {"sample": spec.run_id, "shard": shard})[:15], 16)
            generator = torch.Generator(device).manual_seed(seed)
            chosen = torch.randint(len(starts), (n,), generator=generator, device=device)
            begun = torch.as_tensor(starts.astype(np.int64), device=device)[chosen]
            with torch.autocast(device, torch.bfloat16, first.precision == "bf16-mixed"):
                parts = [
                    sample(model, part, kind=spec.kind, generator=generator)
                    for part in begun.split(rows)
                ]
            ids = torch.cat(parts)
            store.put_shard(spec.run_id, shard, ids.to(torch.int32).cpu().numpy().tobytes())
            digests.append(sha256_of(path))
            on_tokens(min(spec.n_token, (begin + n) * first.model.block_size))
        return {
            "sequences": n_sequence,
            "shards": digests,
            "seconds": time.perf_counter() - start,
            "device": device,
            **provenance(corpus),
        }


def batch_rows(model: ModelConfig, device: str) -> int:
    """Return the sequences of each member that are written at once."""
    keys = cached_values(model)
    return max(1, min(BATCH_LOGITS[device] // model.vocab_size, BATCH_KEYS[device] // keys))


def cached_values(model: ModelConfig) -> int:
    """Return the keys and values of a whole context."""
    return 2 * model.n_layer * model.n_kv_head * model.head_dim * model.block_size


def open_sample(store: RunStore, run_id: str):
    """Return a sample's ids (n, T), int32, verified by checksum.

    Raises InputError where it is missing or a shard is damaged.
    """
    import numpy as np

    record = store.get(run_id)
    check(record is not None, "synthetic", run_id, "is not a recorded sample")
    shape = (record["sequences"], record["spec"]["model"]["block_size"])
    ids, n = np.empty(shape, np.int32), 0
    for shard in range(len(record["shards"])):
        data = store.get_shard(run_id, shard)
        allowed = "is damaged or missing; the same command writes it again"
        check(data is not None, "sample", str(store.shard_path(run_id, shard)), allowed)
        part = np.frombuffer(data, np.int32).reshape(-1, shape[1])
        ids[n : n + len(part)] = part
        n += len(part)
    return ids
