"""A training run: everything that changes its result, and the name that follows (Sec. 2).

RunSpec(model=model, corpus=fingerprint, seed_tokens=32768, epochs=16, wd=1.6, lr=3e-3).run_id
"""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ieee_lib.config.fields import (
    as_floats,
    build,
    check_id,
    check_integer,
    check_number,
    content_id,
    without_defaults,
)
from ieee_lib.config.model import ModelConfig
from ieee_lib.errors import check, check_choice
from ieee_lib.paths import hub_name

LOGIT_COST = 256
"""What a logit costs beyond its products, in FLOPs: measured on small models on a CPU (LOG.md)."""

DECAY_MASKS = ("paper", "all", "no_head")

PRECISIONS = ("32-true", "bf16-mixed")

OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One training run: everything that changes its result, and nothing else.

    Fields at their default stay out of the hash, so an option added later (off by default)
    leaves every existing run_id as it is.
    """

    model: ModelConfig
    """Shape of the model."""
    corpus: str
    """Fingerprint of the packed corpus: 16 hexadecimal digits (`text.corpus`)."""
    seed_tokens: int
    """D: unique training tokens, the fixed slice that every epoch re-reads."""
    epochs: int
    """Passes over the slice."""
    lr: float
    """Peak learning rate."""
    wd: float
    """Weight decay; a step shrinks a weight by lr_t * wd (PyTorch's AdamW)."""
    batch_size: int = 8
    """Sequences a step."""
    init_seed: int = 0
    """Seed of the initial weights."""
    data_seed: int = 0
    """Seed of the order of sequences, drawn once and reused every epoch."""
    decay_mask: str = "paper"
    """What decays. paper: matrices and lm_head, not norms or embedding; all; no_head."""
    warmup_fraction: float = 0.01
    """Share of the steps with linearly rising learning rate; then cosine to 0."""
    clip_norm: float = 1.0
    """Largest global gradient norm."""
    beta1: float = 0.9
    """AdamW's first-moment decay."""
    beta2: float = 0.95
    """AdamW's second-moment decay."""
    eps: float = 1e-8
    """AdamW's epsilon."""
    precision: str = "32-true"
    """Lightning's precision: 32-true, or bf16-mixed (fp32 parameters, bf16 compute)."""
    optimizer: str = "adamw"
    """adamw; or muon: torch's Muon for the blocks' matrices, AdamW for the rest."""
    dropout: float = 0.0
    """Share of the channels that are dropped from what each attention and MLP adds, in training."""
    reshuffle: bool = False
    """Draw a new order of the sequences for every epoch, instead of one for all."""
    val_sequences: int = 256
    """Held-out sequences of every evaluation."""
    evals: int = 8
    """Points of the loss curve, the last one at the end (the paper: 20)."""
    synthetic: str = ""
    """Run id of the sample (`SampleSpec`) that is mixed in; empty: real data only."""
    synthetic_weight: float = 0.0
    """w: share of sequences that are synthetic; the run is 1 / (1 - w) times as long (Sec. 6)."""
    synthetic_only: bool = False
    """Replace the real sequences by synthetic ones too, at the same length (Table 4's ablation)."""
    start: str = ""
    """What it continues from (Sec. 7.2): run id of a trained run, or hub:NAME@REVISION of a Llama
    checkpoint; empty: random weights drawn with init_seed."""

    def __post_init__(self) -> None:
        check(isinstance(self.model, ModelConfig), "model", self.model, "must be a ModelConfig")
        check_id("corpus", self.corpus, "a fingerprint")
        for name in ("epochs", "batch_size", "val_sequences", "evals"):
            check_integer(name, getattr(self, name), 1)
        for name in ("init_seed", "data_seed"):
            check_integer(name, getattr(self, name), 0)
        check_number("lr", self.lr, above=0.0)
        check_number("wd", self.wd, least=0.0)
        check_number("eps", self.eps, above=0.0)
        check_number("clip_norm", self.clip_norm, above=0.0)
        for name in ("beta1", "beta2", "dropout", "warmup_fraction", "synthetic_weight"):
            check_number(name, getattr(self, name), least=0.0, below=1.0)
        as_floats(self)
        check_choice("decay_mask", self.decay_mask, DECAY_MASKS)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("reshuffle", self.reshuffle, (True, False))
        if self.synthetic != "":
            check_id("synthetic", self.synthetic, "the run id of a sample")
        check(
            bool(self.synthetic) == (self.synthetic_weight > 0),
            "synthetic",
            self.synthetic,
            f"must be given exactly when synthetic_weight = {self.synthetic_weight} is above 0",
        )
        check_choice("synthetic_only", self.synthetic_only, (True, False))
        check(
            bool(self.synthetic) or not self.synthetic_only,
            "synthetic_only",
            self.synthetic_only,
            "needs a sample",
        )
        if isinstance(self.start, str) and self.start.startswith("hub:"):
            hub_name("start", self.start)
        elif self.start != "":
            check_id("start", self.start, "hub:NAME@REVISION, or a run id")
        check(
            self.init_seed == 0 or not self.start,
            "init_seed",
            self.init_seed,
            "must be 0 where the run continues from trained weights",
        )
        check_integer("seed_tokens", self.seed_tokens, 1)
        check(
            self.seed_tokens % self.tokens_per_step == 0,
            "seed_tokens",
            self.seed_tokens,
            f"must be a multiple of batch_size * block_size = {self.tokens_per_step}",
        )

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.model.block_size

    @property
    def steps_per_epoch(self) -> int:
        return self.seed_tokens // self.tokens_per_step

    @property
    def n_step(self) -> int:
        return int(self.steps_per_epoch * self.epochs / (1 - self.synthetic_weight))

    @property
    def tokens(self) -> int:
        """Tokens seen in training, repeats and synthetic ones counted."""
        return self.n_step * self.tokens_per_step

    @property
    def flops(self) -> float:
        """Training FLOPs (convention: `ModelConfig.flops_per_token`), evaluation not counted."""
        return float(self.model.flops_per_token()) * self.tokens

    @property
    def cost(self) -> float:
        """Relative time of the run: FLOPs, plus what every logit costs beside its products."""
        return self.flops + LOGIT_COST * self.model.vocab_size * self.tokens

    @property
    def summary(self) -> str:
        """Say what the run is, on one line."""
        model = self.model
        return (
            f"N = {model.count().total:,} ({model.n_embd}x{model.n_layer}), "
            f"D = {self.seed_tokens:,}, {self.epochs} epochs, wd {self.wd:g}, lr {self.lr:g}, "
            f"seeds {self.init_seed} and {self.data_seed}"
        )

    def replace(self, **changes: Any) -> "RunSpec":
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, nested, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "RunSpec":
        """Build from `to_dict`'s form; raises InputError for unknown or missing fields."""
        check(isinstance(fields, dict), "spec", fields, "must be a table of fields")
        model = build(ModelConfig, fields.get("model"), "model")
        return build(cls, {**fields, "model": model}, "spec")

    @cached_property
    def run_id(self) -> str:
        """16 hexadecimal digits: the hash of the fields that change the result."""
        return content_id("train", without_defaults(self))

    @cached_property
    def stack_key(self) -> str:
        """Runs with equal keys can train as one stack: they differ per member only."""
        shared = self.replace(lr=1.0, wd=0.0, init_seed=0, data_seed=0)
        return content_id("stack", shared.to_dict())
