"""What smaller models, less data and fewer members foretell of the largest, before it is trained.

    for question in questions(study):
        question.predicted(study)        # from its basis alone: MissingRuns until that is trained
        measured(study, question.target)

The target is never among the points that its law is fitted to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ieee_lib.analysis.ensembles import EnsembleLaw, ensemble_laws
from ieee_lib.analysis.uncertainty import (
    Estimate,
    limit_of,
    mean_of,
    named_generator,
    replicate_noise,
)
from ieee_lib.recipes.ensemble import ensemble, heuristic
from ieee_lib.recipes.search import specs_of
from ieee_lib.recipes.single import known_centres
from ieee_lib.scale import UNITS
from ieee_lib.settings import Settings
from ieee_lib.spec import EnsembleSpec, RunSpec
from ieee_lib.study import Study

LEAST = 3
"""Points of a law in N or D, which has as many parameters."""


@dataclass(frozen=True)
class Cell:
    """One recipe's loss at one N and D, from all its seeds or members."""

    recipe: str
    """standard, regularized or ensemble."""
    settings: Settings
    K: int = 1
    """Members; 1: single models, the mean over their seeds."""

    def ensemble(self, study: Study) -> EnsembleSpec | None:
        return ensemble(study, self.settings, self.K) if self.recipe == "ensemble" else None

    def runs(self, study: Study) -> list[RunSpec]:
        if whole := self.ensemble(study):
            return list(whole.members)
        return specs_of(study, self.settings, study.scale.seeds_at(self.settings.seed_tokens))

    def run_ids(self, study: Study) -> list[str]:
        """Return the ids of its records: the runs, and the ensemble that they make."""
        whole = self.ensemble(study)
        return [run.run_id for run in self.runs(study)] + ([whole.run_id] if whole else [])


@dataclass(frozen=True)
class Question:
    """A loss to be foretold: what is known, and the larger one that is not."""

    axis: str
    """What grows: N, D or K."""
    basis: tuple[Cell, ...]
    target: Cell

    def predicted(self, study: Study) -> Estimate:
        """Return the loss that the basis foretells, with the noise of what will be measured."""
        study = study.reading()
        noise = _noise(study, self.basis)
        if self.axis == "K":
            law = _law(study, self.basis[0], noise).at_members(self.target.K)
        else:
            points = [_loss(study, cell, noise) for cell in self.basis]
            x = [_place(study, cell, self.axis) for cell in self.basis]
            law = limit_of(x, points, unit=self.axis).at(_place(study, self.target, self.axis))
        runs = self.target.runs(study)
        name = " ".join(run.run_id for run in runs)
        own = named_generator(name).standard_normal(len(law.draws)) * noise / np.sqrt(len(runs))
        return Estimate(law.value, law.draws + own)

    def new_ids(self, study: Study) -> set[str]:
        """Return the ids of what its target needs and its basis has not."""
        known = {i for cell in self.basis for i in cell.run_ids(study)}
        return set(self.target.run_ids(study)) - known

    def is_measured(self, study: Study) -> bool:
        """Say whether some of that is trained already: too late to foretell."""
        return any(study.store.has(i) for i in self.new_ids(study))


def measured(study: Study, cell: Cell) -> Estimate:
    """Return the loss of a cell, training what is missing."""
    return _loss(study, cell, _noise(study, (cell,)))


def questions(study: Study) -> Iterator[Question]:
    """Yield every question of a scale: the largest K, the largest D, the largest N."""
    scale = study.scale
    ladder, models = scale.ladder(), list(scale.models)
    found = {
        recipe: {d: {s.model: s for s in known_centres(study, recipe, d)} for d in ladder}
        for recipe in ("regularized", "standard")
    }

    def cell(recipe: str, model: str, seed_tokens: int, K: int = 0) -> Cell | None:
        many = recipe == "ensemble"
        settings = found["regularized" if many else recipe][seed_tokens].get(model)
        if settings is None:
            return None
        few = scale.ensembles.ladder_members
        return Cell(recipe, heuristic(settings), K or few) if many else Cell(recipe, settings)

    for model in models[:-1]:
        few = cell("ensemble", model, scale.base_tokens)
        all_of_them = cell("ensemble", model, scale.base_tokens, scale.ensembles.members)
        if few and few.K < all_of_them.K:
            yield Question("K", (few,), all_of_them)
    for recipe in ("standard", "regularized", "ensemble"):
        for model in models[:-1]:
            yield from _last_of("D", [cell(recipe, model, d) for d in ladder])
    for recipe in ("regularized", "ensemble"):
        for d in ladder:
            yield from _last_of("N", [cell(recipe, model, d) for model in models])


def _last_of(axis: str, cells: Sequence[Cell | None]) -> Iterator[Question]:
    known = tuple(cell for cell in cells if cell)
    if len(known) > LEAST and cells[-1]:
        yield Question(axis, known[:-1], known[-1])


def _place(study: Study, cell: Cell, axis: str) -> float:
    unit = UNITS[study.scale.unit]
    size = study.scale.models[cell.settings.model].count().total
    return (size if axis == "N" else cell.settings.seed_tokens) / unit


def _noise(study: Study, cells: Sequence[Cell]) -> float:
    """Return the standard deviation between seeds, pooled over the runs of some cells."""
    runs = study.ensure([run for cell in cells for run in cell.runs(study)], label="basis")
    return replicate_noise(runs, study.scale.assumed_noise)


def _loss(study: Study, cell: Cell, noise: float) -> Estimate:
    if cell.ensemble(study):
        return _law(study, cell, noise).best
    return mean_of(study.ensure(cell.runs(study)), sigma=noise)


def _law(study: Study, cell: Cell, noise: float) -> EnsembleLaw:
    return ensemble_laws(study.score([cell.ensemble(study)]), noise=noise)[0]
