"""Tuned single models at one D: the standard and the regularized recipe (Sec. 2 and 3).

tuned = regularized(study)               # searches what is missing; one row a model
certificate(study, "regularized")        # why each point is a local optimum
fit_power_law(tuned, x="N")
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ieee_lib.laws.estimates import replicate_noise, seed_mean
from ieee_lib.recipes import single
from ieee_lib.recipes.search import (
    NOT_SEARCHED,
    SearchResult,
    better_recorded,
    certificates_frame,
    specs_of,
    tuned_frame,
)
from ieee_lib.study import Study

COLUMNS = [
    "model", "N", "D", "wd", "lr", "epochs", "loss", "se", "sigma", "n", "status", "moves",
    "tokens", "flops", "run_ids",
]  # fmt: skip


def standard(study: Study, seed_tokens: int | None = None) -> pd.DataFrame:
    """Return the standard recipe at one D (the base): weight decay 0.1, lr and epochs tuned.

    Columns as in `regularized`. Source: Sec. 2.1, Fig 2.
    """
    return _tuned(study, "standard", seed_tokens)


def regularized(study: Study, seed_tokens: int | None = None) -> pd.DataFrame:
    """Return the regularized recipe at one D (the base): weight decay, lr and epochs tuned.

    One row a model, smallest N first: N (parameters), D (tokens), tuned settings, loss (nats/token,
    mean over n seeds), se (its standard error), sigma (standard deviation between seeds), status of
    the search, moves, tokens and flops of one run, run_ids of the seeds. The noise of a point is
    that of its own search; points that were not searched have too few runs to tell, and take the
    noise of the base D. Trains what is missing. Source: Sec. 3, Fig 3.
    """
    return _tuned(study, "regularized", seed_tokens)


def certificate(
    study: Study, recipe: str = "regularized", seed_tokens: int | None = None
) -> pd.DataFrame:
    """Return the certificate of every search: centre, neighbours, differences and verdicts.

    A certificate knows one-step neighbours only. The best point further away that another section
    has recorded stands below them (`recorded`), where it is lower or equal within noise.
    """
    results, runs = [], study.runs()
    for result in single.tune(study, recipe, seed_tokens):
        better = better_recorded(study, result, single.AXES[recipe], runs)
        rows = result.certificate.to_dict("records") + ([better] if better else [])
        results.append(dataclasses.replace(result, certificate=pd.DataFrame(rows)))
    return certificates_frame(results)


def _tuned(study: Study, recipe: str, seed_tokens: int | None) -> pd.DataFrame:
    seed_tokens = seed_tokens or study.scale.base_tokens
    question = ("tuned", recipe, seed_tokens)
    return study.cached(question, lambda study: _tune(study, recipe, seed_tokens)).copy()


def _tune(study: Study, recipe: str, seed_tokens: int) -> pd.DataFrame:
    scale = study.scale
    results = single.tune(study, recipe, seed_tokens)
    table = tuned_frame(results)
    table["N"] = [scale.models[name].count().total for name in table.model]
    seeds = scale.seeds_at(seed_tokens)
    specs = [spec for result in results for spec in specs_of(study, result.centre, seeds)]
    runs = study.ensure(specs, label=f"{recipe} recipe")
    shared = _shared_noise(study, recipe, seed_tokens, runs, results)
    rows = []
    for N, result in zip(table.N, results, strict=True):
        seed_runs = runs[runs.N == N]
        done = seed_runs[seed_runs.status == "done"]
        sigma = shared or float(result.se * np.sqrt(len(done)))
        point = seed_mean(seed_runs, sigma=sigma if sigma > 0 else scale.assumed_noise)
        rows.append(
            {
                "loss": point.value,
                "se": point.se,
                "sigma": sigma if sigma > 0 else scale.assumed_noise,
                "n": len(done),
                "tokens": seed_runs.tokens.iloc[0],
                "flops": seed_runs.flops.iloc[0],
                "run_ids": tuple(done.run_id),
            }
        )
    return table.assign(**pd.DataFrame(rows, index=table.index))[COLUMNS]


def _shared_noise(
    study: Study,
    recipe: str,
    seed_tokens: int,
    runs: pd.DataFrame,
    results: Sequence[SearchResult],
) -> float:
    """Return the noise that all points of one D share; 0 where each has that of its own search."""
    if all(result.status != NOT_SEARCHED for result in results):
        return 0.0
    if seed_tokens == study.scale.base_tokens:
        return replicate_noise(runs, study.scale.assumed_noise)
    base = _tuned(study, recipe, None)
    variances = study.scale.seeds * base.se**2
    return float(np.sqrt(np.nanmean(variances)))
