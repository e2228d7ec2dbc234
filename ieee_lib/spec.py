"""What a run is: the model's shape, the whole run, and the name both get (Sec. 2, Table 2).

    spec = RunSpec(model=ModelConfig(n_layer=2, n_head=2, n_kv_head=2, n_embd=16, n_mlp=40,
                                     vocab_size=1024, block_size=64),
                   corpus="9f86d081884c7d65", seed_tokens=32768, epochs=16, wd=1.6, lr=3e-3)
    spec.run_id          # hash of the fields that change the result

Nothing here needs torch, so plans and figures are made without it.
"""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from ieee_lib.errors import InputError, check, check_choice

SEMANTICS = 1
"""Bumped whenever training code changes what a field of RunSpec means."""

LOGIT_COST = 256
"""What a logit costs beyond its products, in FLOPs: measured on small models on a CPU (LOG.md)."""

T = TypeVar("T")
DECAY_MASKS = ("paper", "all", "no_head")
PRECISIONS = ("32-true", "bf16-mixed")


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of one model by group, as the paper counts them (Table 2)."""

    embedding: int
    attention: int
    mlp: int
    norm: int
    lm_head: int

    @property
    def total(self) -> int:
        """All parameters: the paper's N."""
        return self.embedding + self.non_embedding + self.lm_head

    @property
    def non_embedding(self) -> int:
        """All but the two vocabulary matrices: the paper's 'non-embedding'."""
        return self.attention + self.mlp + self.norm


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Shape of one decoder; symbols as in `training/model.py`."""

    n_layer: int
    """Transformer blocks."""
    n_head: int
    """Query heads."""
    n_kv_head: int
    """Key-value heads; divides n_head."""
    n_embd: int
    """Residual channels."""
    n_mlp: int
    """Hidden channels of the SwiGLU MLP."""
    vocab_size: int
    """Rows of the embedding and of the lm_head."""
    block_size: int
    """Context length, tokens."""
    rope_theta: float = 10_000.0
    """Base of the rotary frequencies; the paper's value is not public, this is Llama's."""
    rope_factor: float = 1.0
    """Divisor of slow rotary frequencies, Llama 3.1's `llama3` scaling; 1: none, as in the paper's
    own runs. Continued pre-training takes its base model's (Sec. 7.2; Llama 3.2: 32)."""
    rope_low_factor: float = 1.0
    """Turns within rope_original_block up to which a frequency is divided in full."""
    rope_high_factor: float = 4.0
    """Turns from which a frequency stays as it is; between the two the divisor fades out."""
    rope_original_block: int = 8192
    """Context length before scaling, tokens; Llama 3.1's and 3.2's."""
    norm_eps: float = 1e-5
    """Added to the mean square in RMSNorm."""
    init_std: float = 0.02
    """Standard deviation of every matrix at the start (the paper's initializer_range)."""

    def __post_init__(self) -> None:
        for name in ("n_layer", "n_head", "n_kv_head", "n_embd", "n_mlp", "vocab_size"):
            check_integer(f"model.{name}", getattr(self, name), 1)
        check_integer("model.block_size", self.block_size, 2)
        for name in ("rope_theta", "rope_low_factor", "norm_eps", "init_std"):
            check_number(f"model.{name}", getattr(self, name), above=0.0)
        check_number("model.rope_factor", self.rope_factor, least=1.0)
        check_number("model.rope_high_factor", self.rope_high_factor, above=self.rope_low_factor)
        check_integer("model.rope_original_block", self.rope_original_block, 1)
        _as_floats(self)
        check(
            self.n_head % self.n_kv_head == 0,
            "model.n_kv_head",
            self.n_kv_head,
            f"must divide n_head = {self.n_head}",
        )
        check(
            self.n_embd % (2 * self.n_head) == 0,
            "model.n_embd",
            self.n_embd,
            f"must be a multiple of 2 * n_head = {2 * self.n_head} (rotary pairs)",
        )

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head

    def count(self) -> ParameterCount:
        """Count parameters by group."""
        heads = 2 * self.n_head + 2 * self.n_kv_head  # query, output, key, value
        return ParameterCount(
            embedding=self.vocab_size * self.n_embd,
            attention=self.n_layer * self.n_embd * self.head_dim * heads,
            mlp=self.n_layer * 3 * self.n_embd * self.n_mlp,
            norm=(2 * self.n_layer + 1) * self.n_embd,
            lm_head=self.n_embd * self.vocab_size,
        )

    def flops_per_token(self) -> int:
        """Training FLOPs a token: 6 per matrix weight, plus causal attention at full context.

        Convention: a multiply-add is 2, backward is twice forward, the embedding look-up is
        free, the causal mask halves attention's T², norms and softmax are not counted.
        """
        count = self.count()
        return 6 * (count.total - count.embedding - count.norm) + (
            6 * self.n_layer * self.block_size * self.n_head * self.head_dim
        )


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
        check(
            isinstance(self.corpus, str)
            and len(self.corpus) == 16
            and set(self.corpus) <= set("0123456789abcdef"),
            "corpus",
            self.corpus,
            "must be a fingerprint of 16 hexadecimal digits",
        )
        for name in ("epochs", "batch_size", "val_sequences", "evals"):
            check_integer(name, getattr(self, name), 1)
        for name in ("init_seed", "data_seed"):
            check_integer(name, getattr(self, name), 0)
        check_number("lr", self.lr, above=0.0)
        check_number("wd", self.wd, least=0.0)
        check_number("eps", self.eps, above=0.0)
        check_number("clip_norm", self.clip_norm, above=0.0)
        for name in ("beta1", "beta2", "warmup_fraction"):
            check_number(name, getattr(self, name), least=0.0, below=1.0)
        _as_floats(self)
        check_choice("decay_mask", self.decay_mask, DECAY_MASKS)
        check_choice("precision", self.precision, PRECISIONS)
        check_number("synthetic_weight", self.synthetic_weight, least=0.0, below=1.0)
        check(
            bool(self.synthetic) == (self.synthetic_weight > 0),
            "synthetic",
            self.synthetic,
            f"must be given exactly when synthetic_weight = {self.synthetic_weight} is above 0",
        )
        check(
            self.synthetic_only in (False, bool(self.synthetic)),
            "synthetic_only",
            self.synthetic_only,
            "needs a sample",
        )
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

    def replace(self, **changes: Any) -> "RunSpec":
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, nested, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "RunSpec":
        """Build from `to_dict`'s form; raises InputError for unknown or missing fields."""
        model = build(ModelConfig, fields.get("model"), "model")
        return build(cls, {**fields, "model": model}, "spec")

    @cached_property
    def run_id(self) -> str:
        """16 hexadecimal digits: the hash of the fields that change the result."""
        return content_id("train", _without_defaults(self))

    @cached_property
    def stack_key(self) -> str:
        """Runs with equal keys can train as one stack: they differ per member only."""
        shared = self.replace(lr=1.0, wd=0.0, init_seed=0, data_seed=0)
        return content_id("stack", shared.to_dict())


@dataclass(frozen=True)
class EnsembleSpec:
    """An ensemble: trained runs of one shape, averaged on the validation set (Sec. 4).

    The order of members matters for prefixes only; K is their number.
    """

    members: tuple[RunSpec, ...]

    def __post_init__(self) -> None:
        check(len(self.members) > 0, "ensemble", self.members, "needs at least one member")
        ids = [m.run_id for m in self.members]
        check(len(set(ids)) == len(ids), "ensemble", ids, "must not hold a member twice")
        first = self.members[0]
        for name in ("model", "corpus", "val_sequences"):
            for member in self.members:
                check(
                    getattr(member, name) == getattr(first, name),
                    "ensemble",
                    member.run_id,
                    f"must have the {name} of the first member",
                )

    @cached_property
    def run_id(self) -> str:
        """16 hexadecimal digits: the hash of the members in their order."""
        return content_id("ensemble", {"members": [m.run_id for m in self.members]})

    @property
    def tokens(self) -> int:
        """Tokens scored, over all members."""
        first = self.members[0]
        return len(self.members) * first.val_sequences * first.model.block_size

    @property
    def flops(self) -> float:
        """Forward FLOPs of the evaluation: a third of training's."""
        return self.members[0].model.flops_per_token() * self.tokens / 3

    def to_dict(self) -> dict[str, Any]:
        """Return the members' ids and the fields that they share, ready for JSON."""
        fields = [member.to_dict() for member in self.members]
        shared = {k: v for k, v in fields[0].items() if all(f[k] == v for f in fields)}
        return {**shared, "members": [member.run_id for member in self.members]}


SAMPLE_KINDS = ("mixture", "average")


@dataclass(frozen=True, kw_only=True)
class SampleSpec:
    """Unconditional samples of trained models: the synthetic data D' (Sec. 6)."""

    teachers: EnsembleSpec
    kind: str
    """mixture: each teacher writes an equal part of the sequences (the paper's data set, by its
    name). average: all write each sequence together, from their averaged logits."""
    n_token: int
    """Tokens to write; rounded up to whole sequences of every teacher."""
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("sample.kind", self.kind, SAMPLE_KINDS)
        check_integer("sample.n_token", self.n_token, 1)
        check_integer("sample.seed", self.seed, 0)

    @cached_property
    def run_id(self) -> str:
        """16 hexadecimal digits: the hash of teachers, kind, length and seed."""
        return content_id("sample", {**self._own, "teachers": self.teachers.run_id})

    @property
    def flops(self) -> float:
        """Forward FLOPs: every teacher reads every token that it helps to write."""
        readers = len(self.teachers.members) if self.kind == "average" else 1
        return self.teachers.members[0].model.flops_per_token() * self.n_token * readers / 3

    def to_dict(self) -> dict[str, Any]:
        """Return what is sampled, with the members' shared fields, ready for JSON."""
        return {**self.teachers.to_dict(), **self._own}

    @property
    def _own(self) -> dict[str, Any]:
        return {"kind": self.kind, "n_token": self.n_token, "seed": self.seed}


ASSUMED_ITEMS = 1000
"""Items of a task that are counted for its cost where all are asked for."""

ASSUMED_CHOICES = 4


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """Accuracy of trained models, and of their ensembles, on a multiple-choice task (Sec. 7.1)."""

    models: EnsembleSpec
    """Each is evaluated alone, and each prefix as an ensemble that averages logits."""
    task: str
    """continuation (the probe on held-out text), or the name of a task of lm-eval."""
    n_item: int = 0
    """Items, the task's first ones; 0: all."""
    files: str = ""
    """Fingerprint of local files with the items (`tasks.fingerprint`); empty: from the hub."""

    def __post_init__(self) -> None:
        check(isinstance(self.task, str) and self.task, "task", self.task, "must be a name")
        check_integer("n_item", self.n_item, 0)

    @cached_property
    def run_id(self) -> str:
        """16 hexadecimal digits: the hash of models, task, number of items and files."""
        return content_id("evaluation", {**self._own, "models": self.models.run_id})

    @property
    def tokens(self) -> int:
        """Tokens read, over all models, if every choice filled the context: for progress only."""
        first, n_item = self.models.members[0], self.n_item or ASSUMED_ITEMS
        return len(self.models.members) * n_item * ASSUMED_CHOICES * first.model.block_size

    @property
    def flops(self) -> float:
        """Forward FLOPs of as many tokens, for progress only: a record has what was read."""
        return self.models.members[0].model.flops_per_token() * self.tokens / 3

    def to_dict(self) -> dict[str, Any]:
        """Return what is evaluated, with the models' shared fields, ready for JSON."""
        return {**self.models.to_dict(), **self._own}

    @property
    def _own(self) -> dict[str, Any]:
        return {"task": self.task, "n_item": self.n_item, "files": self.files}


def content_id(kind: str, content: dict[str, Any]) -> str:
    """Return the 16-digit name of a piece of content of some kind."""
    text = json.dumps([kind, SEMANTICS, content], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build(cls: type[T], fields: Any, where: str) -> T:
    """Build dataclass `cls` from a mapping; unknown and missing names raise InputError."""
    check(isinstance(fields, dict), where, fields, "must be a table of fields")
    known = {f.name: f for f in dataclasses.fields(cls)}
    for name in fields:
        check_choice(f"{where}: field", name, known)
    for name, f in known.items():
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            check(name in fields, f"{where}.{name}", None, "is required")
    return cls(**fields)


def _without_defaults(value: Any) -> dict[str, Any]:
    kept = {}
    for f in dataclasses.fields(value):
        item = getattr(value, f.name)
        if dataclasses.is_dataclass(item):
            kept[f.name] = _without_defaults(item)
        elif item != f.default:
            kept[f.name] = item
    return kept


def _as_floats(value: Any) -> None:
    """Store whole numbers in float fields as floats: 1 and 1.0 must hash alike."""
    for f in dataclasses.fields(value):
        if f.type is float:
            object.__setattr__(value, f.name, float(getattr(value, f.name)))


def check_integer(name: str, value: Any, least: int) -> None:
    """Raise InputError unless `value` is a whole number of at least `least`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    check(whole and value >= least, name, value, f"must be a whole number of at least {least}")


def check_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> None:
    """Raise InputError unless `value` is a finite number within the bounds."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and math.isfinite(value) and value >= least and above < value < below:
        return
    bounds = [f"at least {least:g}"] if least > -math.inf else []
    bounds += [f"above {above:g}"] if above > -math.inf else []
    bounds += [f"below {below:g}"] if below < math.inf else []
    raise InputError(name, value, f"must be a number {' and '.join(bounds) or 'that is finite'}")
