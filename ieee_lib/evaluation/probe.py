"""The probe: which of four continuations is the true one of held-out text (after Sec. 7.1).

Models of 0.1M parameters are at chance on PIQA, SciQ and ARC-Easy; the probe has signal at every
scale. It is no benchmark of the paper: its texts are the corpus's own validation documents, and
its wrong choices continue other documents, so topic and style alone say a lot. Where there are too
few documents, parts of them stand for documents: then topic and style say less.

It is marked twice, as lm-eval marks. acc takes the likeliest choice; acc_mutual_info takes the one
with the largest log p(choice | context) - log p(choice). Small models know common tokens better
than contexts, and by likelihood alone often take the commonest choice.

    items = continuation_items(corpus, block_size=64, n_item=200)
    items[0].context, items[0].choices[items[0].gold]        # token ids
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ieee_lib.errors import check
from ieee_lib.runs.store import Record
from ieee_lib.text.corpus import Corpus

if TYPE_CHECKING:
    from ieee_lib.model.decoder import StackedDecoder

PROBE = "continuation"
"""The probe's name as a task."""

N_CHOICE = 4

N_PART = 32
"""Parts that documents are cut into, all together, where they are fewer than N_CHOICE."""

SEED = 0
"""Seed of windows, wrong choices and their order; fewer items are a prefix of more."""


@dataclass(frozen=True)
class ProbeItem:
    """Hold one question, all token ids."""

    context: tuple[int, ...]
    """Half a block."""
    choices: tuple[tuple[int, ...], ...]
    """Quarters of a block: context and choice fit the model, so nothing is truncated. All have the
    same length, so likelihoods need no normalization by length."""
    gold: int
    """Index of the true continuation."""
    documents: tuple[int, ...]
    """Validation document (or part of one) of each choice; all differ."""


def continuation_items(corpus: Corpus, *, block_size: int, n_item: int = 0) -> list[ProbeItem]:
    """Return the probe's items, the same for every model of one context length.

    Windows lie side by side in each validation document and never cross its end; at most n_item
    of them are drawn, 0 for all. Raises InputError where the documents are too few or too short.
    """
    n_context, n_choice = block_size // 2, block_size // 4
    check(n_choice > 0, "model.block_size", block_size, "must be at least 4 for the probe")
    source, width = corpus.manifest["config"]["source"], n_context + n_choice
    documents = [(a, b) for a, b in corpus.val_documents().tolist() if b - a >= n_choice]
    if len(documents) < N_CHOICE:
        documents = _parts(documents, width)
    allowed = "hold out more text with a larger --val-fraction: the probe needs "
    allowed += (
        f"{N_CHOICE} validation documents of {n_choice} tokens or more, or parts of {width}, "
    )
    allowed += f"and {source} has {len(documents)}"
    check(len(documents) >= N_CHOICE, "task", PROBE, allowed)
    windows = [
        (document, start)
        for document, (begin, end) in enumerate(documents)
        for start in range(begin, end - width + 1, width)
    ]
    allowed = "hold out longer documents, with --val-source or another --split: the probe needs "
    allowed += f"some of {width} tokens or more, and {source} has none"
    check(bool(windows), "task", PROBE, allowed)
    chosen = np.random.default_rng(SEED).permutation(len(windows))[: n_item or None]
    items = []
    for i in chosen.tolist():
        (document, start), random = windows[i], np.random.default_rng([SEED, i])
        cuts = [(document, start + n_context)]  # document and start of each choice
        for other in random.choice(len(documents) - 1, N_CHOICE - 1, replace=False).tolist():
            if other >= document:
                other += 1  # any document but the context's
            begin, end = documents[other]
            cuts.append((other, int(random.integers(begin, end - n_choice + 1))))
        order = random.permutation(N_CHOICE).tolist()
        items.append(
            ProbeItem(
                context=_tokens(corpus, start, n_context),
                choices=tuple(_tokens(corpus, cuts[c][1], n_choice) for c in order),
                gold=order.index(0),
                documents=tuple(cuts[c][0] for c in order),
            )
        )
    return items


def _parts(documents: list[tuple[int, int]], width: int) -> list[tuple[int, int]]:
    """Cut documents into about N_PART parts of equal length, at least `width` tokens each."""
    size = max(width, sum(end - begin for begin, end in documents) // N_PART)
    return [
        (start, start + size)
        for begin, end in documents
        for start in range(begin, end - size + 1, size)
    ]


def answer_items(
    items: Sequence[ProbeItem],
    model: "StackedDecoder",
    subsets: Sequence[tuple[int, ...]],
    *,
    separator: int,
) -> Record:
    """Let every member subset of a stack answer; return the fields of its record.

    Each metric holds one string a subset, with a 1 for each item that is answered correctly.
    Choices have equal lengths, so there is no acc_norm. A choice without context follows the
    separator. `groups` is the document (or part) of each item: its items are not independent.
    """
    from ieee_lib.evaluation.continuations import counts, score_continuations

    choices = [choice for item in items for choice in item.choices]
    contexts = [item.context for item in items for _ in item.choices]
    alone = [((separator,), choice) for choice in choices]
    scores = score_continuations(model, [*zip(contexts, choices, strict=True), *alone], subsets)
    log_p = scores.log_p.numpy().reshape(len(subsets), 2, len(items), N_CHOICE)
    metrics = {"acc": log_p[:, 0], "acc_mutual_info": log_p[:, 0] - log_p[:, 1]}
    gold = [item.gold for item in items]
    return {
        "correct": {
            name: [marked(row) for row in score.argmax(-1) == gold]
            for name, score in metrics.items()
        },
        "groups": [item.documents[item.gold] for item in items],
        "n_item": len(items),
        "n_choice": {str(N_CHOICE): len(items)},
        **counts(scores),
    }


def marked(correct: Iterable[bool]) -> str:
    """Return truth values as a string of 0 and 1."""
    return "".join("1" if mark else "0" for mark in correct)


def _tokens(corpus: Corpus, start: int, n: int) -> tuple[int, ...]:
    return tuple(corpus.val_ids[start : start + n].tolist())
