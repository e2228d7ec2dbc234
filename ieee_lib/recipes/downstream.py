"""Downstream: which models of the book are asked which questions (Sec. 7.1, Fig 10, Table 5).

entrant = Entrant(recipe="regularized", about="0.14M", models=EnsembleSpec(seeds))
answers = study.evaluate([evaluation(study, entrant, "continuation")])
"""

from dataclasses import dataclass
from pathlib import Path

from ieee_lib.spec import EnsembleSpec, EvaluationSpec
from ieee_lib.study import Study
from ieee_lib.training.probe import PROBE
from ieee_lib.training.tasks import fingerprint


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


def items_of(study: Study, task: str, files: Path | None) -> str:
    """Return the name of a task's local files, by their content; empty: its items are the hub's.

    Records say which they asked, so that a book is drawn where the files are not.
    Raises InputError for a missing file where nothing has been asked of its kind.
    """
    if files is None:
        return ""
    if study.source != "train":
        specs = [r["spec"] for r in study.store.records() if r["kind"] == "evaluation"]
        asked = {spec["files"] for spec in specs if spec["task"] == task}
        if len(asked) == 1:
            return asked.pop()
    return fingerprint(task, files)
