"""What smaller models, less data and fewer members foretell of the largest, before it is trained.

    for question in questions(study):
        question.predicted(study)        # from its basis alone: MissingRuns until that is trained
        measured(study, question.target)

The target is never among the points that its law is fitted to. Settings are those of the scale
file, so that a question stays the same whatever is found later.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.scale import UNITS
from ieee_lib.config.scale_tables import Settings
from ieee_lib.laws.ensembles import EnsembleLaw, ensemble_laws
from ieee_lib.laws.estimates import (
    N_DRAW,
    SETTINGS,
    Estimate,
    limit_of,
    mean_of,
    named_generator,
    noise_of,
    replicate_noise,
)
from ieee_lib.laws.power_law import LEAST
from ieee_lib.recipes.ensembles import ensemble, heuristic
from ieee_lib.recipes.search import specs_of
from ieee_lib.study import Study


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

    @property
    def n_point(self) -> int:
        """Points of the law."""
        return self.basis[0].K if self.axis == "K" else len(self.basis)

    def predicted(self, study: Study) -> Estimate:
        """Return the loss that the basis foretells, with the noise of what will be measured.

        The noise comes from few replicates, so it varies from draw to draw as it may (Student's t).
        """
        study = study.reading()
        noise, freedom = _noise(study, self.basis)
        found = self._more_members(study, noise) if self.axis == "K" else self._law(study, noise)
        if not freedom:
            return found
        name = " ".join(self.target.run_ids(study))
        chance = named_generator(f"{name} scale").chisquare(freedom, N_DRAW)
        return Estimate(
            found.value, found.value + (found.draws - found.value) * np.sqrt(freedom / chance)
        )

    def _law(self, study: Study, noise: float) -> Estimate:
        """Return the law's loss, moved by the noise of runs that are all new."""
        points = [_loss(study, cell, noise) for cell in self.basis]
        x = [_place(study, cell, self.axis) for cell in self.basis]
        law = limit_of(x, points, unit=self.axis).at(_place(study, self.target, self.axis))
        new = [run.run_id for run in self.target.runs(study)]
        return Estimate(law.value, law.draws + noise * noise_of(new))

    def _more_members(self, study: Study, noise: float) -> Estimate:
        """Return the law's loss for K members, some of whom are those of the law.

        What moves all losses of the known members is known; what remains is how far the new ones
        move it, and the spread of what the law gains from one member to all: a jackknife over the
        known.
        """
        law = _ensemble_law(study, self.basis[0], noise)
        gain = (law.at_members(self.target.K) - law.at_members(1)).draws
        spread = np.sqrt(law.K - 1) * (gain - gain.mean())
        known = noise * noise_of(law.members)
        everybody = noise * noise_of([run.run_id for run in self.target.runs(study)])
        value = float(law.law(self.target.K))
        return Estimate(value, value + spread + everybody - known)

    def basis_ids(self, study: Study) -> frozenset[str]:
        return frozenset(i for cell in self.basis for i in cell.run_ids(study))

    def new_ids(self, study: Study) -> frozenset[str]:
        """Return the ids of what its target needs and its basis has not."""
        return frozenset(self.target.run_ids(study)) - self.basis_ids(study)

    def is_lost(self, study: Study) -> bool:
        """Say whether some of its basis has diverged: nothing can be foretold from the rest."""
        return any(_diverged(study, cell) for cell in self.basis)

    def is_measured(self, study: Study) -> bool:
        """Say whether some of that is trained already: too late to foretell."""
        return any(study.store.has(i) for i in self.new_ids(study))


def measured(study: Study, cell: Cell) -> Estimate:
    """Return the recorded loss of a cell; NaN where some of it diverged."""
    if _diverged(study, cell):
        return Estimate(np.nan, np.full(N_DRAW, np.nan))
    noise, _ = _noise(study, (cell,))
    if not cell.ensemble(study):
        return mean_of(study.ensure(cell.runs(study)), sigma=noise)
    return _ensemble_law(study, cell, noise).best


def questions(study: Study) -> Iterator[Question]:
    """Yield every question of a scale: the largest K, the largest D, the largest N."""
    scale = study.scale
    ladder, models = scale.ladder(), list(scale.models)
    known = {
        (recipe, row.model, row.seed_tokens): row
        for recipe in ("regularized", "standard")
        for row in getattr(scale, recipe)
    }
    few, many = scale.ensembles.ladder_members, scale.ensembles.members

    def cell(recipe: str, model: str, seed_tokens: int, K: int = few) -> Cell | None:
        together = recipe == "ensemble"
        if together and model not in scale.members():
            return None
        row = known.get(("regularized" if together else recipe, model, seed_tokens))
        if row is None:
            return None
        return Cell(recipe, heuristic(row), K) if together else Cell(recipe, row)

    for model in models:
        first = cell("ensemble", model, scale.base_tokens)
        if first and LEAST <= few < many:
            yield Question("K", (first,), cell("ensemble", model, scale.base_tokens, many))
    for recipe in ("standard", "regularized", "ensemble"):
        for model in models[:-1]:
            yield from _last_of("D", [cell(recipe, model, d) for d in ladder])
    for recipe in ("regularized", "ensemble"):
        for d in ladder:
            yield from _last_of("N", [cell(recipe, model, d) for model in models])


def _last_of(axis: str, cells: Sequence[Cell | None]) -> Iterator[Question]:
    known = tuple(cell for cell in cells if cell)
    if len(known) > LEAST:
        yield Question(axis, known[:-1], known[-1])


def _place(study: Study, cell: Cell, axis: str) -> float:
    unit = UNITS[study.scale.unit]
    size = study.scale.models[cell.settings.model].count().total
    return (size if axis == "N" else cell.settings.seed_tokens) / unit


def _diverged(study: Study, cell: Cell) -> bool:
    records = map(study.store.get, (run.run_id for run in cell.runs(study)))
    return any(record is not None and record["status"] == "diverged" for record in records)


def _noise(study: Study, cells: Sequence[Cell]) -> tuple[float, int]:
    """Return the standard deviation between seeds, pooled over the runs of some cells.

    Also its degrees of freedom; 0 where it is the scale's assumption.
    """
    runs = study.ensure([run for cell in cells for run in cell.runs(study)], label="basis")
    counts = runs[runs.status == "done"].groupby(SETTINGS).run_id.nunique()
    freedom = int((counts - 1).sum())
    return replicate_noise(runs, study.scale.assumed_noise), freedom


def _loss(study: Study, cell: Cell, noise: float) -> Estimate:
    if cell.ensemble(study):
        return _ensemble_law(study, cell, noise).best
    return mean_of(study.ensure(cell.runs(study)), sigma=noise)


def _ensemble_law(study: Study, cell: Cell, noise: float) -> EnsembleLaw:
    whole = cell.ensemble(study)
    (law,) = ensemble_laws(study.score([whole]), noise=noise)
    return law
