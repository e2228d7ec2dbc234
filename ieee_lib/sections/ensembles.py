"""03: K members reach a lower limit than one ever larger model (Sec. 4.1 and 4.2, Fig 4, 5, 16)."""

from dataclasses import dataclass

import pandas as pd

from ieee_lib.claims import verdicts as verdicts
from ieee_lib.claims.verdicts import Claim, claims_table
from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.scale import UNITS
from ieee_lib.config.scale_tables import Settings
from ieee_lib.laws.ensembles import EnsembleLaw, ensemble_laws, laws_frame
from ieee_lib.laws.estimates import replicate_noise
from ieee_lib.plots import ensemble_figures as figures
from ieee_lib.plots import explorers, tables
from ieee_lib.plots.explore import Explorer, Knob
from ieee_lib.plots.saving import Drawing, Table
from ieee_lib.recipes import ensembles as recipe
from ieee_lib.recipes import single
from ieee_lib.sections.tuned import Tuned, tuned
from ieee_lib.study import Study


@dataclass(frozen=True)
class Found:
    study: Study
    regularized: Tuned
    single: dict[str, EnsembleLaw]
    """Model -> members at the settings that are best for one."""
    many: dict[str, EnsembleLaw]
    """Model -> members at the heuristic's settings."""
    around: dict[str, EnsembleLaw]
    """The heuristic's neighbours, by what differs; one model."""
    plane: list[EnsembleLaw]
    """Every cell of epochs x decay; one model."""
    seeds: dict[str, EnsembleLaw]
    """What differs between members -> law; one model."""
    scores: pd.DataFrame
    """Every scored subset of `single` and `many`."""

    @property
    def model(self) -> str:
        return self.study.scale.ensembles.model

    def caption(self, n_point: int, *notes: str, members: int | None = None) -> str:
        members = members or self.study.scale.ensembles.members
        note = "all subsets of a size"
        return self.study.caption(n_point, *notes, note, seeds=members)


def ensembles(study: Study, centres: list[Settings]) -> dict[str, list[EnsembleSpec]]:
    """Return what the section scores, by question, given the tuned single models."""
    centre = recipe.tuned_centre(centres, study.scale.ensembles.model)
    return {
        "single": recipe.single_optimal(study, centres),
        "many": recipe.for_limit(study, centres),
        "around": recipe.around(study, recipe.heuristic(centre)),
        "plane": recipe.plane(study),
        "seeds": list(recipe.seed_ablation(study, centre).values()),
    }


def specs(study: Study) -> list[RunSpec]:
    centres = single.known_centres(study, "regularized")
    found = ensembles(study, centres)
    return [member for group in found.values() for e in group for member in e.members]


def gather(study: Study) -> Found:
    regularized = tuned(study, "regularized")
    asked = ensembles(study, regularized.centres)
    scores = study.score([e for group in asked.values() for e in group], label="ensembles")
    laws = {}
    for question, group in asked.items():
        part = scores[scores.ensemble.isin([e.run_id for e in group])]
        order = pd.Categorical(part.ensemble, [e.run_id for e in group], ordered=True)
        laws[question] = ensemble_laws(part.iloc[order.argsort()], noise=member_noise(study, group))
    compared = scores[
        scores.ensemble.isin([e.run_id for q in ("single", "many") for e in asked[q]])
    ]
    return Found(
        study=study,
        regularized=regularized,
        single={law.about["model"]: law for law in laws["single"]},
        many={law.about["model"]: law for law in laws["many"]},
        around={_setting(law): law for law in laws["around"]},
        plane=laws["plane"],
        seeds=dict(zip(recipe.VARIED, laws["seeds"], strict=True)),
        scores=compared,
    )


def member_noise(study: Study, group: list[EnsembleSpec]) -> float:
    """Return the standard deviation between members of equal settings, pooled over ensembles."""
    runs = study.ensure([member for e in group for member in e.members])
    return replicate_noise(runs, study.scale.assumed_noise)


def against_total(found: Found) -> Drawing:
    one, many = found.single[found.model], found.many[found.model]
    table = found.regularized
    return figures.loss_against_total(
        table.table,
        table.limit,
        {"one": one, "many": many},
        unit=UNITS[found.study.scale.unit],
        caption=found.caption(one.K, f"{found.model} members", "bars and bands: 95 %"),
    )


def race(found: Found) -> Drawing:
    laws = list(found.many.values())
    return figures.race(
        found.regularized.table,
        found.regularized.law,
        laws,
        unit=UNITS[found.study.scale.unit],
        caption=found.caption(sum(law.K for law in laws), "members tuned for many"),
    )


def against_members(found: Found) -> Drawing:
    laws = {
        f"best for one: {_setting(found.single[found.model])}": found.single[found.model],
        f"for many: {_setting(found.many[found.model])}": found.many[found.model],
        **found.around,
    }
    note = f"{found.model} members"
    few = f"{recipe.plane_members(found.study)} for the grey ones"
    caption = found.caption(found.single[found.model].K, note, few, "bars and bands: 95 %")
    return figures.loss_against_members(laws, caption=caption)


def one_and_many(found: Found) -> Drawing:
    members = recipe.plane_members(found.study)
    caption = found.caption(len(found.plane), f"{found.model} members", members=members)
    return figures.one_and_many(found.plane, caption=caption)


def by_seed(found: Found) -> Drawing:
    members = next(iter(found.seeds.values())).K
    caption = found.caption(members, f"{found.model} members, tuned for one", members=members)
    return figures.loss_by_seed(found.seeds, caption=caption)


def laws_table(found: Found) -> Table:
    """Return laws in K, beta = 1 and free, of every model at both settings."""
    groups = (("one", found.single), ("many", found.many))
    frames = [laws_frame(list(laws.values())).assign(tuned=name) for name, laws in groups]
    frame = pd.concat(frames, ignore_index=True).drop(columns="D")
    return tables.ensemble_table(frame, caption=found.caption(len(frame), "fewer where K says so"))


def averages_table(found: Found) -> Table:
    """Return all members' loss by both averages: logits (the paper's) and probabilities."""
    whole = found.scores[found.scores.k == found.scores.K]
    frame = whole[["model", "epochs", "wd", "K", "loss", "loss_probabilities"]].copy()
    frame["difference"] = frame.loss_probabilities - frame.loss
    frame = frame.rename(columns={"loss": "logits", "loss_probabilities": "probabilities"})
    digits = {"logits": 3, "probabilities": 3, "difference": 4}
    caption = found.caption(len(frame), "fewer where K says so")
    return Table(frame.reset_index(drop=True), caption, digits)


def claims(found: Found) -> list[Claim]:
    one, many = found.single[found.model], found.many[found.model]
    most = verdicts.SLACK * many.K * many.about["N"]
    biggest = max(n for n in found.regularized.points if n <= max(most, many.about["N"]))
    return [
        verdicts.ensemble_below_regularized(many, found.regularized.limit),
        verdicts.small_beat_big(many, found.regularized.points[biggest], biggest),
        verdicts.excess_is_one_over_k(list(found.many.values())),
        verdicts.heuristic_helps(one, many),
        verdicts.heuristic_is_optimal(many, list(found.around.values())),
        verdicts.either_seed_suffices(found.seeds),
    ]


def _setting(law: EnsembleLaw) -> str:
    return f"{law.about['epochs']:g} epochs, wd {law.about['wd']:g}"


def limit_from_few(found: Found, model: str, members: int) -> Drawing:
    note = f"{model} members tuned for many"
    caption = found.caption(members, note, "bars and band: 95 %")
    return explorers.limit_from(found.many[model], members, caption=caption)


def _few(found: Found) -> dict[str, Knob]:
    most = min(law.K for law in found.many.values())
    return {
        "model": Knob(tuple(found.many), found.model),
        "members": Knob(tuple(range(2, most + 1)), max(2, most - 2)),
    }


EXPLORERS = {"limit_from_few": Explorer(limit_from_few, _few)}

ITEMS = {
    "fig04a_ensemble_against_total_parameters": against_total,
    "fig04b_all_ensembles_against_total_parameters": race,
    "fig05_loss_against_members": against_members,
    "fig16_loss_by_seed": by_seed,
    "fig17_one_member_and_many": one_and_many,
    "tab04_laws_in_K": laws_table,
    "tab04_averages": averages_table,
    "tab04_claims": lambda found: claims_table(
        claims(found), caption=found.caption(found.many[found.model].K)
    ),
}
