"""Next-token losses of a stack, chunk by chunk: the logits of all members are never held at once.

Losses and gradients come from one pass over a chunk while it is in the cache, so nothing is
computed twice and memory does not grow with members times tokens times vocabulary.

    losses = next_token_losses(x, lm_head, ids)      # (K,), nats/token
    losses.sum().backward()

Axes as in `decoder.py`; n = B * (T - 1) targets of a member.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ieee_lib.model.memory import chunk_shape


class Teacher(NamedTuple):
    """What a trained model predicts, and how much of the loss that is (`RunSpec.teacher`)."""

    x: Tensor
    """Its normed states (K, B, T, C) of the members' ids."""
    lm_head: Tensor
    """(1, C, V)."""
    weight: float
    """w, the share of its term in the loss."""
    temperature: float
    """T, nats/token are multiplied by T^2."""


def next_token_losses(
    x: Tensor,
    weight: Tensor,
    ids: Tensor,
    *,
    bf16: bool = False,
    teacher: Teacher | None = None,
) -> Tensor:
    """Return each member's mean next-token loss (K,), nats/token.

    x (K, B*T, C) is the normed output of the last block, weight (K, C, V) the lm_head, ids
    (K, B, T). As in the paper's code a sequence of T tokens gives T - 1 targets: nothing outside
    it is read. `bf16`: multiply in bf16, whatever autocast says. With a teacher q the loss of p is

        (1 - w) * -log p(target) + w T^2 KL(q_T || p_T),    p_T = softmax(logits / T)
    """
    n_member, n_sequence, n_position = ids.shape
    x = x.view(n_member, n_sequence, n_position, -1)[:, :, :-1].reshape(n_member, -1, x.shape[-1])
    targets = ids[..., 1:].reshape(n_member, -1, 1)
    dtype = torch.bfloat16 if bf16 else product_dtype(x)
    if teacher is not None:
        teacher = teacher._replace(x=teacher.x[:, :, :-1].reshape(n_member, -1, x.shape[-1]))
    return _MeanCrossEntropy.apply(x, weight, targets, torch.is_grad_enabled(), dtype, teacher)


def product_dtype(x: Tensor) -> torch.dtype:
    """Return the type that products with x are computed in: autocast's where that is on."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


class _MeanCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy (K,) of x (K, n, C) @ weight (K, C, V) at targets (K, n, 1)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        targets: Tensor,
        with_gradients: bool,
        dtype: torch.dtype,
        teacher: Teacher | None,
    ) -> Tensor:
        n_member, n_target, _ = targets.shape
        cast_x, cast_weight = x.to(dtype), weight.to(dtype)
        if with_gradients:
            dx, dweight = torch.empty_like(x), torch.zeros_like(weight)
        losses = x.new_empty((n_member, n_target), dtype=torch.float32)
        on_cpu = x.device.type == "cpu"
        for members, rows in _chunks(n_member, n_target, weight.shape[-1], on_cpu):
            h, w, target = cast_x[members, rows], cast_weight[members], targets[members, rows]
            logits = torch.bmm(h, w)
            if on_cpu:
                logits = logits.float()  # once, not in each of what follows
            p = logits.softmax(-1, dtype=torch.float32)
            # log sum exp by the largest logit and its probability: exact where p is 0 at a target
            normalizer = logits.amax(-1).float() - p.amax(-1).log()
            losses[members, rows] = normalizer - logits.gather(-1, target).squeeze(-1)
            if with_gradients:
                # The gradient of the logits is p minus one at the target.
                p.scatter_add_(-1, target, p.new_full((), -1.0).expand_as(target))
            if teacher is not None:
                taught, gradient = _divergence(logits, teacher, members, rows, dtype)
                losses[members, rows] += teacher.weight * (taught - losses[members, rows])
                p += teacher.weight * (gradient - p)
            if with_gradients:
                p = p.to(dtype)
                dx[members, rows] = torch.bmm(p, w.transpose(1, 2))
                dweight[members] += torch.bmm(h.transpose(1, 2), p)
        if with_gradients:
            ctx.save_for_backward(dx, dweight)
        ctx.n_target = n_target
        return losses.mean(1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        dx, dweight = ctx.saved_tensors
        scale = (gradient / ctx.n_target)[:, None, None]
        return dx * scale, dweight * scale, None, None, None, None


def _divergence(
    logits: Tensor, teacher: Teacher, members: slice, rows: slice, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return T^2 KL(q_T || p_T) (K, n) of a chunk, and its gradient by the logits (K, n, V)."""
    T = teacher.temperature
    taught = teacher.x[members, rows].to(dtype) @ teacher.lm_head.to(dtype)
    log_q = (taught.float() / T).log_softmax(-1)
    log_p = (logits.float() / T).log_softmax(-1)
    q = log_q.exp()
    return T**2 * (q * (log_q - log_p)).sum(-1), T * (log_p.exp() - q)


def _chunks(
    n_member: int, n_row: int, vocab_size: int, on_cpu: bool
) -> Iterator[tuple[slice, slice]]:
    """Yield slices of members and rows that together cover all of them."""
    members, rows = chunk_shape(n_member, n_row, vocab_size, on_cpu=on_cpu)
    for member in range(0, n_member, members):
        for row in range(0, n_row, rows):
            yield slice(member, member + members), slice(row, row + rows)
