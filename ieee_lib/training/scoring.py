"""Validation losses of every subset of an ensemble, in one pass over the set (Sec. 4).

Averaging logits, the paper's LogitAvg, is the softmax of the members' mean log-probabilities;
averaging probabilities is the other common choice. Tokens pass in chunks, so memory does not grow
with the validation set.

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

N_SAMPLED = 63
"""Subsets of larger ensembles that are scored, beside the prefixes."""

Subset = tuple[int, ...]


def subsets_of(n_member: int) -> list[Subset]:
    """Return the member subsets that are scored, prefixes included."""
    if n_member <= ALL_SUBSETS_UP_TO:
        sizes = range(1, n_member + 1)
        return [s for size in sizes for s in itertools.combinations(range(n_member), size)]
    prefixes = [tuple(range(k)) for k in range(1, n_member + 1)]
    random = Random(0)
    sampled: set[Subset] = {(i,) for i in range(n_member)}
    while len(sampled) < N_SAMPLED:
        size = random.randint(2, n_member - 1)
        sampled.add(tuple(sorted(random.sample(range(n_member), size))))
    return prefixes + sorted(sampled - set(prefixes), key=lambda s: (len(s), s))


def load_stack(config: ModelConfig, files: Sequence[Path], *, bf16: bool = False) -> StackedDecoder:
    """Return trained members as one stack, in the order of their safetensors files.

    `bf16`: they were trained with products in bf16, and are read so.
    """
    from safetensors.torch import load_file

    members = [load_file(file) for file in files]
    model = StackedDecoder(config, seeds=[0] * len(members), bf16=bf16)
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
            target = targets[chunk]
            at_target = log_p.gather(-1, target.expand(len(log_p), -1)[..., None]).squeeze(-1)
            for i, total in subset_sums(log_p, subsets):
                members = at_target[list(subsets[i])]  # (k, n)
                normalizer = log_sum_exp(total / len(members))
                sums["logits"][i] += (normalizer - members.mean(0)).double().sum()
                mean_p = members.logsumexp(0) - math.log(len(members))  # its logarithm
                sums["probabilities"][i] -= mean_p.double().sum()
    return {kind: (sums[kind] / n_target).tolist() for kind in AVERAGES}


@torch.no_grad()
def score_averages(
    model: StackedDecoder, batches: Sequence[Tensor], subsets: Sequence[Subset]
) -> dict[str, list[float]]:
    """Return the loss of the mean of each subset's weights, as `score_subsets` does.

    It is one model, so that both averages are its own loss.
    """
    losses: dict[str, list[float]] = {kind: [] for kind in AVERAGES}
    device = model.lm_head.weight.device
    members = model.state_dict()
    one = StackedDecoder(model.config, seeds=[0], bf16=model.bf16).to(device).eval()
    for subset in subsets:
        chosen = list(subset)
        one.load_state_dict({k: v[chosen].mean(0, keepdim=True) for k, v in members.items()})
        for kind, (loss,) in score_subsets(one, batches, [(0,)]).items():
            losses[kind].append(loss)
    return losses


def log_sum_exp(mean_log_p: Tensor) -> Tensor:
    """Return log sum exp over the vocabulary (n,) of mean log-probabilities (n, V).

    They are at most 0, so the usual shift is needed only where all of them are far below.
    """
    normalizer = mean_log_p.exp().sum(-1).log()
    return normalizer if normalizer.isfinite().all() else mean_log_p.logsumexp(-1)


def subset_sums(log_p: Tensor, subsets: Sequence[Subset]) -> Iterator[tuple[int, Tensor]]:
    """Yield index and sum over members (n, V) of every subset, each from its longest prefix.

    Sorted subsets share prefixes, so each costs about one addition; at most K sums are kept.
    """
    sums: list[Tensor] = []  # of the first one, two, ... members of `previous`
    previous: Subset = ()
    for i in sorted(range(len(subsets)), key=lambda i: subsets[i]):
        subset = subsets[i]
        n_shared = len(sums)
        while subset[:n_shared] != previous[:n_shared]:
            n_shared -= 1
        del sums[n_shared:]
        for member in subset[n_shared:]:
            sums.append(sums[-1] + log_p[member] if sums else log_p[member])
        yield i, sums[-1]
        previous = subset
