"""What a figure shows, as JSON, and the records that it rests on.

run_ids_of({"tuned": tuned, "law": law})
as_json({"caption": "...", "law": law})
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.power_law import Limit, PowerLaw

RUN_COLUMNS = ("run_id", "run_ids", "members", "ensemble", "evaluation")
"""Columns of frames that name the records behind a row; tables do not print them."""


def run_ids_of(data: Any) -> frozenset[str]:
    """Return the ids of the records that frames and laws name, however deep."""
    if isinstance(data, pd.DataFrame):
        columns = [data[name] for name in data.columns if name in RUN_COLUMNS]
        return frozenset().union(*(_strings(column) for column in columns))
    if isinstance(data, EnsembleLaw):
        return run_ids_of(data.scores)
    if isinstance(data, PowerLaw):
        return frozenset() if data.frame is None else run_ids_of(data.frame)
    if isinstance(data, Limit):
        return run_ids_of(data.law)
    if isinstance(data, Mapping):
        return frozenset().union(*map(run_ids_of, data.values()))
    if isinstance(data, list | tuple):
        return frozenset().union(*map(run_ids_of, data))
    return frozenset()


def _strings(values: Any) -> frozenset[str]:
    """Return the ids in a column whose cells are an id or several."""
    ids: set[str] = set()
    for value in values:
        ids |= {value} if isinstance(value, str) else set(value)
    return frozenset(ids)


def as_json(numbers: Mapping[str, Any]) -> bytes:
    """Return frames, laws and estimates as JSON with sorted keys."""
    return (json.dumps(_plain(numbers), indent=1, sort_keys=True) + "\n").encode()


def _plain(value: Any) -> Any:
    """Turn frames, laws and numpy values into JSON; numbers that are not finite become null."""
    if isinstance(value, pd.DataFrame):
        return [_plain(row) for row in value.to_dict("records")]
    if isinstance(value, PowerLaw):
        drawn = {"points": value.points, "limit": value.limit} if value.points else {}
        return _plain({**value.to_dict(), **drawn})
    if isinstance(value, EnsembleLaw):
        law = {"settings": value.settings, "points": value.points, "limit": value.limit}
        return _plain({**law, "members": value.members})
    if isinstance(value, Estimate):
        return _plain({"value": value.value, "ci_low": value.ci_low, "ci_high": value.ci_high})
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray | pd.Series):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
