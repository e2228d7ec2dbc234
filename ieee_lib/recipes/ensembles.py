"""Ensembles: which members, at which settings, and the scores of their subsets (Sec. 4 and 5).

Members are runs that differ by seed. The single-model optimum is not the ensemble optimum: for
many members the paper doubles the epochs and halves the decay (the heuristic). Where that is not a
model's optimum, a scale gives searched settings (`[ensembles] settings`).

    tuned = regularized(study)
    scores = tuned_ensembles(study, tuned)       # one row a scored member subset
    fit_ensembles(scores)["0.14M"].limit
"""

import dataclasses
from collections.abc import Iterable, Sequence

import pandas as pd

from ieee_lib.config import EnsembleSpec
from ieee_lib.config.scale import Scale
from ieee_lib.config.scale_tables import EPOCHS_GRID, GRIDS, Settings
from ieee_lib.laws.estimates import replicate_noise
from ieee_lib.recipes.search import neighbours
from ieee_lib.recipes.single import sweep_points
from ieee_lib.study import Study

VARIED = {"init and order": (1, 1), "init only": (1, 0), "order only": (0, 1)}
"""What differs between members (Fig 16): how far each seed moves from one to the next."""

LOWEST_WD = 0.1
"""The heuristic never goes below it (paper's table: 150M at 1.6B tokens stays at 0.1)."""


def tuned_ensembles(study: Study, tuned: pd.DataFrame, label: str = "ensembles") -> pd.DataFrame:
    """Return the scores of one ensemble a tuned model, members tuned for K → ∞.

    One row a member subset: ensemble, model, N, D, settings, K, k (members of the subset), members
    (run ids), loss (nats/token, logits averaged), loss_probabilities, noise (standard deviation
    between members, pooled over the ensembles of this frame) with noise_dof, flops of training the
    subset. Trains and scores what is missing. Source: Sec. 4.2.
    """
    return score(study, member_ensembles(study, centres_of(tuned)), label=label)


def single_optimum_ensembles(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of one ensemble a tuned model, members at the single-model optimum.

    Columns as in `tuned_ensembles`. Source: Sec. 4.1, Fig 4.
    """
    return score(study, single_optimum_specs(study, centres_of(tuned)))


def heuristic_neighbours(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of ensembles one step from the heuristic in epochs or decay, one model.

    Columns as in `tuned_ensembles`. Source: the paper's search box (v1 Fig 5, left).
    """
    centre = centre_of(centres_of(tuned), study.scale.ensembles.model)
    return score(study, neighbour_specs(study, heuristic(centre)))


def ensemble_grid(study: Study) -> pd.DataFrame:
    """Return the scores of an ensemble for every cell of epochs x decay, one model.

    Columns as in `tuned_ensembles`. Source: v1 Fig 5, right.
    """
    return score(study, grid_specs(study))


def recorded_ensembles(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of all ensembles of this section at one D that are recorded already.

    Those of the functions above; nothing is trained or scored. Columns as in `tuned_ensembles`.
    """
    centres = centres_of(tuned)
    centre = centre_of(centres, study.scale.ensembles.model)
    specs = [
        *member_ensembles(study, centres),
        *single_optimum_specs(study, centres),
        *neighbour_specs(study, heuristic(centre)),
        *grid_specs(study),
    ]
    return score(study, [spec for spec in specs if study.store.get(spec.run_id)])


def seed_ablation(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of ensembles whose members differ by init, by order, or by both.

    Columns as in `tuned_ensembles`, and `seeds`: what differs. Source: Fig 16.
    """
    centre = centre_of(centres_of(tuned), study.scale.ensembles.model)
    specs = seed_ablation_specs(study, centre)
    names = {spec.run_id: name for name, spec in specs.items()}
    scores = score(study, list(specs.values()))
    return scores.assign(seeds=scores.ensemble.map(names))


def score(study: Study, specs: Sequence[EnsembleSpec], *, label: str = "ensembles") -> pd.DataFrame:
    """Return the scores of ensembles, in the order given."""
    scores = study.score(specs, label=label)
    order = {spec.run_id: i for i, spec in enumerate(specs)}
    scores = scores.sort_values("ensemble", key=lambda ids: ids.map(order), kind="stable")
    members = {member.run_id: member for spec in specs for member in spec.members}
    flops = {run_id: member.flops for run_id, member in members.items()}
    noise = replicate_noise(study.ensure(members.values()), study.scale.assumed_noise)
    return scores.assign(
        noise=noise.sigma,
        noise_dof=noise.dof,
        flops=[sum(flops[run_id] for run_id in subset) for subset in scores.members],
    ).reset_index(drop=True)


def centres_of(tuned: pd.DataFrame) -> list[Settings]:
    """Return the tuned settings of a frame, one a model."""
    names = {"model": "model", "D": "seed_tokens", "wd": "wd", "lr": "lr", "epochs": "epochs"}
    rows = tuned[list(names)].rename(columns=names).to_dict("records")
    return [Settings(**{str(name): value for name, value in row.items()}) for row in rows]


def centre_of(centres: Iterable[Settings], model: str) -> Settings:
    """Return the tuned settings of one model."""
    return next(centre for centre in centres if centre.model == model)


def heuristic(single: Settings) -> Settings:
    """Return the heuristic's member settings: twice the epochs, half the decay (Sec. 4.2)."""
    return dataclasses.replace(
        single,
        epochs=min(2 * single.epochs, EPOCHS_GRID[-1]),
        wd=max(single.wd / 2, min(single.wd, LOWEST_WD)),
    )


def member_settings(scale: Scale, single: Settings) -> Settings:
    """Return the member settings for K → ∞ of a tuned model: searched ones, else the heuristic's.

    The model that figures show has the heuristic's at the base D, always.
    """
    searched = {(row.model, row.seed_tokens): row for row in scale.ensembles.settings}
    return searched.get((single.model, single.seed_tokens), heuristic(single))


def searched_members(scale: Scale) -> list[str]:
    """Return the models whose members at the base D have searched settings, not the heuristic's."""
    rows = scale.ensembles.settings
    return [row.model for row in rows if row.seed_tokens == scale.base_tokens]


def members_note(scale: Scale) -> str:
    """Return what a caption says of the members' settings at the base D."""
    searched, note = searched_members(scale), "members at the heuristic's settings"
    return f"{note}; at searched ones: {', '.join(searched)}" if searched else note


def ensemble(
    study: Study, settings: Settings, n_member: int, *, vary: str = "init and order"
) -> EnsembleSpec:
    """Return an ensemble of runs with seeds 0, 1, …"""
    init, order = VARIED[vary]
    fields = dataclasses.asdict(settings)
    return EnsembleSpec(
        tuple(
            study.spec(**fields, init_seed=init * seed, data_seed=order * seed)
            for seed in range(n_member)
        )
    )


def member_centres(study: Study, centres: Iterable[Settings]) -> list[Settings]:
    """Return the tuned models that ensembles are made of."""
    return [centre for centre in centres if centre.model in study.scale.members()]


def member_ensembles(study: Study, centres: Iterable[Settings]) -> list[EnsembleSpec]:
    """Return one ensemble a tuned model, at its members' settings."""
    return [
        ensemble(
            study,
            member_settings(study.scale, centre),
            study.scale.members_at(centre.seed_tokens),
        )
        for centre in member_centres(study, centres)
    ]


def single_optimum_specs(study: Study, centres: Iterable[Settings]) -> list[EnsembleSpec]:
    """Return one ensemble a tuned model, at the single-model optimum.

    The model that figures show has all members, the others the seeds they have anyway.
    """
    table, seeds = study.scale.ensembles, max(2, study.scale.seeds)
    return [
        ensemble(study, centre, table.members if centre.model == table.model else seeds)
        for centre in member_centres(study, centres)
    ]


def neighbour_specs(study: Study, settings: Settings) -> list[EnsembleSpec]:
    """Return ensembles one step from the settings in epochs or decay (the paper's search box).

    They have as many members as the ensemble that they are compared with.
    """
    points = neighbours(settings, ("wd", "epochs"), {**GRIDS, "epochs": EPOCHS_GRID})
    n_member = study.scale.members_at(settings.seed_tokens)
    return [ensemble(study, point, n_member) for _, point in points]


def grid_specs(study: Study) -> list[EnsembleSpec]:
    """Return an ensemble for every cell of the heat map, epochs x decay (v1 Fig 5, right)."""
    cells = sweep_points(study, study.scale.heatmap)
    return [ensemble(study, cell, grid_members(study)) for cell in cells]


def grid_members(study: Study) -> int:
    """Return the members of a cell of the heat map.

    As many as the seeds that notebook 02 has of most of them anyway.
    """
    return max(2, study.scale.search.seeds)


def seed_ablation_specs(study: Study, settings: Settings) -> dict[str, EnsembleSpec]:
    """Return ensembles whose members differ by init, by order, or by both (Fig 16).

    At least as many members as a point has seeds: those that differ by both are trained anyway.
    """
    n_member = max(study.scale.seeds, study.scale.ensembles.ladder_members)
    return {vary: ensemble(study, settings, n_member, vary=vary) for vary in VARIED}
