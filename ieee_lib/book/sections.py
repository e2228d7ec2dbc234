"""The sections of the book: which notebook shows which, and the runs that each one needs.

for section in choose("01,02").values():
    section.needs(study)                 # runs, as far as known before any search has moved
    section.check(study, parameters)     # raises InputError before any training
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ieee_lib import paths, predictions
from ieee_lib.book import needs
from ieee_lib.config import RunSpec
from ieee_lib.config.scale import Scale
from ieee_lib.errors import check, check_choice
from ieee_lib.recipes import (
    appendix,
    beyond,
    data_scaling,
    distill,
    downstream,
    midtraining,
    single,
)
from ieee_lib.study import Study

COMMON = ("scale", "corpus", "source", "context", "background")
"""Parameters of every notebook: what a study is opened with, and how figures look."""


@dataclass(frozen=True)
class Section:
    """One notebook of the book."""

    notebook: str
    """File name without its ending; the number comes first."""
    title: str
    needs: Callable[[Study], list[RunSpec]] = lambda study: []
    """Returns the runs it needs, as far as known before any search has moved."""
    checked_by: Callable[..., object] | None = None
    """Raises InputError for its own parameters; takes a study, and each of them by name."""
    searches: bool = False
    """It searches settings from the scale's own; later notebooks take what it finds."""
    optional: bool = False
    """Beside the paper's main line: only where it is asked for, or recorded."""
    not_run: Callable[[Scale], Mapping[str, str]] = lambda scale: {}
    """Returns item -> why a scale runs nothing for it."""

    @property
    def number(self) -> str:
        """Return its number, such as 03."""
        return self.notebook[:2]

    @property
    def path(self) -> Path:
        """Return the file of its notebook."""
        return paths.notebooks() / f"{self.notebook}.ipynb"

    def check(self, study: Study, parameters: Mapping[str, Any]) -> None:
        """Raise InputError for the notebook's parameters, all of them, where they cannot work."""
        if self.checked_by is not None:
            self.checked_by(study, **extra_parameters(parameters))

    def may_be_absent(self, study: Study) -> bool:
        """Say whether the book is whole without it.

        It is optional, or the records are the first part of a plan (`allow_unsearched`).
        """
        return self.optional or study.allow_unsearched


_SECTIONS = (
    Section("00_setup", "Scales, corpora, costs"),
    Section(
        "01_overfitting_baseline",
        "Overfitting baseline",
        needs.overfitting,
        single.overfitting_sweep,
        searches=True,
    ),
    Section("02_regularized_scaling", "Regularized scaling", needs.regularized, searches=True),
    Section("03_ensembles", "Ensembles", needs.ensembles),
    Section("04_joint_scaling", "Joint scaling", data_scaling.joint_specs),
    Section("05_data_scaling", "Data scaling", data_scaling.data_scaling_specs),
    Section("06_distillation", "Distillation", distill.distillation_specs),
    Section(
        "07_downstream_evals",
        "Downstream evaluations",
        downstream.downstream_specs,
        downstream.check,
    ),
    Section(
        "08_continued_pretraining",
        "Continued pre-training",
        midtraining.continued_specs,
        midtraining.check,
    ),
    Section("09_claims", "Claims"),
    Section("10_beyond_the_paper", "Beyond the paper", beyond.beyond_specs, optional=True),
    Section("11_predictions", "Predictions", predictions.prediction_specs, optional=True),
    Section(
        "13_appendix",
        "Appendix",
        appendix.appendix_specs,
        optional=True,
        not_run=appendix.not_run,
    ),
)

YOUR_TEXT = Section("12_your_text", "Your text", optional=True)
"""On a text and scale of its own, so in no scale's book: the command `try` runs it."""

SECTIONS = {section.number: section for section in _SECTIONS}
"""Number -> section, in the order of the book."""


def extra_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a notebook's parameters that no other notebook need have."""
    return {name: value for name, value in parameters.items() if name not in COMMON}


def choose(only: str = "") -> dict[str, Section]:
    """Return the sections of a list such as "01,02"; empty: the paper's. Raises InputError."""
    numbers = [number.strip().zfill(2) for number in only.split(",") if number.strip()]
    for number in numbers:
        allowed = "has a text and a scale of its own; `python -m ieee_lib try` runs it"
        check(number != YOUR_TEXT.number, "only", number, allowed)
        check_choice("only", number, SECTIONS)
    if numbers:
        return {number: section for number, section in SECTIONS.items() if number in numbers}
    return {number: section for number, section in SECTIONS.items() if not section.optional}
