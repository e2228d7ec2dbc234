"""The target text that a loss would need, read off the default recipe's measured curve."""

import numpy as np
import pandas as pd
import pytest

from ieee_lib.laws import Estimate
from ieee_lib.laws.effective_data import effective_data, target_efficiency


def estimate(value, error=0.0):
    noise = np.random.default_rng(int(1e6 * value)).standard_normal(1000)
    return Estimate(value, value + error * noise)


def test_effective_data_reads_the_default_curve():
    curve = {1000: estimate(4.0), 4000: estimate(3.6), 16000: estimate(3.3)}
    assert effective_data(curve, estimate(3.8)).value == pytest.approx(2000)
    assert effective_data(curve, estimate(3.6)).value == pytest.approx(4000)
    assert effective_data(curve, estimate(3.3)).value == pytest.approx(16000)
    assert effective_data(curve, estimate(4.2)).value == pytest.approx(500)
    assert effective_data(curve, estimate(3.2)).value == np.inf
    assert effective_data(curve, Estimate(3.8, np.full(1000, 3.8))).ci_high == pytest.approx(2000)
    bent = {1000: estimate(4.0), 4000: estimate(4.1), 16000: estimate(3.5)}
    assert effective_data(bent, estimate(3.9)).value > 4000  # it falls in the last stretch only
    assert effective_data(bent, estimate(4.05)).value < 1000  # and a worse loss is worth less
    level = {1000: estimate(4.0), 4000: estimate(4.1), 16000: estimate(4.2)}
    assert effective_data(level, level[1000]).value == pytest.approx(1000)
    assert np.isnan(effective_data(level, estimate(4.05)).value)
    assert effective_data(level, estimate(3.9)).value == np.inf
    noisy = effective_data(curve, estimate(3.31, 0.05))
    assert noisy.ci_low < noisy.value < 16000 and noisy.ci_high == np.inf


def test_data_efficiency_reads_the_default_rows_of_its_metric():
    def rows(metric, *losses):
        recipes = ["default", "default", "+ epoching"]
        values = [estimate(loss) for loss in losses]
        frame = pd.DataFrame({"recipe": recipes, "D": [1000, 4000, 1000], "loss": values})
        return frame.assign(metric=metric)

    frame = pd.concat([rows("a", 4.0, 3.6, 3.8), rows("b", 3.0, 2.0, 2.0)], ignore_index=True)
    values = [efficiency.value for efficiency in target_efficiency(frame)]
    assert values == pytest.approx([1, 1, 2, 1, 1, 4])
    assert all((target_efficiency(frame)[i].draws == 1).all() for i in (0, 1))
    alone = target_efficiency(frame[:3].drop(columns="metric"))
    assert [efficiency.value for efficiency in alone] == pytest.approx([1, 1, 2])
