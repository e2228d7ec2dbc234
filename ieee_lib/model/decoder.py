"""A stack of K decoders trained side by side (Sec. 2, Table 2 of the paper).

Every parameter carries a leading member axis, so one `bmm` does the work of K small matrix
products; with K = 1 this is the ordinary Llama-style decoder. Members never mix.

    model = StackedDecoder(ModelConfig(n_layer=2, n_head=2, n_kv_head=2, n_embd=16, n_mlp=40,
                                       vocab_size=1024, block_size=64), seeds=[0, 1, 2])
    logits = model(ids)                      # ids (3, B, T) -> logits (3, B, T, V)

Axes: K members, B sequences a member, T positions, C channels, H query heads, G key-value
heads, D head channels, M MLP channels, V vocabulary.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ieee_lib.config import ModelConfig
from ieee_lib.model.head import Teacher, next_token_losses, product_dtype
from ieee_lib.model.products import attention, product


class StackedLinear(nn.Module):
    """Apply K independent bias-free linear maps."""

    bf16 = False
    """Multiply in bf16 (`products`); the decoder sets it in every module."""

    def __init__(self, n_member: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_member, n_in, n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return x @ weight, member by member."""
        if self.bf16:
            return product(x, self.weight)
        return torch.bmm(x, self.weight)  # (K, B*T, n_in) -> (K, B*T, n_out)


class StackedRMSNorm(nn.Module):
    """Divide each token's channels by their root mean square, and apply K learned gains."""

    def __init__(self, n_member: int, n_embd: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_member, 1, n_embd))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Return x (K, B*T, C) normed; the mean square is computed in float32."""
        scale = torch.rsqrt(x.float().square().mean(-1, keepdim=True) + self.eps)
        return (x * scale).to(x.dtype) * self.weight  # (K, B*T, C)


class StackedEmbedding(nn.Module):
    """Look up ids in K embedding tables, stored as one and read by an offset index."""

    def __init__(self, n_member: int, vocab_size: int, n_embd: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_member, vocab_size, n_embd))

    def forward(self, ids: Tensor) -> Tensor:
        """Return the rows of ids (K, ...), each from its own member's table."""
        n_member, vocab_size, n_embd = self.weight.shape
        offset = vocab_size * torch.arange(n_member, device=ids.device)
        rows = ids.reshape(n_member, -1) + offset[:, None]
        return F.embedding(rows, self.weight.view(-1, n_embd))  # (K, B*T, C)


def rotary_tables(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Return cos and sin of the rotary angles, each (T, D/2), float32.

    Llama 3.1's scaling divides a frequency by rope_factor where it makes at most rope_low_factor
    turns within rope_original_block, leaves it where it makes rope_high_factor turns or more, and
    interpolates in between.
    """
    half = config.head_dim // 2
    frequency = config.rope_theta ** (-torch.arange(half, dtype=torch.float64) / half)
    turns = config.rope_original_block * frequency / (2 * math.pi)
    fewest, most = config.rope_low_factor, config.rope_high_factor
    slow = 1 - ((turns - fewest) / (most - fewest)).clamp(0, 1)
    frequency = frequency * (1 - slow * (1 - 1 / config.rope_factor))
    angle = torch.outer(torch.arange(config.block_size, dtype=torch.float64), frequency)
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate channel pairs (i, i + D/2) of x (..., heads, T, D) by their position's angle."""
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)


class KeyValues:
    """Cache one block's keys and values of the positions so far; allocated for a whole context."""

    def __init__(
        self, config: ModelConfig, n_sequence: int, like: Tensor, dtype: torch.dtype
    ) -> None:
        shape = (n_sequence, config.n_kv_head, config.block_size, config.head_dim)
        self.keys = like.new_empty(shape, dtype=dtype)  # (K*B, G, T, D)
        self.values = like.new_empty(shape, dtype=dtype)
        self.n_position = 0

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add one position (K*B, G, 1, D); return all keys and values up to it."""
        n = self.n_position
        self.keys[:, :, n : n + 1], self.values[:, :, n : n + 1] = k, v
        self.n_position = n + 1
        return self.keys[:, :, : n + 1], self.values[:, :, : n + 1]


class Attention(nn.Module):
    """Attend causally, with grouped key-value heads; members share the batch axis."""

    bf16 = False

    def __init__(self, config: ModelConfig, n_member: int) -> None:
        super().__init__()
        self.config = config
        n_qkv = (config.n_head + 2 * config.n_kv_head) * config.head_dim
        self.qkv = StackedLinear(n_member, config.n_embd, n_qkv)
        self.out = StackedLinear(n_member, config.n_head * config.head_dim, config.n_embd)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: KeyValues | None = None
    ) -> Tensor:
        """Return attention's output (K, B*T, C) for x (K, B*T, C).

        With a cache, x is one new position a sequence, after those in the cache.
        """
        c = self.config
        n_member, n_token, _ = x.shape
        n_position = cos.shape[0]
        heads = (c.n_head, c.n_kv_head, c.n_kv_head)
        in_bf16 = self.bf16 and cache is None
        # Members apart: compiled code then finds a token without dividing.
        lead = (n_member, n_token // n_position) if in_bf16 else (-1,)
        qkv = self.qkv(x).view(*lead, n_position, sum(heads), c.head_dim).transpose(-3, -2)
        q, k, v = qkv.split(heads, dim=-3)  # (K*B, H or G, T, D), or (K, B, H or G, T, D)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if in_bf16:
            y = attention(q, k, v)
        else:
            if cache is not None:
                k, v = cache.append(k, v)
            y = F.scaled_dot_product_attention(
                q, k, v, is_causal=cache is None, enable_gqa=c.n_kv_head != c.n_head
            )
        return self.out(y.transpose(-3, -2).reshape(n_member, n_token, -1))


class SwiGLU(nn.Module):
    """Apply the gated MLP: down(silu(gate(x)) * up(x))."""

    bf16 = False

    def __init__(self, config: ModelConfig, n_member: int) -> None:
        super().__init__()
        self.gate_up = StackedLinear(n_member, config.n_embd, 2 * config.n_mlp)
        self.down = StackedLinear(n_member, config.n_mlp, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """Return the MLP's output (K, B*T, C) for x (K, B*T, C)."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)  # (K, B*T, M) each
        if self.bf16:
            gate, up = gate.float(), up.float()
        return self.down(F.silu(gate) * up)


def hash32(x: Tensor) -> Tensor:
    """Hash integers below 2^32 to integers below 2^32; all products stay below 2^63."""
    for _ in range(2):
        x = ((x ^ (x >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def dropout(x: Tensor, share: float, key: Tensor) -> Tensor:
    """Set a random share of x (K, B*T, C) to 0 and scale up the rest, by one key a member (K,).

    The draw is a hash of key and place: a member loses the same channels in any stack and after a
    resume, and no generator's state has to be stored.
    """
    place = torch.arange(x[0].numel(), device=x.device)
    draw = hash32((key[:, None] + hash32(place)[None]) & 0xFFFFFFFF).view(x.shape)
    return torch.where(draw < share * 2**32, 0, x / (1 - share))


class Block(nn.Module):
    """Add attention and MLP to the residual stream, each after its norm."""

    def __init__(self, config: ModelConfig, n_member: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.attention_norm = StackedRMSNorm(n_member, config.n_embd, config.norm_eps)
        self.attention = Attention(config, n_member)
        self.mlp_norm = StackedRMSNorm(n_member, config.n_embd, config.norm_eps)
        self.mlp = SwiGLU(config, n_member)

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        cache: KeyValues | None = None,
        keys: Tensor | None = None,
    ) -> Tensor:
        """Return the block's output (K, B*T, C); keys (2, K) turn dropout on, one row an addend."""
        y = self.attention(self.attention_norm(x), cos, sin, cache)
        x = x + (y if keys is None else dropout(y, self.dropout, keys[0]))
        y = self.mlp(self.mlp_norm(x))
        return x + (y if keys is None else dropout(y, self.dropout, keys[1]))


class StackedDecoder(nn.Module):
    """Run K Llama-style decoders: RMSNorm, RoPE, SwiGLU, no biases, untied embeddings.

    `seeds` holds one initialization seed a member. A member's weights depend on that seed only,
    so a member of a stack starts exactly where the same run starts when trained alone. `bf16`
    multiplies as `products` says (precision bf16-products).
    """

    cos: Tensor
    sin: Tensor

    def __init__(
        self, config: ModelConfig, *, seeds: list[int], dropout: float = 0.0, bf16: bool = False
    ) -> None:
        super().__init__()
        self.config = config
        self.bf16 = bf16
        self.n_member = len(seeds)
        self.compiled = False
        self.embedding = StackedEmbedding(self.n_member, config.vocab_size, config.n_embd)
        self.blocks = nn.ModuleList(
            Block(config, self.n_member, dropout) for _ in range(config.n_layer)
        )
        self.norm = StackedRMSNorm(self.n_member, config.n_embd, config.norm_eps)
        self.lm_head = StackedLinear(self.n_member, config.n_embd, config.vocab_size)
        cos, sin = rotary_tables(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        if not self.lm_head.weight.is_meta:
            self.initialize(seeds)
        for module in self.modules():
            if isinstance(module, StackedLinear | Attention | SwiGLU):
                module.bf16 = bf16
        n_parameter = sum(p[0].numel() for p in self.parameters())
        assert n_parameter == config.count().total, (n_parameter, config.count())

    @torch.no_grad()
    def initialize(self, seeds: list[int]) -> None:
        """Draw each member's matrices from N(0, init_std²) with that member's own seed."""
        for member, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(seed)
            for name, parameter in self.named_parameters():
                if "norm" not in name:
                    parameter[member].normal_(std=self.config.init_std, generator=generator)

    @torch.no_grad()
    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Give every member the weights of one trained model, without member axis."""
        for name, parameter in self.named_parameters():
            parameter.copy_(weights[name].expand_as(parameter))

    def hidden(
        self, ids: Tensor, key: Tensor | None = None, masked: Tensor | None = None
    ) -> Tensor:
        """Return the last block's output (K, B*T, C) of ids (K, B, T).

        `key` (K,), below 2^32, turns dropout on: a hash of each member's seed and of the pass.
        Tokens that are `masked` (K, B, T) are read as vectors of zeros.
        """
        n_position = ids.shape[-1]
        cos, sin = self.cos[:n_position], self.sin[:n_position]
        x = self.embedding(ids)
        if masked is not None:
            x = x.masked_fill(masked.view(self.n_member, -1, 1), 0)
        x = self._any_member_count(x)
        for i, block in enumerate(self.blocks):
            keys = None
            if key is not None:
                place = 2 * i + torch.arange(2, device=key.device)  # a list would wait for a GPU
                keys = self._any_member_count(hash32(key + place[:, None]), 1)
            x = self._any_member_count(block(x, cos, sin, None, keys))
        return x

    def forward(self, ids: Tensor) -> Tensor:
        """Return next-token logits (K, B, T, V) of ids (K, B, T)."""
        return self.lm_head(self.norm(self.hidden(ids))).view(*ids.shape, -1)

    def new_cache(self, n_sequence: int) -> list[KeyValues]:
        """Return an empty cache for `next_logits` on n_sequence sequences a member."""
        rows = self.n_member * n_sequence
        like = self.lm_head.weight
        dtype = torch.bfloat16 if self.bf16 else product_dtype(like)
        return [KeyValues(self.config, rows, like, dtype) for _ in self.blocks]

    def next_logits(self, ids: Tensor, cache: list[KeyValues]) -> Tensor:
        """Return next-token logits (K, B, V) after one more token a sequence, ids (K, B)."""
        position = cache[0].n_position
        cos, sin = self.cos[position : position + 1], self.sin[position : position + 1]
        x = self.embedding(ids[..., None])
        for block, key_values in zip(self.blocks, cache, strict=True):
            x = block(x, cos, sin, key_values)
        return self.lm_head(self.norm(x))

    def losses(self, ids: Tensor, key: Tensor | None = None) -> Tensor:
        """Return each member's mean next-token loss (K,), nats/token, of ids (K, B, T)."""
        return self.head_losses(self.hidden(ids, key), ids)

    def head_losses(self, x: Tensor, ids: Tensor, teacher: Teacher | None = None) -> Tensor:
        """Return `losses` from the last block's output x (K, B*T, C); see `next_token_losses`."""
        x = self.norm(self._any_member_count(x))
        return next_token_losses(x, self.lm_head.weight, ids, bf16=self.bf16, teacher=teacher)

    @torch.no_grad()
    def as_teacher(self, ids: Tensor, weight: float, temperature: float) -> Teacher:
        """Return what one trained model (K = 1) teaches of ids (K, B, T), of any K members."""
        n_member, n_sequence, n_position = ids.shape
        x = self.norm(self.hidden(ids.reshape(1, -1, n_position)))
        x = x.view(n_member, n_sequence, n_position, -1)
        return Teacher(x, self.lm_head.weight, weight, temperature)

    def compile_regions(self) -> None:
        """Compile one block and the norm; every block and every K then share that code.

        Compiling the whole model would unroll its layers, and take longer than a laptop trains.
        """
        dynamo = torch._dynamo.config
        dynamo.force_parameter_static_shapes = False
        dynamo.automatic_dynamic_shapes = False  # a second width gets code of its own
        dynamo.recompile_limit = 256  # many shapes in one worker must not end in eager
        dynamo.optimize_ddp = False  # it fixes K; blocks apart overlap with sums of gradients
        self.compiled = True
        for parameter in self.parameters():
            self._any_member_count(parameter)
        for module in (*self.blocks, self.norm):
            module.compile()

    def _any_member_count(self, x: Tensor, axis: int = 0) -> Tensor:
        """Tell the compiler that the member axis of x may have another length in another stack."""
        if self.compiled and self.n_member > 1:
            torch._dynamo.mark_dynamic(x, axis)
        return x
