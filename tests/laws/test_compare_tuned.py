"""Recipes against a base, each at the decay that suits it best; sentences say what was found."""

import numpy as np
import pandas as pd
import pytest

from ieee_lib.laws import compare_tuned, fit_ensembles, sentences
from ieee_lib.laws.beyond import ALL, LIMIT, ONE
from tests.synthetic import chain, scores


def at(recipe, wd, **options):
    frame = scores(**{"spread": 0.02, **options}).assign(recipe=recipe, wd=wd)
    return frame.assign(setting=f"{recipe}, wd {wd}", noise_of=frame.members)


def chained(links, wd):
    frame = links.assign(recipe="chain", wd=wd, setting=f"chain, wd {wd}", noise=0.01)
    return frame.assign(noise_of=frame.members, noise_dof=10.0)


@pytest.fixture
def compared():
    links = chain({k: 4.1 + 0.3 / k**0.5 for k in range(1, 7)})
    frame = pd.concat(
        [
            at("base", 0.8, limit=4.0, gain=0.7),
            at("base", 1.6, N=7.1e4, limit=4.1, gain=0.4),
            at("base", 3.2, N=7.2e4, limit=4.3, gain=0.3),
            at("better", 0.8, N=8e4, limit=3.9, gain=0.8),
            at("better", 1.6, N=8.1e4, limit=4.2, gain=0.1),
            at("alike", 0.8, N=9e4, limit=4.005, gain=0.69),
            at("worse", 0.4, N=1e5, limit=4.3, gain=0.9),
            at("worse", 0.8, N=1.1e5, limit=4.2, gain=0.8),
            at("worse", 1.6, N=1.2e5, limit=4.4, gain=0.5),
            at("averaged", 0.8, limit=4.0, gain=0.7),  # of the base's members
            chained(links, 0.8),
            chained(chain({k: 5.4 - 0.2 * np.log(k) for k in range(1, 7)}), 1.6),
        ],
        ignore_index=True,
    )
    return compare_tuned(frame, fit_ensembles(frame, by="setting"), "base")


def of(compared, name):
    return compared[compared.of == name].set_index("recipe")


def test_each_recipe_counts_at_its_best_decay(compared):
    one, every, limit = (of(compared, name) for name in (ONE, ALL, LIMIT))
    assert (one.wd["base"], every.wd["base"], limit.wd["base"]) == (1.6, 0.8, 0.8)
    assert (one.wd["better"], every.wd["better"], limit.wd["better"]) == (1.6, 0.8, 0.8)
    assert one.difference["better"].value == pytest.approx(4.3 - 4.5)
    assert every.difference["better"].value == pytest.approx(4.06 - 4.14)
    assert limit.difference["better"].value == pytest.approx(-0.1)
    assert one["same decay"]["alike"].value == pytest.approx(4.695 - 4.7)
    assert one["same decay"]["better"].value == pytest.approx(-0.2), "both at 1.6"
    assert limit.setting["base"] == "base, wd 0.8" and limit.tried["base"] == 3
    assert one.tuned["base"] and not limit.tuned["base"] and not limit.tuned["alike"]
    assert list(limit.index)[:2] == ["better", "base"], "the lowest limit first"


def test_verdicts_follow_the_interval(compared):
    one, every, limit = (of(compared, name) for name in (ONE, ALL, LIMIT))
    assert limit.verdict["base"] == "base" and limit.difference["base"].value == 0
    assert limit.verdict["better"] == "helps" and limit.verdict["alike"] == "inconclusive"
    assert (
        one.difference["alike"].ci_low > 0 and one.verdict["alike"] == "inconclusive"
    )  # not tuned
    assert limit.tuned["worse"] and limit.verdict["worse"] == "does not help"
    assert every.verdict["averaged"] == limit.verdict["averaged"] == "the same"
    assert limit.difference["averaged"].se == pytest.approx(0, abs=1e-9)
    assert limit.loss["chain"].value == pytest.approx(4.1, abs=1e-3), "a free exponent"
    assert limit.loss["chain"].se > 0.002, "the luck of one chain, whose curve is smooth"
    assert limit.verdict["chain"] == "inconclusive" and every.K["chain"] == 6


def test_a_sentence_a_recipe_says_what_was_found(compared):
    said = sentences(compared).set_index("question").answer
    assert list(said.index) == [
        "better:", "averaged:", "alike:", "chain:", "worse:", "The best ensemble:",
    ]  # fmt: skip
    assert said["better:"].startswith(
        "At the best of 2 decays, as one model it helps (-0.200 [-0.2"
    )
    assert "as 5 members it helps (-0.080 [" in said["better:"]
    assert "as K → ∞ it helps (-0.100 [" in said["better:"]
    assert "wd 0.8, the last one tried, there -0.100 [" in said["better:"]
    assert said["alike:"].startswith("At one decay, not tuned, as one model it is incon")
    assert "as K → ∞ it is inconclusive (0.005 [" in said["alike:"]
    assert "as 6 members it is inconclusive (0.0" in said["chain:"]
    assert "as K → ∞ it does not help (0.200 [" in said["worse:"]
    best = said["The best ensemble:"]
    assert best.startswith("5 members of the paper's recipe, at the best decay, have 4.140 [")
    assert "5 members of better have 4.060 [" in best and "the lowest of 5 others" in best
    nothing = compared[compared.recipe.isin(["base", "alike"])]
    assert sentences(nothing).answer.iloc[-1].endswith("none of the others is lower.")


def test_two_members_of_a_chain_bound_nothing():
    links = chain({k: 4.1 + 0.3 / k for k in range(1, 4)})
    links = links.assign(recipe="chain", setting="chain, wd 0.8", noise_of=links.members)
    frame = pd.concat([at("base", 0.8), links])
    limit = of(compare_tuned(frame, fit_ensembles(frame, by="setting"), "base"), LIMIT)
    difference = limit.difference["chain"]
    assert (difference.ci_low, difference.ci_high) == (-np.inf, np.inf)
    assert limit.verdict["chain"] == "inconclusive"


def test_runs_of_the_same_steps_share_their_noise():
    """The same members but for 0.004 nats/token, under other run ids."""
    base = at("base", 0.8, noise=0.02, seed=1, interaction=0.005)
    average = at("average", 0.8, N=9e4).assign(loss=base.loss - 0.004, K=5)
    frames = {"shared": average.assign(noise_of=base.members), "apart": average}
    for name, frame in frames.items():
        frame = pd.concat([base, frame], ignore_index=True)
        laws = fit_ensembles(frame, by="setting")
        for each in (ONE, ALL, LIMIT):
            difference = of(compare_tuned(frame, laws, "base"), each).difference["average"]
            assert difference.value == pytest.approx(-0.004, abs=1e-9)
            assert (difference.se < 1e-9) == (name == "shared")
    two = pd.concat([at("base", 0.8, K=2), at("average", 0.8, K=2, N=9e4, limit=3.99)])
    two["noise_of"] = [*two.members[: len(two) // 2], *two.members[: len(two) // 2]]
    compared = compare_tuned(two, fit_ensembles(two, by="setting"), "base")
    assert set(compared[compared.recipe == "average"].verdict) == {"inconclusive"}


def test_a_limit_that_nothing_bounds_is_not_the_lowest(compared):
    limit = of(compared, LIMIT).loc["chain"]
    assert limit.tried == 2 and limit.wd == 0.8 and np.isfinite(limit.loss.ci_low)
