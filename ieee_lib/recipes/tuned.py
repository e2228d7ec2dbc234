"""Tuned single models at one D: the standard and the regularized recipe (Sec. 2 and 3).

tuned = regularized(study)               # searches what is missing; one row a model
certificate(study, "regularized")        # why each point is a local optimum
fit_power_law(tuned, x="N")
"""

import dataclasses
import math
from collections.abc import Sequence

import pandas as pd
from scipy.stats import f as f_distribution

from ieee_lib.laws.estimates import SETTINGS, seed_mean
from ieee_lib.recipes import single
from ieee_lib.recipes.optima import suggested_starts
from ieee_lib.recipes.search import (
    SearchResult,
    better_recorded,
    certificates_frame,
    search,
    specs_of,
    tuned_frame,
)
from ieee_lib.runs.frames import Noise, pooled_noise
from ieee_lib.study import Study

COLUMNS = [
    "model", "N", "D", "wd", "lr", "epochs", "loss", "se", "sigma", "dof", "n", "status", "moves",
    "tokens", "flops", "run_ids",
]  # fmt: skip

MIN_DOF = 4
"""Degrees of freedom from which the noise of one D stands for itself."""


def standard(study: Study, seed_tokens: int | None = None) -> pd.DataFrame:
    """Return the standard recipe at one D (the base): weight decay 0.1, lr and epochs tuned.

    Columns as in `regularized`. Source: Sec. 2.1, Fig 2.
    """
    return _tuned(study, "standard", seed_tokens)


def regularized(study: Study, seed_tokens: int | None = None) -> pd.DataFrame:
    """Return the regularized recipe at one D (the base): weight decay, lr and epochs tuned.

    One row a model, smallest N first: N (parameters), D (tokens), tuned settings, loss (nats/token,
    mean over n seeds), se (its standard error), sigma (standard deviation between seeds, see
    `point_noises`) with its dof, status of the search, moves, tokens and flops of one run, run_ids
    of the seeds. Trains what is missing. At a D for which the scale gives no start, a search begins
    at `suggest_settings`. Source: Sec. 3, Fig 3.
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
    for result in _searches(study, recipe, seed_tokens):
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
    results = _searches(study, recipe, seed_tokens)
    table = tuned_frame(results)
    table["N"] = [scale.models[name].count().total for name in table.model]
    runs = _seed_runs(study, recipe, results)
    at_base = runs
    if seed_tokens != scale.base_tokens:
        at_base = _seed_runs(study, recipe, single.tune(study, recipe))
    noises = point_noises(runs, at_base, scale.assumed_noise)
    rows = []
    for N in table.N:
        seed_runs = runs[runs.N == N]
        done = seed_runs[seed_runs.status == "done"]
        point = seed_mean(seed_runs, noises[N])
        rows.append(
            {
                "loss": point.value,
                "se": point.se,
                "sigma": noises[N].sigma,
                "dof": noises[N].dof,
                "n": len(done),
                "tokens": seed_runs.tokens.iloc[0],
                "flops": seed_runs.flops.iloc[0],
                "run_ids": tuple(done.run_id),
            }
        )
    return table.assign(**pd.DataFrame(rows, index=table.index))[COLUMNS]


def _searches(study: Study, recipe: str, seed_tokens: int | None) -> list[SearchResult]:
    """Return a recipe's searches; they are suggested a start where the scale gives none."""
    D = seed_tokens or study.scale.base_tokens
    if recipe != "regularized" or study.scale.settings(recipe, D):
        return single.tune(study, recipe, D)
    starts = suggested_starts(study, D)
    label = f"{recipe} recipe from suggested settings, D = {D:,}"
    return search(study, starts, axes=single.AXES[recipe], label=label)


def _seed_runs(study: Study, recipe: str, results: Sequence[SearchResult]) -> pd.DataFrame:
    """Return the runs of the tuned settings, all seeds of every model."""
    specs = [
        spec
        for result in results
        for spec in specs_of(study, result.centre, study.scale.seeds_at(result.centre.seed_tokens))
    ]
    return study.ensure(specs, label=f"{recipe} recipe")


def point_noises(runs: pd.DataFrame, at_base: pd.DataFrame, assumed: float) -> dict[int, Noise]:
    """Return the noise between seeds of every N: pooled over N, which two or three seeds need.

    A model whose seeds vary beyond the 99 % point of F of all others keeps its own noise, which is
    then not theirs. Where a D has fewer than `MIN_DOF` degrees of freedom, the runs at the base D
    are pooled with it; where nothing is replicated, every model takes the assumed noise.
    """
    usual = _without_outliers(runs)
    noise = pooled_noise(usual, SETTINGS)
    if noise.dof < MIN_DOF and at_base is not runs:
        noise = pooled_noise(pd.concat([usual, _without_outliers(at_base)]), SETTINGS)
    if not noise.sigma > 0:
        noise = Noise(assumed, math.inf)
    outliers = set(runs.N) - set(usual.N)
    return {
        int(N): pooled_noise(runs[runs.N == N], SETTINGS) if N in outliers else noise
        for N in runs.N.unique()
    }


def _without_outliers(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the models whose noise belongs together; see `point_noises`."""
    outliers = []
    for N in runs.N.unique():
        noise, others = (pooled_noise(runs[rows], SETTINGS) for rows in (runs.N == N, runs.N != N))
        if noise.dof and others.sigma > 0:
            ratio = (noise.sigma / others.sigma) ** 2
            if ratio > f_distribution.ppf(0.99, noise.dof, others.dof):
                outliers.append(N)
    return runs[~runs.N.isin(outliers)]
