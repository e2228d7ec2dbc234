"""Tuned single models at one D: the standard and the regularized recipe (Sec. 2 and 3).

tuned = regularized(study)               # searches what is missing; one row a model
certificate(study, "regularized")        # why each point is a local optimum
fit_power_law(tuned, x="N")
"""

import dataclasses

import pandas as pd

from ieee_lib.laws.estimates import SETTINGS, seed_mean
from ieee_lib.laws.noise import seed_noise
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


def standard(study: Study, seed_tokens: int | None = None) -> pd.DataFrame:
    """Return the standard recipe at one D (the base): weight decay 0.1, lr and epochs tuned.

    Columns as in `regularized`. Source: Sec. 2.1, Fig 2.
    """
    return _tuned(study, "standard", seed_tokens)


def regularized(study: Study, seed_tokens: int | None = None) -> pd.DataFrame:
    """Return the regularized recipe at one D (the base): weight decay, lr and epochs tuned.

    One row a model, smallest N first: N (parameters), D (tokens), tuned settings, loss (nats/token,
    mean over n seeds), se (its standard error), sigma (standard deviation between seeds, see
    `seed_noises`) with its dof, status of the search, moves, tokens and flops of one run, run_ids
    of the seeds. Trains what is missing. At a D for which the scale gives no start, a search begins
    at `suggest_settings`. Source: Sec. 3, Fig 3.
    """
    return _tuned(study, "regularized", seed_tokens)


def certificate(study: Study, recipe: str = "regularized") -> pd.DataFrame:
    """Return the certificates of the base D's searches: centre, neighbours, differences, verdicts.

    A certificate knows one-step neighbours only. The best point further away that another section
    has recorded stands below them (`recorded`), where it is lower or equal within noise.
    """
    results, runs = [], study.runs()
    for result in _searches(study, recipe, study.scale.base_tokens):
        better = better_recorded(study, result, single.AXES[recipe], runs)
        rows = result.certificate.to_dict("records") + ([better] if better else [])
        results.append(dataclasses.replace(result, certificate=pd.DataFrame(rows)))
    return certificates_frame(results)


def _tuned(study: Study, recipe: str, seed_tokens: int | None) -> pd.DataFrame:
    table, runs = _trained(study, recipe, seed_tokens or study.scale.base_tokens)
    noises = seed_noises(study, recipe, runs)
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


def _trained(study: Study, recipe: str, seed_tokens: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a recipe's tuned settings at one D, and the runs of all their seeds."""

    def answer(study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
        results = _searches(study, recipe, seed_tokens)
        table = tuned_frame(results)
        table["N"] = [study.scale.models[name].count().total for name in table.model]
        n_seed = study.scale.seeds_at(seed_tokens)
        specs = [spec for result in results for spec in specs_of(study, result.centre, n_seed)]
        return table, study.ensure(specs, label=f"{recipe} recipe")

    return study.cached(("tuned", recipe, seed_tokens), answer)


def _searches(study: Study, recipe: str, D: int) -> list[SearchResult]:
    """Return a recipe's searches at one D; they are suggested a start where the scale has none."""
    if recipe != "regularized" or study.scale.settings(recipe, D):
        return single.tune(study, recipe, D)
    starts = suggested_starts(study, D)
    label = f"{recipe} recipe from suggested settings, D = {D:,}"
    return search(study, starts, axes=single.AXES[recipe], label=label)


def seed_noises(study: Study, recipe: str, runs: pd.DataFrame) -> dict[int, Noise]:
    """Return N -> the noise between seeds at the D of these runs; see `laws.noise`.

    It rests on the seeds at this D and at the base D, whatever else is recorded.
    """
    D, base = runs.D.iloc[0], study.scale.base_tokens
    frames = [runs] if base == D else [runs, _trained(study, recipe, base)[1]]
    cells = pd.DataFrame(
        [
            {"D": tokens, "N": N, "variance": noise.sigma**2, "dof": noise.dof}
            for (tokens, N), group in pd.concat(frames).groupby(["D", "N"])
            for noise in [pooled_noise(group, SETTINGS)]
        ]
    )
    table = seed_noise(cells, assumed=study.scale.assumed_noise)
    here = table[table.D == D].set_index("N")
    return {int(N): Noise(here["sigma"][N], here["sigma dof"][N]) for N in here.index}
