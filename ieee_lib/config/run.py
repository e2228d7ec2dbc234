"""A training run: everything that changes its result, and the name that follows (Sec. 2).

RunSpec(model=model, corpus=fingerprint, seed_tokens=32768, epochs=16, wd=1.6, lr=3e-3).run_id
"""

import dataclasses
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any, Literal

from ieee_lib.config.fields import (
    Checked,
    Count,
    NotNegative,
    Positive,
    ZeroOrMore,
    build,
    check_id,
    content_id,
    empty_or,
    number,
    whole,
    without_defaults,
)
from ieee_lib.config.model import ModelConfig
from ieee_lib.errors import check
from ieee_lib.paths import hub_name

LOGIT_COST = 256
"""What a logit costs beyond its products, in FLOPs: measured on small models on a CPU (LOG.md)."""

Seed = Annotated[int, whole(0)]
Share = Annotated[float, number(least=0.0, below=1.0)]
Precision = Literal["32-true", "bf16-mixed", "bf16-products"]


def check_start(name: str, value: Any) -> None:
    """Raise InputError unless `value` names a trained run or a checkpoint on the hub."""
    if isinstance(value, str) and value.startswith("hub:"):
        hub_name(name, value)
    else:
        check_id(name, value, "hub:NAME@REVISION, or a run id")


@dataclass(frozen=True, kw_only=True)
class RunSpec(Checked):
    """One training run: everything that changes its result, and nothing else.

    Fields at their default stay out of the hash, so an option added later (off by default)
    leaves every existing run_id as it is.
    """

    model: ModelConfig
    """Shape of the model."""
    corpus: Annotated[str, partial(check_id, what="a fingerprint")]
    """Fingerprint of the packed corpus: 16 hexadecimal digits (`text.corpus`)."""
    seed_tokens: Count
    """D: unique training tokens, the fixed slice that every epoch re-reads."""
    epochs: Count
    """Passes over the slice."""
    lr: Positive
    """Peak learning rate."""
    wd: NotNegative
    """Weight decay; a step shrinks a weight by lr_t * wd (PyTorch's AdamW)."""
    batch_size: Count = 8
    """Sequences a step."""
    init_seed: Seed = 0
    """Seed of the initial weights."""
    data_seed: Seed = 0
    """Seed of the order of sequences, drawn once and reused every epoch."""
    decay_mask: Literal["paper", "all", "no_head"] = "paper"
    """What decays. paper: matrices and lm_head, not norms or embedding; all; no_head."""
    warmup_fraction: Share = 0.01
    """Share of the steps with linearly rising learning rate; then cosine to 0."""
    clip_norm: Positive = 1.0
    """Largest global gradient norm."""
    beta1: Share = 0.9
    """AdamW's first-moment decay."""
    beta2: Share = 0.95
    """AdamW's second-moment decay."""
    eps: Positive = 1e-8
    """AdamW's epsilon."""
    precision: Precision = "32-true"
    """32-true; bf16-mixed (fp32 parameters, bf16 compute by autocast: for GPUs); or bf16-products
    (bf16 in matrix products only: for CPUs with AVX-512 BF16 or AMX)."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """adamw; or muon: torch's Muon for the blocks' matrices, AdamW for the rest."""
    dropout: Share = 0.0
    """Share of the channels that are dropped from what each attention and MLP adds, in training."""
    reshuffle: bool = False
    """Draw a new order of the sequences for every epoch, instead of one for all."""
    replaced_inputs: Share = 0.0
    """Share of the input tokens that are replaced by random ones in training; targets stay."""
    masked_weight: NotNegative = 0.0
    """Weight of a second next-token loss in training, whose inputs are masked: each sequence at a
    rate of its own, uniform from 0 to 1/2. A masked token is read as a vector of zeros."""
    ema: Share = 0.0
    """Decay a step of the weights' exponential moving average, which is then what is evaluated and
    kept; 0: the weights themselves."""
    mean_of_last: ZeroOrMore = 0
    """Evaluate and keep the mean of the weights at the ends of so many last epochs; 0: no mean."""
    teacher: Annotated[str, empty_or(partial(check_id, what="the run id of a trained run"))] = ""
    """Run id of a run of the same shape whose predictions it also learns; empty: none."""
    teacher_weight: Share = 0.0
    """w: the loss is (1 - w) times the text's plus w T^2 KL(teacher || model), both at T."""
    temperature: Positive = 1.0
    """T: what logits are divided by in that second term (Hinton et al. 2015)."""
    val_sequences: Count = 256
    """Held-out sequences of every evaluation."""
    evals: Count = 8
    """Points of the loss curve, the last one at the end (the paper: 20)."""
    synthetic: Annotated[str, empty_or(partial(check_id, what="the run id of a sample"))] = ""
    """Run id of the sample (`SampleSpec`) that is mixed in; empty: real data only."""
    synthetic_weight: Share = 0.0
    """w: share of sequences that are synthetic; the run is 1 / (1 - w) times as long (Sec. 6)."""
    synthetic_only: bool = False
    """Replace the real sequences by synthetic ones too, at the same length (Table 4's ablation)."""
    start: Annotated[str, empty_or(check_start)] = ""
    """Weights that it continues from (Sec. 7.2): run id of a trained run, or hub:NAME@REVISION of a
    Llama checkpoint; empty: random weights drawn with init_seed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        both = (self.synthetic != "") == (self.synthetic_weight > 0)
        allowed = (
            f"must be given exactly when synthetic_weight = {self.synthetic_weight} is above 0"
        )
        check(both, "synthetic", self.synthetic, allowed)
        replaceable = self.synthetic != "" or not self.synthetic_only
        check(replaceable, "synthetic_only", self.synthetic_only, "needs a sample")
        both = (self.teacher != "") == (self.teacher_weight > 0)
        allowed = f"must be given exactly when teacher_weight = {self.teacher_weight} is above 0"
        check(both, "teacher", self.teacher, allowed)
        cools = self.teacher != "" or self.temperature == 1
        check(cools, "temperature", self.temperature, "needs a teacher")
        one_average = self.ema == 0 or self.mean_of_last == 0
        check(one_average, "mean_of_last", self.mean_of_last, f"must be 0 where ema = {self.ema}")
        allowed = f"must be at most epochs = {self.epochs}"
        check(self.mean_of_last <= self.epochs, "mean_of_last", self.mean_of_last, allowed)
        drawn = self.init_seed == 0 or self.start == ""
        allowed = "must be 0 where the run continues from trained weights"
        check(drawn, "init_seed", self.init_seed, allowed)
        whole_steps = self.seed_tokens % self.tokens_per_step == 0
        allowed = f"must be a multiple of batch_size * block_size = {self.tokens_per_step}"
        check(whole_steps, "seed_tokens", self.seed_tokens, allowed)

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one optimizer step."""
        return self.batch_size * self.model.block_size

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass over the D seed tokens."""
        return self.seed_tokens // self.tokens_per_step

    @property
    def n_step(self) -> int:
        """Steps of the whole run, synthetic sequences included."""
        return int(self.steps_per_epoch * self.epochs / (1 - self.synthetic_weight))

    @property
    def tokens(self) -> int:
        """Tokens seen in training, repeats and synthetic ones counted."""
        return self.n_step * self.tokens_per_step

    @property
    def flops(self) -> float:
        """Training FLOPs (convention: `ModelConfig.flops_per_token`), evaluation not counted."""
        return float(self.model.flops_per_token()) * self.tokens * self.passes

    @property
    def passes(self) -> float:
        """Forward and backward passes of each sequence; a teacher's forward pass is a third."""
        return 1 + (self.masked_weight > 0) + (1 / 3 if self.teacher else 0)

    @property
    def follows(self) -> bool:
        """Say whether something else must be made first: a sample, a start, a teacher."""
        return self.synthetic != "" or self.start != "" or self.teacher != ""

    @property
    def weight_copies(self) -> int:
        """Sets of weights in memory: its own, their average, the teacher's."""
        return 1 + (self.ema > 0 or self.mean_of_last > 0) + (self.teacher != "")

    @property
    def cost(self) -> float:
        """Relative time of the run: FLOPs, plus what every logit costs beside its products."""
        return self.flops + LOGIT_COST * self.model.vocab_size * self.tokens * self.passes

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
