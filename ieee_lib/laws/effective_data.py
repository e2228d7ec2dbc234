"""Data efficiency when pre-training continues: the target text that a loss would need (Sec. 7.2).

effective_data({8192: a, 32768: b, 131072: c}, loss) / 8192
target_efficiency(continued)             # one estimate a row of a frame
"""

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from ieee_lib.laws.estimates import N_DRAW, Estimate


def target_efficiency(frame: pd.DataFrame, y: str = "loss") -> list[Estimate]:
    """Return each row's data efficiency: times its own D that the default recipe would need.

    frame: recipe, D (target tokens) and y (estimates), as `recipes.continued_pretraining` gives
    them; where it has a column `metric`, each metric has a curve of its own. The default recipe's
    own is 1 by definition.
    """
    metric = frame.metric if "metric" in frame else pd.Series(y, frame.index)
    efficiencies: dict[Hashable, Estimate] = {}
    for _, rows in frame.groupby(metric):
        default = rows[rows.recipe == "default"]
        others = rows[rows.recipe != "default"]
        curve = dict(zip(default.D, default[y], strict=True))
        efficiencies |= dict.fromkeys(default.index, Estimate(1.0, np.ones(N_DRAW)))
        for i, D, value in zip(others.index, others.D, others[y], strict=True):
            efficiencies[i] = effective_data(curve, value) / D
    return [efficiencies[i] for i in frame.index]


def effective_data(curve: Mapping[int, Estimate], loss: Estimate) -> Estimate:
    """Return the tokens at which a measured curve reaches a loss.

    The curve, made to fall everywhere by its running minimum, is read linearly in log D between
    its points and along its first stretch before them. A law is convex there, so the chord gives
    a little too much. Beyond the last point nothing was measured: a lower loss gives inf. A curve
    that never falls gives nan above it.
    """
    tokens = sorted(curve)
    x = np.log(tokens)
    value = _inverse(x, np.array([curve[d].value for d in tokens]), loss.value)
    draws = np.stack([curve[d].draws for d in tokens], axis=1)
    pairs = zip(draws, loss.draws, strict=True)
    return Estimate(value, np.array([_inverse(x, y, aim) for y, aim in pairs]))


def _inverse(x: np.ndarray, y: np.ndarray, aim: float) -> float:
    """Return exp(x) where the line through (x, y) first falls to `aim`."""
    y = np.minimum.accumulate(y)
    if aim == y[0]:
        return float(np.exp(x[0]))
    if aim < y[-1]:
        return float("inf")
    slopes = -np.diff(y) / np.diff(x)
    falling = [i for i, slope in enumerate(slopes) if slope > 0 and aim >= y[i + 1]]
    if not falling:  # a level curve says nothing of a loss above it
        return float("nan")
    start = 0 if aim > y[0] else falling[0]
    return float(np.exp(x[start] + (y[start] - aim) / slopes[falling[0]]))
