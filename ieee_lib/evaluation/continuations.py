"""Log-likelihoods of continuations for every subset of a stack, in one pass (Sec. 7.1).

A request is a context and its continuation, both token ids. Requests of similar length share a
batch, padded on the right, where causal attention does not look. A request longer than the
model's context loses tokens on the left, as in lm-eval's own `hf` model. Equal requests are
scored once, so that equal choices tie exactly in any batch.

    scores = score_continuations(stack, [([5, 7], [9])], [(0,), (0, 1)])
    scores.log_p                         # (2, 1): one row a subset, one column a request, nats
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ieee_lib.errors import check
from ieee_lib.model.decoder import StackedDecoder
from ieee_lib.model.memory import SCORED_REQUESTS, scored_rows
from ieee_lib.training.scoring import Subset, log_sum_exp, subset_sums

Request = tuple[Sequence[int], Sequence[int]]
"""Context and continuation, at least one token each."""

Window = tuple[tuple[int, ...], int]
"""Tokens that fit the model, and how many of the last ones are scored."""


@dataclass(frozen=True)
class ContinuationScores:
    """Hold the scores of each request (R) by each subset of the members (S)."""

    log_p: Tensor
    """Sum of the continuation's log-probabilities, nats, float64 (S, R)."""
    greedy: Tensor
    """Whether every token of the continuation is the likeliest one, bool (S, R)."""
    n_truncated: int
    """Requests longer than the model's context, which lost tokens on the left."""
    n_cut: int
    """Those of them whose continuation alone is longer, and lost tokens too: the rest of it is
    scored, where lm-eval's `hf` model would stop."""
    n_read: int = 0
    """Tokens that each member read; equal requests are read once."""


@torch.no_grad()
def score_continuations(
    model: StackedDecoder,
    requests: Sequence[Request],
    subsets: Sequence[Subset],
    *,
    batch_size: int = SCORED_REQUESTS,
) -> ContinuationScores:
    """Score requests with each subset's averaged logits, the paper's LogitAvg.

    Raises InputError for a request with an empty context or continuation.
    """
    block_size = model.config.block_size
    windows = [_window(request, block_size) for request in requests]
    unique = sorted(set(windows), key=lambda window: (-len(window[0]), window))
    column = {window: i for i, window in enumerate(unique)}
    log_p = torch.zeros(len(subsets), len(unique), dtype=torch.float64)
    greedy = torch.ones(len(subsets), len(unique), dtype=torch.bool)
    for begin in range(0, len(unique), batch_size):
        batch = unique[begin : begin + batch_size]
        for i, row, token_log_p, likeliest in _score(model, batch, subsets):
            log_p[i].index_add_(0, begin + row, token_log_p)
            greedy[i, begin + row[~likeliest]] = False
    columns = [column[window] for window in windows]
    longest = block_size + 1  # the last token is a target only
    return ContinuationScores(
        log_p=log_p[:, columns],
        greedy=greedy[:, columns],
        n_truncated=sum(len(before) + len(after) > longest for before, after in requests),
        n_cut=sum(len(after) >= longest for _, after in requests),
        n_read=sum(len(ids) - 1 for ids, _ in unique),
    )


def counts(scores: ContinuationScores) -> dict[str, int]:
    """Return the counts that a record keeps: requests, too long ones, tokens that a member read."""
    return {
        "requests": scores.log_p.shape[1],
        "truncated": scores.n_truncated,
        "cut": scores.n_cut,
        "tokens": scores.n_read,
    }


def _window(request: Request, block_size: int) -> Window:
    """Return the last block_size + 1 tokens of a request, and how many of them are scored."""
    context, continuation = request
    lengths = (len(context), len(continuation))
    allowed = "context and continuation must have at least one token each"
    check(min(lengths) > 0, "request", lengths, allowed)
    ids = (*context, *continuation)[-(block_size + 1) :]
    return ids, min(len(continuation), len(ids) - 1)


def _score(
    model: StackedDecoder, batch: Sequence[Window], subsets: Sequence[Subset]
) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
    """Yield subset, row in the batch (n,), log-probability and whether likeliest of n tokens.

    Only scored positions go through the lm_head, in chunks of bounded size.
    """
    n_position = len(batch[0][0]) - 1  # the longest comes first
    device = model.lm_head.weight.device
    inputs = torch.zeros(len(batch), n_position, dtype=torch.long)
    places = []
    for row, (ids, n_scored) in enumerate(batch):
        n_read = len(ids) - 1
        inputs[row, :n_read] = torch.tensor(ids[:-1])
        places += [(row, t, ids[t + 1]) for t in range(n_read - n_scored, n_read)]
    rows, positions, targets = torch.tensor(places).T  # (n,) each
    stacked = inputs.to(device).expand(model.n_member, -1, -1).contiguous()
    hidden = model.norm(model.hidden(stacked))  # (K, B*T, C)
    where = (rows * n_position + positions).to(device)
    at_once = scored_rows(model.config.vocab_size, device.type)
    for chunk in torch.arange(len(places)).split(at_once):
        target = targets[chunk].to(device)
        logits = model.lm_head(hidden[:, where[chunk.to(device)]])  # (K, n, V)
        log_p = logits.float().log_softmax(-1)
        at_target = log_p.gather(-1, target.expand(len(log_p), -1)[..., None]).squeeze(-1)
        for i, total in subset_sums(log_p, subsets):
            members = at_target[list(subsets[i])]  # (k, n)
            token_log_p = members.mean(0) - log_sum_exp(total / len(members))
            yield i, rows[chunk], token_log_p.double().cpu(), (total.argmax(-1) == target).cpu()
