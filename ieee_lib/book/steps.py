"""A book in steps by value, so that any first part of them is a useful book.

    for step in steps(study):
        step.what, step.missing(study)

A step needs nothing that is not recorded, so a machine may begin bare: a stack is trained and its
ensembles are scored in one go. What a prediction is about (`ieee_lib.predictions.questions`) is
trained after the prediction is written. `ieee_lib.book.run_plan` runs what fits a time.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ieee_lib.book.needs import ensemble_groups
from ieee_lib.book.sections import SECTIONS
from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.errors import InputError
from ieee_lib.plots.saving import output
from ieee_lib.predictions.questions import fewest_members, questions
from ieee_lib.recipes import ensembles as recipe
from ieee_lib.recipes import single
from ieee_lib.recipes.search import specs_of
from ieee_lib.study import Study

DOWNSTREAM = "downstream evaluations"
"""Name of the step that asks questions, which may be on a hub."""

Ids = frozenset[str]


@dataclass(frozen=True)
class Step:
    """Part of a book that is useful by itself."""

    what: str
    runs: tuple[RunSpec, ...] = ()
    ensembles: tuple[EnsembleSpec, ...] = ()
    notebook: str = ""
    """Instead: the number of a whole notebook, where one run follows from another."""

    @property
    def members(self) -> list[RunSpec]:
        """Return the members of its ensembles."""
        return [member for ensemble in self.ensembles for member in ensemble.members]

    @cached_property
    def ids(self) -> Ids:
        """Return the run ids of what it trains and scores."""
        run_ids = [spec.run_id for spec in (*self.runs, *self.members)]
        return frozenset([*run_ids, *(ensemble.run_id for ensemble in self.ensembles)])

    def unscored(self, study: Study) -> list[EnsembleSpec]:
        """Return its ensembles that have no record."""
        return [ensemble for ensemble in self.ensembles if not study.store.has(ensemble.run_id)]

    def missing(self, study: Study) -> list[RunSpec]:
        """Return what it trains: also recorded runs whose weights it needs and are not here."""
        if self.notebook:
            return study.missing(SECTIONS[self.notebook].needs(study), weights=True)
        unscored = [member for e in self.unscored(study) for member in e.members]
        missing = study.missing([*self.runs, *self.members])
        missing += study.missing(unscored, weights=True)
        return list({spec.run_id: spec for spec in missing}.values())

    def left(self, study: Study) -> list[RunSpec | EnsembleSpec]:
        """Return what it still trains and scores."""
        return [*self.missing(study), *self.unscored(study)]

    def is_done(self, study: Study) -> bool:
        """Say whether all of it is recorded."""
        if not self.notebook:
            return not self.left(study)
        try:
            self._run_notebook(study.reading())
        except InputError:  # something is not recorded, or has diverged
            return False
        return True

    def run(self, study: Study) -> None:
        """Train and score it. Raises TrainingError where some of it could not be made."""
        if self.notebook:
            self._run_notebook(study)
            return
        weights = bool(self.unscored(study))
        study.ensure(self.missing(study), weights=weights, label=self.what)
        study.score(self.ensembles, label=self.what)

    def _run_notebook(self, study: Study) -> None:
        from ieee_lib.book.run import run_notebook

        with output(write=False):
            parameters = {"scale": study.scale, "source": study.source}
            run_notebook(SECTIONS[self.notebook].path, parameters)


def steps(study: Study) -> list[Step]:
    """Return the steps of a book, the most valuable first.

    The chain N, K, D at the scale's own settings, where what the rest predicts (the largest N, K
    and D) follows the last step that predicts it; ablations; the later sections; how good the
    settings of all models are.
    """
    basis_of_new = {q.new_ids(study): q.basis_ids(study) for q in questions(study)}
    targets: Ids = frozenset().union(*basis_of_new)
    ordered: list[Step] = []
    waiting: list[Step] = []
    for step in _chain(study):
        basis, predicted = _split(step, targets)
        if basis.ids:
            ordered.append(basis)
        if predicted.ids:
            waiting.append(predicted)
        while (ready := _ready(waiting, ordered, basis_of_new)) is not None:
            waiting.remove(ready)
            ordered.append(ready)
    return [*ordered, *waiting, *_after_the_chain(study)]


def _split(step: Step, targets: Ids) -> tuple[Step, Step]:
    """Return a step without what is predicted, and that."""
    target_runs = [spec for spec in step.runs if spec.run_id in targets]
    target_ensembles = [e for e in step.ensembles if Step("", ensembles=(e,)).ids & targets]
    return (
        Step(
            step.what,
            tuple(spec for spec in step.runs if spec not in target_runs),
            tuple(e for e in step.ensembles if e not in target_ensembles),
        ),
        Step(f"{step.what}, predicted", tuple(target_runs), tuple(target_ensembles)),
    )


def _ready(
    waiting: Sequence[Step], ordered: Sequence[Step], basis_of_new: Mapping[Ids, Ids]
) -> Step | None:
    """Return the first waiting step whose predictions rest on steps in the order alone."""
    ordered_ids: Ids = frozenset().union(*(step.ids for step in ordered))
    for step in waiting:
        bases = [basis for new, basis in basis_of_new.items() if new & step.ids]
        if all(basis <= ordered_ids for basis in bases):
            return step
    return None


def _chain(study: Study) -> Iterator[Step]:
    """Yield both recipes and the ensembles of every N and D, the base D first, the cheap first."""
    scale = study.scale
    for d in sorted(scale.ladder(), key=lambda d: (d != scale.base_tokens, d)):
        few, many = fewest_members(scale), scale.members_at(d)
        yield _standard(study, d)
        if d == scale.base_tokens:
            sweep = single.sweep_specs(study, scale.overfitting)
            yield Step("loss against epochs", tuple(sweep))
        large = []
        for centre in scale.settings("regularized", d):
            runs = specs_of(study, centre, scale.seeds_at(d))
            if centre.model not in scale.members():
                yield Step(f"{centre.model} alone, D = {d:,}", tuple(runs))
                continue
            settings = recipe.member_settings(scale, centre)
            small = recipe.ensemble(study, settings, few)
            yield Step(f"{centre.model} alone and x {few}, D = {d:,}", tuple(runs), (small,))
            if many > few:
                large.append(recipe.ensemble(study, settings, many))
        if large:  # together: one more member of each model fills no stack
            yield Step(f"all x {many}, D = {d:,}", ensembles=tuple(large))


def _standard(study: Study, d: int) -> Step:
    """Return the standard recipe's models at one D, tokens."""
    centres, n_seed = study.scale.settings("standard", d), study.scale.seeds_at(d)
    runs = [spec for centre in centres for spec in specs_of(study, centre, n_seed)]
    return Step(f"standard recipe, D = {d:,}", tuple(runs))


def _after_the_chain(study: Study) -> Iterator[Step]:
    """Yield the standard recipe at further D, sweeps, the later notebooks, and neighbours."""
    scale = study.scale
    small = scale.ensembles.model
    centres = scale.settings("regularized", scale.base_tokens)
    for d in sorted(set(scale.ladder("standard")) - set(scale.ladder())):
        yield _standard(study, d)
    yield Step("loss against weight decay", tuple(single.sweep_specs(study, scale.wd_sweep)))
    yield Step("epochs x weight decay", tuple(single.epochs_and_decay_specs(study)))
    yield from _neighbours(study, [small])
    for question, group in ensemble_groups(study, centres).items():
        yield Step(f"ensembles, {question}", ensembles=tuple(group))
    yield Step("distillation", notebook="06")
    yield Step(DOWNSTREAM, notebook="07")
    yield Step("continued pre-training", notebook="08")
    yield from _neighbours(study, [name for name in scale.ladder_models() if name != small])


def _neighbours(study: Study, models: Collection[str]) -> Iterator[Step]:
    """Yield what certifies the settings of some models at the base D."""
    for name in single.AXES:
        for centre in study.scale.settings(name, study.scale.base_tokens):
            if centre.model in models:
                runs = single.neighbour_runs(study, name, centre)
                yield Step(f"{name} recipe, neighbours, {centre.model}", tuple(runs))
