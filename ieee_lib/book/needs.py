"""The runs that each notebook needs, as far as known before any search: for plans and schedules.

    needs.ensembles(study)                   # list of RunSpec, in the order in which they train

A search that is recorded counts with the settings it found, any other with its starting points.
Sections whose recipe has such a function of its own (`distillation_specs`, ...) are not here.
"""

from collections.abc import Iterable

from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.scale_tables import Settings
from ieee_lib.recipes import ensembles as recipe
from ieee_lib.recipes import single
from ieee_lib.study import Study


def overfitting(study: Study) -> list[RunSpec]:
    """Return the runs of notebook 01: loss against epochs, the search of the standard recipe."""
    sweep = single.sweep_specs(study, study.scale.overfitting)
    return sweep + single.search_specs(study, "standard")


def regularized(study: Study) -> list[RunSpec]:
    """Return the runs of notebook 02: both searches, the decay sweep, epochs x decay."""
    searches = single.search_specs(study, "standard") + single.search_specs(study, "regularized")
    sweep = single.sweep_specs(study, study.scale.wd_sweep)
    return searches + sweep + single.epochs_and_decay_specs(study)


def ensembles(study: Study) -> list[RunSpec]:
    """Return the members of every ensemble of notebook 03."""
    centres = single.current_centres(study, "regularized")
    return [run for group in ensemble_groups(study, centres).values() for run in members(group)]


def ensemble_groups(study: Study, centres: list[Settings]) -> dict[str, list[EnsembleSpec]]:
    """Return the ensembles of notebook 03 by question, given the tuned single models."""
    centre = recipe.centre_of(centres, study.scale.ensembles.model)
    heuristic = recipe.heuristic(centre)
    return {
        "single-model optimum": recipe.single_optimum_specs(study, centres),
        "tuned for K → ∞": recipe.member_ensembles(study, centres),
        "neighbours of the heuristic": recipe.neighbour_specs(study, heuristic),
        "epochs x weight decay": recipe.grid_specs(study),
        "seeds": list(recipe.seed_ablation_specs(study, centre).values()),
    }


def members(ensembles: Iterable[EnsembleSpec]) -> list[RunSpec]:
    """Return the runs of some ensembles, in order."""
    return [member for ensemble in ensembles for member in ensemble.members]
