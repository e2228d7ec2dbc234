"""The adapter between a stack of models and lm-eval, which does the scoring (Sec. 7.1).

Imports lm-eval, so import this module only where a task is evaluated.

    lm = StackLM(stack, [(0,), (1,), (0, 1)], corpus.tokenizer)
    answers = answer(task, lm, n_item=200)                           # all three, in one pass
    lm_eval.evaluate(lm.answering(2), {"tasks": {"piqa": task}})     # the ensemble of both
"""

import contextlib
import copy
import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tokenizers import Tokenizer

from ieee_lib.errors import InputError, check
from ieee_lib.evaluation.continuations import ContinuationScores, counts, score_continuations
from ieee_lib.evaluation.probe import marked
from ieee_lib.evaluation.tasks import quiet
from ieee_lib.model.decoder import StackedDecoder
from ieee_lib.model.memory import SCORED_REQUESTS
from ieee_lib.runs.store import Record
from ieee_lib.text.tokenizer import separator_id
from ieee_lib.training.scoring import Subset

with quiet():
    from lm_eval import utils
    from lm_eval.api.model import TemplateLM


class StackLM(TemplateLM):
    """Give lm-eval a model per member subset of a stack: the average of its members' logits.

    Requests are scored for all subsets at once. Texts are encoded as in training: nothing is put
    before them, and only an empty context becomes the separator.
    """

    scores: ContinuationScores
    """Of the last requests, for every subset."""

    def __init__(
        self,
        model: StackedDecoder,
        subsets: Sequence[Subset],
        tokenizer: Tokenizer,
        *,
        batch_size: int = SCORED_REQUESTS,
    ) -> None:
        super().__init__()
        self.model, self.subsets, self.batch_size = model, subsets, batch_size
        self.tokenizer, self.subset = tokenizer, 0

    @property
    def eot_token_id(self) -> int:
        """Return the id of the separator."""
        return separator_id(self.tokenizer)

    def answering(self, subset: int) -> "StackLM":
        """Return the model that answers for one subset, given by its index."""
        chosen = copy.copy(self)
        chosen.subset = subset
        return chosen

    def replies(self, subset: int) -> list[tuple[float, bool]]:
        """Return log-probability (nats) and greediness of the last requests, by one subset."""
        log_p, greedy = self.scores.log_p[subset], self.scores.greedy[subset]
        return list(zip(log_p.tolist(), greedy.tolist(), strict=True))

    def tok_encode(self, string: str, add_special_tokens=None, **options) -> list[int]:
        """Return the ids of a text."""
        return self.tokenizer.encode(string, add_special_tokens=False).ids

    def loglikelihood(self, requests, disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """Score requests for all subsets, and return the replies of the one that answers."""
        return super().loglikelihood(requests, disable_tqdm=True)

    def _loglikelihood_tokens(self, requests, **options) -> list[tuple[float, bool]]:
        pairs = [(context, continuation) for _, context, continuation in requests]
        self.scores = score_continuations(
            self.model, pairs, self.subsets, batch_size=self.batch_size
        )
        return self.replies(self.subset)

    def loglikelihood_rolling(self, requests, disable_tqdm: bool = True):
        """Refuse: raises InputError, since the task is not multiple-choice."""
        raise _not_multiple_choice(requests)

    def generate_until(self, requests, disable_tqdm: bool = True):
        """Refuse: raises InputError, since the task is not multiple-choice."""
        raise _not_multiple_choice(requests)


def _not_multiple_choice(requests: Sequence[Any]) -> InputError:
    kind, task = requests[0].request_type, requests[0].task_name
    return InputError("task", task, f"must be multiple-choice; it asks for {kind}")


def answer(task: Any, lm: StackLM, *, n_item: int = 0) -> Record:
    """Let every subset answer a task's first items (0: all); return the fields of its record.

    acc and acc_norm are lm-eval's (a task may have acc alone): one string a subset, with a 1 for
    each item that is answered correctly.
    Raises InputError for a task whose items are not simply right or wrong.
    """
    metrics = [metric for metric in ("acc", "acc_norm") if metric in task.aggregation()]
    correct: dict[str, list[str]] = {metric: [] for metric in metrics}
    with quiet(), _templates_compiled_once():
        task.build_all_requests(limit=n_item or None)
        items = [list(i) for _, i in itertools.groupby(task.instances, key=lambda r: r.doc_id)]
        lm.loglikelihood(task.instances)
        for subset in range(len(lm.subsets)):
            replies = iter(lm.replies(subset))
            results = [
                task.process_results(requests[0].doc, [next(replies) for _ in requests])
                for requests in items
            ]
            for metric in metrics:
                marks = [result[metric] for result in results]
                allowed = f"must mark an item as right or wrong; its {metric} is a share"
                check(set(marks) <= {0, 1}, "task", task.config.task, allowed)
                correct[metric].append(marked(marks))
        n_choice = Counter(str(len(task.doc_to_choice(requests[0].doc))) for requests in items)
    return {"correct": correct, "n_item": len(items), "n_choice": n_choice, **counts(lm.scores)}


@contextlib.contextmanager
def _templates_compiled_once() -> Iterator[None]:
    """Cache lm-eval's compiled prompt templates for a while.

    It compiles them anew for each item and subset, which takes longer than a small model's pass.
    """
    from_string = utils.env.from_string
    utils.env.from_string = functools.cache(from_string)
    try:
        yield
    finally:
        utils.env.from_string = from_string
