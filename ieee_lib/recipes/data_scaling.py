"""Every recipe at every D of the ladder (Sec. 5, Fig 7): tuned single models and ensembles.

tuned = regularized_by_data(study)              # one row a D and model
scores = ensembles_by_data(study, tuned)        # one row a scored member subset
{D: fit_power_law(rows, x="N") for D, rows in tuned.groupby("D")}
"""

from collections.abc import Callable, Sequence

import pandas as pd

from ieee_lib.config import RunSpec
from ieee_lib.errors import MissingRuns
from ieee_lib.recipes import single
from ieee_lib.recipes.ensembles import centres_of, member_ensembles, score, tuned_ensembles
from ieee_lib.recipes.tuned import regularized, standard
from ieee_lib.study import Study


def standard_by_data(study: Study) -> pd.DataFrame:
    """Return the standard recipe at every D that the scale lists it for, one row a D and model.

    Columns as in `regularized`. Trains what is missing.
    """
    _train_ladder(study)
    return _by_data(study, study.scale.ladder("standard"), standard)


def regularized_by_data(study: Study, *, recorded: bool = False) -> pd.DataFrame:
    """Return the regularized recipe at every D of the ladder, one row a D and model.

    Columns as in `regularized`. Trains what is missing; with `recorded` at the base D alone, and
    leaves out every other D that is not recorded.
    """
    if not recorded:
        _train_ladder(study)
    return _by_data(study, study.scale.ladder(), regularized, recorded=recorded)


def ensembles_by_data(study: Study, tuned: pd.DataFrame, *, recorded: bool = False) -> pd.DataFrame:
    """Return the scores of one ensemble a tuned model at every D, tuned for K → ∞.

    Columns as in `tuned_ensembles`. Trains and scores what is missing; `recorded` as in
    `regularized_by_data`.
    """

    def at(study: Study, D: int) -> pd.DataFrame:
        return tuned_ensembles(study, tuned[tuned.D == D], label=f"ensembles, D = {D:,}")

    return _by_data(study, sorted(tuned.D.unique()), at, recorded=recorded)


def recorded_ensembles_by_data(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of those of `ensembles_by_data` that are recorded already, each model's.

    Columns as there. Nothing is trained or scored: for a notebook that needs one of these ensembles
    and takes the size of its noise from all of them, as notebooks 03 to 05 do.
    """
    reader = study.reading()
    specs = member_ensembles(reader, centres_of(tuned))
    return score(reader, [spec for spec in specs if reader.store.get(spec.run_id)])


def _by_data(
    study: Study,
    ladder: Sequence[int],
    at: Callable[[Study, int], pd.DataFrame],
    *,
    recorded: bool = False,
) -> pd.DataFrame:
    """Return the frames of every D below one another; see `regularized_by_data`."""
    reader = study.reading() if recorded else study
    frames = []
    for D in ladder:
        if study.scale.base_tokens == D:
            frames.append(at(study, D))
            continue
        try:
            frames.append(at(reader, D))
        except MissingRuns:
            if not recorded:
                raise
    return pd.concat(frames, ignore_index=True)


def joint_specs(study: Study, seed_tokens: int | None = None) -> list[RunSpec]:
    """Return the members that the joint limit at one D (the base) needs (notebook 04)."""
    centres = single.current_centres(study, "regularized", seed_tokens)
    return [member for e in member_ensembles(study, centres) for member in e.members]


def data_scaling_specs(study: Study) -> list[RunSpec]:
    """Return the runs of notebook 05: those of every D."""
    return [spec for D in study.scale.seed_tokens for spec in data_scaling_specs_at(study, D)]


def data_scaling_specs_at(study: Study, seed_tokens: int) -> list[RunSpec]:
    """Return the runs of one D: both single-model recipes, and the members of every model."""
    return [
        *single.search_specs(study, "standard", seed_tokens),
        *single.search_specs(study, "regularized", seed_tokens),
        *joint_specs(study, seed_tokens),
    ]


def _train_ladder(study: Study) -> None:
    """Train all D but the base at once, where none of them is searched.

    Nothing waits for anything then, so one batch keeps every worker busy.
    """
    if study.scale.search.ladder:
        return
    scale = study.scale
    others = [D for D in scale.seed_tokens if scale.base_tokens != D]
    specs = [spec for D in others for spec in data_scaling_specs_at(study, D)]
    study.ensure(specs, weights=True, label="all D but the base")
