"""02: tuned weight decay restores the law in N (Sec. 3, Fig 3)."""

from dataclasses import dataclass

import pandas as pd

from ieee_lib.claims import verdicts as verdicts
from ieee_lib.claims.verdicts import Claim, claims_table
from ieee_lib.config import RunSpec
from ieee_lib.config.scale import UNITS
from ieee_lib.plots import explorers, figures, tables
from ieee_lib.plots.explore import Explorer, Knob
from ieee_lib.plots.saving import Drawing, Table
from ieee_lib.recipes import single
from ieee_lib.recipes.search import certificates_frame
from ieee_lib.sections.tuned import Tuned, tuned
from ieee_lib.study import Study


@dataclass(frozen=True)
class Found:
    study: Study
    standard: Tuned
    regularized: Tuned
    sweep: pd.DataFrame
    """Runs over weight decay."""
    curves: dict[str, pd.DataFrame]
    plane: pd.DataFrame
    """Runs over epochs x decay."""

    @property
    def caption(self) -> str:
        return self.study.caption(len(self.regularized.table))


def specs(study: Study) -> list[RunSpec]:
    searches = single.search_specs(study, "standard") + single.search_specs(study, "regularized")
    sweep = single.sweep_specs(study, study.scale.wd_sweep)
    return searches + sweep + single.heatmap_specs(study)


def gather(study: Study) -> Found:
    standard, regularized = tuned(study, "standard"), tuned(study, "regularized")
    sweep, plane = single.wd_sweep(study), single.heatmap(study)
    model = study.scale.wd_sweep.model
    curves = single.low_and_high_decay(study, standard.results, regularized.results, model)
    return Found(study, standard, regularized, sweep, curves, plane)


def against_size(found: Found) -> Drawing:
    return figures.loss_against_size(
        {"standard": found.standard.table, "regularized": found.regularized.table},
        laws={"regularized": found.regularized.law},
        unit=UNITS[found.study.scale.unit],
        caption=found.caption,
    )


def tuned_table(found: Found) -> Table:
    return tables.tuned_table(found.regularized.table, caption=found.caption)


def certificate(found: Found) -> Table:
    certificates = certificates_frame(found.regularized.results)
    return tables.certificate_table(certificates, caption=found.caption)


def law_table(found: Found) -> Table:
    laws = {"regularized, N → ∞": found.regularized.law}
    return tables.law_table(laws, caption=found.caption)


def against_decay(found: Found) -> Drawing:
    caption = found.study.caption(found.sweep.wd.nunique())
    return figures.loss_against_decay(found.sweep, caption=caption)


def along_training(found: Found) -> Drawing:
    scale = found.study.scale
    caption = found.study.caption(scale.training.evals, f"{scale.wd_sweep.model} model")
    return figures.loss_along_training(found.curves, caption=caption)


def over_epochs_and_decay(found: Found) -> Drawing:
    scale = found.study.scale
    n_cell = len(scale.heatmap.epochs) * len(scale.heatmap.wd)
    note = f"{scale.heatmap.model} model"
    caption = found.study.caption(n_cell, note, seeds=scale.search.seeds)
    return figures.loss_over_epochs_and_decay(found.plane, caption=caption)


def claims(found: Found) -> list[Claim]:
    standard, regularized = found.standard.table, found.regularized.table
    return [
        verdicts.decay_is_large(regularized),
        verdicts.decay_helps(standard, regularized),
        verdicts.falls_with_size(regularized),
        verdicts.follows_power_law(found.regularized.law),
        verdicts.limit_below_standard(found.regularized.law, standard),
    ]


def one_decay(found: Found, wd: float) -> Drawing:
    curves = found.study.mean_curves(found.sweep, "wd")
    caption = found.study.caption(len(curves), f"{found.study.scale.wd_sweep.model} model")
    return explorers.one_of_many(curves, wd, "regularized", name="wd", caption=caption)


def law_through_some(found: Found, points: tuple[str, ...]) -> Drawing:
    scale = found.study.scale
    sizes = {name: shape.count().total for name, shape in scale.models.items()}
    chosen = tuple(sizes[name] for name in points)
    return explorers.law_through(
        found.regularized.points,
        chosen,
        unit=UNITS[scale.unit],
        caption=found.study.caption(len(chosen), "band: 95 %"),
    )


def _decays(found: Found) -> dict[str, Knob]:
    means = found.sweep.groupby("wd").val_loss.mean()
    return {"wd": Knob(tuple(means.index), means.idxmin())}


def _points(found: Found) -> dict[str, Knob]:
    names = tuple(found.regularized.table.model)
    return {"points": Knob(names, names[:-1] if len(names) > 3 else names)}


EXPLORERS = {
    "one_decay": Explorer(one_decay, _decays),
    "law_through_some": Explorer(law_through_some, _points),
}

ITEMS = {
    "fig03_regularized_against_size": against_size,
    "tab03_regularized": tuned_table,
    "tab03_regularized_certificate": certificate,
    "tab03_law": law_table,
    "fig13_loss_against_decay": against_decay,
    "fig14_loss_along_training": along_training,
    "fig15_loss_over_epochs_and_decay": over_epochs_and_decay,
    "tab03_claims": lambda found: claims_table(claims(found), caption=found.caption),
}
