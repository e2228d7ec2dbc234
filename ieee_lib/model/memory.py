"""What models take of their device's memory, told before anything is allocated.

    memory_of(model, n_member=1, batch=4, precision="bf16-mixed").total / 1e9      # GB

Axes as in `training/model.py`; N parameters, L layers, n = K*B*T tokens of a forward pass. Nothing
here needs torch.
"""

from dataclasses import astuple, dataclass

from ieee_lib.config import ModelConfig

CHUNK_VALUES = {"cpu": 2**19, "other": 2**28}
"""Logits the training head holds at once: about 2 MB of float32 where a CPU's cache is to hold
them, else 1 GB."""

CHUNK_ROWS = 64
"""Rows that a chunk has at least: with fewer, adding to the lm_head's gradient takes most time."""

SCORED_VALUES = {"cpu": 2**21, "other": 2**25}
"""Log-probabilities that scoring holds at once, per member: 8 MB, which a CPU can cache, or 128."""

SCORED_REQUESTS = 32
"""Requests of one forward pass of scoring; in float32 it changes results by rounding only."""


@dataclass(frozen=True)
class Memory:
    """Bytes of a stack at the moment it takes the most."""

    weights: int
    gradients: int
    moments: int
    copies: int
    """The blocks' matrices in bf16."""
    activations: int
    head: int
    """Logits, and what is made of them."""

    @property
    def total(self) -> int:
        return sum(astuple(self))


def memory_of(
    model: ModelConfig,
    *,
    n_member: int,
    batch: int,
    precision: str,
    n_device: int = 1,
    on_cpu: bool = False,
) -> Memory:
    """Return what training takes on each device, `batch` sequences of each member at a time.

    Parameters, gradients and both moments are float32: 4, 4 and 8 bytes each, K times N. Where
    several devices add their gradients, DDP holds these twice.
    Values marked * have 2 bytes under bf16-mixed and 4 else; all others have 4.

    copies        the blocks' matrices *, made once a pass and kept; none where all is float32
    activations   n times what backward reads. In each of L layers: 4 C for both norms (their
                  input, and the same divided by its root mean square), 2 C * that the norms give,
                  (4 H + 3 G) D * for attention (queries, keys and values as made, queries and
                  keys rotated, its output by head and by token), 4 M * for the MLP (gate and up,
                  silu(gate), their product), H + 2 for the softmax's and the norms' normalizers.
                  Once: 2 C + 1 for the last norm, and the token's id in 8 bytes.
    head          at the end of its forward pass the lm_head's gradient (K C V), a chunk's part
                  of it * (a CPU adds it in float32), three tensors of the chunk's logits (two
                  where one chunk is all), the states that come in, are aligned with their targets,
                  and get a gradient (3 C a token), and under bf16-mixed copies * of lm_head and
                  states; or in its backward pass the gradients of lm_head and states twice,
                  whichever is more

    That is the peak of an eager pass whose gradients add to those of another. A compiled one keeps
    less, since cheap values are computed again; a step of one pass has no gradients yet when the
    activations are there. Not counted: what a kernel borrows, rotary tables, step counters, the
    CUDA context (half a GB), and what an allocator holds unused.
    """
    count = model.count()
    mixed = precision == "bf16-mixed"
    low = 2 if mixed else 4
    n_token, n_target = (n_member * batch * t for t in (model.block_size, model.block_size - 1))
    attention = (4 * model.n_head + 3 * model.n_kv_head) * model.head_dim
    layer = 16 * model.n_embd + 4 * (model.n_head + 2)
    layer += low * (2 * model.n_embd + attention + 4 * model.n_mlp)
    members, rows = chunk_of(
        n_member, n_target // n_member, model.vocab_size, CHUNK_VALUES["cpu" if on_cpu else "other"]
    )
    is_all = (members, rows) == (n_member, n_target // n_member)
    part = low + (4 if mixed and on_cpu else 0)
    forward = (4 * n_member + part * members) * count.lm_head
    forward += 4 * (2 if is_all else 3) * members * rows * model.vocab_size
    forward += 4 * model.n_embd * (n_token + 2 * n_target)
    forward += mixed * low * (n_member * count.lm_head + n_target * model.n_embd)
    backward = 8 * (n_member * count.lm_head + n_target * model.n_embd)
    return Memory(
        weights=4 * n_member * count.total,
        gradients=4 * n_member * count.total * (2 if n_device > 1 else 1),
        moments=8 * n_member * count.total,
        copies=mixed * low * n_member * (count.attention + count.mlp),
        activations=n_token * (model.n_layer * layer + 8 * model.n_embd + 12),
        head=max(forward, backward),
    )


def memory_of_reading(
    model: ModelConfig, *, n_member: int, batch: int, precision: str, on_cpu: bool = False
) -> Memory:
    """Return about what scoring takes: weights, what a block makes of a batch, a few logits."""
    training = memory_of(model, n_member=n_member, batch=batch, precision=precision)
    return Memory(
        weights=training.weights,
        gradients=0,
        moments=0,
        copies=training.copies,
        activations=training.activations // model.n_layer,
        head=12 * n_member * SCORED_VALUES["cpu" if on_cpu else "other"],
    )


def scored_rows(vocab_size: int, device: str) -> int:
    """Return the positions that scoring takes at once on a type of device."""
    return max(1, SCORED_VALUES["cpu" if device == "cpu" else "other"] // vocab_size)


def chunk_of(n_member: int, n_row: int, vocab_size: int, values: int) -> tuple[int, int]:
    """Return the members and rows of a chunk of about `values` logits, of n_row rows a member."""
    rows = min(n_row, max(CHUNK_ROWS, values // vocab_size))
    members = max(1, values // (rows * vocab_size)) if rows == n_row else 1
    return min(members, n_member), rows
