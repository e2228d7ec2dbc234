"""07: lower loss goes with fewer wrong answers (Sec. 7.1, Fig 10, Table 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ieee_lib.claims import verdicts as verdicts
from ieee_lib.claims.verdicts import Claim, claims_table
from ieee_lib.config import EnsembleSpec, RunSpec, check_text
from ieee_lib.config.scale_tables import Settings
from ieee_lib.errors import check
from ieee_lib.evaluation.probe import PROBE, continuation_items
from ieee_lib.evaluation.tasks import open_task
from ieee_lib.laws import downstream as analysis
from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.published import published
from ieee_lib.paths import below_data
from ieee_lib.plots import downstream_figures as figures
from ieee_lib.plots import published_figures
from ieee_lib.plots.saving import Drawing, Table
from ieee_lib.recipes import distill, single
from ieee_lib.recipes import ensembles as ensembles
from ieee_lib.recipes.distill import Student
from ieee_lib.recipes.downstream import Entrant, evaluation, items_of, recorded_items
from ieee_lib.recipes.search import specs_of
from ieee_lib.sections.distillation import teachers
from ieee_lib.study import Study
from ieee_lib.text.corpus import open_corpus

Measure = tuple[str, str]
"""Task and metric; acc is the paper's."""


@dataclass(frozen=True)
class Answers:
    """A model, or an ensemble of its first K members, with what it answered."""

    recipe: str
    about: str
    K: int
    N: int
    """Parameters of one member."""
    loss: float
    """Validation loss, nats/token; of seeds their mean."""
    errors: dict[Measure, Estimate]
    """Task and metric -> share of wrong answers; of seeds their mean."""

    @property
    def name(self) -> str:
        return f"{self.recipe}, {self.K} x {self.about}" if self.K > 1 else self.label

    @property
    def label(self) -> str:
        return f"{self.recipe}, {self.about}"

    @property
    def total(self) -> int:
        return self.N * self.K


@dataclass(frozen=True)
class Found:
    study: Study
    answers: list[Answers]
    chance: dict[str, float]
    """Task -> error of guessing."""
    n_item: dict[str, int]
    truncated: dict[str, float]
    """Task -> share of requests longer than the context, cut from the left."""

    @property
    def judged(self) -> list[Measure]:
        """What claims are about: acc, as the paper's, on lm-eval's tasks or else on the probe."""
        return [(task, "acc") for task in self.chance if task != PROBE] or [(PROBE, "acc")]

    def error(self, answers: Answers, measures: Sequence[Measure] = ()) -> Estimate:
        """Return the mean error over measures (the judged ones)."""
        return analysis.mean([answers.errors[measure] for measure in measures or self.judged])

    def best(self, *recipes: str) -> Answers:
        """Return the one of lowest loss: chosen without looking at its answers."""
        return min((a for a in self.answers if a.recipe in recipes), key=lambda a: a.loss)

    def caption(self, n_point: int, *notes: str) -> str:
        items = ", ".join(f"{n:,} items of {task}" for task, n in self.n_item.items())
        return self.study.caption(
            n_point, items, "bars: 95 % over items (of the probe: over documents)", *notes
        )


def entrants(
    study: Study,
    standard: list[Settings],
    regularized: list[Settings],
    students: dict[str, Student],
) -> list[Entrant]:
    """Return everything that answers: tuned single models, ensembles, students."""
    found = []
    for recipe, centres in (("standard", standard), ("regularized", regularized)):
        for centre in centres:
            seeds = EnsembleSpec(tuple(specs_of(study, centre, study.scale.seeds)))
            found.append(Entrant(recipe=recipe, about=centre.model, models=seeds))
    centres = ensembles.with_members(study, regularized)
    for centre, members in zip(centres, ensembles.for_limit(study, centres), strict=True):
        found.append(Entrant(recipe="ensemble", about=centre.model, models=members))
    for name, student in students.items():
        seeds = EnsembleSpec(tuple(student.specs(study)))
        found.append(Entrant(recipe="distilled", about=f"of {name}", models=seeds))
    return found


def _taught_by(study: Study, teaching: EnsembleSpec) -> dict[str, Student]:
    """Return the two students of notebook 06 that answer."""
    students = distill.students(study, teaching)
    return {name: students[name] for name in ("ensemble", "self")}


def _teachers(study: Study, regularized: list[Settings]) -> EnsembleSpec:
    return teachers(study, ensembles.tuned_centre(regularized, study.scale.ensembles.model))


def specs(study: Study) -> list[RunSpec]:
    known = [single.known_centres(study, recipe) for recipe in ("standard", "regularized")]
    students = _taught_by(study, _teachers(study, known[1]))
    return [run for e in entrants(study, *known, students) for run in e.models.members]


def precheck(study: Study, *, tasks: str = "", files: str = "") -> None:
    """Raise InputError for tasks or files that cannot be used, and a text too short to probe."""
    names, folder = _tasks(study, tasks), _folder(study, files)
    allowed = "has items of tasks; name some: -p tasks piqa"
    check(folder is None or bool(names), "files", str(folder), allowed)
    if study.source == "train":
        for task in set(names) - set(recorded_items(study)):
            open_task(task, files=folder)
        corpus = open_corpus(study.corpus_folder)
        continuation_items(corpus, block_size=study.scale.training.block_size, n_item=1)


def _folder(study: Study, files: str) -> Path | None:
    """Return the folder of local items, the notebook's or else the scale's; None: from the hub."""
    wanted = files or study.scale.downstream.files
    return below_data("files", wanted) if wanted else None


def _tasks(study: Study, tasks: str) -> list[str]:
    check_text("tasks", tasks)
    return [t.strip() for t in tasks.split(",") if t.strip()] or list(study.scale.downstream.tasks)


def gather(study: Study, *, tasks: str = "", files: str = "") -> Found:
    """Ask all recipes; `tasks`: comma-separated names of lm-eval, `files`: the folder of their
    local items; empty: the scale's.

    Raises InputError where all runs of a recipe diverged.
    """
    names, folder = _tasks(study, tasks), _folder(study, files)
    centres = [
        [result.centre for result in single.tune(study, recipe)]
        for recipe in ("standard", "regularized")
    ]
    students = _taught_by(study, distill.healthy(study, _teachers(study, centres[1])))
    distill.teach(study, students.values())
    asked = entrants(study, *centres, students)
    items = {PROBE: ""} | items_of(study, names, folder)
    evaluations = {
        (i, task): evaluation(study, entrant, task, named)
        for task, named in items.items()
        for i, entrant in enumerate(asked)
    }
    frame = study.evaluate(evaluations.values(), files=folder, label="downstream")
    losses = _losses(study, asked)
    by_record = dict(list(frame.groupby("evaluation")))
    answers = []
    for i, entrant in enumerate(asked):
        ids = {task: evaluations[i, task].run_id for task in items}
        name = f"{entrant.recipe}, {entrant.about}"
        check(set(ids.values()) <= set(by_record), "runs", name, "have all diverged")
        own = {task: by_record[run_id] for task, run_id in ids.items()}
        for k in range(1, 1 + (own[PROBE].K.max() if entrant.together else 1)):
            answers.append(_answers(entrant, k, own, losses))
    by_task = frame.groupby("task", sort=False)
    return Found(
        study=study,
        answers=answers,
        chance={task: 1 - group.chance.iloc[0] for task, group in by_task},
        n_item={task: int(group.n_item.iloc[0]) for task, group in by_task},
        truncated={task: float(group.truncated.max()) for task, group in by_task},
    )


def _losses(study: Study, asked: list[Entrant]) -> dict[tuple, float]:
    """Return the loss of every tuple of run ids that may answer."""
    runs = study.ensure([m for e in asked for m in e.models.members], label="downstream")
    losses = {(run.run_id,): run.val_loss for run in runs.itertuples()}
    scores = study.score([e.models for e in asked if e.together], label="downstream")
    return losses | dict(zip(scores.members, scores.loss, strict=True))


def _answers(
    entrant: Entrant, k: int, frames: dict[str, pd.DataFrame], losses: dict[tuple, float]
) -> Answers:
    """Return what k members answered together; for k = 1 the mean over all of them."""
    rows = {task: frame[frame.k == k] for task, frame in frames.items()}
    first = rows[PROBE]
    members = first[first.metric == "acc"].members
    return Answers(
        recipe=entrant.recipe,
        about=entrant.about,
        K=k,
        N=int(first.N.iloc[0]),
        loss=float(np.mean([losses[subset] for subset in members])),
        errors={
            (task, metric): analysis.error_of(part)
            for task, frame in rows.items()
            for metric, part in frame.groupby("metric", sort=False)
        },
    )


def error_against_loss(found: Found) -> Drawing:
    return _drawing(found, found.judged)


def probe_by_added(found: Found) -> Drawing:
    return _drawing(found, [(PROBE, "acc_mutual_info")])


def _drawing(found: Found, measures: list[Measure]) -> Drawing:
    tasks = list(dict(measures))
    frame = pd.DataFrame(
        {"recipe": a.recipe, "about": a.about, "K": a.K, "N": a.N, "total": a.total}
        | {"loss": a.loss, "error": found.error(a, measures)}
        for a in found.answers
    )
    return figures.error_against_loss(
        frame,
        chance=float(np.mean([found.chance[task] for task in tasks])),
        correlation=rank_correlation(found, measures),
        label=f"{'mean of ' * (len(tasks) > 1)}{', '.join(tasks)} ({measures[0][1]})",
        caption=found.caption(len(frame)),
    )


def rank_correlation(found: Found, measures: Sequence[Measure] = ()) -> Estimate:
    """Return Spearman's correlation of loss and error over everything that answered."""
    errors = [found.error(a, measures) for a in found.answers]
    groups = [a.label for a in found.answers]  # an ensemble at every K is one
    return analysis.rank_correlation([a.loss for a in found.answers], errors, groups)


def answer_table(found: Found) -> Table:
    """Return accuracy of every recipe on every task, in percent (Table 5)."""
    rows = []
    for a in found.answers:
        row = {"recipe": a.recipe, "model": a.about, "K": a.K, "parameters": a.total}
        row["loss"] = a.loss
        for (task, metric), error in a.errors.items():
            name = task if metric == "acc" else f"{task}, {metric}"
            row |= {name: 100 * (1 - error.value), f"{name} ±": 50 * (error.high - error.low)}
        rows.append(row)
    frame = pd.DataFrame(rows)
    digits = {name: 1 for name in frame.columns[5:]} | {"loss": 3}
    notes = ["accuracy in %, ± half the interval"]
    notes += [f"chance on {t}: {100 * (1 - c):.0f} %" for t, c in found.chance.items()]
    notes += [
        f"{100 * c:.0f} % of requests of {t} truncated" for t, c in found.truncated.items() if c
    ]
    return Table(frame, found.caption(len(rows), *notes), digits)


def pairs(found: Found) -> dict[str, tuple[Answers, Answers]]:
    """Return the comparisons that the claims and the paper make, each best by loss."""
    among = {(a.recipe, a.about, a.K): a for a in found.answers}
    small = ("regularized", found.study.scale.ensembles.model, 1)
    ensemble = found.best("ensemble")
    return {
        "regularized against standard": (found.best("regularized"), found.best("standard")),
        "best ensemble against best single": (ensemble, found.best("standard", "regularized")),
        "best ensemble against one of it": (ensemble, among["ensemble", ensemble.about, 1]),
        "student of an ensemble against its size": (
            among["distilled", "of ensemble", 1],
            among[small],
        ),
    }


def pair_table(found: Found) -> Table:
    """Return paired differences in error over the same items, in percentage points."""
    rows = []
    for name, (a, b) in pairs(found).items():
        for task, metric in a.errors:
            change = a.errors[task, metric] - b.errors[task, metric]
            rows.append(
                {"comparison": name, "a": a.name, "b": b.name, "task": task, "metric": metric}
                | {"a - b": 100 * change.value, "low": 100 * change.low, "high": 100 * change.high}
            )
    note = "difference in error, percentage points; the same items for both"
    digits = dict.fromkeys(("a - b", "low", "high"), 1)
    return Table(pd.DataFrame(rows), found.caption(len(rows), note), digits)


def published_downstream(found: Found) -> Drawing:
    n = len(published("downstream"))
    caption = f"the paper's published points, 200M tokens of DCLM · Table 5 · {n} points"
    return published_figures.downstream(caption=caption)


def published_table(found: Found) -> Table:
    """Return the paper's Table 5; cells that are not public are empty."""
    frame = published("downstream").drop(columns=["decimals", "source", "N_billions"])
    caption = "the paper, Table 5 · accuracy in % · 200M tokens of DCLM"
    return Table(frame.astype(object).where(frame.notna(), ""), caption)


def claims(found: Found) -> list[Claim]:
    tasks = ", ".join(task for task, _ in found.judged)
    a, b = pairs(found)["best ensemble against best single"]
    change = found.error(a) - found.error(b)
    n = len(found.answers)
    return [
        verdicts.predicts_error(rank_correlation(found), f"{n} models, acc on {tasks}"),
        verdicts.helps_downstream(
            change, f"{a.name} against {b.name}, acc on {tasks}, over items and not seeds"
        ),
    ]


ITEMS = {
    "fig10_error_against_loss": error_against_loss,
    "fig10b_probe_by_what_the_context_adds": probe_by_added,
    "tab10_accuracy": answer_table,
    "tab10_pairs": pair_table,
    "fig10_published": published_downstream,
    "tab10_published": published_table,
    "tab10_claims": lambda found: claims_table(
        claims(found), caption=found.caption(len(found.answers))
    ),
}
