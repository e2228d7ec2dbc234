"""05: what each recipe's limit is worth in data (Sec. 5, Fig 1, 7, 8)."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ieee_lib.claims import verdicts as verdicts
from ieee_lib.claims.verdicts import Claim, claims_table
from ieee_lib.config import RunSpec
from ieee_lib.config.scale import UNITS
from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate, Limit, limit_of
from ieee_lib.laws.power_law import LEAST, data_efficiency
from ieee_lib.plots import explorers, tables
from ieee_lib.plots import scaling_figures as figures
from ieee_lib.plots.explore import Explorer, Knob
from ieee_lib.plots.saving import Drawing, Table
from ieee_lib.recipes import ensembles as recipe
from ieee_lib.recipes import single
from ieee_lib.sections.joint import Joint, joint_limit
from ieee_lib.sections.tuned import Tuned, tuned
from ieee_lib.study import Study

SHIFTS = (-0.02, -0.01, 0.01, 0.02)
"""What an error of the joint limit does to its multiplier (the paper's seeds: up to 0.02)."""


@dataclass(frozen=True)
class Found:
    study: Study
    standard: dict[int, Tuned]
    """D -> standard recipe; one D more than the others where the scale has it."""
    joints: dict[int, Joint]
    """D -> regularized recipe and ensembles."""

    @property
    def unit(self) -> float:
        return UNITS[self.study.scale.unit]

    @property
    def base(self) -> int:
        return self.study.scale.base_tokens

    def caption(self, n_point: int, *notes: str) -> str:
        scale = self.study.scale
        members = f"{scale.ensembles.members} members at the base D"
        members += f", {scale.ensembles.ladder_members} elsewhere"
        return self.study.caption(n_point, members, *notes, ladder=tuple(self.standard))

    def small(self, seed_tokens: int) -> EnsembleLaw:
        """Return the ensembles of the scale's one small model."""
        name = self.study.scale.ensembles.model
        return next(w for w in self.joints[seed_tokens].laws if w.about["model"] == name)

    @cached_property
    def losses(self) -> dict[str, dict[int, Estimate]]:
        """Return recipe -> D -> the loss it is judged by."""
        joints = self.joints
        return {
            "standard": {d: found.best for d, found in self.standard.items()},
            "regularized": {d: j.regularized.limit for d, j in joints.items()},
            "ensemble": {d: self.small(d).limit for d in joints},
            "joint": {d: j.limit for d, j in joints.items()},
        }

    @cached_property
    def known(self) -> dict[str, dict[int, Estimate]]:
        """Return `losses` without limits that do not exist."""
        return {
            recipe: {d: loss for d, loss in points.items() if loss.exists}
            for recipe, points in self.losses.items()
        }

    @property
    def unknown(self) -> list[str]:
        """Return what a caption says of the others."""
        return [
            f"{recipe}: no limit at D = {', '.join(f'{d:,}' for d in missing)}"
            for recipe, points in self.losses.items()
            if (missing := [d for d in points if d not in self.known[recipe]])
        ]

    @cached_property
    def laws(self) -> dict[str, Limit]:
        """Return each recipe's law in D; of a recipe with too few losses, none."""
        name = f"D[{self.study.scale.unit}]"
        return {
            recipe: limit_of([d / self.unit for d in points], list(points.values()), unit=name)
            for recipe, points in self.known.items()
            if len(points) >= LEAST
        }

    def efficiency(self, loss: Estimate, seed_tokens: int) -> Estimate:
        """Return what a loss reached with D tokens is worth in data."""
        return data_efficiency(self.laws["standard"], loss, self.standard[seed_tokens].best)


def specs(study: Study) -> list[RunSpec]:
    return [spec for d in study.scale.seed_tokens for spec in specs_at(study, d)]


def specs_at(study: Study, seed_tokens: int) -> list[RunSpec]:
    """Return the runs of one D: both single recipes, and the members of every model."""
    found = single.search_specs(study, "standard", seed_tokens)
    found += single.search_specs(study, "regularized", seed_tokens)
    asked = recipe.for_limit(study, single.known_centres(study, "regularized", seed_tokens))
    return found + [member for e in asked for member in e.members]


def gather(study: Study) -> Found:
    scale = study.scale
    if not scale.search.ladder:  # nothing to wait for: all at once keeps every worker busy
        others = [d for d in scale.seed_tokens if d != scale.base_tokens]
        known = [spec for d in others for spec in specs_at(study, d)]
        study.ensure(known, weights=True, label="all D but the base")
    joints = {d: joint_limit(study, d) for d in study.scale.ladder()}
    standard = {d: tuned(study, "standard", d) for d in study.scale.ladder("standard")}
    return Found(study, standard, joints)


def laws_in_size(found: Found) -> Drawing:
    single = {d: (j.regularized.points, j.regularized.limit) for d, j in found.joints.items()}
    many = {d: ({w.about["N"]: w.limit for w in j.laws}, j.limit) for d, j in found.joints.items()}
    n_point = sum(len(points) for points, _ in (*single.values(), *many.values()))
    caption = found.caption(n_point, "bars: 95 %")
    return figures.laws_at_every_data(single, many, unit=found.unit, caption=caption)


def laws_in_data(found: Found) -> Drawing:
    recipes = {name: (points, found.laws.get(name)) for name, points in found.known.items()}
    n_point = sum(len(points) for points in found.known.values())
    caption = found.caption(n_point, "bars and [ ]: 95 %", *found.unknown)
    return figures.limits_against_data(recipes, unit=found.unit, caption=caption)


def efficiency_frame(found: Found) -> pd.DataFrame:
    """Return data efficiency by recipe and D where it has a limit, an Estimate a row."""
    rows = []
    for name, points in found.known.items():
        for d, loss in points.items() if name != "standard" else ():
            rows.append({"recipe": name, "D": d, "loss": loss})
    frame = pd.DataFrame(rows, columns=["recipe", "D", "loss"])
    frame["efficiency"] = [found.efficiency(r.loss, r.D) for r in frame.itertuples()]
    return frame


def efficiency(found: Found) -> Drawing:
    caption = found.caption(len(found.joints), "bars: 95 %", *found.unknown)
    return figures.efficiency_against_data(efficiency_frame(found), caption=caption)


def efficiency_table(found: Found) -> Table:
    """Return every multiplier, measured losses beside limits (Sec. 5)."""
    rows = []
    for d, j in found.joints.items():
        for name, loss in (
            ("best single model, measured", j.regularized.best),
            ("regularized limit", j.regularized.limit),
            (f"{found.study.scale.ensembles.model} ensemble limit", found.small(d).limit),
            ("best ensemble, measured", j.best.best),
            ("joint limit", j.limit),
        ):
            if not loss.exists:
                continue
            gain = found.efficiency(loss, d)
            numbers = {"loss": loss.value, "loss low": loss.low, "loss high": loss.high}
            numbers |= {"efficiency": gain.value, "low": gain.low, "high": gain.high}
            rows.append({"D": d, "recipe": name, **numbers})
    digits = dict.fromkeys(("loss", "loss low", "loss high"), 3)
    digits |= dict.fromkeys(("efficiency", "low", "high"), 2)
    caption = found.caption(len(found.joints), *found.unknown)
    return Table(pd.DataFrame(rows), caption, digits)


def laws_table(found: Found) -> Table:
    laws = {f"{name}, D → ∞": limit.law for name, limit in found.laws.items()}
    caption = found.caption(len(found.joints), *found.unknown)
    return tables.law_table(laws, caption=caption)


def sensitivity(found: Found) -> Table:
    """Return the joint multiplier at the base D when its limit is off by a little."""
    limit = found.joints[found.base].limit
    rows = {"as fitted": found.efficiency(limit, found.base)}
    for shift in SHIFTS:
        rows[f"limit {shift:+.2f}"] = found.efficiency(limit - (-shift), found.base)
    return tables.estimate_table(rows, name="joint limit", caption=found.caption(len(rows)))


def overview(found: Found) -> Drawing:
    j = found.joints[found.base]
    small = found.small(found.base)
    marked = {
        "standard": found.standard[found.base].best,
        "regularized": j.regularized.limit,
        "ensemble": small.limit,
        "joint": j.limit,
    }
    gains = {name: (loss, found.efficiency(loss, found.base)) for name, loss in marked.items()}
    return figures.overview(
        found.standard[found.base].table,
        j.regularized.table,
        j.regularized.limit,
        small,
        j.limit,
        gains,
        unit=found.unit,
        caption=found.study.caption(
            len(j.regularized.points), f"{small.K} members", "bands and bars: 95 %"
        ),
    )


def claims(found: Found) -> list[Claim]:
    base, laws, losses = found.base, found.laws, found.losses
    gain = {
        r: found.efficiency(losses[r][base], base) for r in ("regularized", "ensemble", "joint")
    }
    ladder = [
        tuple(losses[r][d] for r in ("joint", "regularized", "standard")) for d in found.joints
    ]
    unresolved = [d for d, j in found.joints.items() if not j.limit.reached]
    constant = [found.efficiency(losses["joint"][d], d) for d in found.joints]
    return [
        *(verdicts.saves_data(f"{name}_saves_data", value) for name, value in gain.items()),
        verdicts.recipes_are_ordered(ladder),
        verdicts.efficiency_is_constant(constant, unresolved),
        verdicts.exponents_agree(laws.get("regularized"), laws["standard"]),
    ]


def worth_in_data(found: Found, D: int, recipe: str) -> Drawing:
    loss = found.losses[recipe][D]
    return explorers.worth_in_data(
        found.losses["standard"],
        found.laws["standard"],
        (D, recipe, loss, found.efficiency(loss, D)),
        unit=found.unit,
        caption=found.caption(len(found.losses["standard"]), "bars and [ ]: 95 %"),
    )


def _worths(found: Found) -> dict[str, Knob]:
    recipes = tuple(name for name in found.losses if name != "standard")
    return {"D": Knob(tuple(found.joints), found.base), "recipe": Knob(recipes, recipes[0])}


EXPLORERS = {"worth_in_data": Explorer(worth_in_data, _worths)}

ITEMS = {
    "fig01_overview": overview,
    "fig07a_laws_in_size_at_every_data": laws_in_size,
    "fig07b_limits_against_data": laws_in_data,
    "fig08_data_efficiency": efficiency,
    "tab08_laws_in_data": laws_table,
    "tab08_data_efficiency": efficiency_table,
    "tab08_sensitivity": sensitivity,
    "tab08_claims": lambda found: claims_table(
        claims(found), caption=found.caption(len(found.joints))
    ),
}
