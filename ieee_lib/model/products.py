"""Products in bf16 where the CPU is made for them, everything between them in float32.

Precision `bf16-products`: linear maps, attention and the head multiply bf16 and add in float32;
norms, softmax, the residual stream, losses, gradients of weights, moments and weights are float32.
Autocast (`bf16-mixed`) makes more of it bf16, and on a CPU takes longer than float32. Compiled code
casts within kernels that are there anyway, and keeps bf16 for the backward pass: half the memory.

    y = product(x, weight)                       # (K, n, n_in), (K, n_in, n_out) -> (K, n, n_out)

Axes as in `decoder.py`.
"""

import warnings
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ieee_lib.model.memory import SHORT_CONTEXT


@cache
def warn_where_emulated() -> None:
    """Warn, once, where this CPU has no instructions for bf16 and results come slowly."""
    if not has_bf16():
        what = "training in bf16 on a CPU without its instructions (AVX-512 BF16, AMX)"
        warnings.warn(f"{what}: emulated, slower than precision 32-true", stacklevel=3)


def has_bf16() -> bool:
    """Say whether this CPU multiplies bf16: AVX-512 BF16, AMX, or an Arm one's extension."""
    capabilities = torch.cpu.get_capabilities()
    return any(has for name, has in capabilities.items() if name.endswith("bf16"))


def product(x: Tensor, weight: Tensor) -> Tensor:
    """Return x @ weight, member by member, in bf16; who reads it casts."""
    return torch.bmm(x.bfloat16(), weight.bfloat16())


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return causal attention (K, B, H, T, D), bf16, of q (K, B, H, T, D) on k, v (K, B, G, T, D).

    Torch's own on a CPU is slower in bf16 than in float32: seven times, backward.
    """
    shape, group = q.shape, q.shape[2] // k.shape[2]
    if q.device.type == "cpu" and shape[3] <= SHORT_CONTEXT:
        if group > 1:
            k, v = (x.repeat_interleave(group, dim=2) for x in (k, v))
        flat = (x.reshape(-1, *shape[3:]) for x in (q, k, v))
        return _ShortAttention.apply(*flat).view(shape)
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    if q.device.type == "cpu":
        q, k, v = q.float(), k.float(), v.float()
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=group > 1)
    return y.bfloat16().view(shape)


class _ShortAttention(torch.autograd.Function):
    """Causal attention (n, T, D) of q, k and v (n, T, D), bf16, its softmax in float32.

    It keeps the probabilities in bf16; compiled code would compute exponentials again.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        place = torch.arange(q.shape[1], device=q.device)
        scores = torch.bmm(q, k.transpose(1, 2)).float() * q.shape[2] ** -0.5  # (n, T, T)
        p = scores.masked_fill(place > place[:, None], -torch.inf).softmax(-1).bfloat16()
        y = torch.bmm(p, v)
        ctx.save_for_backward(q, k, v, p, y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, p, y = ctx.saved_tensors
        dp = torch.bmm(dy, v.transpose(1, 2)).float()
        mean = (dy.float() * y.float()).sum(-1, keepdim=True)  # of dp, by p
        ds = (p.float() * (dp - mean) * q.shape[2] ** -0.5).bfloat16()
        dv = torch.bmm(p.transpose(1, 2), dy)
        return torch.bmm(ds, k), torch.bmm(ds.transpose(1, 2), q), dv
