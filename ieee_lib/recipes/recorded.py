"""What is recorded at the base D, as points of loss against cost: for frontiers, nothing trained.

points = recorded_points(study, standard(study), regularized(study))
fit_frontiers(points)["ensemble"].at(1e12)
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from ieee_lib.errors import MissingRuns
from ieee_lib.laws.ensembles import fit_ensembles
from ieee_lib.laws.estimates import seed_mean
from ieee_lib.laws.frontier import AT_OPTIMUM, FOR_MANY, OTHER, ensemble_points
from ieee_lib.recipes.distill import students_with_costs
from ieee_lib.recipes.ensembles import centres_of, member_settings, recorded_ensembles
from ieee_lib.recipes.single import STANDARD_WD
from ieee_lib.runs.frames import Noise
from ieee_lib.study import Study

SETTING = ["model", "N", "wd", "lr", "epochs"]
COLUMNS = ["recipe", *SETTING, "K", "flops", "parameters", "loss", "run_ids"]


def recorded_points(study: Study, standard: pd.DataFrame, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return every setting that is recorded at the base D, alone and in ensembles, with its cost.

    Columns: recipe (standard: a single model at wd 0.1; regularized: at any other; an ensemble's by
    its members' settings; distilled), model, N, wd, lr, epochs, K (members), flops (of training K
    models; of a student also its teachers' and of what they wrote; no search), parameters (N x K,
    read for every token), loss (estimates, nats/token; over seeds, or all subsets of K), run_ids.

    standard, tuned: both single-model recipes at the base D. Single runs take the noise between
    seeds of their tuned models: points near a frontier are as well tuned. Options of
    notebook 10 and runs that continue another are left out; students are absent where not all of
    them are recorded. Nothing is trained.
    """
    reader = study.reading()  # with a trace of its own: costs are of the notebooks that train
    recipes = {"standard": standard, "regularized": tuned}
    singles = pd.DataFrame(_singles(reader, recipes))
    frames = [singles, _ensembles(reader, tuned), _students(reader, tuned)]
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)[COLUMNS]


def _noise(recipe: pd.DataFrame, N: int) -> Noise:
    """Return the noise between seeds of a model, that of most for an outlier and a foreign N."""
    shared = recipe[recipe.dof > recipe.n - 1]  # an outlier's is its own alone
    candidates = shared if len(shared) else recipe
    most = candidates.sort_values("dof").iloc[-1:]
    (row,) = pd.concat([candidates[candidates.N == N], most])[:1].to_dict("records")
    return Noise(float(row["sigma"]), float(row["dof"]))


def _singles(study: Study, recipes: dict[str, pd.DataFrame]) -> Iterator[dict[str, Any]]:
    """Yield every setting of single models: those that a scale's spec makes without options."""
    runs = study.runs()
    runs = runs[(study.scale.base_tokens == runs.D) & (runs.model != "") & (runs.status == "done")]
    names = ["model", "wd", "lr", "epochs", "init_seed", "data_seed"]
    rows = ({name: row[name] for name in names} for row in runs.to_dict("records"))
    plain = [study.spec(**fields).run_id for fields in rows]
    for _, group in runs[runs.run_id == plain].groupby(SETTING):
        first = group.iloc[0]
        recipe = "standard" if first.wd == STANDARD_WD else "regularized"
        yield {
            **{name: first[name] for name in (*SETTING, "flops")},
            "recipe": recipe,
            "K": 1,
            "parameters": first.N,
            "loss": seed_mean(group, _noise(recipes[recipe], first.N)),
            "run_ids": tuple(group.run_id),
        }


def _ensembles(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the points of every ensemble; of the largest one where settings come twice.

    Settings that are a model's optimum alone and for many are called the latter.
    """
    scores = recorded_ensembles(study, tuned)
    scores = scores[scores.K >= 2].sort_values("K", ascending=False, kind="stable")
    if scores.empty:
        return scores
    largest = scores.drop_duplicates(SETTING).ensemble
    laws = fit_ensembles(scores, by="ensemble")
    points = ensemble_points(laws[ensemble] for ensemble in largest)
    recipe_of = {
        (settings.model, settings.wd, settings.lr, settings.epochs): recipe
        for centre in centres_of(tuned)
        for recipe, settings in (
            (AT_OPTIMUM, centre),
            (FOR_MANY, member_settings(study.scale, centre)),
        )
    }
    settings = zip(points.model, points.wd, points.lr, points.epochs, strict=True)
    return points.assign(recipe=[recipe_of.get(each, OTHER) for each in settings])


def _students(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the points of all students; none where one is not recorded."""
    try:
        students = students_with_costs(study, tuned)
    except MissingRuns:
        return pd.DataFrame()
    model, table = study.scale.ensembles.model, study.scale.distillation
    N = study.scale.models[model].count().total
    return students.assign(
        recipe="distilled", model=model, N=N, lr=table.lr, epochs=table.epochs, K=1, parameters=N
    )
