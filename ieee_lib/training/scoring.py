"""Score every subset of an ensemble in one pass over the validation set (Sec. 4).

Averaging logits, the paper's LogitAvg, is the softmax of the members' mean log-probabilities;
averaging probabilities is the other common choice. Tokens pass in chunks, so memory grows with
neither the validation set nor the vocabulary times its tokens.

    losses = score_subsets(stack, batches, subsets_of(5))
    losses["logits"], losses["probabilities"]        # one per subset, nats/token
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from random import Random

import torch
from torch import Tensor

from ieee_lib.training.model import StackedDecoder

CHUNK_TOKENS = 2048
"""Tokens whose log-probabilities over the vocabulary are held at once, per member."""


ALL_SUBSETS_UP_TO = 6
"""Above this K: all prefixes, all members, and a fixed random sample of the other subsets."""


def subsets_of(n_member: int, *, n_sampled: int = 63) -> list[tuple[int, ...]]:
    """Return the member subsets that are scored, prefixes included."""
    if n_member <= ALL_SUBSETS_UP_TO:
        sizes = range(1, n_member + 1)
        return [s for size in sizes for s in itertools.combinations(range(n_member), size)]
    prefixes = [tuple(range(k)) for k in range(1, n_member + 1)]
    random, sample = Random(0), {(i,) for i in range(n_member)}
    while len(sample) < n_sampled:
        size = random.randint(2, n_member - 1)
        sample.add(tuple(sorted(random.sample(range(n_member), size))))
    return prefixes + sorted(sample - set(prefixes), key=lambda s: (len(s), s))


@torch.no_grad()
def score_subsets(
    model: StackedDecoder, batches: Iterable[Tensor], subsets: Sequence[tuple[int, ...]]
) -> dict[str, list[float]]:
    """Return each subset's mean validation loss by both averages, nats/token.

    batches of ids (B, T), subsets of member indices. Sums are float64.
    """
    sums = {kind: torch.zeros(len(subsets), dtype=torch.float64) for kind in AVERAGES}
    n_target = 0
    for ids in batches:
        stacked = ids.expand(model.n_member, -1, -1).contiguous()
        hidden = model.norm(model.hidden(stacked))  # (K, B*T, C)
        targets = torch.nn.functional.pad(ids[:, 1:], (0, 1), value=-1).reshape(-1)
        positions = torch.nonzero(targets >= 0).squeeze(1)
        n_target += len(positions)
        for chunk in positions.split(CHUNK_TOKENS):
            log_p = model.lm_head(hidden[:, chunk]).float().log_softmax(-1)  # (K, n, V)
            for kind, average in AVERAGES.items():
                sums[kind] += average(log_p, targets[chunk], subsets)
    return {kind: (total / n_target).tolist() for kind, total in sums.items()}


def average_logits(log_p: Tensor, targets: Tensor, subsets: Sequence[tuple[int, ...]]) -> Tensor:
    """Return summed losses (subsets,) of softmax(mean log p); log_p (K, n, V), targets (n,)."""
    losses = []
    for subset in subsets:
        mean = log_p[list(subset)].mean(0)  # (n, V)
        at_target = mean.gather(-1, targets[:, None]).squeeze(-1)
        losses.append((mean.logsumexp(-1) - at_target).double().sum())
    return torch.stack(losses).cpu()


def average_probabilities(
    log_p: Tensor, targets: Tensor, subsets: Sequence[tuple[int, ...]]
) -> Tensor:
    """Return summed losses (subsets,) of mean p; needs the targets' probabilities only."""
    at_target = log_p.gather(-1, targets.expand(len(log_p), -1)[..., None]).squeeze(-1)  # (K, n)
    losses = [-(at_target[list(s)].logsumexp(0) - math.log(len(s))).double().sum() for s in subsets]
    return torch.stack(losses).cpu()


AVERAGES = {"logits": average_logits, "probabilities": average_probabilities}
"""logits is the paper's and the default everywhere."""
