"""Beyond the paper: recipes that others found to help, on the members of one ensemble.

    tuned = regularized(study)
    scores = beyond_ensembles(study, tuned)          # one row a recipe and scored member subset
    fit_ensembles(scores, by="recipe")["dropout 0.1"].limit

Each recipe changes one thing in the members at the heuristic's settings; nothing is tuned again.
"""

import dataclasses

import pandas as pd

from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.scale_tables import Settings
from ieee_lib.laws.ensembles import concat
from ieee_lib.recipes.ensembles import centre_of, centres_of, ensemble, heuristic, score
from ieee_lib.recipes.single import known_centres
from ieee_lib.study import Study

BASE = "heuristic"
"""The recipe that the others are compared with: the paper's members and average of logits."""
PROBABILITIES = "probabilities averaged"
SNAPSHOTS = "snapshots of one run"


def beyond_ensembles(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of one ensemble a recipe; the base first.

    Columns as in `heuristic_ensembles`, and `recipe`: the base, its members with probabilities
    averaged instead of logits (its `loss` is then loss_probabilities), every recipe of the scale,
    and the snapshots of one run. `exchangeable` says whether the members are replicates: snapshots
    are not, each continues from the one before; their noise is the base's. Trains and scores what
    is missing.
    """
    settings = heuristic(centre_of(centres_of(tuned), study.scale.ensembles.model))
    ensembles, chain = variants(study, settings), snapshots(study, settings)
    members = [member for spec in ensembles.values() for member in spec.members]
    study.ensure(members, weights=True, label="recipes")
    for member in chain.members:  # each starts from the one before
        study.ensure([member], weights=True, label=SNAPSHOTS)
    study.score([*ensembles.values(), chain], label="recipes")
    scores = {name: score(study, [spec]) for name, spec in ensembles.items()}
    base = scores.pop(BASE)
    averaged = base.assign(loss=base.loss_probabilities)
    of_one_run = score(study, [chain]).assign(noise=base.noise.iloc[0])
    frames = {BASE: base, PROBABILITIES: averaged, **scores, SNAPSHOTS: of_one_run}
    table = concat(frames, "recipe")
    return table.assign(exchangeable=table.recipe != SNAPSHOTS)


def beyond_specs(study: Study) -> list[RunSpec]:
    """Return the runs of every recipe, from a recorded search or the scale's settings."""
    centre = centre_of(known_centres(study, "regularized"), study.scale.ensembles.model)
    settings = heuristic(centre)
    ensembles = [*variants(study, settings).values(), snapshots(study, settings)]
    return [member for spec in ensembles for member in spec.members]


def variants(study: Study, settings: Settings) -> dict[str, EnsembleSpec]:
    """Return the base, and one ensemble a recipe of the scale (`[beyond.recipes]`), by name."""
    table = study.scale.beyond
    base = ensemble(study, settings, table.members)
    ensembles = {BASE: base}
    for name, changes in table.recipes.items():
        ensembles[name] = EnsembleSpec(tuple(run.replace(**changes) for run in base.members))
    return ensembles


def snapshots(study: Study, settings: Settings) -> EnsembleSpec:
    """Return one long run as members, as much training as the others' members.

    Each continues from the last with a warm restart of the learning rate (snapshot ensembles,
    Huang et al. 2017).
    """
    first = study.spec(**dataclasses.asdict(settings))
    chain = [first]
    for cycle in range(1, study.scale.beyond.members):
        chain.append(first.replace(start=chain[-1].run_id, init_seed=0, data_seed=cycle))
    return EnsembleSpec(tuple(chain))
