"""The book: which notebook shows which section, which runs it needs, which figures it draws.

    for name, item in SECTIONS["01"].draw(study): save(item, folder, name)

A notebook draws its figures step by step, with words between; `draw` is the same chain without
the words, so that figures are redrawn from records in seconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ieee_lib import paths
from ieee_lib.analysis import claims, figures, tables
from ieee_lib.analysis.drawing import Drawing, Table
from ieee_lib.analysis.laws import PowerLaw
from ieee_lib.errors import check_choice
from ieee_lib.recipes import single
from ieee_lib.recipes.search import SearchResult, certificates_frame, tuned_frame
from ieee_lib.scale import UNITS, Scale
from ieee_lib.spec import RunSpec
from ieee_lib.study import Study

Named = tuple[str, Drawing | Table]


@dataclass(frozen=True)
class Section:
    """One notebook of the book."""

    notebook: str
    title: str
    specs: Callable[[Study], list[RunSpec]]
    """The runs it needs, as far as known before any search has moved."""
    draw: Callable[[Study], Iterator[Named]]
    """Its figures and tables, by file name."""

    @property
    def path(self) -> Path:
        return paths.root() / "notebooks" / f"{self.notebook}.ipynb"


def sizes(study: Study, results: list[SearchResult]) -> pd.DataFrame:
    """Return tuned settings and losses of each model, with N."""
    return tables.size_frame(study.scale.models, tuned_frame(results))


def size_law(study: Study, table: pd.DataFrame) -> PowerLaw:
    """Fit the law in N of a recipe's tuned losses."""
    return tables.fit_sizes(
        table,
        unit=UNITS[study.scale.unit],
        unit_name=study.scale.unit,
        assumed_noise=study.scale.assumed_noise,
    )


def draw_setup(study: Study) -> Iterator[Named]:
    counts = tables.count_frame({**Scale.load("paper").models, **study.scale.models})
    caption = f"the paper's presets (Table 2) and the {study.scale.name} scale; exact counts"
    yield "fig00_parameters", figures.parameters_by_group(counts, caption=caption)
    yield "tab00_parameters", Table(counts, caption)


def draw_overfitting(study: Study) -> Iterator[Named]:
    runs = single.overfitting(study)
    standard = sizes(study, results := single.tune_standard(study))
    model = study.scale.overfitting.model
    caption = study.caption(runs.epochs.nunique(), f"{model} model, wd {single.STANDARD_WD:g}")
    yield "fig02a_loss_against_epochs", figures.loss_against_epochs(runs, caption=caption)
    caption = study.caption(len(standard))
    drawing = figures.loss_against_size({"standard": standard}, caption=caption)
    yield "fig02b_standard_against_size", drawing
    yield "tab02_standard", tables.tuned_table(standard, caption=caption)
    certificates = certificates_frame(results)
    yield "tab02_standard_certificate", tables.certificate_table(certificates, caption=caption)
    rows = [claims.overfits(runs), claims.memorizes(runs), claims.standard_stalls(standard)]
    yield "tab02_claims", claims.claims_table(rows, caption=caption)


def draw_regularized(study: Study) -> Iterator[Named]:
    scale = study.scale
    results = {
        "standard": single.tune_standard(study),
        "regularized": single.tune_regularized(study),
    }
    table = {recipe: sizes(study, found) for recipe, found in results.items()}
    law = size_law(study, table["regularized"])
    caption = study.caption(len(table["regularized"]))
    drawing = figures.loss_against_size(
        table, laws={"regularized": law}, unit=UNITS[scale.unit], caption=caption
    )
    yield "fig03_regularized_against_size", drawing
    yield "tab03_regularized", tables.tuned_table(table["regularized"], caption=caption)
    certificates = certificates_frame(results["regularized"])
    certificate = tables.certificate_table(certificates, caption=caption)
    yield "tab03_regularized_certificate", certificate
    yield "tab03_law", tables.law_table({"regularized, N → ∞": law}, caption=caption)
    rows = [
        claims.decay_is_large(table["regularized"]),
        claims.decay_helps(table["standard"], table["regularized"]),
        claims.falls_with_size(table["regularized"]),
        claims.follows_power_law(law),
        claims.limit_below_standard(law, table["standard"]),
    ]
    yield "tab03_claims", claims.claims_table(rows, caption=caption)
    sweep = single.wd_sweep(study)
    caption = study.caption(sweep.wd.nunique())
    yield "fig13_loss_against_decay", figures.loss_against_decay(sweep, caption=caption)
    curves = single.low_and_high_decay(study, **results, model=scale.wd_sweep.model)
    caption = study.caption(scale.training.evals, f"{scale.wd_sweep.model} model")
    yield "fig14_loss_along_training", figures.loss_along_training(curves, caption=caption)
    plane = single.heatmap(study)
    n_cell = len(scale.heatmap.epochs) * len(scale.heatmap.wd)
    note = f"{scale.heatmap.model} model"
    caption = study.caption(n_cell, note, seeds=scale.search.seeds)
    drawing = figures.loss_over_epochs_and_decay(plane, caption=caption)
    yield "fig15_loss_over_epochs_and_decay", drawing


def overfitting_specs(study: Study) -> list[RunSpec]:
    sweep = single.sweep_specs(study, study.scale.overfitting)
    return sweep + single.search_specs(study, "standard")


def regularized_specs(study: Study) -> list[RunSpec]:
    sweep = single.sweep_specs(study, study.scale.wd_sweep) + single.heatmap_specs(study)
    return (
        single.search_specs(study, "standard") + single.search_specs(study, "regularized") + sweep
    )


SECTIONS = {
    "00": Section("00_setup", "Scales, corpora, costs", lambda study: [], draw_setup),
    "01": Section(
        "01_overfitting_baseline", "Overfitting baseline", overfitting_specs, draw_overfitting
    ),
    "02": Section(
        "02_regularized_scaling", "Regularized scaling", regularized_specs, draw_regularized
    ),
}


def choose(only: str) -> dict[str, Section]:
    """Return the sections of a list such as "01,02"; empty: all. Raises InputError."""
    numbers = [number.strip().zfill(2) for number in only.split(",") if number.strip()]
    for number in numbers:
        check_choice("only", number, SECTIONS)
    return {number: SECTIONS[number] for number in SECTIONS if not numbers or number in numbers}
