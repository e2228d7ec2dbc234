"""Downstream: which models of the book are asked which questions (Sec. 7.1, Fig 10, Table 5).

entrant = Entrant(recipe="regularized", about="0.14M", models=EnsembleSpec(seeds))
answers = study.evaluate([evaluation(study, entrant, "continuation")])
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ieee_lib.config import EnsembleSpec, EvaluationSpec
from ieee_lib.evaluation.probe import PROBE
from ieee_lib.evaluation.tasks import fingerprint
from ieee_lib.study import Study


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """Trained models of one setting."""

    recipe: str
    """standard, regularized, ensemble or distilled."""
    about: str
    """What sets it apart within its recipe."""
    models: EnsembleSpec
    """Seeds of one model, or members of an ensemble."""

    @property
    def together(self) -> bool:
        """Whether they answer as an ensemble too, not only each alone."""
        return self.recipe == "ensemble"


def evaluation(study: Study, entrant: Entrant, task: str, items: str = "") -> EvaluationSpec:
    """Return one entrant on one task; `items` names the local files that it asks (`items_of`)."""
    wanted = study.scale.downstream
    if task == PROBE:
        return EvaluationSpec(models=entrant.models, task=task, n_item=wanted.probe_items)
    return EvaluationSpec(models=entrant.models, task=task, n_item=wanted.items, files=items)


def recorded_items(study: Study) -> dict[str, set[str]]:
    """Return task -> what `items_of` gave for it, of the evaluations that are recorded."""
    found: dict[str, set[str]] = {}
    for record in study.store.records():
        if record["kind"] == "evaluation":
            found.setdefault(record["spec"]["task"], set()).add(record["spec"]["files"])
    return found


def items_of(study: Study, tasks: Iterable[str], files: Path | None) -> dict[str, str]:
    """Return the name of each task's local files, by their content; empty: the items are the hub's.

    Records say which they asked, so that a book is drawn where the files are not.
    Raises InputError for a missing file where nothing has been asked of its kind.
    """
    if files is None:
        return dict.fromkeys(tasks, "")
    recorded = {} if study.source == "train" else recorded_items(study)
    found = {}
    for task in tasks:
        known = recorded.get(task, set())
        found[task] = min(known) if len(known) == 1 else fingerprint(task, files)
    return found
