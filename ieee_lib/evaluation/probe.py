"""The probe: which of four continuations is the true one of held-out text (after Sec. 7.1).

Models of 0.1M parameters are at chance on PIQA, SciQ and ARC-Easy; this task has signal at every
scale. It is no benchmark of the paper: its texts are the corpus's own validation documents, and
its wrong choices continue other documents, so topic and style alone tell a lot.

It is marked twice. acc takes the likeliest choice, as lm-eval's acc does. acc_mutual_info takes the
one that the context adds most to, log p(choice | context) - log p(choice), as its acc_mutual_info:
small models know common tokens better than contexts, and by likelihood alone often take the
commonest choice.

    items = continuation_items(corpus, block_size=64, n_item=200)
    items[0].context, items[0].choices[items[0].gold]        # token ids
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ieee_lib.errors import check
from ieee_lib.runs.store import Record
from ieee_lib.text.corpus import Corpus

PROBE = "continuation"
"""Its name as a task."""

N_CHOICE = 4

SEED = 0
"""Of the choice of windows, distractors and places; one n_item is a prefix of a larger one."""


@dataclass(frozen=True)
class ProbeItem:
    """One question, all token ids."""

    context: tuple[int, ...]
    """Half a block: enough to know a document by."""
    choices: tuple[tuple[int, ...], ...]
    """Quarters of a block: behind the context each still fits the model, so nothing is truncated.
    All are of one length, so likelihoods need no normalization by length."""
    gold: int
    """Place of the true continuation."""
    documents: tuple[int, ...]
    """The validation document that each choice is from; all differ."""


def continuation_items(corpus: Corpus, *, block_size: int, n_item: int = 0) -> list[ProbeItem]:
    """Return the probe's items, the same for every model of one context length.

    Windows lie side by side in each validation document and never cross its end; at most n_item
    of them are drawn, 0 for all. Raises InputError where the documents are too few or too short.
    """
    n_context, n_choice = block_size // 2, block_size // 4
    check(n_choice > 0, "model.block_size", block_size, "must be at least 4 for the probe")
    source = corpus.manifest["config"]["source"]
    documents = [(a, b) for a, b in corpus.val_documents().tolist() if b - a >= n_choice]
    check(
        len(documents) >= N_CHOICE,
        "task",
        PROBE,
        f"needs {N_CHOICE} validation documents of at least {n_choice} tokens; "
        f"{source} has {len(documents)}",
    )
    width = n_context + n_choice
    windows = [
        (document, start)
        for document, (begin, end) in enumerate(documents)
        for start in range(begin, end - width + 1, width)
    ]
    check(
        len(windows) > 0,
        "task",
        PROBE,
        f"needs validation documents of at least {width} tokens; {source} has none",
    )
    chosen = np.random.default_rng(SEED).permutation(len(windows))[: n_item or None]
    items = []
    for i in chosen.tolist():
        (own, start), random = windows[i], np.random.default_rng([SEED, i])
        others = random.choice(len(documents) - 1, N_CHOICE - 1, replace=False)
        cuts = [(own, start + n_context)]
        for other in (others + (others >= own)).tolist():
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


def answer_items(
    items: Sequence[ProbeItem], model, subsets: Sequence[tuple[int, ...]], *, separator: int
) -> Record:
    """Let every member subset of a stack answer; return what their record says.

    groups: the document of each item, since items of one document are easy or hard together.

    Each metric holds one string a subset with a 1 for each item answered rightly. Choices are of
    equal length, so there is no acc_norm. Behind the separator a choice has no context.
    """
    from ieee_lib.evaluation.continuations import counts, score_continuations

    choices = [choice for item in items for choice in item.choices]
    contexts = [item.context for item in items for _ in item.choices]
    alone = [((separator,), choice) for choice in choices]
    scores = score_continuations(model, [*zip(contexts, choices, strict=True), *alone], subsets)
    log_p = scores.log_p.numpy().reshape(len(subsets), 2, len(items), N_CHOICE)
    judged = {"acc": log_p[:, 0], "acc_mutual_info": log_p[:, 0] - log_p[:, 1]}
    gold = [item.gold for item in items]
    return {
        "correct": {name: marked(score.argmax(-1) == gold) for name, score in judged.items()},
        "groups": [item.documents[item.gold] for item in items],
        "n_item": len(items),
        "n_choice": {str(N_CHOICE): len(items)},
        **counts(scores),
    }


def marked(right: np.ndarray) -> list[str]:
    """Return rows of right (n_subset, n_item) as strings of 0 and 1."""
    return ["".join("01"[int(mark)] for mark in row) for row in right]


def _tokens(corpus: Corpus, start: int, n: int) -> tuple[int, ...]:
    return tuple(corpus.val_ids[start : start + n].tolist())
