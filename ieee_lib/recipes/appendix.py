"""The paper's appendix: ablations that the records of other notebooks answer, or minutes do.

    appendix_items(study)                    # one row an item: its runs, how many are recorded
    held_setting(study, tuned, "wd")         # one row a model: decay held across N (ICLR Fig 10)

What no other notebook trains is trained only where the scale has it in its table [appendix]. A
function returns a frame without rows for what is neither recorded nor to be trained.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.scale import Scale
from ieee_lib.config.scale_tables import Appendix, Settings
from ieee_lib.errors import MissingRuns
from ieee_lib.evaluation.probe import PROBE
from ieee_lib.laws.downstream import error_of
from ieee_lib.laws.estimates import estimates, mean, replicate_noise, seed_mean
from ieee_lib.recipes.downstream import evaluation, tasks_with_items
from ieee_lib.recipes.ensembles import centre_of, centres_of, member_ensembles
from ieee_lib.recipes.midtraining import Setting, continued_setting
from ieee_lib.recipes.search import NOT_SEARCHED, TUNED, certifying_specs, search, specs_of
from ieee_lib.recipes.single import AXES, STANDARD_WD, current_centres, search_specs
from ieee_lib.study import Study

HELD, BATCH, OVERFITTING, SEEDS, LARGER, DECAY, SOUP = (
    "decay or epochs held across N (Fig 10)",
    "batch size (Fig 12, left)",
    "epochs against downstream error (Fig 19)",
    "refits over seeds (Fig 20)",
    "the next two N (Fig 21)",
    "decay in continued pre-training (Table 6)",
    "averaged weights in continued pre-training (Table 7)",
)
"""Items of the appendix, with their numbers in the ICLR version."""
FIELDS = {
    HELD: "held",
    BATCH: "batch_sizes",
    OVERFITTING: "overfitting_wd",
    LARGER: "larger",
    DECAY: "continued_wd",
    SOUP: "weight_averages",
}
"""Item -> the field of [appendix] that asks for its runs; the other item needs none of its own."""


def not_run(scale: Scale) -> dict[str, str]:
    """Return item -> why a scale trains nothing for it."""
    if scale.appendix == Appendix():
        return dict.fromkeys(FIELDS, "no [appendix] table in this scale")
    return {
        item: f"its table [appendix] has no `{name}`"
        for item, name in FIELDS.items()
        if not getattr(scale.appendix, name)
    }


def appendix_items(study: Study) -> pd.DataFrame:
    """Return one row an item: its training runs, how many are recorded, and why it has none."""
    why = not_run(study.scale)
    specs = _specs(study)
    frame = pd.DataFrame({"item": list(specs)})
    frame["runs"] = [len({spec.run_id for spec in each}) for each in specs.values()]
    frame["recorded"] = frame.runs - [len(study.missing(each)) for each in specs.values()]
    return frame.assign(**{"nothing trained because": [why.get(item, "") for item in specs]})


def appendix_specs(study: Study) -> list[RunSpec]:
    """Return every run of the notebook, from recorded searches or the scale's settings."""
    return [spec for specs in _specs(study).values() for spec in specs]


def held_setting(study: Study, tuned: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Return each model at the smallest model's tuned wd (or epochs), its other settings tuned.

    One row a model, columns as in `recipes.regularized`, and: held (axis and value), difference
    (estimate: loss minus that of the tuned model, nats/token). Where the scale does not search
    them (`appendix.held`), the lowest point that is recorded at that value counts, from as many
    seeds as it has, and its status says so. Source: ICLR Fig 10.
    """
    starts = _held_starts(centres_of(tuned), axis)
    points = _held_points(study, starts, axis)
    runs = study.ensure([spec for _, specs in points for spec in specs], label=f"{axis} held")
    rows: list[dict[str, Any]] = []
    for row, (status, specs) in zip(tuned.to_dict("records"), points, strict=True):
        done = runs[runs.run_id.isin([s.run_id for s in specs]) & (runs.status == "done")]
        first = specs[0] if len(done) else None
        is_tuned = set(done.run_id) == set(row["run_ids"])  # then 0 apart, to the last digit
        rows.append(
            {
                "held": f"{axis} = {getattr(starts[0], axis):g}",
                **{name: row[name] for name in ("model", "N", "D", "sigma", "dof")},
                **{name: getattr(first, name) if first else np.nan for name in TUNED},
                "loss": row["loss"] if is_tuned else done.val_loss.mean(),
                "se": row["sigma"] / np.sqrt(len(done)) if len(done) else np.nan,
                "n": len(done),
                "status": status,
                "run_ids": tuple(done.run_id),
            }
        )
    frame = pd.DataFrame(rows)
    pairs = zip(estimates(frame), estimates(tuned), strict=True)
    return frame.assign(difference=pd.Series([held - free for held, free in pairs]))


def batch_size_runs(study: Study) -> pd.DataFrame:
    """Return runs of one epoch at every batch size, weight decay 0.1 (ICLR Fig 12, left)."""
    return _made(study, _batch_specs(study), label="batch size")


def errors_by_epochs(study: Study) -> pd.DataFrame:
    """Return loss and downstream error against epochs, one row a decay and number of epochs.

    Columns: wd, epochs, loss (estimate, nats/token), error (estimate: mean over the tasks of
    notebook 07, the probe alone where a scale has none), tasks, evaluation, run_ids. Trains and
    evaluates what is missing. Source: ICLR Fig 19.
    """
    groups, (task_items, folder) = _epoch_groups(study), tasks_with_items(study)
    task_items = task_items or {PROBE: ""}
    evaluations_of = {
        (i, task): evaluation(study, models, task, item_id)
        for i, models in enumerate(groups)
        for task, item_id in task_items.items()
    }
    try:
        answers = study.evaluate(evaluations_of.values(), files=folder, label="overfitting")
    except MissingRuns:
        return pd.DataFrame()
    runs = study.ensure([run for models in groups for run in models.members])
    noise = replicate_noise(runs, study.scale.assumed_noise)
    rows = []
    for i, models in enumerate(groups):
        ids = [run.run_id for run in models.members]
        evaluations = [evaluations_of[i, task].run_id for task in task_items]
        parts = [answers[(answers.evaluation == e) & (answers.k == 1)] for e in evaluations]
        errors = [error_of(part[part.metric == "acc"]) for part in parts if len(part)]
        if len(errors) == len(parts):  # else all seeds diverged
            rows.append(
                {
                    "wd": models.members[0].wd,
                    "epochs": models.members[0].epochs,
                    "loss": seed_mean(runs[runs.run_id.isin(ids)], noise),
                    "error": mean(errors),
                    "tasks": tuple(task_items),
                    "evaluation": tuple(evaluations),
                    "run_ids": tuple(ids),
                }
            )
    return pd.DataFrame(rows)


def regularized_by_seed(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the tuned models seed by seed: one row a seed and model, as a law is fitted to them.

    Columns: seed, model, N, D, loss (nats/token), sigma, dof, run_ids. As many seeds as other
    points have; those that a model lacks are left out. Source: ICLR Fig 20.
    """
    specs = [spec for c in centres_of(tuned) for spec in specs_of(study, c, study.scale.seeds)]
    runs = study.ensure(specs, label="seeds")
    runs = runs[runs.status == "done"].merge(tuned[["N", "sigma", "dof"]], on="N")
    frame = runs[["model", "N", "D", "sigma", "dof"]].assign(
        seed=runs.init_seed, loss=runs.val_loss, run_ids=runs.run_id.map(lambda run_id: (run_id,))
    )
    counts = frame.groupby("seed").N.transform("count")
    return frame[counts == len(tuned)].sort_values(["seed", "N"], ignore_index=True)


def with_larger(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the tuned models and those beyond them (`appendix.larger`), smallest first.

    Columns as in `recipes.regularized`, without moves; a larger model has the scale's settings as
    they are, and the noise of the largest tuned one. Source: ICLR Fig 21.
    """
    runs = _made(study, _larger_specs(study), label="larger models")
    noise = tuned.iloc[tuned.N.argmax()][["sigma", "dof"]]
    sizes = tuned.drop(columns=["moves", "tokens", "flops"])
    for _, part in runs[runs.status == "done"].groupby("model"):
        row = part.iloc[[0]][["model", "N", "D", "wd", "lr", "epochs"]].assign(
            loss=part.val_loss.mean(),
            se=noise.sigma / np.sqrt(len(part)),
            sigma=noise.sigma,
            dof=noise.dof,
            n=len(part),
            status=NOT_SEARCHED,
            run_ids=pd.Series([tuple(part.run_id)], part.index[:1]),
        )
        sizes = pd.concat([sizes, row], ignore_index=True)
    return sizes.sort_values("N", ignore_index=True)


def continued_decays(setting: Setting) -> pd.DataFrame:
    """Return the loss on the target at several weight decays of "+ epoching" (ICLR Table 6).

    Columns: wd, loss (estimate, nats/token), difference (to the scale's own decay), run_ids.
    """
    _ensure_base(setting)
    runs = _made(setting.target, _decay_specs(setting), label="continued, weight decay")
    noise = replicate_noise(runs, setting.target.scale.assumed_noise)
    losses = {wd: seed_mean(part, noise) for wd, part in runs.groupby("wd")}
    ids = {wd: tuple(part.run_id) for wd, part in runs.groupby("wd")}
    frame = pd.DataFrame({"wd": list(losses), "loss": list(losses.values())})
    if usual := losses.get(setting.table.wd):
        frame["difference"] = pd.Series([loss - usual for loss in losses.values()])
    return frame.assign(run_ids=frame.wd.map(ids))


def continued_averages(setting: Setting) -> pd.DataFrame:
    """Return the loss of the members' averaged weights, one row a subset (ICLR Table 7).

    Columns as in `recipes.continued_ensemble`; the members are the same. No rows where it is
    neither recorded nor to be scored (`appendix.weight_averages`).
    """
    if not setting.target.scale.appendix.weight_averages:
        return setting.target.score([])
    _ensure_base(setting)
    averaged = dataclasses.replace(setting.ensemble, average="weights")
    try:
        return setting.target.score([averaged], label="averaged weights")
    except MissingRuns:
        return setting.target.score([])


def _ensure_base(setting: Setting) -> None:
    """Train the base model where runs that continue from it are to be trained."""
    if setting.base is not None and setting.base.source == "train":
        assert setting.base_spec is not None
        setting.base.ensure([setting.base_spec], weights=True, label="base model")


def _made(study: Study, specs: Sequence[RunSpec], *, label: str) -> pd.DataFrame:
    """Return runs, trained where that is to be done; no row where some cannot be had."""
    try:
        return study.ensure(specs, label=label)
    except MissingRuns:
        return study.ensure([])


def _held_starts(centres: Sequence[Settings], axis: str) -> list[Settings]:
    """Return tuned settings with one of them as the smallest model has it."""
    value = getattr(centres[0], axis)
    return [dataclasses.replace(centre, **{axis: value}) for centre in centres]


def _others(axis: str) -> list[str]:
    """Return what is tuned where one setting is held."""
    return [name for name in AXES["regularized"] if name != axis]


def _held_points(
    study: Study, starts: Sequence[Settings], axis: str
) -> list[tuple[str, list[RunSpec]]]:
    """Return the status and the runs of every model where one setting is held."""
    if axis in study.scale.appendix.held:
        with contextlib.suppress(MissingRuns):
            results = search(study, starts, axes=_others(axis), label=f"{axis} held")
            n_seed = study.scale.seeds_at(starts[0].seed_tokens)
            return [(r.status, specs_of(study, r.centre, n_seed)) for r in results]
    runs = study.runs()
    return [_lowest_recorded(study, start, axis, runs) for start in starts]


def _lowest_recorded(
    study: Study, start: Settings, axis: str, runs: pd.DataFrame
) -> tuple[str, list[RunSpec]]:
    """Return the runs of the lowest recorded point of a model that has the held setting."""
    fields = dataclasses.asdict(start)
    same = (runs.model == start.model) & (runs["D"] == start.seed_tokens)
    same &= (runs[axis] == fields[axis]) & (runs.status == "done")
    same &= runs.init_seed < study.scale.seeds_at(start.seed_tokens)  # as the tuned point has
    points: dict[tuple[float, ...], list[tuple[float, RunSpec]]] = {}
    for run in runs[same].to_dict("records"):
        point = {name: run[name] for name in TUNED}
        spec = study.spec(**{**fields, **point}, seed=run["init_seed"])
        if spec.run_id == run["run_id"]:  # no other option is set
            points.setdefault(tuple(point.values()), []).append((run["val_loss"], spec))
    if not points:
        return "not recorded", []
    best = min(points.values(), key=lambda seeds: float(np.mean([loss for loss, _ in seeds])))
    return f"lowest recorded of {len(points)}", [spec for _, spec in best]


def _specs(study: Study) -> dict[str, list[RunSpec]]:
    """Return item -> its runs."""
    scale = study.scale
    centres = current_centres(study, "regularized")
    setting = continued_setting(study)
    members = member_ensembles(study, [centre_of(centres, scale.ensembles.model)])
    held = [
        spec
        for axis in scale.appendix.held
        for start in _held_starts(centres, axis)
        for spec in certifying_specs(study, start, _others(axis))
    ]
    return {
        HELD: [*search_specs(study, "regularized"), *held],
        BATCH: _batch_specs(study),
        OVERFITTING: [run for models in _epoch_groups(study) for run in models.members],
        SEEDS: [
            *(spec for c in centres for spec in specs_of(study, c, scale.seeds)),
            *(spec for ensemble in members for spec in ensemble.members),
        ],
        LARGER: _larger_specs(study),
        DECAY: _decay_specs(setting),
        SOUP: setting.all_specs() if scale.appendix.weight_averages else [],
    }


def _batch_specs(study: Study) -> list[RunSpec]:
    table = study.scale.appendix
    return [
        spec
        for size in table.batch_sizes
        for spec in _sweep_specs(study, wd=STANDARD_WD, epochs=1, batch_size=size)
    ]


def _epoch_groups(study: Study) -> list[EnsembleSpec]:
    """Return the seeds of every decay and number of epochs that are evaluated downstream."""
    return [
        EnsembleSpec(tuple(_sweep_specs(study, wd=wd, epochs=epochs)))
        for wd in study.scale.appendix.overfitting_wd
        for epochs in study.scale.overfitting.epochs
    ]


def _sweep_specs(study: Study, **fields: Any) -> list[RunSpec]:
    """Return all seeds of the model of the overfitting sweep at some settings."""
    sweep = study.scale.overfitting
    lr = study.scale.appendix.lr or sweep.lr
    return [study.spec(sweep.model, lr=lr, seed=s, **fields) for s in range(study.scale.seeds)]


def _larger_specs(study: Study) -> list[RunSpec]:
    rows = study.scale.appendix.larger
    return [spec for row in rows for spec in specs_of(study, row, study.scale.seeds)]


def _decay_specs(setting: Setting) -> list[RunSpec]:
    runs = setting.specs(setting.recipes()["+ epoching"])
    decays = setting.target.scale.appendix.continued_wd
    return [run.replace(wd=wd) for wd in decays for run in runs]
