"""Questions: the loss of the largest N, D or K of a scale, asked before that run is trained.

    for question in questions(study):
        question.predicted(study)            # 4.20 [4.13, 4.37], from its basis alone
        question.law(study)                  # the law that says so
        measured(study, question.target)     # what was measured once it is trained

The target is never among the points that its law is fitted to. Settings are those of the scale
file, so that a question stays the same whatever a search finds later.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.scale import Scale
from ieee_lib.config.scale_tables import Settings
from ieee_lib.laws.ensembles import EnsembleLaw, fit_ensembles
from ieee_lib.laws.estimates import (
    NO_VALUE,
    Estimate,
    noise_of,
    replicate_noise,
    seed_mean,
    t_scale,
)
from ieee_lib.laws.fit import fit_power_law
from ieee_lib.laws.forms import FREE, SizeLaws, fit_sizes
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.scan import MIN_POINTS
from ieee_lib.laws.units import scale_of
from ieee_lib.recipes.ensembles import ensemble, member_settings
from ieee_lib.recipes.search import specs_of
from ieee_lib.runs.frames import Noise
from ieee_lib.study import Study

ONE_OVER_K = "1 / K"
"""The form of the law in K."""


@dataclass(frozen=True)
class Cell:
    """One recipe's loss at one N and D, from all its seeds or members."""

    recipe: str
    """standard, regularized or ensemble."""
    settings: Settings
    K: int = 1
    """Members; 1: single models, the mean over their seeds."""

    def ensemble(self, study: Study) -> EnsembleSpec | None:
        """Return the ensemble that is scored; None for single models."""
        return ensemble(study, self.settings, self.K) if self.recipe == "ensemble" else None

    def runs(self, study: Study) -> list[RunSpec]:
        """Return the runs that are trained: the members, or the seeds."""
        if members := self.ensemble(study):
            return list(members.members)
        return specs_of(study, self.settings, study.scale.seeds_at(self.settings.seed_tokens))

    def run_ids(self, study: Study) -> list[str]:
        """Return the ids of its records: the runs, and the ensemble that they make."""
        run_ids = [run.run_id for run in self.runs(study)]
        members = self.ensemble(study)
        return [*run_ids, members.run_id] if members else run_ids

    def size(self, study: Study) -> int:
        """Return N, the parameters of one model."""
        return study.scale.models[self.settings.model].count().total

    def has_diverged(self, study: Study) -> bool:
        """Say whether one of its recorded runs diverged."""
        records = [study.store.get(run.run_id) for run in self.runs(study)]
        return any(record is not None and record["status"] == "diverged" for record in records)

    def is_recorded(self, study: Study) -> bool:
        """Say whether all its runs are trained and its ensemble is scored."""
        return all(study.store.has(run_id) for run_id in self.run_ids(study))


@dataclass(frozen=True)
class Question:
    """A loss to predict: the cells that are measured first, and the larger one after them."""

    axis: str
    """What grows from the basis to the target: N, D or K."""
    basis: tuple[Cell, ...]
    target: Cell

    @property
    def name(self) -> str:
        """Return what is predicted: largest N: ensemble, 3 x 0.92M, D = 32,768."""
        settings, K = self.target.settings, self.target.K
        model = f"{K} x {settings.model}" if K > 1 else settings.model
        place = f"{model}, D = {settings.seed_tokens:,}"
        return f"largest {self.axis}: {self.target.recipe}, {place}"

    @property
    def n_point(self) -> int:
        """Return the points of the law: cells, or the members of the one ensemble."""
        return self.basis[0].K if self.axis == "K" else len(self.basis)

    def basis_ids(self, study: Study) -> frozenset[str]:
        """Return the ids of the records that the prediction rests on."""
        return frozenset(run_id for cell in self.basis for run_id in cell.run_ids(study))

    def new_ids(self, study: Study) -> frozenset[str]:
        """Return the ids of the records that the target needs and the basis has not."""
        return frozenset(self.target.run_ids(study)) - self.basis_ids(study)

    def is_lost(self, study: Study) -> bool:
        """Say whether a run of the basis diverged: nothing can be predicted from the rest."""
        return any(cell.has_diverged(study) for cell in self.basis)

    def is_measured(self, study: Study) -> bool:
        """Say whether a new record of the target exists already: too late to predict it."""
        return any(study.store.has(run_id) for run_id in self.new_ids(study))

    def is_answered(self, study: Study) -> bool:
        """Say whether basis and target are recorded, and no run of the basis diverged."""
        is_recorded = all(cell.is_recorded(study) for cell in (*self.basis, self.target))
        return is_recorded and not self.is_lost(study)

    def points(self, study: Study) -> pd.DataFrame:
        """Return one row a cell of the basis: recipe, model, N, D, K, loss (estimate), run_ids.

        Its noise is that of the whole basis. Raises MissingRuns until the basis is recorded.
        """
        losses = _losses(study, self.basis)
        rows = [
            {
                "recipe": cell.recipe,
                "model": cell.settings.model,
                "N": cell.size(study),
                "D": cell.settings.seed_tokens,
                "K": cell.K,
                "loss": loss,
                "run_ids": tuple(cell.run_ids(study)),
            }
            for cell, loss in zip(self.basis, losses, strict=True)
        ]
        return pd.DataFrame(rows)

    def peers(self, study: Study) -> list["Question"]:
        """Return the questions of this axis and recipe whose basis is recorded, this one first.

        Their bases say what a law's form may be wrong by, and how much members differ.
        """
        others = [
            other
            for other in questions(study)
            if (other.axis, other.target.recipe) == (self.axis, self.target.recipe)
            and other != self
            and not other.is_lost(study)
            and all(cell.is_recorded(study) for cell in other.basis)
        ]
        return [self, *others]

    def law(self, study: Study) -> PowerLaw:
        """Return the law of the basis: in N by the form that heads, in D free, in K A / K + E."""
        if self.axis == "N":
            return self._sizes(study)[self.target.settings.seed_tokens]
        if self.axis == "K":
            return self._ensembles(study)[self.basis[0].settings.model].law
        return fit_power_law(self.points(study), x="D")

    def predicted(self, study: Study) -> Estimate:
        """Return the loss that the basis predicts, with the noise of what will be measured.

        By the form that heads; see `by_form`. Raises MissingRuns until the basis is recorded.
        """
        return next(iter(self.by_form(study).values()))

    def by_form(self, study: Study) -> dict[str, Estimate]:
        """Return the loss that every form of the law predicts; the form that heads comes first."""
        study = study.reading()
        if self.axis == "K":
            law = self._ensembles(study)[self.basis[0].settings.model]
            members = [run.run_id for run in self.target.runs(study)]
            return {ONE_OVER_K: law.with_members(members)}
        if self.axis == "D":
            return {FREE: self._at_target(study, self.law(study))}
        sizes = self._sizes(study)
        laws = sizes.at(self.target.settings.seed_tokens)
        ordered = {sizes.form: laws[sizes.form], **laws}
        return {form: self._at_target(study, law) for form, law in ordered.items()}

    def _sizes(self, study: Study) -> SizeLaws:
        """Return the laws in N through the bases of all peers, every form's errors among them."""
        peers = sorted(self.peers(study), key=lambda peer: peer.target.settings.seed_tokens)
        ids = frozenset(run_id for peer in peers for run_id in peer.basis_ids(study))

        def fit(study: Study) -> SizeLaws:
            points = [peer.points(study) for peer in peers]
            return fit_sizes(pd.concat(points, ignore_index=True))

        return study.cached(("laws in N", ids), fit)

    def _at_target(self, study: Study, law: PowerLaw) -> Estimate:
        """Return the law's loss at the target's N or D, with the noise of its runs.

        All of these runs are new: their noise is independent of the law's. Of an ensemble it is
        at most that of its members.
        """
        size = self.target.size(study) if self.axis == "N" else self.target.settings.seed_tokens
        loss = law.at(size / scale_of(law.unit))
        sigma, dof = _noise(study, self.basis)
        run_ids = [run.run_id for run in self.target.runs(study)]
        return Estimate(loss.value, loss.draws + sigma * t_scale(dof) * noise_of(run_ids))

    def _ensembles(self, study: Study) -> dict[str, EnsembleLaw]:
        """Return model -> law in K of all peers' bases, their noise pooled (`influence.pool`)."""
        specs = [peer.basis[0].ensemble(study) for peer in self.peers(study)]
        return fit_ensembles(study.score([spec for spec in specs if spec]))


def questions(study: Study) -> Iterator[Question]:
    """Yield every question of a scale: the largest K, then the largest D, then the largest N."""
    scale = study.scale
    models, ladder = scale.ladder_models(), scale.ladder()
    few, many = fewest_members(scale), scale.ensembles.members
    for model in models:
        basis = _cells(study, "ensemble", [(model, scale.base_tokens)], K=few)
        target = _cells(study, "ensemble", [(model, scale.base_tokens)], K=many)
        if basis and MIN_POINTS <= few < many:
            yield Question("K", tuple(basis), target[0])
    for recipe in ("standard", "regularized", "ensemble"):
        for model in models[:-1]:
            yield from _largest("D", _cells(study, recipe, [(model, D) for D in ladder], K=few))
    for recipe in ("regularized", "ensemble"):
        for D in ladder:
            yield from _largest("N", _cells(study, recipe, [(model, D) for model in models], K=few))


def fewest_members(scale: Scale) -> int:
    """Return how many members predictions rest on: as few as a law in K can be fitted to."""
    return min(MIN_POINTS, scale.ensembles.ladder_members)


def measured(study: Study, cell: Cell) -> Estimate:
    """Return the recorded loss of a cell; NaN where one of its runs diverged."""
    if cell.has_diverged(study):
        return NO_VALUE
    (loss,) = _losses(study, (cell,))
    return loss


def _cells(study: Study, recipe: str, places: Sequence[tuple[str, int]], *, K: int) -> list[Cell]:
    """Return a recipe's cells at (model, D), without those that the scale has no settings for.

    Members of ensembles take their settings for K → ∞.
    """
    scale = study.scale
    table = scale.standard if recipe == "standard" else scale.regularized
    settings = {(row.model, row.seed_tokens): row for row in table}
    cells = []
    for model, D in places:
        if (model, D) not in settings:
            continue
        row = settings[model, D]
        if recipe != "ensemble":
            cells.append(Cell(recipe, row))
        elif model in scale.members():
            cells.append(Cell(recipe, member_settings(scale, row), K))
    return cells


def _largest(axis: str, cells: Sequence[Cell]) -> Iterator[Question]:
    """Yield the question of the last cell from the others, where a law has points enough."""
    if len(cells) > MIN_POINTS:
        yield Question(axis, tuple(cells[:-1]), cells[-1])


def _noise(study: Study, cells: Sequence[Cell]) -> Noise:
    """Return the noise between seeds, pooled over the runs of some cells."""
    runs = study.ensure([run for cell in cells for run in cell.runs(study)], label="basis")
    return replicate_noise(runs, study.scale.assumed_noise)


def _losses(study: Study, cells: Sequence[Cell]) -> list[Estimate]:
    """Return the loss of every cell, all of one recipe; their noise is pooled."""
    noise = _noise(study, cells)
    if cells[0].recipe != "ensemble":
        return [seed_mean(study.ensure(cell.runs(study)), noise) for cell in cells]
    specs = [spec for cell in cells if (spec := cell.ensemble(study))]
    scores = study.score(specs).assign(noise=noise.sigma, noise_dof=noise.dof)
    laws = fit_ensembles(scores, by="ensemble")
    return [laws[spec.run_id].measured for spec in specs]
