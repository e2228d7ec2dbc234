"""The shape of a model, and what follows from it: parameters and FLOPs (Table 2).

ModelConfig(n_layer=2, n_head=2, n_kv_head=2, n_embd=16, n_mlp=40, vocab_size=1024, block_size=64)
"""

from dataclasses import dataclass
from typing import Annotated

from ieee_lib.config.fields import Checked, Count, Positive, check_number, number, whole
from ieee_lib.errors import check


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
class ModelConfig(Checked, prefix="model."):
    """Shape of one decoder; symbols as in `model.decoder`."""

    n_layer: Count
    """Transformer blocks."""
    n_head: Count
    """Query heads."""
    n_kv_head: Count
    """Key-value heads; divides n_head."""
    n_embd: Count
    """Residual channels."""
    n_mlp: Count
    """Hidden channels of the SwiGLU MLP."""
    vocab_size: Count
    """Rows of the embedding and of the lm_head."""
    block_size: Annotated[int, whole(2)]
    """Context length, tokens."""
    rope_theta: Positive = 10_000.0
    """Base of the rotary frequencies; the paper's value is not public, this is Llama's."""
    rope_factor: Annotated[float, number(least=1.0)] = 1.0
    """Divisor of slow rotary frequencies, Llama 3.1's `llama3` scaling; 1: none, as in the paper's
    own runs. Continued pre-training takes its base model's (Sec. 7.2; Llama 3.2: 32)."""
    rope_low_factor: Positive = 1.0
    """Turns within rope_original_block up to which a frequency is divided in full."""
    rope_high_factor: Positive = 4.0
    """Turns from which a frequency stays as it is; between the two the divisor fades out."""
    rope_original_block: Count = 8192
    """Context length before scaling, tokens; Llama 3.1's and 3.2's."""
    norm_eps: Positive = 1e-5
    """Added to the mean square in RMSNorm."""
    init_std: Positive = 0.02
    """Standard deviation of every matrix at the start (the paper's initializer_range)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("model.rope_high_factor", self.rope_high_factor, above=self.rope_low_factor)
        allowed = f"must divide n_head = {self.n_head}"
        check(self.n_head % self.n_kv_head == 0, "model.n_kv_head", self.n_kv_head, allowed)
        pairs = 2 * self.n_head
        allowed = f"must be a multiple of 2 * n_head = {pairs} (rotary pairs)"
        check(self.n_embd % pairs == 0, "model.n_embd", self.n_embd, allowed)

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
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
