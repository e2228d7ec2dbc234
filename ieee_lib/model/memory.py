"""Estimates of the device memory that training and scoring take, before anything is allocated.

    memory_of(model, n_member=1, batch=4, precision="bf16-mixed").total / 1e9      # GB

Axes as in `decoder.py`; N parameters, L layers, n = K*B*T tokens of a forward pass. Imports no
torch, so a plan can use it.
"""

from dataclasses import astuple, dataclass

from ieee_lib.config import ModelConfig

CHUNK_VALUES = {"cpu": 2**19, "gpu": 2**28}
"""Logits that the training head holds at once, float32: 2 MB, which a CPU can cache, or 1 GB."""

CHUNK_ROWS = 64
"""Fewest rows of a chunk: with fewer, adding to the lm_head's gradient takes most of the time."""

SHORT_CONTEXT = 256
"""Positions up to which a CPU holds all of attention's bf16 scores: with 1024, twice as slow."""

SCORED_VALUES = {"cpu": 2**21, "gpu": 2**25}
"""Log-probabilities that scoring holds at once, per member: 8 MB, which a CPU can cache, or 128."""

SCORED_REQUESTS = 32
"""Requests of one forward pass of scoring; changes float32 results by rounding only."""


@dataclass(frozen=True)
class Memory:
    """Hold a stack's bytes by purpose, at the moment it takes the most."""

    weights: int
    gradients: int
    moments: int
    """AdamW's first and second."""
    copies: int
    """The blocks' matrices in bf16."""
    activations: int
    """What the backward pass of the blocks reads."""
    head: int
    """Logits and what is computed from them."""

    @property
    def total(self) -> int:
        """Return the sum of all, bytes."""
        return sum(astuple(self))


def memory_of(
    model: ModelConfig,
    *,
    n_member: int,
    batch: int,
    precision: str,
    n_device: int = 1,
    on_cpu: bool = False,
    weight_copies: int = 1,
    passes: float = 1,
) -> Memory:
    """Return what training takes on each device, `batch` sequences of each member at a time.

    Weights, gradients and both moments are float32: 4, 4 and 8 bytes each, K times N. Where
    several devices add their gradients, DDP holds these twice. `weight_copies` and `passes` are the
    run's (`RunSpec`): averages and teachers are weights too, and a second loss keeps activations.
    Values marked * have 2 bytes under bf16 and 4 otherwise; all others have 4.

    copies        the blocks' matrices *, made once a pass and kept; none where all is float32
    activations   n times what backward reads. In each of L layers: 4 C for both norms (input,
                  and input over its root mean square), 2 C * of their outputs, (4 H + 3 G) D *
                  for attention (queries, keys and values, rotated queries and keys, the output by
                  head and by token), 4 M * for the MLP (gate and up, silu(gate), their product),
                  H + 2 for the normalizers of softmax and norms. Under bf16-products attention
                  keeps 5 H D * and H T * (queries, keys and values a head, probabilities), or
                  2 (H + G) D and H D * where the context is long; the MLP 3 M and M *.
                  Once: 2 C + 1 for the last norm, and the token's id in 8 bytes.
    head          at the end of its forward pass the lm_head's gradient (K C V), a chunk's part
                  of it * (a CPU adds it in float32), three tensors of the chunk's logits (two
                  where one chunk is all), the incoming states, the same aligned with their targets
                  and their gradient (3 C a token), and under bf16 copies * of lm_head and
                  states; or in its backward pass the gradients of lm_head and states twice,
                  whichever is more

    This is the peak of an eager pass whose gradients add to those of another. A compiled pass keeps
    less, since cheap values are computed again; a step of one pass has no gradients yet when the
    activations are there. Not counted: kernels' workspaces, rotary tables, step counters, the
    CUDA context (half a GB), and what an allocator holds unused.
    """
    count = model.count()
    mixed = precision != "32-true"
    width = 2 if mixed else 4  # bytes of the values marked *
    n_token, n_target = (n_member * batch * t for t in (model.block_size, model.block_size - 1))
    layer = 16 * model.n_embd + 4 * (model.n_head + 2) + width * 2 * model.n_embd
    if precision == "bf16-products":
        layer += _attention_of_products(model, on_cpu=on_cpu) + 14 * model.n_mlp
    else:
        attention = (4 * model.n_head + 3 * model.n_kv_head) * model.head_dim
        layer += width * (attention + 4 * model.n_mlp)
    n_row = n_target // n_member
    members, rows = chunk_shape(n_member, n_row, model.vocab_size, on_cpu=on_cpu)
    n_logits_tensor = 2 if (members, rows) == (n_member, n_row) else 3
    chunk_gradient = width + (4 if mixed and on_cpu else 0)
    n_head_value = n_member * count.lm_head + n_target * model.n_embd  # lm_head and states
    forward = (4 * n_member + chunk_gradient * members) * count.lm_head
    forward += 4 * n_logits_tensor * members * rows * model.vocab_size
    forward += 4 * model.n_embd * (n_token + 2 * n_target)
    copies = 0
    if mixed:
        forward += width * n_head_value
        copies = width * n_member * (count.attention + count.mlp)
    return Memory(
        weights=4 * n_member * count.total * weight_copies,
        gradients=4 * n_member * count.total * (2 if n_device > 1 else 1),
        moments=8 * n_member * count.total,
        copies=copies,
        activations=int(passes) * n_token * (model.n_layer * layer + 8 * model.n_embd + 12),
        head=max(forward, 8 * n_head_value),
    )


def _attention_of_products(model: ModelConfig, *, on_cpu: bool) -> int:
    """Return the bytes a token and layer that attention keeps under bf16-products."""
    n_head, n_channel = model.n_head, model.head_dim
    if on_cpu and model.block_size <= SHORT_CONTEXT:
        return 2 * n_head * (5 * n_channel + model.block_size) - 4 * n_head  # no normalizers
    wide = 4 if on_cpu else 2
    return (2 * wide * (n_head + model.n_kv_head) + 2 * n_head) * n_channel


def memory_of_reading(
    model: ModelConfig, *, n_member: int, batch: int, precision: str, on_cpu: bool = False
) -> Memory:
    """Estimate what scoring takes: weights, one block's activations of a batch, a few logits."""
    training = memory_of(model, n_member=n_member, batch=batch, precision=precision)
    return Memory(
        weights=training.weights,
        gradients=0,
        moments=0,
        copies=training.copies,
        activations=training.activations // model.n_layer,
        head=12 * n_member * SCORED_VALUES["cpu" if on_cpu else "gpu"],
    )


def scored_rows(vocab_size: int, device: str) -> int:
    """Return the number of positions that scoring takes at once; `device` is torch's type."""
    return max(1, SCORED_VALUES["cpu" if device == "cpu" else "gpu"] // vocab_size)


def chunk_shape(n_member: int, n_row: int, vocab_size: int, *, on_cpu: bool) -> tuple[int, int]:
    """Return the members and rows of a chunk of about CHUNK_VALUES logits, of n_row a member."""
    values = CHUNK_VALUES["cpu" if on_cpu else "gpu"]
    rows = min(n_row, max(CHUNK_ROWS, values // vocab_size))
    members = max(1, values // (rows * vocab_size)) if rows == n_row else 1
    return min(members, n_member), rows
