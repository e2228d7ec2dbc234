"""One unit of work: a stack of missing runs, trained and recorded. What every executor calls.

run_unit(Unit(specs=[...], corpus_folder=..., scale="laptop"), execution)
"""

import json
import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ieee_lib import paths
from ieee_lib.scale import Execution
from ieee_lib.spec import ModelConfig, RunSpec
from ieee_lib.training.store import Record, RunStore


@dataclass(frozen=True)
class Unit:
    """Runs of equal shape that train as one stack."""

    specs: tuple[RunSpec, ...]
    corpus_folder: Path
    scale: str
    weights: bool
    """Keep the final weights."""

    @property
    def shape(self) -> ModelConfig:
        return self.specs[0].model

    @property
    def tokens(self) -> int:
        return sum(spec.tokens for spec in self.specs)

    @property
    def flops(self) -> float:
        return sum(spec.flops for spec in self.specs)


def run_unit(
    unit: Unit, execution: Execution, on_tokens: Callable[[int], None] = lambda tokens: None
) -> None:
    """Train what is still missing of a unit, and write its records."""
    store = RunStore.of(unit.scale)
    with store.locked(spec.run_id for spec in unit.specs):
        missing = [s for s in unit.specs if not store.has(s.run_id, weights=unit.weights)]
        if not missing:
            return
        for spec, record, weights in _train(missing, unit, execution, on_tokens):
            if unit.weights and record["status"] == "done":
                record["weights"] = store.put_weights(spec.run_id, weights())
            store.put(record)


def _train(specs: list[RunSpec], unit: Unit, execution: Execution, on_tokens):
    import safetensors.torch
    import torch

    from ieee_lib.text.corpus import open_corpus
    from ieee_lib.training.train import close_logger, open_logger, train

    if execution.threads:
        torch.set_num_threads(execution.threads)
    corpus = open_corpus(unit.corpus_folder)
    logs = paths.root() / "data" / "logs" / unit.scale
    logger = open_logger(execution.logger, logs, specs[0].run_id)
    results = train(
        specs,
        corpus,
        accelerator=execution.accelerator,
        compile=execution.compile,
        micro_batch=execution.micro_batch,
        logger=logger,
        on_tokens=on_tokens,
    )
    close_logger(logger)
    for result in results:
        count = result.spec.model.count()
        last = result.curve[-1]
        record: Record = {
            "kind": "train",
            "run_id": result.spec.run_id,
            "spec": result.spec.to_dict(),
            "parameters": {
                **asdict(count),
                "total": count.total,
                "non_embedding": count.non_embedding,
            },
            "status": "diverged" if result.diverged else "done",
            "val_loss": None if result.diverged else last["val_loss"],
            "train_loss": None if result.diverged else last["train_loss"],
            "curve": json.loads(json.dumps(result.curve), parse_constant=lambda name: None),
            "tokens": result.spec.tokens,
            "flops": result.spec.flops,
            "seconds": result.seconds,
            "device": result.device,
            "stack": {
                "size": result.stack_size,
                "compiled": result.compiled,
                "threads": torch.get_num_threads(),
            },
            "corpus": {
                "source": corpus.manifest["config"]["source"],
                "vocab_size": corpus.manifest["config"]["vocab_size"],
                **{k: corpus.manifest[k] for k in ("fingerprint", "files", "documents", "tokens")},
            },
            "weights": None,
            **provenance(),
        }
        yield (
            result.spec,
            record,
            lambda r=result: safetensors.torch.save(
                {name: tensor.contiguous() for name, tensor in r.weights.items()}
            ),
        )


def provenance() -> Record:
    """Return versions, commit and time for a record."""
    names = ("ieee_lib", "torch", "lightning", "tokenizers", "numpy")
    return {
        "versions": {"python": platform.python_version(), **{n: version(n) for n in names}},
        "commit": git_commit(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def git_commit() -> str | None:
    """Return the checkout's commit, or None outside one; `+` marks uncommitted changes."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words],
            cwd=paths.PACKAGE,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
