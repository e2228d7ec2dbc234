"""01: the standard recipe overfits in epochs and stalls in N (Sec. 2.1, Fig 2)."""

from dataclasses import dataclass

import pandas as pd

from ieee_lib.claims.verdicts import Claim, claims_table, memorizes, overfits, standard_stalls
from ieee_lib.config import RunSpec
from ieee_lib.config.scale_tables import EPOCHS_GRID
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
    runs: pd.DataFrame
    """One model over epochs."""
    wd: float
    standard: Tuned

    @property
    def caption(self) -> str:
        return self.study.caption(len(self.standard.table))


def specs(study: Study) -> list[RunSpec]:
    sweep = single.sweep_specs(study, study.scale.overfitting)
    return sweep + single.search_specs(study, "standard")


def precheck(
    study: Study, *, wd: float = single.STANDARD_WD, max_epochs: int = EPOCHS_GRID[-1]
) -> None:
    """Raise InputError for settings that are not on the grid, or leave no curve."""
    single.overfitting_sweep(study, wd=wd, max_epochs=max_epochs)


def gather(
    study: Study, *, wd: float = single.STANDARD_WD, max_epochs: int = EPOCHS_GRID[-1]
) -> Found:
    runs = single.overfitting(study, wd=wd, max_epochs=max_epochs)
    return Found(study, runs, wd, tuned(study, "standard"))


def against_epochs(found: Found) -> Drawing:
    note = f"{found.study.scale.overfitting.model} model, wd {found.wd:g}"
    caption = found.study.caption(found.runs.epochs.nunique(), note)
    return figures.loss_against_epochs(found.runs, caption=caption)


def against_size(found: Found) -> Drawing:
    return figures.loss_against_size({"standard": found.standard.table}, caption=found.caption)


def tuned_table(found: Found) -> Table:
    return tables.tuned_table(found.standard.table, caption=found.caption)


def certificate(found: Found) -> Table:
    certificates = certificates_frame(found.standard.results)
    return tables.certificate_table(certificates, caption=found.caption)


def claims(found: Found) -> list[Claim]:
    return [overfits(found.runs), memorizes(found.runs), standard_stalls(found.standard.table)]


def one_number_of_epochs(found: Found, epochs: int) -> Drawing:
    curves = found.study.mean_curves(found.runs, "epochs")
    note = f"{found.study.scale.overfitting.model} model, wd {found.wd:g}"
    caption = found.study.caption(len(curves), note)
    return explorers.one_of_many(curves, epochs, "standard", name="epochs", caption=caption)


def _epochs(found: Found) -> dict[str, Knob]:
    means = found.runs.groupby("epochs").val_loss.mean()
    return {"epochs": Knob(tuple(means.index), means.idxmin())}


EXPLORERS = {"one_number_of_epochs": Explorer(one_number_of_epochs, _epochs)}

ITEMS = {
    "fig02a_loss_against_epochs": against_epochs,
    "fig02b_standard_against_size": against_size,
    "tab02_standard": tuned_table,
    "tab02_standard_certificate": certificate,
    "tab02_claims": lambda found: claims_table(claims(found), caption=found.caption),
}
