"""Unconditional samples of trained models: the synthetic data D' of distillation (Sec. 6).

Temperature 1, whole contexts, a cache of keys and values. A sequence's first token has no past,
so it is drawn from the first tokens of the training sequences.

    ids = sample(stack, first, kind="average", generator=generator)     # (B, T)
"""

import torch
from torch import Tensor

from ieee_lib.model.decoder import StackedDecoder


@torch.no_grad()
def sample(
    model: StackedDecoder, first: Tensor, *, kind: str, generator: torch.Generator
) -> Tensor:
    """Return sequences (B, T) that begin with the tokens `first` (B,), T the model's context.

    kind mixture: member k writes the k-th part of the sequences, B a multiple of K. average: all
    members write each sequence together, from their averaged logits.
    """
    n_member, n_position = model.n_member, model.config.block_size
    shared = kind == "average"
    ids = first.expand(n_member, -1) if shared else first.view(n_member, -1)  # (K, B')
    cache = model.new_cache(ids.shape[1])
    written = [ids[:1] if shared else ids]
    for _ in range(n_position - 1):
        logits = model.next_logits(ids, cache).float()  # (K, B', V)
        logits = logits.mean(0, keepdim=True) if shared else logits
        token = draw(logits.softmax(-1), generator)
        written.append(token)
        ids = token.expand(n_member, -1)
    return torch.stack(written, dim=-1).reshape(-1, n_position)


def draw(p: Tensor, generator: torch.Generator) -> Tensor:
    """Return one token (...) of each distribution p (..., V), by inverting its sum."""
    cumulative = p.cumsum(-1, dtype=torch.float64)
    level = torch.rand(p.shape[:-1], generator=generator, dtype=torch.float64, device=p.device)
    token = torch.searchsorted(cumulative, (level * cumulative[..., -1])[..., None])
    return token.squeeze(-1).clamp(max=p.shape[-1] - 1)
