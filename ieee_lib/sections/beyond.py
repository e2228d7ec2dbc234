"""10: what others found to help: does it lower the ensemble's limit? (Not in the paper.)"""

from dataclasses import dataclass

import pandas as pd

from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.laws.ensembles import EnsembleLaw, ensemble_laws, laws_frame
from ieee_lib.laws.estimates import replicate_noise
from ieee_lib.plots import ensemble_figures as figures
from ieee_lib.plots import tables
from ieee_lib.plots.saving import Drawing, Table
from ieee_lib.recipes import beyond, single
from ieee_lib.recipes import ensembles as recipe
from ieee_lib.study import Study

BASE = "tuned for many"
AVERAGED = "probabilities averaged"
SNAPSHOTS = "snapshots of one run"


@dataclass(frozen=True)
class Found:
    study: Study
    laws: dict[str, EnsembleLaw]
    """Recipe -> its law in K, the paper's first."""

    def caption(self, *notes: str) -> str:
        base = self.laws[BASE]
        note = f"{base.about['model']} members, {base.K} each, all subsets of a size"
        return self.study.caption(len(self.laws), note, *notes, seeds=base.K)


def _asked(study: Study, centres: list) -> tuple[dict[str, EnsembleSpec], EnsembleSpec]:
    settings = recipe.heuristic(recipe.tuned_centre(centres, study.scale.ensembles.model))
    return beyond.variants(study, settings), beyond.snapshots(study, settings)


def specs(study: Study) -> list[RunSpec]:
    asked, chain = _asked(study, single.known_centres(study, "regularized"))
    return [m for group in (*asked.values(), chain) for m in group.members]


def gather(study: Study) -> Found:
    centres = [result.centre for result in single.tune(study, "regularized")]
    asked, chain = _asked(study, centres)
    study.ensure([m for e in asked.values() for m in e.members], weights=True, label="recipes")
    for member in chain.members:  # each needs the one before
        study.ensure([member], weights=True, label=SNAPSHOTS)
    asked |= {SNAPSHOTS: chain}
    scores = study.score(asked.values(), label="recipes")
    laws = {}
    for name, group in asked.items():
        own = scores[scores.ensemble == group.run_id]
        noise = _noise(study, asked[BASE] if group is chain else group)
        laws[name] = ensemble_laws(own, noise=noise)[0]
        if name == BASE:
            other = own.assign(loss=own.loss_probabilities)
            laws[AVERAGED] = ensemble_laws(other, noise=noise)[0]
    return Found(study, laws)


def _noise(study: Study, group: EnsembleSpec) -> float:
    """Return the standard deviation between members that differ by seed alone."""
    return replicate_noise(study.ensure(group.members), study.scale.assumed_noise)


def frame(found: Found) -> pd.DataFrame:
    """Return one row a recipe: member, all members, limit, and how far each is from the base."""
    base, rows = found.laws[BASE], []
    for name, law in found.laws.items():
        gain = law.limit - base.limit
        verdict = "lower" if gain.high < 0 else "higher" if gain.low > 0 else "cannot be told"
        rows.append(
            {"recipe": name, "one member": law.at(1).value, f"{law.K} members": law.best.value}
            | {"limit": law.limit.value, "low": law.limit.low, "high": law.limit.high}
            | {"against base": gain.value, "against low": min(gain.value, gain.low)}
            | {"against high": max(gain.value, gain.high)}
            | {"limit is": "the base" if law is base else verdict}
        )
    return pd.DataFrame(rows)


def table(found: Found) -> Table:
    rows = frame(found)
    caption = found.caption("[low, high]: 95 %", "settings are those of the base, not tuned again")
    return Table(rows, caption, dict.fromkeys(rows.columns[1:-1], 3))


def against_base(found: Found) -> Drawing:
    gains = {name: law.limit - found.laws[BASE].limit for name, law in found.laws.items()}
    del gains[BASE]
    return figures.differences(gains, caption=found.caption("bars: 95 %"))


def law_table(found: Found) -> Table:
    named = laws_frame(list(found.laws.values()))
    named.insert(0, "recipe", list(found.laws))
    return tables.ensemble_table(named, caption=found.caption())


ITEMS = {"fig20_beyond": against_base, "tab20_beyond": table, "tab20_laws_in_K": law_table}
