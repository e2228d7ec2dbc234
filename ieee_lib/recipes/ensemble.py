"""Ensembles: which members, at which settings, and their scores (Sec. 4 and 5).

Members are runs that differ by seed. Settings that are best for one model are not best for
infinitely many: the paper doubles the epochs and halves the decay.

    centres = [result.centre for result in tune(study, "regularized")]
    scores = study.score([ensemble(study, heuristic(c), 5) for c in centres])
    laws = ensemble_laws(scores, noise=0.02)
"""

import dataclasses
from collections.abc import Sequence

from ieee_lib.config import EnsembleSpec
from ieee_lib.config.scale_tables import EPOCHS_GRID, Settings
from ieee_lib.recipes.search import GRIDS, neighbours
from ieee_lib.recipes.single import sweep_points
from ieee_lib.study import Study

VARIED = {"init and order": (1, 1), "init only": (1, 0), "order only": (0, 1)}
"""What differs between members (Fig 16): how far each seed moves from one to the next."""

LOWEST_WD = 0.1
"""The heuristic never goes below it (paper's table: 150M at 1.6B tokens stays at 0.1)."""


def heuristic(single: Settings) -> Settings:
    """Return the member settings for K → ∞: twice the epochs, half the decay (Sec. 4.2)."""
    return dataclasses.replace(
        single,
        epochs=min(2 * single.epochs, EPOCHS_GRID[-1]),
        wd=max(single.wd / 2, min(single.wd, LOWEST_WD)),
    )


def ensemble(
    study: Study, settings: Settings, n_member: int, *, vary: str = "init and order"
) -> EnsembleSpec:
    """Return an ensemble of runs with seeds 0, 1, …"""
    init, order = VARIED[vary]
    fields = dataclasses.asdict(settings)
    seeds = [{"init_seed": init * s, "data_seed": order * s} for s in range(n_member)]
    return EnsembleSpec(tuple(study.spec(**fields, **seed) for seed in seeds))


def size_at(study: Study, seed_tokens: int) -> int:
    """Return how many members the scale wants at one D."""
    wanted = study.scale.ensembles
    at_base = seed_tokens == study.scale.base_tokens
    return wanted.members if at_base else wanted.ladder_members


def for_limit(study: Study, centres: Sequence[Settings]) -> list[EnsembleSpec]:
    """Return one ensemble a tuned model, at the heuristic's settings."""
    centres = with_members(study, centres)
    return [ensemble(study, heuristic(c), size_at(study, c.seed_tokens)) for c in centres]


def with_members(study: Study, centres: Sequence[Settings]) -> list[Settings]:
    """Return the tuned models that ensembles are made of."""
    return [centre for centre in centres if centre.model in study.scale.members()]


def single_optimal(study: Study, centres: Sequence[Settings]) -> list[EnsembleSpec]:
    """Return one ensemble a tuned model, at the settings that are best for one member.

    The model that figures show has all members, the others the seeds they have anyway.
    """
    wanted, seeds = study.scale.ensembles, max(2, study.scale.seeds)
    return [
        ensemble(study, c, wanted.members if c.model == wanted.model else seeds)
        for c in with_members(study, centres)
    ]


def around(study: Study, settings: Settings) -> list[EnsembleSpec]:
    """Return ensembles one step from the settings in epochs or decay (paper's search box)."""
    found = neighbours(settings, ("wd", "epochs"), {**GRIDS, "epochs": EPOCHS_GRID})
    return [ensemble(study, point, plane_members(study)) for _, point in found]


def plane(study: Study) -> list[EnsembleSpec]:
    """Return an ensemble for every cell of the heat map, epochs x decay (v1 Fig 5, right)."""
    cells = sweep_points(study, study.scale.heatmap)
    return [ensemble(study, cell, plane_members(study)) for cell in cells]


def plane_members(study: Study) -> int:
    """Return the members of a cell of the heat map, and of the heuristic's neighbours.

    As many as the seeds that notebook 02 has of most of them anyway.
    """
    return max(2, study.scale.search.seeds)


def seed_ablation(study: Study, settings: Settings) -> dict[str, EnsembleSpec]:
    """Return ensembles whose members differ by init, by order, or by both (Fig 16).

    At least as many members as a point has seeds: those that differ by both are trained anyway.
    """
    n_member = max(study.scale.seeds, study.scale.ensembles.ladder_members)
    return {vary: ensemble(study, settings, n_member, vary=vary) for vary in VARIED}


def tuned_centre(centres: Sequence[Settings], model: str) -> Settings:
    """Return the tuned settings of one model."""
    return next(centre for centre in centres if centre.model == model)
