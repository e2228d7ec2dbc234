"""04: the limit in K at every N, then the limit in N (Sec. 4.3, Fig 6)."""

from dataclasses import dataclass

import pandas as pd

from ieee_lib.claims import verdicts as verdicts
from ieee_lib.claims.verdicts import Claim, claims_table
from ieee_lib.config import RunSpec
from ieee_lib.config.scale import UNITS
from ieee_lib.laws.ensembles import EnsembleLaw, ensemble_laws
from ieee_lib.laws.estimates import Estimate, Limit
from ieee_lib.laws.joint import K_then_N, N_then_K, surface
from ieee_lib.plots import ensemble_figures as figures
from ieee_lib.plots import tables
from ieee_lib.plots.saving import Drawing, Table
from ieee_lib.recipes import ensembles as recipe
from ieee_lib.recipes import single
from ieee_lib.sections.ensembles import member_noise
from ieee_lib.sections.tuned import Tuned, tuned
from ieee_lib.study import Study


@dataclass(frozen=True)
class Joint:
    """The joint limit at one D."""

    regularized: Tuned
    laws: list[EnsembleLaw]
    """One a model, members at the heuristic's settings."""
    limit: Limit
    """Of the limits in K against N."""

    @property
    def best(self) -> EnsembleLaw:
        """The ensemble with the lowest measured loss."""
        return min(self.laws, key=lambda law: law.best.value)


@dataclass(frozen=True)
class Found:
    study: Study
    joint: Joint
    N_first: Estimate
    surface: Estimate

    @property
    def caption(self) -> str:
        n_point = len(self.joint.laws)
        members = self.study.scale.ensembles.members
        return self.study.caption(n_point, "bars and bands: 95 %", seeds=members)


def joint_limit(study: Study, seed_tokens: int) -> Joint:
    """Tune single models, train and score their ensembles, and fit both limits, at one D."""
    return study.cached(("joint", seed_tokens), lambda study: _joint_limit(study, seed_tokens))


def _joint_limit(study: Study, seed_tokens: int) -> Joint:
    regularized = tuned(study, "regularized", seed_tokens)
    asked = recipe.for_limit(study, regularized.centres)
    scores = study.score(asked, label=f"ensembles, D = {seed_tokens:,}")
    laws = ensemble_laws(scores, noise=member_noise(study, asked))
    laws = sorted(laws, key=lambda law: law.about["N"])
    unit = study.scale.unit
    return Joint(regularized, laws, K_then_N(laws, unit=UNITS[unit], name=f"N[{unit}]"))


def specs(study: Study) -> list[RunSpec]:
    centres = single.known_centres(study, "regularized")
    return [member for e in recipe.for_limit(study, centres) for member in e.members]


def gather(study: Study) -> Found:
    joint = joint_limit(study, study.scale.base_tokens)
    unit = study.scale.unit
    N_first = N_then_K(joint.laws, unit=UNITS[unit], name=f"N[{unit}]")
    return Found(study, joint, N_first, surface(joint.laws, unit=UNITS[unit]))


def limits(found: Found) -> Drawing:
    joint, scale = found.joint, found.study.scale
    return figures.joint(joint.laws, joint.limit, unit=UNITS[scale.unit], caption=found.caption)


def routes(found: Found) -> Table:
    """Return the joint limit by every route, and what needs no extrapolation."""
    joint = found.joint
    best = f"best ensemble: {joint.best.K} x {joint.best.about['model']}, measured"
    rows = {
        "K → ∞ at each N, then N → ∞ (the paper's)": joint.limit,
        "N → ∞ at each K, then K → ∞": found.N_first,
        "one surface in N and K": found.surface,
        "regularized recipe, N → ∞": joint.regularized.limit,
        best: joint.best.best,
        "best single model, measured": joint.regularized.best,
    }
    return tables.estimate_table(rows, name="route", caption=found.caption)


def limits_table(found: Found) -> Table:
    """Return the limit in K of every model."""
    frame = pd.DataFrame(
        [
            {"model": law.about["model"], "N": law.about["N"], "K": law.K}
            | {"best single": found.joint.regularized.points[law.about["N"]].value}
            | {"member": law.at(1).value, "ensemble": law.best.value, "limit": law.limit.value}
            | {"low": law.limit.low, "high": law.limit.high}
            for law in found.joint.laws
        ]
    )
    names = ("best single", "member", "ensemble", "limit", "low", "high")
    return Table(frame, found.caption, dict.fromkeys(names, 3))


def claims(found: Found) -> list[Claim]:
    joint = found.joint
    reference = joint.regularized.limit
    best = joint.best
    detail = f"{best.K} x {best.about['model']}"
    return [
        verdicts.limits_fall_with_size(joint.laws),
        verdicts.difference_below("joint_below_regularized", joint.limit, reference),
        verdicts.difference_below("best_ensemble_below_limit", best.best, reference, detail),
        verdicts.orders_agree(joint.limit, found.N_first),
    ]


ITEMS = {
    "fig06_joint_limit": limits,
    "tab06_limits_in_K": limits_table,
    "tab06_joint_limit": routes,
    "tab06_law": lambda found: tables.law_table(
        {"limits in K, N → ∞": found.joint.limit.law}, caption=found.caption
    ),
    "tab06_claims": lambda found: claims_table(claims(found), caption=found.caption),
}
