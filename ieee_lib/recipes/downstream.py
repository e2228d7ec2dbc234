"""Downstream: every recipe of the book answers multiple-choice questions (Sec. 7.1, Fig 10).

Tuned single models, ensembles of their members and students answer lm-eval's tasks, and a probe
that works at every scale. All were chosen by validation loss, never by their answers.

    answers = downstream_answers(study)          # one row a (model, K, task, metric)
    answers.error                                # estimates: share of wrong answers, over items
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ieee_lib.config import EnsembleSpec, EvaluationSpec, RunSpec, check_text
from ieee_lib.config.scale_tables import Settings
from ieee_lib.errors import check as require
from ieee_lib.evaluation.probe import PROBE, continuation_items
from ieee_lib.evaluation.tasks import fingerprint, open_task
from ieee_lib.laws.downstream import error_of
from ieee_lib.paths import below_data
from ieee_lib.recipes import single
from ieee_lib.recipes.distill import Student, compared_students, healthy, teach, teacher_spec
from ieee_lib.recipes.ensembles import member_centres, member_ensembles
from ieee_lib.recipes.search import specs_of
from ieee_lib.study import Study
from ieee_lib.text.corpus import open_corpus


def downstream_answers(study: Study, *, tasks: str = "", files: str = "") -> pd.DataFrame:
    """Return what every recipe answers, one row a model (or ensemble of K), task and metric.

    tasks: comma-separated names of lm-eval; files: the folder of their local items; empty: the
    scale's. Columns: recipe, model, K, label (names the three), N (parameters of one member),
    total (N x K), flops of training, loss (nats/token; of seeds their mean), task, metric, error
    (estimate over items; of seeds their mean), chance_error (of guessing), n_item, truncated
    (share of requests cut from the left, the largest over models), evaluation, run_ids. An
    ensemble answers with its first K members; at K = 1 it is the mean over its members. Trains
    what is missing. Raises InputError where all runs of a recipe diverged.
    """
    task_items, folder = tasks_with_items(study, tasks=tasks, files=files)
    centres = {
        recipe: [result.centre for result in single.tune(study, recipe)]
        for recipe in ("standard", "regularized")
    }
    teaching = healthy(study, teacher_spec(study, centres["regularized"]))
    students = _students(study, teaching)
    teach(study, students.values())
    models = evaluated_models(study, centres, students)
    item_ids = {PROBE: "", **task_items}
    evaluations = {
        (i, task): evaluation(study, model.runs, task, item_id)
        for task, item_id in item_ids.items()
        for i, model in enumerate(models)
    }
    frame = study.evaluate(evaluations.values(), files=folder, label="downstream")
    losses = _losses(study, models)
    by_evaluation = dict(list(frame.groupby("evaluation")))
    truncated = frame.groupby("task").truncated.max()
    rows: list[dict[str, Any]] = []
    for i, model in enumerate(models):
        run_ids = {task: evaluations[i, task].run_id for task in item_ids}
        is_answered = set(run_ids.values()) <= set(by_evaluation)
        require(is_answered, "runs", f"{model.recipe}, {model.model}", "have all diverged")
        frames = {task: by_evaluation[run_id] for task, run_id in run_ids.items()}
        largest = frames[PROBE].K.max() if model.is_ensemble else 1
        for k in range(1, 1 + largest):
            rows += _answers(model, k, frames, losses)
    answers = pd.DataFrame(rows)
    return answers.assign(truncated=answers.task.map(truncated))


def check(study: Study, *, tasks: str = "", files: str = "") -> None:
    """Raise InputError for tasks or files that cannot be used, and a text too short to probe."""
    names, folder = _task_names(study, tasks), _items_folder(study, files)
    allowed = "has items of tasks; name some: -p tasks piqa"
    require(folder is None or bool(names), "files", str(folder), allowed)
    if study.source == "train":
        assert study.corpus_folder is not None
        for task in set(names) - set(recorded_fingerprints(study)):
            open_task(task, files=folder)
        corpus = open_corpus(study.corpus_folder)
        continuation_items(corpus, block_size=study.scale.training.block_size, n_item=1)


def downstream_specs(study: Study) -> list[RunSpec]:
    """Return the runs that answer, from recorded searches or the scale's settings."""
    centres = {
        recipe: single.current_centres(study, recipe) for recipe in ("standard", "regularized")
    }
    teaching = teacher_spec(study, centres["regularized"])
    students = _students(study, teaching)
    models = evaluated_models(study, centres, students)
    return [run for model in models for run in model.runs.members]


@dataclass(frozen=True, kw_only=True)
class EvaluatedModel:
    """Trained models of one setting, which answer each alone, or together too."""

    recipe: str
    """standard, regularized, ensemble or distilled."""
    model: str
    """What sets it apart within its recipe."""
    runs: EnsembleSpec
    """Seeds of one model, or members of an ensemble."""

    @property
    def is_ensemble(self) -> bool:
        """Say whether they answer as an ensemble too, not only each alone."""
        return self.recipe == "ensemble"


def evaluated_models(
    study: Study, centres: dict[str, list[Settings]], students: dict[str, Student]
) -> list[EvaluatedModel]:
    """Return everything that answers: tuned single models, ensembles, students.

    centres: the tuned settings of the standard and the regularized recipe.
    """
    models = []
    for recipe in ("standard", "regularized"):
        for centre in centres[recipe]:
            seeds = EnsembleSpec(tuple(specs_of(study, centre, study.scale.seeds)))
            models.append(EvaluatedModel(recipe=recipe, model=centre.model, runs=seeds))
    with_members = member_centres(study, centres["regularized"])
    for centre, members in zip(with_members, member_ensembles(study, with_members), strict=True):
        models.append(EvaluatedModel(recipe="ensemble", model=centre.model, runs=members))
    for name, student in students.items():
        seeds = EnsembleSpec(tuple(student.specs(study)))
        models.append(EvaluatedModel(recipe="distilled", model=f"of {name}", runs=seeds))
    return models


def evaluation(study: Study, runs: EnsembleSpec, task: str, item_id: str = "") -> EvaluationSpec:
    """Return some runs on one task; `item_id` names its local items (`item_fingerprints`)."""
    table = study.scale.downstream
    if task == PROBE:
        return EvaluationSpec(models=runs, task=task, n_item=table.probe_items)
    return EvaluationSpec(models=runs, task=task, n_item=table.items, files=item_id)


def tasks_with_items(
    study: Study, *, tasks: str = "", files: str = ""
) -> tuple[dict[str, str], Path | None]:
    """Return task -> the name of its local items, and their folder; see `item_fingerprints`."""
    names, folder = _task_names(study, tasks), _items_folder(study, files)
    return item_fingerprints(study, names, folder), folder


def recorded_fingerprints(study: Study) -> dict[str, set[str]]:
    """Return task -> what `item_fingerprints` gave for it, of the recorded evaluations."""
    recorded: dict[str, set[str]] = {}
    for record in study.store.records():
        if record["kind"] == "evaluation":
            recorded.setdefault(record["spec"]["task"], set()).add(record["spec"]["files"])
    return recorded


def item_fingerprints(study: Study, tasks: Iterable[str], files: Path | None) -> dict[str, str]:
    """Return the name of each task's local items, by their content; empty: they are the hub's.

    Where nothing is trained, records say which items were used, so that a book is drawn where the
    files are not. Raises InputError for a missing file that no record names.
    """
    if files is None:
        return dict.fromkeys(tasks, "")
    recorded = {} if study.source == "train" else recorded_fingerprints(study)
    fingerprints = {}
    for task in tasks:
        used = recorded.get(task, set())
        fingerprints[task] = min(used) if len(used) == 1 else fingerprint(task, files)
    return fingerprints


def _students(study: Study, teaching: EnsembleSpec) -> dict[str, Student]:
    """Return the two students of notebook 06 that answer."""
    compared = compared_students(study, teaching)
    return {name: compared[name] for name in ("ensemble", "self")}


def _items_folder(study: Study, files: str) -> Path | None:
    """Return the folder of local items, the notebook's or else the scale's; None: from the hub."""
    folder = files or study.scale.downstream.files
    return below_data("files", folder) if folder else None


def _task_names(study: Study, tasks: str) -> list[str]:
    check_text("tasks", tasks)
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    return names or list(study.scale.downstream.tasks)


def _losses(study: Study, models: list[EvaluatedModel]) -> dict[tuple[str, ...], float]:
    """Return the loss of every tuple of run ids that may answer."""
    runs = study.ensure([run for m in models for run in m.runs.members], label="downstream")
    scores = study.score([m.runs for m in models if m.is_ensemble], label="downstream")
    losses: dict[tuple[str, ...], float]
    losses = {(i,): loss for i, loss in zip(runs.run_id, runs.val_loss, strict=True)}
    return losses | dict(zip(scores.members, scores.loss, strict=True))


def _answers(
    model: EvaluatedModel,
    k: int,
    frames: dict[str, pd.DataFrame],
    losses: dict[tuple[str, ...], float],
) -> list[dict[str, Any]]:
    """Return what k members answered together, a row a task and metric; for k = 1 the mean."""
    subsets = {task: frame[frame.k == k] for task, frame in frames.items()}
    probe = subsets[PROBE]
    members = list(probe[probe.metric == "acc"].members)
    flops = {run.run_id: run.flops for run in model.runs.members}
    N = int(probe.N.iloc[0])
    name = f"{k} x {model.model}" if k > 1 else model.model
    shared = {
        "recipe": model.recipe,
        "model": model.model,
        "K": k,
        "label": f"{model.recipe}, {name}",
        "N": N,
        "total": N * k,
        "flops": sum(flops[run_id] for run_id in members[0]),
        "loss": float(np.mean([losses[subset] for subset in members])),
    }
    run_ids = tuple(sorted({run_id for subset in members for run_id in subset}))
    return [
        {
            **shared,
            "task": task,
            "metric": metric,
            "error": error_of(rows),
            "chance_error": 1 - rows.chance.iloc[0],
            "n_item": int(rows.n_item.iloc[0]),
            "evaluation": rows.evaluation.iloc[0],
            "run_ids": run_ids,
        }
        for task, frame in subsets.items()
        for metric, rows in frame.groupby("metric", sort=False)
    ]
