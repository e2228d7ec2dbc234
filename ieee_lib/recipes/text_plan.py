"""What a budget of minutes buys on one's own text: D, N, and the steps with their cost.

    study, plan = open_text("files:my.txt", minutes=20)
    plan.table                               # one row a step, before any of it

The same text, minutes and machine give the same plan: its rate is read from the records of a few
short runs, trained once.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from ieee_lib.config import RunSpec, SampleSpec, check_integer, check_number
from ieee_lib.config.corpus import CorpusConfig, parse_corpus
from ieee_lib.config.scale import Scale
from ieee_lib.config.scale_tables import Settings
from ieee_lib.config.your_text import (
    BLOCK_SIZE,
    SEED_TOKENS_STEP,
    STEP,
    VOCAB_SIZE,
    your_scale,
)
from ieee_lib.errors import InputError, check, check_choice
from ieee_lib.jobs.machine import worker_count
from ieee_lib.recipes.budget import Plan, deadline_after, seconds
from ieee_lib.recipes.optima import settings_law
from ieee_lib.recipes.search import certifying_specs
from ieee_lib.recipes.single import AXES
from ieee_lib.recipes.your_text import member_specs, student_of, tuning_specs
from ieee_lib.study import Study
from ieee_lib.text.corpus import Corpus, folder_of, open_corpus

SMALLEST_D, FEWEST_VAL = 4 * SEED_TOKENS_STEP, 32
"""Training tokens and validation sequences below which a text says nothing."""
RATIOS = (3.5, 2.5, 1.5, 1.0, 0.7)
"""N / D that are tried for all of a text, the paper's range; less of it has 1.5."""
TWO_SIZES = (1.25, 5.0)
"""N / D of two sizes, where the budget has room for them."""
COMPILES_FROM = 3.0
"""Minutes of a budget from which compiling pays."""
MOST_EPOCHS = 16
"""Epochs that a search starts at, at most: twice as many are twice the cost of all that follows,
and the search moves there where they help."""
MEASURED = 16
"""Short runs that the machine's rate is measured with."""

Scaler = Callable[[int, tuple[float, ...]], Scale]
"""D and sizes -> the scale of a text."""


def open_text(
    corpus: str,
    *,
    tokens: int = 0,
    parameters: int = 0,
    minutes: float = 20.0,
    source: str = "train",
) -> tuple[Study, Plan]:
    """Open a text with a scale that fits a budget, and return the plan.

    corpus: files:PATH or hub:NAME@REVISION with options, as everywhere. tokens: D; 0: all training
    tokens that the budget allows. parameters: N; 0: one or two sizes of 0.7 to 5 times D. source:
    train, or records (nothing is trained). The text is packed, and the machine's rate measured by
    short runs, before the time counts.

    Raises InputError for a text too short to say anything, and for D and N that do not fit, with
    what would.
    """
    check_choice("source", source, ("train", "records"))
    check_integer("tokens", tokens, 0)
    check_integer("parameters", parameters, 0)
    check_number("minutes", minutes, least=0.5)
    allowed = "must name your text: files:PATH (a file, a folder, a glob) or hub:NAME@REVISION"
    check(parse_corpus("corpus", corpus)[0] != "", "corpus", corpus, allowed)
    config = CorpusConfig(source="stdlib", vocab_size=VOCAB_SIZE).changed(corpus)
    packed = _packed(config, source)
    scale_at = _scaler(packed, config, minutes)
    study = Study.open(scale_at(SMALLEST_D, (7e4,)), source=source)
    n_worker = worker_count(study.scale.execution)
    rate = n_worker * _rate_of_worker(study, minutes)
    most = packed.manifest["tokens"]["train"] // SEED_TOKENS_STEP * SEED_TOKENS_STEP
    chooser = _Chooser(study, scale_at, most, minutes, rate)
    scale = chooser.choose(tokens, parameters)
    study = study.beside(scale)
    return study, Plan(minutes, rate, deadline_after(minutes), _table(study, rate))


def start_up(minutes: float) -> float:
    """Return the seconds of a budget that starting, compiling and drawing take."""
    return 60.0 if minutes >= COMPILES_FROM else 25.0


def _packed(config: CorpusConfig, source: str) -> Corpus:
    if source == "records":
        return open_corpus(folder_of(config))
    from ieee_lib.text.packing import prepare

    return prepare(config)


def _scaler(packed: Corpus, config: CorpusConfig, minutes: float) -> Scaler:
    """Return what gives the scale of a text; raises InputError for one that is too short."""
    held = packed.manifest["tokens"]["val"] // BLOCK_SIZE
    train = packed.manifest["tokens"]["train"]
    allowed = (
        f"is too short to say anything: {train:,} training and {BLOCK_SIZE * held:,} validation "
        f"tokens, where {SMALLEST_D:,} and {BLOCK_SIZE * FEWEST_VAL:,} are the least; bring more "
        "text, or hold out another share (val_fraction)"
    )
    check(train >= SMALLEST_D and held >= FEWEST_VAL, "corpus", config.source, allowed)
    law = settings_law()

    def start(N: int, D: int) -> dict[str, Any]:
        near = law.suggest(N, D, STEP).start
        return {**near, "epochs": min(near["epochs"], MOST_EPOCHS)}

    def scale(D: int, sizes: tuple[float, ...]) -> Scale:
        return your_scale(
            f"text-{packed.fingerprint[:8]}",
            config,
            D=D,
            sizes=sizes,
            start=start,
            K=3 if minutes < 15 else 5,
            moves=6,
            val_sequences=min(384, held // 8 * 8),
            compiled=minutes >= COMPILES_FROM,
            has_bf16=_has_bf16,
        )

    return scale


def _has_bf16() -> bool:
    from ieee_lib.model.products import has_bf16

    return has_bf16()


def _rate_of_worker(study: Study, minutes: float) -> float:
    """Return the cost that one worker does in a second: measured once, then read from records."""
    (model,) = study.scale.models
    epochs = 8 if minutes >= COMPILES_FROM else 1
    specs = [
        study.spec(model, wd=0.1, lr=3e-3, epochs=epochs, seed=seed) for seed in range(MEASURED)
    ]
    study.ensure(specs, label="measuring this machine")
    seconds = sum(
        record["seconds"] - (record["stack"].get("compile_seconds") or 0.0)
        for record in study.records(spec.run_id for spec in specs)
    )
    return sum(spec.cost for spec in specs) / max(seconds, 1e-3)


class _Chooser:
    """Chooses D and sizes that fit a budget."""

    def __init__(self, study: Study, scale: Scaler, most: int, minutes: float, rate: float) -> None:
        self.study, self.scale, self.most = study, scale, most
        self.minutes, self.rate = minutes, rate
        self.budget = 60 * minutes - start_up(minutes)

    def choose(self, tokens: int, parameters: int) -> Scale:
        """Return the scale; raises InputError with what would fit."""
        D = tokens // SEED_TOKENS_STEP * SEED_TOKENS_STEP
        allowed = f"the text has {self.most:,} training tokens, and {SMALLEST_D:,} are the least"
        check(tokens == 0 or SMALLEST_D <= D <= self.most, "tokens", tokens, allowed)
        for candidate, sizes in self._candidates(D, parameters):
            scale = self.scale(candidate, sizes)
            if self.seconds(scale) <= self.budget:
                return scale
        least = self.scale(D or SMALLEST_D, (parameters or 0.7 * (D or SMALLEST_D),))
        minutes = math.ceil((self.seconds(least) + start_up(self.minutes)) / 60)
        (model,) = least.models.values()
        allowed = (
            f"do not suffice for D = {least.base_tokens:,} and N = {model.count().total:,}, which "
            f"take about {minutes} minutes"
        )
        if tokens or parameters:
            fitting = self.choose(0, 0)
            N = next(iter(fitting.models.values())).count().total
            allowed += f"; D = {fitting.base_tokens:,} and N = {N:,} would fit"
        raise InputError("minutes", self.minutes, allowed)

    def _candidates(self, D: int, parameters: int) -> Iterator[tuple[int, tuple[float, ...]]]:
        """Yield D and sizes, the most telling first."""
        tokens = D or self.most
        while tokens >= SMALLEST_D:
            if parameters:
                yield tokens, (parameters,)
            elif tokens in (D, self.most):
                yield tokens, tuple(ratio * tokens for ratio in TWO_SIZES)
                for ratio in RATIOS:
                    yield tokens, (ratio * tokens,)
            else:
                yield tokens, (1.5 * tokens,)
            if D:
                return
            tokens = int(0.9 * tokens) // SEED_TOKENS_STEP * SEED_TOKENS_STEP

    def seconds(self, scale: Scale) -> float:
        """Return how long a scale's steps take, without the student."""
        study = Study(scale, "records", self.study.store, self.study.fingerprint)
        return 60 * float(_table(study, self.rate).minutes[:-1].sum())


def _table(study: Study, rate: float) -> pd.DataFrame:
    """Return what a plan will do, were the optimum at twice the epochs of the starts.

    One row a step: runs, flops, minutes.
    """
    tuning = tuning_specs(study)
    longer: dict[str, list[Settings]] = {}
    moving: list[RunSpec] = []
    for recipe, axes in AXES.items():
        starts = study.scale.settings(recipe, study.scale.base_tokens)
        longer[recipe] = [replace(start, epochs=2 * start.epochs) for start in starts]
        moving += [s for start in longer[recipe] for s in certifying_specs(study, start, axes)]
    members = member_specs(study, longer["regularized"])
    taught = student_of(study, longer["regularized"])
    steps: dict[str, list[RunSpec | SampleSpec]] = {
        "tune the standard recipe (three D) and the regularized one": [*tuning],
        "move both searches, where a neighbour is better": [*moving],
        f"train {len(members)} members: twice the epochs, half the decay": [*members],
        "teach a student, if time is left": [*taught.specs(study), taught.sample],
    }
    rows = [
        {
            "step": name,
            "runs": sum(isinstance(spec, RunSpec) for spec in specs),
            "flops": sum(spec.flops for spec in specs),
            "minutes": seconds(specs, rate) / 60,
        }
        for name, specs in steps.items()
    ]
    return pd.DataFrame(rows)
