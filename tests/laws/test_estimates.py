"""Estimates: shared runs cancel, what is unbounded stays so, frames print as numbers."""

import numpy as np
import pandas as pd
import pytest

from ieee_lib.laws import Estimate, data_efficiency, estimates, expand, mean, seed_mean
from ieee_lib.laws.estimates import SETTINGS, noise_of, replicate_noise, with_unbounded_tails
from ieee_lib.laws.power_law import unbounded
from tests.synthetic import STRAIGHT, law_in_N, near, tuned


def test_shared_runs_cancel_in_differences():
    runs = pd.DataFrame({"run_id": ["1" * 16, "2" * 16], "status": "done", "val_loss": [4.0, 4.1]})
    a = seed_mean(runs, sigma=0.02)
    assert a.value == pytest.approx(4.05)
    assert a.se == pytest.approx(0.02 / np.sqrt(2))
    assert a.draws.std() == pytest.approx(a.se, rel=0.1)
    assert (a - a).draws.std() == 0
    other = seed_mean(runs.assign(run_id=["3" * 16, "4" * 16]), sigma=0.02)
    assert (a - other).draws.std() == pytest.approx(0.02, rel=0.1)
    assert np.array_equal(noise_of(["1" * 16]), noise_of(["1" * 16]))
    lost = seed_mean(runs.assign(status="diverged"), sigma=0.02)
    assert np.isnan(lost.value) and np.isnan(lost.ci_low)


def test_replicate_noise_falls_back_to_the_assumed():
    shared = {name: 1 for name in SETTINGS if name != "epochs"} | {"status": "done"}
    frame = pd.DataFrame({"epochs": [1, 1, 2, 2], "val_loss": [4.0, 4.2, 5.0, 5.2]}).assign(
        **shared
    )
    assert replicate_noise(frame, 0.5) == pytest.approx(0.1 * np.sqrt(2))
    assert replicate_noise(frame.drop_duplicates("epochs"), 0.5) == 0.5


def test_a_frame_gives_one_estimate_a_row():
    table = tuned()
    small, *_, large = estimates(table)
    assert small.value == 4.6 and small.se == pytest.approx(0.01)
    assert np.array_equal(small.draws, 4.6 + table.sigma[0] * noise_of(table.run_ids[0]))
    assert estimates(table.assign(loss=[small] * 4)) == [small] * 4
    lost = estimates(table.assign(loss=[4.6, np.nan, 4.3, 4.25]))[1]
    assert np.isnan(lost.value) and np.isnan(lost.ci_high)
    assert mean([small, large]).value == pytest.approx(4.425)


def test_an_interval_with_an_unbounded_tail_ends_nowhere():
    draws = np.append(np.random.default_rng(0).standard_normal(999), np.nan)
    kept = draws.copy()
    below = Estimate(0.0, with_unbounded_tails(draws, below=True, above=False))
    both = Estimate(0.0, with_unbounded_tails(draws, below=True, above=True))
    assert below.ci_low == -np.inf and below.ci_high == Estimate(0.0, draws).ci_high
    assert (both.ci_low, both.ci_high) == (-np.inf, np.inf)
    assert np.isinf(below.draws).sum() == 30 and np.isnan(both.draws).sum() == 1
    assert np.array_equal(draws, kept, equal_nan=True), "the draws that were given changed"
    assert repr(both) == "0.000 [−∞, ∞]"


def test_what_is_unbounded_stays_so_in_differences_and_multipliers():
    straight = law_in_N(*STRAIGHT).limit
    assert not straight.is_bounded and straight.ci_low == -np.inf and np.isfinite(straight.ci_high)
    assert (straight - 3.0).ci_low == -np.inf and (near(4.0) - straight).ci_high == np.inf
    difference = straight - straight
    assert (difference.ci_low, difference.ci_high) == (-np.inf, np.inf)
    assert np.isfinite(straight.at(0.8).ci_low) and np.isfinite(straight.fitted_draws).all()
    standard = law_in_N(*(4.0 + 0.02 / x for x in (0.04, 0.1, 0.2, 0.4))).limit
    loss = Estimate(4.3, unbounded(near(4.3).draws, straight.law))
    gain = data_efficiency(standard, loss, near(4.4))
    assert gain.ci_high == np.inf and 1 < gain.ci_low < gain.value


def test_a_column_of_estimates_becomes_three():
    frame = pd.DataFrame({"model": ["a", "b"], "limit": [near(4.0), near(5.0)], "n": [1, 2]})
    table = expand(frame)
    assert list(table) == ["model", "limit", "limit ci_low", "limit ci_high", "n"]
    assert table.limit.tolist() == [4.0, 5.0] and (table["limit ci_low"] < table.limit).all()
    assert list(expand(frame[:0])) == ["model", "limit", "n"]
