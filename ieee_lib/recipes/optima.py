"""Tuned settings on record: of this study, of every recorded scale, and of the paper.

recorded_optima(study)                           # one row an optimum, with its timescale
suggest_settings(3e5, 1e6, tokens_per_step=512)  # where a search may start
"""

from functools import lru_cache

import pandas as pd

from ieee_lib import paths
from ieee_lib.config.scale import Scale
from ieee_lib.config.scale_tables import Settings
from ieee_lib.errors import MissingRuns
from ieee_lib.laws import timescale
from ieee_lib.recipes import single
from ieee_lib.recipes.search import tuned_frame
from ieee_lib.study import Study


def recorded_optima(study: Study) -> pd.DataFrame:
    """Return the regularized recipe's settings of this study, of recorded scales and of the paper.

    One row a model and D: source, model, N, D, wd, lr, epochs, status, tokens_per_step, and columns
    of `laws.with_timescale`. What is not recorded, and scales that are no evidence, are left out.
    """
    name = study.scale.name
    frames = [_optima_of(study)] if study.scale.evidence else []
    frames += [_archived(other) for other in _archives() if other != name]
    return timescale.with_timescale(_joined(frames))


def settings_law() -> timescale.SettingsLaw:
    """Return the law of tuned settings through the certified optima of archives and the paper's.

    It does not depend on what was trained here, so that the same question has the same answer.
    """
    optima = _joined([_archived(name) for name in _archives()])
    return timescale.fit_settings(timescale.with_timescale(optima))


def suggest_settings(N: float, D: float, tokens_per_step: int) -> timescale.Suggestion:
    """Return where a search of the regularized recipe may start: wd, lr and epochs, with ranges.

    N: parameters; D: unique training tokens; tokens_per_step: block size times batch size. The
    ranges hold 95 % of optima, as far as those known say it; it prints how many those are. Raises
    InputError for values that no run can have.
    """
    return settings_law().suggest(N, D, tokens_per_step)


def suggested_starts(study: Study, seed_tokens: int) -> list[Settings]:
    """Return where searches start at a D for which a scale gives no start, one a model."""
    law, training = settings_law(), study.scale.training
    starts = []
    for name in study.scale.ladder_models():
        model = study.scale.models[name]
        step = training.block_size * training.batch_size
        values = law.suggest(model.count().total, seed_tokens, step)
        start = {"model": name, "seed_tokens": seed_tokens, **values.start}
        starts.append(Settings(**start))
    return starts


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    frames = [frame for frame in frames if len(frame)]
    return pd.concat([*frames, timescale.published_optima()], ignore_index=True)


def _archives() -> list[str]:
    return [name for name in Scale.names() if paths.recorded(name).is_file()]


def _archived(name: str) -> pd.DataFrame:
    return _read_archive(name, paths.recorded(name).stat().st_mtime_ns)


@lru_cache
def _read_archive(name: str, changed: int) -> pd.DataFrame:
    """Return the settings that an archive records; read again once its file has changed."""
    study = Study.open(name, source="archive")
    return _optima_of(study) if study.scale.evidence else pd.DataFrame()


def _optima_of(study: Study) -> pd.DataFrame:
    """Return a study's recorded settings at every D of its ladder."""
    scale, results = study.scale, []
    for D in scale.ladder():
        try:
            results += single.tune(study.reading(), "regularized", D)
        except MissingRuns:
            continue
    if not results:
        return pd.DataFrame()
    table = tuned_frame(results)
    sizes = [scale.models[name].count().total for name in table.model]
    step = scale.training.block_size * scale.training.batch_size
    columns = ["model", "N", "D", "wd", "lr", "epochs", "status"]
    table = table.assign(N=sizes)[columns]
    return table.assign(source=f"{scale.name} scale", tokens_per_step=step)
