"""The scale of one's own text: shapes near N, starting settings, and a ladder of three D.

    scale = your_scale("text-9f86d081", corpus, D=65_536, sizes=(100_000,), start=start, K=3)
    scale.models                             # {"0.1M": ...}

Proportions are those of the shipped laptop and workstation scales; the search moves from its start.
"""

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ieee_lib.config.corpus import CorpusConfig
from ieee_lib.config.model import ModelConfig
from ieee_lib.config.scale import Scale

BLOCK_SIZE, BATCH_SIZE, VOCAB_SIZE = 64, 8, 1024
STEP = BLOCK_SIZE * BATCH_SIZE
"""Tokens of one optimizer step."""
SEED_TOKENS_STEP = 4 * STEP
"""D is a multiple of this, so that a quarter of it is whole steps."""
BF16_FROM = 300_000
"""N from which products in bf16 are faster, on CPUs that have them."""


def shape_near(N: float, vocab_size: int = VOCAB_SIZE) -> dict[str, int]:
    """Return the shape whose parameters come nearest to N: width, depth, heads and MLP.

    The MLP is 2.5 times the width; depth grows with the logarithm of the width.
    """
    shapes = [_shape(width) for width in (*range(8, 64, 4), *range(64, 1025, 8))]

    def distance(shape: dict[str, int]) -> float:
        model = ModelConfig(**shape, vocab_size=vocab_size, block_size=BLOCK_SIZE)
        return abs(math.log(model.count().total / N))

    return min(shapes, key=distance)


def _shape(width: int) -> dict[str, int]:
    n_head = 2 if width < 64 else 4
    n_layer = max(2, round(2 + math.log2(width / 16)))
    heads = {"n_head": n_head, "n_kv_head": n_head}
    return {"n_embd": width, "n_mlp": 4 * round(width * 2.5 / 4), "n_layer": n_layer, **heads}


def standard_start(N: int, D: int) -> dict[str, Any]:
    """Return where the search of the standard recipe starts at N parameters and D tokens."""
    return {"wd": 0.1, "lr": 3e-3, "epochs": 16 if N <= 2.5 * D else 8}


def your_scale(
    name: str,
    corpus: CorpusConfig,
    *,
    D: int,
    sizes: tuple[float, ...],
    start: Callable[[int, int], dict[str, Any]],
    K: int = 3,
    seeds: int = 3,
    moves: int = 3,
    val_sequences: int = 192,
    compiled: bool = True,
    has_bf16: Callable[[], bool] = lambda: False,
) -> Scale:
    """Return the scale of a text: models near the sizes, the base D, and its half and quarter.

    The first size is the one that ensembles, smaller D and the student are made of. start: N and D
    -> wd, lr and epochs where the search of the regularized recipe starts. K: members; moves: of a
    search's centre, at most. has_bf16: of this CPU, asked of large models only. Raises InputError
    for values that no scale may have.
    """
    models, settings = {}, []
    for size in sizes:
        shape = shape_near(size, corpus.vocab_size)
        config = ModelConfig(**shape, vocab_size=corpus.vocab_size, block_size=BLOCK_SIZE)
        N = config.count().total
        models[f"{N / 1e6:.2g}M"] = shape
        settings.append((f"{N / 1e6:.2g}M", N))
    model, N = settings[0]
    ladder = (D // 4, D // 2, D)
    cells = [(model, N, tokens) for tokens in ladder[:2]] + [(*each, D) for each in settings]
    standard = [{"model": m, "seed_tokens": d, **standard_start(n, d)} for m, n, d in cells]
    regularized = [{"model": m, "seed_tokens": D, **start(n, D)} for m, n in settings]
    sweep = {"model": model, "epochs": (1,), "wd": (0.1,), "lr": 3e-3}
    in_bf16 = N >= BF16_FROM and has_bf16()
    return Scale.from_dict(
        name,
        {
            "about": "One's own text: which recipe helps at this size and budget.",
            "unit": "M",
            "assumed_noise": 0.02,
            "corpus": asdict(corpus),
            "training": {
                "block_size": BLOCK_SIZE,
                "batch_size": BATCH_SIZE,
                "val_sequences": val_sequences,
                "evals": 2,
                "precision": "bf16-products" if in_bf16 else "32-true",
            },
            "execution": execution(compiled),
            "search": {"seeds": 1, "tolerance": 2.0, "max_moves": moves, "screen": 3.0},
            "models": models,
            "seed_tokens": ladder,
            "base_tokens": D,
            "seeds": seeds,
            "ladder_seeds": 2,
            "overfitting": sweep,
            "wd_sweep": sweep,
            "heatmap": sweep,
            "ensembles": {"model": model, "members": K, "ladder_members": 2},
            "distillation": _distillation(D, K),
            "downstream": {"probe_items": 64},
            "midtraining": _midtraining(model, D),
            "standard": standard,
            "regularized": regularized,
        },
    )


def execution(compiled: bool = True) -> dict[str, Any]:
    """Return how runs are executed: one worker a core."""
    return {
        "executor": "local",
        "threads": 1,
        "stack": 8,
        "keep_weights": True,
        "accelerator": "cpu",
        "compile": "auto" if compiled else "never",
        "logger": "none",
        "checkpoint_minutes": 1.0,
        "flops_per_second": 3e10,
    }


def _distillation(D: int, K: int) -> dict[str, Any]:
    """Return the student's table: half of its sequences are synthetic, each seen once."""
    epochs = 16
    return {
        "teachers": K,
        "n_token": epochs * D,
        "kinds": ("mixture",),
        "epochs": epochs,
        "lr": 3e-3,
        "ensemble_weight": 0.5,
        "ensemble_wd": 0.1,
        "self_weight": 0.5,
        "self_wd": 0.1,
        "ablation_weight": 0.5,
        "weights": (0.5,),
        "decays": (0.1,),
    }


def _midtraining(model: str, D: int) -> dict[str, Any]:
    """Return a table that every scale has; nothing of it is run here."""
    base = {"model": model, "seed_tokens": D, "wd": 0.1, "lr": 3e-3, "epochs": 1}
    small = {"small_batch": BATCH_SIZE, "small_lr": 3e-3, "epochs": 1, "members": 1}
    return {
        "target": "stdlib:prose",
        "base": base,
        "seed_tokens": STEP,
        "multiples": (2.0,),
        "wd": 0.1,
        "batch_size": BATCH_SIZE,
        "lr": 3e-3,
        **small,
    }
