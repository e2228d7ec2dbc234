"""The adapter between a stack of models and lm-eval, which does the scoring (Sec. 7.1).

Imports lm-eval, so import this module only where a task is evaluated.

    lm = StackLM(stack, [(0,), (1,), (0, 1)], corpus.tokenizer)
    lm_eval.evaluate(lm.answering(2), {"tasks": {"piqa": task}})     # the ensemble of both
    answers = answer(task, lm, n_item=200)                           # all three, in one pass
"""

import contextlib
import copy
import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

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
    """A stack's member subsets as models of lm-eval, each the average of its members' logits.

    Requests are scored for all subsets at once and the last scores are kept, so that the models
    that `answering` returns share one pass. Texts are encoded as in training: nothing is put
    before them, and only an empty context is the separator.
    """

    def __init__(
        self,
        model: StackedDecoder,
        subsets: Sequence[Subset],
        tokenizer,
        *,
        batch_size: int = SCORED_REQUESTS,
    ) -> None:
        super().__init__()
        self.model, self.subsets, self.batch_size = model, subsets, batch_size
        self.tokenizer, self.subset = tokenizer, 0
        self.last = {"asked": None, "scores": None}

    @property
    def eot_token_id(self) -> int:
        return separator_id(self.tokenizer)

    @property
    def scores(self) -> ContinuationScores:
        """The scores of the last requests, for every subset."""
        return self.last["scores"]

    def answering(self, subset: int) -> "StackLM":
        """Return the model that answers for one subset, given by its place."""
        chosen = copy.copy(self)
        chosen.subset = subset
        return chosen

    def tok_encode(self, string: str, add_special_tokens=None, **options) -> list[int]:
        return self.tokenizer.encode(string, add_special_tokens=False).ids

    def loglikelihood(self, requests, disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        asked = [request.args for request in requests]
        if asked != self.last["asked"]:
            super().loglikelihood(requests, disable_tqdm=True)
            self.last["asked"] = asked
        return self._replies()

    def _loglikelihood_tokens(self, requests, **options) -> list[tuple[float, bool]]:
        pairs = [(context, continuation) for _, context, continuation in requests]
        self.last["asked"] = None
        self.last["scores"] = score_continuations(
            self.model, pairs, self.subsets, batch_size=self.batch_size
        )
        return self._replies()

    def _replies(self) -> list[tuple[float, bool]]:
        log_p, greedy = self.scores.log_p[self.subset], self.scores.greedy[self.subset]
        return list(zip(log_p.tolist(), greedy.tolist(), strict=True))

    def loglikelihood_rolling(self, requests, disable_tqdm: bool = True):
        raise _not_multiple_choice(requests)

    def generate_until(self, requests, disable_tqdm: bool = True):
        raise _not_multiple_choice(requests)


def _not_multiple_choice(requests) -> InputError:
    kind, task = requests[0].request_type, requests[0].task_name
    return InputError("task", task, f"must be multiple-choice; it asks for {kind}")


def answer(task, lm: StackLM, *, n_item: int = 0) -> Record:
    """Let every subset answer a task's first items (0: all); return what their record says.

    acc and acc_norm are lm-eval's (a task may have acc alone): one string a subset with a 1 for
    each item answered rightly.
    Raises InputError for a task whose items are marked with more than right or wrong.
    """
    with quiet(), _templates_compiled_once():
        return _answer(task, lm, n_item)


def _answer(task, lm: StackLM, n_item: int) -> Record:
    task.build_all_requests(limit=n_item or None)
    items = [list(i) for _, i in itertools.groupby(task.instances, key=lambda r: r.doc_id)]
    marks = {metric: [] for metric in ("acc", "acc_norm") if metric in task.aggregation()}
    for subset in range(len(lm.subsets)):
        replies = iter(lm.answering(subset).loglikelihood(task.instances))
        results = [
            task.process_results(requests[0].doc, [next(replies) for _ in requests])
            for requests in items
        ]
        for metric, strings in marks.items():
            given = [result[metric] for result in results]
            allowed = f"must mark an item as right or wrong; its {metric} is a share"
            check(set(given) <= {0, 1}, "task", task.config.task, allowed)
            strings += marked([given])
    n_choice = Counter(str(len(task.doc_to_choice(requests[0].doc))) for requests in items)
    return {"correct": marks, "n_item": len(items), "n_choice": n_choice, **counts(lm.scores)}


@contextlib.contextmanager
def _templates_compiled_once() -> Iterator[None]:
    """Keep lm-eval's compiled prompt templates for a while.

    It compiles them anew for each item and subset, which takes longer than a small model's pass.
    """
    compiled = utils.env.from_string
    utils.env.from_string = functools.cache(compiled)
    try:
        yield
    finally:
        utils.env.from_string = compiled
