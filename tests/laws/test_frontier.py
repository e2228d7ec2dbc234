"""Frontiers: envelopes and crossings that are known, with the noise of their points."""

import math

import numpy as np
import pandas as pd
import pytest

from ieee_lib import laws
from ieee_lib.config.scale import Scale
from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.frontier import AT_OPTIMUM, FOR_MANY, OTHER, Frontier, cost_text
from tests.synthetic import ensemble, scores


def points(costs, losses, *, sigma=0.0, recipe="standard", seed=0):
    """Points of one recipe; every loss has a noise of its own."""
    draws = np.random.default_rng(seed).standard_normal((len(losses), 1000))
    values = [Estimate(y, y + sigma * z, sigma) for y, z in zip(losses, draws, strict=True)]
    table = pd.DataFrame({"flops": costs, "loss": values, "recipe": recipe, "model": "m"})
    return table.assign(K=1, epochs=8, wd=0.1, parameters=table.flops)


def frontier(costs, losses, **options):
    return laws.fit_frontiers(points(costs, losses, **options))["regularized"]


def test_the_envelope_is_the_lowest_loss_within_each_budget():
    found = frontier([8.0, 1.0, 4.0, 2.0, 2.0, 16.0], [4.3, 5.0, 4.6, 4.4, 4.5, 4.35])
    assert found.first == 1 and found.last == 16
    assert list(found.steps.flops) == [1, 2, 8]
    assert [loss.value for loss in found.steps.loss] == [5.0, 4.4, 4.3]
    assert [found.at(b).value for b in (1, 1.9, 2, 7, 8, 1e9)] == [5.0, 5.0, 4.4, 4.4, 4.3, 4.3]
    assert found.at(2 * (1 - 1e-12)).value == 4.4, "sums of FLOPs differ in their last bit"
    lowest = found.lowest_at(np.array([0.5, 2.0, 16.0]))[:, 0]
    assert math.isnan(lowest[0]) and list(lowest[1:]) == [4.4, 4.3]


def test_the_loss_at_a_budget_has_the_noise_of_the_point_that_is_lowest():
    found = frontier([1.0, 1.0, 1.0], [4.0, 4.01, 4.02], sigma=0.05)
    assert found.at(1).value == 4.0
    assert found.at(1).ci_high == pytest.approx(4.1, abs=0.02), "not that of the minimum of three"
    assert np.quantile(found.lowest_at(np.array([1.0]))[0, 1:], 0.975) < 4.06


def test_one_frontier_overtakes_another_where_it_stays_below():
    one = frontier([1.0, 2.0, 4.0, 8.0], [5.0, 4.7, 4.5, 4.46])
    other = frontier([2.0, 4.0, 16.0], [4.9, 4.45, 4.2])
    assert laws.overtakes(other, one).value == 4.0 and laws.overtakes(one, other).value == math.inf
    late = frontier([2.0, 4.0, 32.0], [4.3, 4.25, 4.1])
    assert laws.overtakes(late, one).value == 2.0, "from the first budget that both have"
    passing = frontier([2.0, 32.0], [4.6, 4.3])  # below at 2, above from 4 to 32, below again
    assert laws.overtakes(passing, one).value == 32.0
    assert laws.overtakes(one, one).value == math.inf, "as low is not lower"


def test_a_crossing_has_the_interval_of_its_draws():
    one = frontier([1.0, 2.0, 4.0], [4.5, 4.5, 4.5], sigma=0.0)
    sure = frontier([1.0, 2.0, 4.0], [4.6, 4.4, 4.3], sigma=0.01)
    start = laws.overtakes(sure, one)
    assert (start.ci_low, start.value, start.ci_high) == (2.0, 2.0, 2.0)
    unsure = laws.overtakes(frontier([1.0, 2.0, 4.0], [4.6, 4.51, 4.49], sigma=0.01), one)
    assert unsure.value == 4.0 and unsure.ci_low == 2.0 and unsure.ci_high == math.inf
    never = np.mean(np.isinf(unsure.draws))  # neither at 2 (84 %) nor at 4 (16 %)
    assert never == pytest.approx(0.84 * 0.16, abs=0.04)
    assert cost_text(unsure) == "4.00e00 [2.00e00, ∞]"


def test_crossings_and_losses_cover_what_made_the_points():
    """Frontiers of noisy points against those of the same points without noise."""
    crossed, held = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        curves = []
        for n, gain in ((40, 0.0), (20, 0.025)):
            costs = np.exp(rng.uniform(gain * 40, math.log(40), n))
            losses = 4.35 + 0.3 * costs**-0.6 - gain * np.log(costs / 4)
            curves.append((costs, losses + np.abs(rng.normal(0, 0.06, n))))
        truth = [frontier(*curve) for curve in curves]
        noise = [rng.normal(0, 0.013, len(losses)) for _, losses in curves]
        seen = [
            frontier(costs, losses + error, sigma=0.013, seed=2 * seed + i)
            for i, ((costs, losses), error) in enumerate(zip(curves, noise, strict=True))
        ]
        start = laws.overtakes(seen[1], seen[0])
        crossed.append(start.ci_low <= laws.overtakes(truth[1], truth[0]).value <= start.ci_high)
        for one, other in zip(truth, seen, strict=True):
            at = other.at(12.0)
            held.append(at.ci_low <= one.at(12.0).value <= at.ci_high)
    assert np.mean(crossed) >= 0.9 and np.mean(held) >= 0.9


def test_a_recipe_may_choose_among_the_points_of_those_it_contains():
    table = pd.concat(
        [
            points([1.0, 2.0], [4.5, 4.4]),
            points([4.0], [4.3], recipe="regularized"),
            points([2.0, 4.0], [4.35, 4.2], recipe=OTHER),
            points([4.0], [math.nan], recipe="distilled"),
        ],
        ignore_index=True,
    )
    found = laws.fit_frontiers(table)
    assert list(found) == ["standard", "regularized", "ensemble"], "no loss, no frontier"
    assert list(found["regularized"].steps.flops) == [1, 2, 4]
    rows = laws.crossings(found)
    pairs = dict(zip(zip(rows.recipe, rows.overtakes, strict=True), rows["from"], strict=True))
    values = {pair: start.value for pair, start in pairs.items()}
    assert values == {
        ("regularized", "standard"): 4.0,
        ("ensemble", "standard"): 2.0,
        ("ensemble", "regularized"): 2.0,
    }
    assert rows.point[1] == "1 x m, 8 epochs, wd 0.1" and list(rows["other to"]) == [2, 2, 4]
    assert laws.leading_notes(rows) == [
        "below single models from 2.00e00 [2.00e00, 2.00e00] training FLOPs on"
    ]
    assert laws.leading_notes(laws.crossings({})) == []


def test_an_ensemble_is_a_point_from_two_members_on():
    (law,) = laws.fit_ensembles(scores(K=4).assign(flops=lambda rows: 3e9 * rows.k)).values()
    table = laws.ensemble_points([law])
    assert list(table.K) == [2, 3, 4] and list(table.flops) == [6e9, 9e9, 12e9]
    assert list(table.parameters) == [140_000, 210_000, 280_000]
    assert [loss.value for loss in table.loss] == pytest.approx([4.2, 4 + 0.4 / 3, 4.1])
    assert set(table.run_ids) == {ensemble(K=4).members}


def test_the_papers_points_cost_what_their_settings_say():
    table = laws.published_costs()
    flops = table.groupby(["recipe", "model", "K", "epochs"]).flops.first()
    D, models = 209_715_200, Scale.load("paper").models
    per_token = {name: model.flops_per_token() for name, model in models.items()}
    for recipe, model, epochs in (("standard", "600M", 4), ("regularized", "1.4B", 8)):
        assert flops[recipe, model, 1, epochs] == per_token[model] * epochs * D
    assert flops[FOR_MANY, "300M", 8, 32] == 8 * 32 * D * per_token["300M"]
    assert flops[AT_OPTIMUM, "300M", 2, 16] == 2 * flops["regularized", "300M", 1, 16]
    students = table[table.recipe == "distilled"].sort_values("flops")
    steps, sampled = np.array([51_200, 128_000]), 1e10  # of 64 x 4096 tokens
    tokens = np.array([1, 8]) * 32 * D + steps * 64 * 4096 + sampled / 3
    assert students.flops.to_numpy() == pytest.approx(tokens * per_token["300M"])
    assert list(students.parameters) == [3e8, 3e8]
    assert [loss.value for loss in students.loss] == [3.43243, 3.3635]


def test_what_is_not_public_is_no_point():
    table = laws.published_costs()
    assert "3.2B" not in set(table.model) and table.source.notna().all()
    assert set(table[table.recipe == "regularized"].model) == {"300M", "1.4B"}
    assert not table.duplicated(["recipe", "model", "K", "wd", "epochs", "flops"]).any()
    epochs = table[(table.recipe == "standard") & (table.model == "300M")].epochs
    assert sorted(epochs) == [1, 2, 4, 8, 16, 32, 64, 128], "the 8 epochs of two figures are one"
    assert isinstance(laws.fit_frontiers(table)["distilled"], Frontier)
