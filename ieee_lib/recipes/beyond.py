"""Beyond the paper: recipes that others found to help, on the members of one ensemble.

    tuned = regularized(study)
    scores = beyond_ensembles(study, tuned)          # one row a recipe, decay and member subset
    by_setting = fit_ensembles(scores, by="setting")
    compare_tuned(scores, by_setting, BASE)          # each at the decay that suits it best

Each recipe changes one thing in the members at the heuristic's settings, and is trained at several
weight decays, the base too: what regularizes may only stand in for decay.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import pandas as pd

from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.scale_tables import Settings
from ieee_lib.recipes.ensembles import centre_of, centres_of, ensemble, heuristic, score
from ieee_lib.recipes.single import current_centres
from ieee_lib.study import Study

BASE = "heuristic"
"""The recipe that the others are compared with: the paper's members and average of logits."""
PROBABILITIES = "probabilities averaged"

TEACHING = ("teacher_weight", "temperature")
"""Fields that a run without a teacher cannot have: the first of a chain."""


def beyond_ensembles(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of one ensemble a recipe and weight decay; the base first.

    Columns as in `tuned_ensembles`, and `recipe`: the base, its members with probabilities
    averaged instead of logits (its `loss` is then loss_probabilities), every recipe and every chain
    of the scale; `setting`: the recipe and its decay; `exchangeable`: whether the members are
    replicates, which those of a chain are not; `noise_of`: the runs whose noise members have, those
    without an average where an average of the same steps was kept. Trains and scores what is
    missing; a study that never trains gives what is recorded.

    Raises MissingRuns where a study that never trains has no ensemble of the base.
    """
    settings = heuristic(centre_of(centres_of(tuned), study.scale.ensembles.model))
    ensembles, chains = variants(study, settings), chained(study, settings)
    groups = {**ensembles, **chains}
    recipes = {spec.run_id: name for name, specs in groups.items() for spec in specs}
    specs = [spec for group in groups.values() for spec in group]
    links = [spec for group in chains.values() for spec in group]
    if study.source == "train":
        members = [run for group in ensembles.values() for spec in group for run in spec.members]
        study.ensure(members, weights=True, label="recipes")
        for place in range(study.scale.beyond.links):  # each from the one before
            runs = [spec.members[place] for spec in links]
            study.ensure(runs, weights=True, label="chains")
    else:
        recorded = [spec for spec in specs if study.store.get(spec.run_id)]
        has_base = any(spec in recorded for spec in ensembles[BASE])
        specs = recorded if has_base else ensembles[BASE]  # whose scores are then missing
    scores = score(study, specs, label="recipes")
    scores["recipe"] = scores.ensemble.map(recipes)
    base = scores[scores.recipe == BASE]
    averaged = base.assign(recipe=PROBABILITIES, loss=base.loss_probabilities)
    others = scores[scores.recipe != BASE]
    table = pd.concat([base, averaged, others], ignore_index=True)
    table["setting"] = [f"{row.recipe}, wd {row.wd:g}" for row in table.itertuples()]
    plain = {run.run_id: run.replace(ema=0.0, mean_of_last=0).run_id
             for spec in specs for run in spec.members}  # fmt: skip
    table["noise_of"] = [tuple(plain[run_id] for run_id in subset) for subset in table.members]
    return table.assign(exchangeable=~table.recipe.isin(list(chains)))


def beyond_specs(study: Study) -> list[RunSpec]:
    """Return the runs of every recipe, from a recorded search or the scale's settings."""
    centre = centre_of(current_centres(study, "regularized"), study.scale.ensembles.model)
    settings = heuristic(centre)
    groups = [*variants(study, settings).values(), *chained(study, settings).values()]
    return [member for specs in groups for spec in specs for member in spec.members]


def variants(study: Study, settings: Settings) -> dict[str, list[EnsembleSpec]]:
    """Return the base and the recipes of the scale (`[beyond.recipes]`), one ensemble a decay."""
    table = study.scale.beyond
    members = ensemble(study, settings, table.members).members
    changes = {BASE: {}, **table.recipes}
    return {
        name: _at_decays(study, [run.replace(**fields) for run in members])
        for name, fields in changes.items()
    }


def chained(study: Study, settings: Settings) -> dict[str, list[EnsembleSpec]]:
    """Return the chains of the scale (`[beyond.chains]`), one ensemble a decay.

    Each member comes from the one before: it continues from its weights with a warm restart of the
    learning rate (`previous = "start"`: snapshots of one run, Huang et al. 2017), or learns its
    predictions (`"teacher"`: chain distillation, as in born-again networks, Furlanello et al.
    2018). All members together are trained for as many epochs as those of another recipe.
    """
    table = study.scale.beyond
    epochs = max(1, settings.epochs * table.members // table.links)
    first = study.spec(**{**dataclasses.asdict(settings), "epochs": epochs})
    chains = {}
    for name, fields in table.chains.items():
        chains[name] = [
            EnsembleSpec(_chain(spec.members[0], table.links, **fields))
            for spec in _at_decays(study, [first])
        ]
    return chains


def _chain(first: RunSpec, n: int, *, previous: str, **fields: Any) -> tuple[RunSpec, ...]:
    """Return n runs, each with the one before in the field `previous`, and seeds of its own."""
    chain = [first.replace(**{k: v for k, v in fields.items() if k not in TEACHING})]
    for number in range(1, n):
        init_seed = 0 if previous == "start" else number  # weights that continue are not drawn
        linked = {previous: chain[-1].run_id, "init_seed": init_seed, "data_seed": number}
        chain.append(first.replace(**linked, **fields))
    return tuple(chain)


def _at_decays(study: Study, members: Iterable[RunSpec]) -> list[EnsembleSpec]:
    """Return the members at every weight decay of the scale's table, one ensemble each."""
    members = list(members)
    return [
        EnsembleSpec(tuple(run.replace(wd=decay * run.wd) for run in members))
        for decay in study.scale.beyond.decays
    ]
