"""The steps on one's own text, each begun only where it still fits its plan.

    study = tune_within(study, plan)             # the searches, as far as they fit
    tuned = regularized(study)
    scores = members_within(study, plan, tuned)  # no rows where the time is over
    student_within(study, plan, tuned)

What ends for want of time is said, and goes on when the same is asked for again.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pandas as pd

from ieee_lib.config import RunSpec
from ieee_lib.config.scale_tables import Settings
from ieee_lib.errors import MissingRuns
from ieee_lib.laws.estimates import replicate_noise, seed_mean
from ieee_lib.recipes import distill, ensembles, single
from ieee_lib.recipes.budget import Plan
from ieee_lib.recipes.search import TUNED, SearchResult, certifying_specs, search, specs_of
from ieee_lib.runs.frames import Noise
from ieee_lib.study import Study


def tuning_specs(study: Study) -> list[RunSpec]:
    """Return what certifies the starts of all searches."""
    scale = study.scale
    specs = single.search_specs(study, "regularized")
    for D in scale.ladder("standard"):
        specs += single.search_specs(study, "standard", D)
    return specs


def _of_members(study: Study, centres: Iterable[Settings]) -> list[Settings]:
    """Return the settings of the model that ensembles are made of."""
    return [ensembles.centre_of(centres, study.scale.ensembles.model)]


def member_specs(study: Study, centres: Iterable[Settings]) -> list[RunSpec]:
    """Return the members at the heuristic's settings."""
    (ensemble,) = ensembles.member_ensembles(study, _of_members(study, centres))
    return list(ensemble.members)


def tune_within(study: Study, plan: Plan) -> Study:
    """Tune both recipes as far as the time allows; return the study with the moves that it made.

    `recipes.standard` and `recipes.regularized` of it train nothing more. The certificates say
    where a search could not end. Raises MissingRuns where not even the starts are recorded.
    """
    study.ensure(tuning_specs(study), label="tuning")
    tuned = _with_moves(study, 0)
    results = _search_all(tuned)
    for moves in range(1, study.scale.search.max_moves + 1):
        uncertified = [result for result in results if not result.certified]
        if not uncertified:
            break
        needed = [s for r in uncertified for s in certifying_specs(study, _next(r), r.axes)]
        centres = [_next(r) for r in results if r.axes == single.AXES["regularized"]]
        needed += member_specs(study, centres)
        seconds = plan.seconds(study.missing(needed, weights=True))
        if study.source == "train" and not plan.fits(seconds):
            break
        candidate = _with_moves(study, moves)
        try:
            results = _search_all(candidate)
        except MissingRuns:
            break
        tuned = candidate
    return tuned


def _with_moves(study: Study, moves: int) -> Study:
    limits = replace(study.scale.search, max_moves=moves)
    scale = replace(study.scale, search=limits)
    return replace(study, scale=scale, trace=study.trace.beside())  # other moves, other answers


def _next(result: SearchResult) -> Settings:
    """Return where a search moves: to its lowest neighbour, or nowhere where it is certified."""
    measured = result.certificate.dropna(subset="loss").to_dict("records")
    if result.certified or not measured:
        return result.centre
    lowest = min(measured, key=lambda row: row["loss"])
    return replace(result.centre, **{name: lowest[name] for name in TUNED})


def _search_all(study: Study) -> list[SearchResult]:
    scale = study.scale
    results = []
    for recipe, axes in single.AXES.items():
        starts = [start for D in scale.ladder(recipe) for start in scale.settings(recipe, D)]
        results += search(study, starts, axes=axes, label=f"{recipe} recipe")
    return results


def longer_than_tuned(study: Study, standard: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the tuned standard recipe, and those at twice its epochs.

    The latter are of its search; none where they are beyond the grid. Columns as in `Study.ensure`.
    """
    centre = ensembles.centre_of(ensembles.centres_of(standard), study.scale.ensembles.model)
    specs = []
    for epochs in (centre.epochs, 2 * centre.epochs):
        point = replace(centre, epochs=epochs)
        specs += specs_of(study, point, study.scale.seeds)
    return study.ensure([spec for spec in specs if study.store.has(spec.run_id)])


def base_noise(study: Study) -> Noise:
    """Return the noise between seeds, pooled over all replicated settings at the base D."""
    runs = study.runs()
    sizes = [model.count().total for model in study.scale.models.values()]
    plain = runs.synthetic.eq("") & runs["D"].eq(study.scale.base_tokens) & runs.N.isin(sizes)
    return replicate_noise(runs[plain], study.scale.assumed_noise)


def members_within(study: Study, plan: Plan, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of ensembles of the first model, at the heuristic and at its own optimum.

    Columns as in `tuned_ensembles`, and `settings`. One whose members do not fit any more is
    left out; those at the optimum are the seeds of the single model, if no more are asked for.
    """
    centres = _of_members(study, ensembles.centres_of(tuned))
    specs = {
        "twice the epochs, half the decay": ensembles.member_ensembles(study, centres)[0],
        "single-model optimum": ensembles.single_optimum_specs(study, centres)[0],
    }
    scores = []
    for settings, spec in specs.items():
        seconds = plan.seconds(study.missing(spec.members, weights=True))
        if study.source == "train" and not plan.fits(seconds):
            continue
        with contextlib.suppress(MissingRuns):
            scores.append(ensembles.score(study, [spec]).assign(settings=settings))
    return pd.concat(scores, ignore_index=True) if scores else pd.DataFrame()


def student_within(study: Study, plan: Plan, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the student of the heuristic's members, one row: minutes, flops, loss, run_ids.

    Half of its sequences are the teachers'; its settings are not tuned, and it has two seeds. flops
    count teachers and writing. `loss` is None where the time is over; minutes is what it takes.
    """
    student = student_of(study, ensembles.centres_of(tuned))
    specs, teachers = student.specs(study), student.sample.teachers
    seconds = plan.seconds([*specs, student.sample, *study.missing(teachers.members)])
    flops = sum(member.flops for member in teachers.members)
    flops += specs[0].flops + student.sample.flops
    row: dict[str, Any] = {"minutes": seconds / 60, "flops": flops, "loss": None, "run_ids": ()}
    too_long = study.source == "train" and study.missing(specs) and not plan.fits(seconds)
    if not too_long:
        with contextlib.suppress(MissingRuns):
            runs = distill.teach(study, [student])
            row |= {"loss": seed_mean(runs, base_noise(study)), "run_ids": tuple(runs.run_id)}
    return pd.DataFrame([row])


def student_of(study: Study, centres: Iterable[Settings]) -> distill.Student:
    """Return the student of the heuristic's members, with two seeds."""
    teaching = distill.teacher_spec(study, centres)
    return replace(distill.compared_students(study, teaching)["ensemble"], n_seed=2)
