"""Beyond the paper: options that others found to help, on the members tuned for many.

asked = variants(study, heuristic(centre))       # name -> ensemble
chain = snapshots(study, heuristic(centre))      # one run, its weights after every cycle
"""

import dataclasses

from ieee_lib.config import EnsembleSpec
from ieee_lib.config.scale_tables import Settings
from ieee_lib.recipes.ensembles import ensemble
from ieee_lib.study import Study


def variants(study: Study, settings: Settings) -> dict[str, EnsembleSpec]:
    """Return the members as they are ("tuned for many"), and one ensemble a recipe of the scale."""
    wanted = study.scale.beyond
    base = ensemble(study, settings, wanted.members)
    changed = {
        name: EnsembleSpec(tuple(member.replace(**changes) for member in base.members))
        for name, changes in wanted.recipes.items()
    }
    return {"tuned for many": base, **changed}


def snapshots(study: Study, settings: Settings) -> EnsembleSpec:
    """Return one long run as members: each continues from the last, with a warm restart of the
    learning rate (snapshot ensembles, Huang et al. 2017). As much training as the others' members.
    """
    first = study.spec(**dataclasses.asdict(settings))
    chain = [first]
    for cycle in range(1, study.scale.beyond.members):
        chain.append(first.replace(start=chain[-1].run_id, init_seed=0, data_seed=cycle))
    return EnsembleSpec(tuple(chain))
