"""Score every subset of an ensemble in one pass over the validation set (Sec. 4).

Averaging logits, the paper's LogitAvg, is the softmax of the members' mean log-probabilities;
averaging probabilities is the other common choice. Tokens pass in chunks, so memory grows with
neither the validation set nor the vocabulary times its tokens.

    model = load_stack(spec.model, [store.weights_path(i) for i in run_ids])
    losses = score_subsets(model, batches, subsets_of(5))
    losses["logits"], losses["probabilities"]        # one per subset, nats/token
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from ieee_lib.config import ModelConfig
from ieee_lib.model.decoder import StackedDecoder
from ieee_lib.model.memory import scored_rows

ALL_SUBSETS_UP_TO = 6
"""Above this K: all prefixes, all members, and a fixed random sample of the other subsets."""

AVERAGES = ("logits", "probabilities")
"""logits is the paper's and the default everywhere."""

Subset = tuple[int, ...]


def subsets_of(n_member: int, *, n_sampled: int = 63) -> list[Subset]:
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


def load_stack(config: ModelConfig, files: Sequence[Path]) -> StackedDecoder:
    """Return trained members as one stack, in the order of their safetensors files."""
    from safetensors.torch import load_file

    members = [load_file(file) for file in files]
    model = StackedDecoder(config, seeds=[0] * len(members))
    model.load_state_dict({name: torch.stack([m[name] for m in members]) for name in members[0]})
    return model.eval()


@torch.no_grad()
def score_subsets(
    model: StackedDecoder, batches: Iterable[Tensor], subsets: Sequence[Subset]
) -> dict[str, list[float]]:
    """Return each subset's mean validation loss by both averages, nats/token.

    batches of ids (B, T), subsets of member indices. Sums are float64.
    """
    device = model.lm_head.weight.device
    zeros = torch.zeros(len(subsets), dtype=torch.float64, device=device)
    sums = {kind: zeros.clone() for kind in AVERAGES}
    n_target = 0
    for ids in batches:
        stacked = ids.expand(model.n_member, -1, -1).contiguous()
        hidden = model.norm(model.hidden(stacked))  # (K, B*T, C)
        targets = torch.nn.functional.pad(ids[:, 1:], (0, 1), value=-1).reshape(-1)
        positions = torch.nonzero(targets >= 0).squeeze(1)
        n_target += len(positions)
        for chunk in positions.split(scored_rows(model.config.vocab_size, device.type)):
            log_p = model.lm_head(hidden[:, chunk]).float().log_softmax(-1)  # (K, n, V)
            aim = targets[chunk]
            at_target = log_p.gather(-1, aim.expand(len(log_p), -1)[..., None]).squeeze(-1)
            for i, total in subset_sums(log_p, subsets):
                own = at_target[list(subsets[i])]  # (k, n)
                normalizer = log_sum_exp(total / len(own))
                sums["logits"][i] += (normalizer - own.mean(0)).double().sum()
                mixed = own.logsumexp(0) - math.log(len(own))
                sums["probabilities"][i] -= mixed.double().sum()
    return {kind: (sums[kind] / n_target).tolist() for kind in AVERAGES}


def log_sum_exp(mean_log_p: Tensor) -> Tensor:
    """Return log sum exp over the vocabulary (n,) of mean log-probabilities (n, V).

    They are at most 0, so the usual shift is needed only where members agree on nothing at all.
    """
    normalizer = mean_log_p.exp().sum(-1).log()
    return normalizer if normalizer.isfinite().all() else mean_log_p.logsumexp(-1)


def subset_sums(log_p: Tensor, subsets: Sequence[Subset]) -> Iterator[tuple[int, Tensor]]:
    """Yield index and sum over members (n, V) of every subset, each from its longest prefix.

    Sorted subsets share prefixes, so each costs one addition; at most K sums are held.
    """
    held: list[tuple[Subset, Tensor]] = []
    for i in sorted(range(len(subsets)), key=lambda i: subsets[i]):
        subset = subsets[i]
        while held and subset[: len(held[-1][0])] != held[-1][0]:
            held.pop()
        prefix, total = held[-1] if held else ((), None)
        for size in range(len(prefix), len(subset)):
            member = log_p[subset[size]]
            total = member if total is None else total + member
            held.append((subset[: size + 1], total))
        yield i, total
