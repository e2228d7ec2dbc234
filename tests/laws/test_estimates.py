"""Estimates: shared runs cancel, what is unbounded stays so, frames print as numbers."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ieee_lib.laws import Estimate, data_efficiency, estimates, expand, lowest, mean, seed_mean
from ieee_lib.laws.estimates import (
    SETTINGS,
    assumed,
    noise_of,
    replicate_noise,
    t_quantile,
    t_scale,
    with_unbounded_tails,
)
from ieee_lib.laws.joint import unbounded
from ieee_lib.runs.frames import Noise, pooled_noise, seed_means
from tests.synthetic import STRAIGHT, law_in_N, near, tuned

KNOWN = Noise(0.02, np.inf)


def test_shared_runs_cancel_in_differences():
    runs = pd.DataFrame({"run_id": ["1" * 16, "2" * 16], "status": "done", "val_loss": [4.0, 4.1]})
    a = seed_mean(runs, noise=KNOWN)
    assert a.value == pytest.approx(4.05)
    assert a.se == pytest.approx(0.02 / np.sqrt(2))
    assert a.draws.std() == pytest.approx(a.se, rel=0.1)
    assert (a - a).draws.std() == 0
    other = seed_mean(runs.assign(run_id=["3" * 16, "4" * 16]), noise=KNOWN)
    assert (a - other).draws.std() == pytest.approx(0.02, rel=0.1)
    assert np.array_equal(noise_of(["1" * 16]), noise_of(["1" * 16]))
    lost = seed_mean(runs.assign(status="diverged"), noise=KNOWN)
    assert np.isnan(lost.value) and np.isnan(lost.ci_low)


def test_replicate_noise_is_pooled_and_falls_back_to_the_assumed():
    """Two pairs and a triple of equal settings: squares 0.02, 0.02 and 0.08 at 1 + 1 + 2 dof."""
    shared = {name: 1 for name in SETTINGS if name != "epochs"} | {"status": "done"}
    losses = [4.0, 4.2, 5.0, 5.2, 6.0, 6.2, 6.4, 9.0]
    frame = pd.DataFrame({"epochs": [1, 1, 2, 2, 3, 3, 3, 4], "val_loss": losses}).assign(**shared)
    noise = replicate_noise(frame, 0.5)
    assert noise == (pytest.approx(np.sqrt((0.02 + 0.02 + 0.08) / 4)), 4)
    assert replicate_noise(frame.drop_duplicates("epochs"), 0.5) == (0.5, np.inf)
    assert np.isnan(pooled_noise(frame.drop_duplicates("epochs"), SETTINGS).sigma)
    one_lost = frame.assign(status=["diverged", *["done"] * 7])
    assert pooled_noise(one_lost, SETTINGS).dof == 3
    means = seed_means(one_lost, ["epochs"])
    assert means.n.tolist() == [1, 2, 3, 1] and means.n_diverged.tolist() == [1, 0, 0, 0]
    sigma = np.sqrt((0.02 + 0.08) / 3)
    assert means.se.tolist() == pytest.approx(list(sigma / np.sqrt([1, 2, 3, 1])))
    assert set(means.dof) == {3} and means.loss.tolist() == pytest.approx([4.2, 5.1, 6.2, 9.0])


def test_noise_from_few_replicates_takes_students_t():
    assert t_quantile(0.975, 3) == pytest.approx(3.1824, abs=1e-4)
    assert t_quantile(0.975, np.inf) == pytest.approx(1.95996, abs=1e-5)
    assert np.array_equal(t_scale(np.inf), np.ones(1000))
    levels = stats.chi2.cdf(3 / t_scale(3) ** 2, 3)  # each thousandth once, at its middle
    assert levels.mean() == pytest.approx(0.5, abs=1e-9)
    assert levels.min() == pytest.approx(0.0005, rel=1e-6)
    runs = [f"{i:016x}" for i in range(200)]
    draws = np.concatenate([t_scale(3) * noise_of([run]) for run in runs])
    assert np.quantile(draws, [0.025, 0.16, 0.84, 0.975]) == pytest.approx(
        stats.t.ppf([0.025, 0.16, 0.84, 0.975], 3), rel=0.02
    )
    table = tuned().assign(dof=4)
    row, known = estimates(table)[0], estimates(table.drop(columns="dof"))[0]
    assert (row.dof, known.dof) == (4, np.inf) and row.se == known.se
    assert row.draws - 4.6 == pytest.approx(t_scale(4) * (known.draws - 4.6))


def test_draws_by_a_name_are_the_same_on_every_machine_and_day():
    """Seeded by the first eight bytes of the name's sha256: recorded intervals stay as they are."""
    seed = int.from_bytes(hashlib.sha256(b"a name").digest()[:8], "big")
    expected = np.random.default_rng(seed).standard_normal(1000)
    assert assumed(1.0, sigma=2.0, name="a name").draws == pytest.approx(1 + 2 * expected)


def test_arithmetic_of_estimates_is_by_draws():
    a, b = assumed(4.0, sigma=0.1, name="a"), assumed(2.0, sigma=0.1, name="b")
    assert a.se == 0.1 and np.std(a.draws) == pytest.approx(0.1, rel=0.1)
    assert not np.array_equal(a.draws - 4, b.draws - 2), "other names, other draws"
    assert np.array_equal(a.draws, assumed(4.0, sigma=0.1, name="a").draws)
    assert ((a - b).value, (a / b).value, (100 * a).value, (-a).value) == (2.0, 2.0, 400.0, -4.0)
    assert ((a - 1).value, (a / 2).value) == (3.0, 2.0)
    assert np.array_equal((a - b).draws, a.draws - b.draws)
    assert np.array_equal((a / b).draws, a.draws / b.draws)
    assert np.array_equal((100 * a).draws, 100 * a.draws) and (-a).ci_low == -a.ci_high
    assert np.array_equal((a - 1).draws, a.draws - 1) and (a / 2).ci_low == a.ci_low / 2
    assert (a - b).se == pytest.approx(0.1 * 2**0.5, rel=0.15)
    assert a.exists and lowest(pd.DataFrame({"loss": [a, b]})) is b
    nowhere = Estimate(np.nan, np.full(1000, np.nan))
    assert lowest(pd.DataFrame({"loss": [nowhere, a]})) is a and np.isnan(nowhere.ci_low)


def test_a_frame_gives_one_estimate_a_row():
    table = tuned()
    small, *_, large = estimates(table)
    assert small.value == 4.6 and small.se == pytest.approx(0.01)
    assert np.array_equal(small.draws, 4.6 + table.sigma[0] * noise_of(table.run_ids[0]))
    assert estimates(table.assign(loss=[small] * 4)) == [small] * 4
    lost = estimates(table.assign(loss=[4.6, np.nan, 4.3, 4.25]))[1]
    assert np.isnan(lost.value) and np.isnan(lost.ci_high)
    assert mean([small, large]).value == pytest.approx(4.425)


def test_the_interval_is_the_quantiles_of_the_draws():
    draws = np.random.default_rng(1).permutation(np.arange(1000.0))
    row = Estimate(500.0, draws)
    assert (row.ci_low, row.ci_high) == (25.0, 974.0)
    assert row.se == pytest.approx((839 - 160) / 2, abs=1)


def test_an_interval_with_an_unbounded_tail_ends_nowhere():
    draws = np.append(np.random.default_rng(0).standard_normal(999), np.nan)
    kept = draws.copy()
    below = Estimate(0.0, with_unbounded_tails(draws, below=True, above=False))
    both = Estimate(0.0, with_unbounded_tails(draws, below=True, above=True))
    assert below.ci_low == -np.inf and below.ci_high == Estimate(0.0, draws).ci_high
    assert (both.ci_low, both.ci_high) == (-np.inf, np.inf)
    assert np.isinf(below.draws).sum() == 30 and np.isnan(both.draws).sum() == 1
    assert np.array_equal(draws, kept, equal_nan=True), "the draws that were given changed"
    above = Estimate(0.0, with_unbounded_tails(draws, below=False, above=True))
    assert above.ci_high == np.inf and above.ci_low == Estimate(0.0, draws).ci_low
    assert (
        np.flatnonzero(np.isinf(above.draws)).tolist()
        == np.flatnonzero(draws >= np.sort(draws[:-1])[-30]).tolist()
    )
    assert repr(both) == "0.000 [−∞, ∞]"


def test_what_is_unbounded_stays_so_in_differences_and_multipliers():
    straight = law_in_N(*STRAIGHT).limit
    assert not straight.is_bounded and straight.ci_low == -np.inf and np.isfinite(straight.ci_high)
    assert (straight - 3.0).ci_low == -np.inf and (near(4.0) - straight).ci_high == np.inf
    difference = straight - straight
    assert (difference.ci_low, difference.ci_high) == (-np.inf, np.inf)
    assert np.isfinite(straight.law.at(0.8).ci_low) and np.isfinite(straight.fitted_draws).all()
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


def test_a_sum_is_that_of_every_draw():
    one = Estimate(2.0, np.array([1.0, 2.0, 3.0]))
    other = Estimate(0.5, np.array([0.5, 0.25, 0.75]))
    assert (one + other).value == 2.5 and list((one + other).draws) == [1.5, 2.25, 3.75]
    assert (one + 1.0).value == 3.0 and list((one + 1.0).draws) == [2.0, 3.0, 4.0]
