"""The book: which notebook shows which section, and how its figures and tables are drawn.

    chapter = Chapter.open("03", study)             # trains what is missing
    chapter.show("fig05_loss_against_members")      # draws, saves, returns it

A notebook shows its items one by one, with words between; `Chapter.items` is the same without
the words, so that all figures are redrawn from records in seconds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ieee_lib import paths
from ieee_lib.config import RunSpec
from ieee_lib.errors import MissingRuns, check_choice
from ieee_lib.plots.explore import Explorer, explore
from ieee_lib.plots.saving import Drawing, Table, context, save
from ieee_lib.predictions import scores as predictions
from ieee_lib.runs.stages import DRAW, FIT, stage
from ieee_lib.sections import (
    beyond,
    data_scaling,
    distillation,
    downstream,
    ensembles,
    joint,
    midtraining,
    overfitting,
    regularized,
    setup,
    verdicts,
)
from ieee_lib.study import Study

COMMON = ("scale", "corpus", "source", "context")
"""Parameters of every notebook: what a study is opened with."""


def own_options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a notebook's parameters that are its own."""
    return {name: value for name, value in parameters.items() if name not in COMMON}


@dataclass(frozen=True)
class Section:
    """One notebook of the book, and the module behind it (`ieee_lib.sections`)."""

    notebook: str
    title: str
    module: ModuleType
    searches: bool = False
    """It searches settings from the scale's own; those of later notebooks follow from its."""
    optional: bool = False
    """No part of the paper: only where it is asked for, or recorded."""

    @property
    def number(self) -> str:
        return self.notebook[:2]

    @property
    def path(self) -> Path:
        return paths.root() / "notebooks" / f"{self.notebook}.ipynb"

    @property
    def items(self) -> dict[str, Callable[[Any], Drawing | Table]]:
        """File name -> function that draws it."""
        return self.module.ITEMS

    @property
    def explorers(self) -> dict[str, Explorer]:
        """Name -> figure with knobs."""
        return getattr(self.module, "EXPLORERS", {})

    def check(self, study: Study, parameters: Mapping[str, Any]) -> None:
        """Raise InputError for a notebook's parameters that cannot work, before any training."""
        if hasattr(self.module, "precheck"):
            self.module.precheck(study, **own_options(parameters))

    def specs(self, study: Study) -> list[RunSpec]:
        """Return the runs it needs, as far as known before any search has moved."""
        return self.module.specs(study)


SECTIONS = {
    "00": Section("00_setup", "Scales, corpora, costs", setup),
    "01": Section("01_overfitting_baseline", "Overfitting baseline", overfitting, searches=True),
    "02": Section("02_regularized_scaling", "Regularized scaling", regularized, searches=True),
    "03": Section("03_ensembles", "Ensembles", ensembles),
    "04": Section("04_joint_scaling", "Joint scaling", joint),
    "05": Section("05_data_scaling", "Data scaling", data_scaling),
    "06": Section("06_distillation", "Distillation", distillation),
    "07": Section("07_downstream_evals", "Downstream evaluations", downstream),
    "08": Section("08_continued_pretraining", "Continued pre-training", midtraining),
    "09": Section("09_claims", "Claims", verdicts),
    "10": Section("10_beyond_the_paper", "Beyond the paper", beyond, optional=True),
    "11": Section("11_predictions", "Predictions", predictions, optional=True),
}


@dataclass(frozen=True)
class Chapter:
    """A section on a study, with everything gathered that its items need."""

    section: Section
    study: Study
    found: Any
    """What the section's module gathered; its fields are there to explore."""

    @classmethod
    def open(cls, number: str, study: Study, **options: Any) -> "Chapter":
        """Gather a section's runs and fits, training what is missing; options are its own."""
        check_choice("section", number, SECTIONS)
        section = SECTIONS[number]
        with stage(FIT):
            return cls(section, study, section.module.gather(study, **options))

    def draw(self, name: str) -> Drawing | Table:
        """Return one item by its file name."""
        check_choice("item", name, self.section.items)
        with context(*self.study.look):
            return self.section.items[name](self.found)

    def show(self, name: str) -> Drawing | Table:
        """Draw an item, write it below figures/, and return it to be shown."""
        with stage(DRAW):
            item = self.draw(name)
            save(item, self.study.figures_folder(), name)
        return item

    def explore(self, name: str) -> Any:
        """Return a figure with knobs where somebody can turn them, else as they first stand."""
        check_choice("explorer", name, self.section.explorers)
        explorer = self.section.explorers[name]

        def draw(**choices: Any) -> Drawing:
            with context(*self.study.look):
                return explorer.draw(self.found, **choices)

        return explore(draw, explorer.knobs(self.found))

    def items(self) -> Iterator[tuple[str, Drawing | Table]]:
        """Draw every item."""
        return ((name, self.draw(name)) for name in self.section.items)


def recorded(study: Study, sections: Mapping[str, Section] = SECTIONS) -> Iterator[Chapter]:
    """Open the book chapter by chapter; one that may be absent where its runs are recorded."""
    for number, section in sections.items():
        try:
            yield Chapter.open(number, study)
        except MissingRuns:
            if not _may_be_absent(section, study):
                raise


def at_hand(study: Study) -> str:
    """Return the list, as `choose` takes it, of the sections without those that are absent."""
    unsure = {n: section for n, section in SECTIONS.items() if _may_be_absent(section, study)}
    found = [chapter.section.number for chapter in recorded(study, unsure)]
    return ",".join(number for number in SECTIONS if number not in unsure or number in found)


def _may_be_absent(section: Section, study: Study) -> bool:
    """Say whether a book is whole without it: it is optional, or the book is the first part of a
    plan."""
    return section.optional or study.allow_unsearched


def choose(only: str) -> dict[str, Section]:
    """Return the sections of a list such as "01,02"; empty: the paper's. Raises InputError."""
    numbers = [number.strip().zfill(2) for number in only.split(",") if number.strip()]
    for number in numbers:
        check_choice("only", number, SECTIONS)
    return {
        number: section
        for number, section in SECTIONS.items()
        if number in numbers or not (numbers or section.optional)
    }
