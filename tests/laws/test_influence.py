"""The jackknife of a law in K against variances computed in another way."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bartlett

from ieee_lib import InputError
from ieee_lib.laws import Estimate, fit_ensembles
from ieee_lib.laws.estimates import noise_of, t_scale
from ieee_lib.laws.influence import influence, pool, variances_differ
from ieee_lib.runs.frames import Noise
from tests.synthetic import ensemble, scores

LUCK = np.array([-0.03, 0.01, 0.02, 0.04, -0.01])


def subsets(loss, K=5):
    """Return members and the scores of all their subsets, from a loss of their indices."""
    members = [f"{i + 1:016x}" for i in range(K)]
    rows = [
        {"k": k, "members": tuple(members[i] for i in subset), "loss": loss(list(subset))}
        for k in range(1, K + 1)
        for subset in itertools.combinations(range(K), k)
    ]
    return members, pd.DataFrame(rows)


def test_members_that_only_add_their_noise_pass_on_its_mean():
    """L(S) = 4 + 0.4 / k + mean l: E moves with the mean of l, so its variance is s^2 / K."""
    members, table = subsets(lambda s: 4 + 0.4 / len(s) + LUCK[s].mean())
    own = influence(table, members)
    assert own.values == pytest.approx([0.4, 4 + LUCK.mean(), 0.2])
    sd = LUCK.std(ddof=1)
    assert own.sigma == pytest.approx([0, sd, 0], abs=1e-9)
    assert own.deviations[:, 1] == pytest.approx(LUCK - LUCK.mean())
    limit = own.estimate(0, 1, 0)
    assert limit.error == pytest.approx(sd / np.sqrt(5)) and limit.dof == 4
    # draws = theta + s sum z_i (l_i - mean l) / sqrt(K (K - 1)), by hand
    z = np.stack([noise_of([member]) for member in members])
    expected = 4 + LUCK.mean() + t_scale(4) * ((LUCK - LUCK.mean()) @ z) / np.sqrt(20)
    assert limit.draws == pytest.approx(expected)


def test_the_variance_of_a_u_statistic_is_the_jackknifes():
    """The gain L(1) - L(2) is a U-statistic of pairs: its jackknife, member by member, by hand."""
    rng = np.random.default_rng(0)
    single, pair = rng.normal(4.4, 0.02, 5), np.triu(rng.normal(4.2, 0.02, (5, 5)), 1)

    def loss(s):
        if len(s) == 1:
            return single[s[0]]
        among = pair[np.ix_(s, s)].sum() * 2 / (len(s) * (len(s) - 1))
        return 4.0 + (among - 4.0) * 2 / len(s)

    def gain(kept):
        pairs = [pair[i, j] for i, j in itertools.combinations(kept, 2)]
        return np.mean(single[kept]) - np.mean(pairs)

    members, table = subsets(loss)
    everyone = list(range(5))
    left_out = np.array([gain([j for j in everyone if j != i]) for i in everyone])
    variance = 4 / 5 * np.sum((left_out - left_out.mean()) ** 2)
    estimate = influence(table, members).estimate(0, 0, 1)
    assert estimate.value == pytest.approx(gain(everyone))
    assert estimate.error == pytest.approx(np.sqrt(variance))
    # A combination is the sum of its parts: 2 A - gain.
    own = influence(table, members)
    parts = 2 * own.deviations[:, 0] - own.deviations[:, 2]
    assert own.estimate(2, 0, -1).error == pytest.approx(np.sqrt((parts**2).sum() / 20))


def test_the_scale_is_pooled_with_its_degrees_of_freedom():
    three = influence(*reversed(subsets(lambda s: 4 + 1 / len(s) + LUCK[s].mean(), K=3)))
    five = influence(*reversed(subsets(lambda s: 4 + 1 / len(s) + 2 * LUCK[s].mean(), K=5)))
    two = influence(*reversed(subsets(lambda s: 4 + 1 / len(s), K=2)))
    pooled = pool([three, five, two], [1, 1, 1], None)
    sigma = np.sqrt((2 * LUCK[:3].var(ddof=1) + 4 * 4 * LUCK.var(ddof=1)) / 6)
    assert [each.dof for each in pooled] == [6, 6, 6]
    assert [each.sigma[1] for each in pooled] == pytest.approx([sigma] * 3)
    assert {each.source for each in pooled} == {"all ensembles"}
    for each, K in zip(pooled, (3, 5, 2), strict=True):
        assert each.estimate(0, 1, 0).error == pytest.approx(sigma / np.sqrt(2 if K == 2 else K)), K
        assert each.estimate(0, 1, 0).dof == 6


@pytest.mark.parametrize("spread", [1.0, 6.0])
def test_members_of_one_size_keep_their_noise_where_sizes_differ_by_more_than_chance(spread):
    some = np.stack([LUCK, 1.2 * LUCK[::-1]])
    luck = {1: some, 2: spread * some}
    sizes, own = [], []
    for N, of_N in luck.items():
        for noise in of_N:
            members, table = subsets(lambda s, noise=noise: 4 + 1 / len(s) + noise[s].mean())
            own.append(influence(table, members))
            sizes.append(N)
    variance = {N: of_N.var(axis=1, ddof=1).mean() for N, of_N in luck.items()}
    by_N = spread > 1
    for N, each in zip(sizes, pool(own, sizes, None), strict=True):
        expected = variance[N] if by_N else np.mean(list(variance.values()))
        assert each.sigma[1] == pytest.approx(np.sqrt(expected))
        assert (each.dof, each.source) == (
            (8, "ensembles of its N") if by_N else (16, "all ensembles")
        )


def test_variances_differ_as_bartletts_test_of_samples_says():
    rng = np.random.default_rng(0)
    told = []
    for n in ((5, 5), (3, 9, 4), (4, 4, 4, 4)):
        for spread in (1.0, 2.0, 4.0):
            samples = [rng.normal(0, spread**i, size) for i, size in enumerate(n)]
            squares = np.array([np.var(each) * len(each) for each in samples])
            told.append(variances_differ(squares, np.array(n) - 1.0))
            assert told[-1] == (bartlett(*samples).pvalue < 0.05), (n, spread)
    assert any(told) and not all(told)
    assert not variances_differ(np.array([1.0]), np.array([4.0])), "one size has no other"
    assert not variances_differ(np.array([0.0, 1.0]), np.array([4.0, 4.0])), "alike by chance"


def test_two_members_take_the_noise_of_others_of_single_runs_or_none():
    pair, five = scores(9e4, K=2, model="pair"), scores(K=5, spread=0.03, model="five")
    with_others = fit_ensembles(pd.concat([pair, five]))["pair"]
    assert with_others.influence.source == "all ensembles"
    assert with_others.limit.se == pytest.approx(0.03 / np.sqrt(2))
    assert with_others.limit.dof == 4
    (borrowed,) = fit_ensembles(pair, noise_from=[ensemble(K=5, spread=0.03)]).values()
    assert borrowed.limit.se == with_others.limit.se
    (alone,) = fit_ensembles(pair.assign(noise=0.02, noise_dof=3)).values()
    assert alone.influence.source == "single runs" and alone.limit.dof == 3
    assert alone.limit.se == pytest.approx(0.02 / np.sqrt(2))
    assert "noise of single runs" in repr(alone)
    (none,) = fit_ensembles(pair.drop(columns=["noise", "noise_dof"])).values()
    assert (none.limit.ci_low, none.limit.ci_high) == (-np.inf, np.inf)
    assert none.limit.value == pytest.approx(4.0) and none.limit.se == np.inf
    assert (none.gain.ci_low, none.at(2).ci_high) == (-np.inf, np.inf)
    assert "noise of nothing" in repr(none) and "[−∞, ∞]" in repr(none)
    assert r"[-\infty,\, \infty]" in none._repr_latex_()


@pytest.mark.parametrize("interaction", [0.0, 0.01])
def test_limits_cover_the_truth_with_members_that_interact(interaction):
    """Four ensembles of three members, 150 times: noise pooled over them, Student's t."""
    hits = []
    for seed in range(150):
        options = {"K": 3, "noise": 0.02, "interaction": interaction, "seed": seed}
        frames = [scores(N, **options) for N in (4e4, 7e4, 1.4e5, 3.2e5)]
        own = [influence(frame, max(frame.members, key=len)) for frame in frames]
        limits = [each.estimate(0, 1, 0) for each in pool(own, [1] * len(own), None)]
        hits += [limit.ci_low <= 4.0 <= limit.ci_high for limit in limits]
    assert 0.92 <= np.mean(hits) <= 0.99, np.mean(hits)


def test_limits_that_share_members_cancel_in_a_difference():
    one = ensemble(K=5, spread=0.03)
    other = fit_ensembles(scores(K=5, spread=0.03, gain=0.2, limit=3.9))["m"]
    difference = one.limit - other.limit
    assert difference.value == pytest.approx(0.1)
    assert difference.ci_high - difference.ci_low == pytest.approx(0, abs=1e-9)
    apart = one.limit - ensemble(N=9e4, K=5, spread=0.03).limit
    assert apart.ci_high - apart.ci_low > one.limit.ci_high - one.limit.ci_low
    fewer = one.limit - one.without(one.members[0]).limit
    assert fewer.se < apart.se


def test_noise_of_single_runs_is_assumed_only_without_any_other():
    own = influence(*reversed(subsets(lambda s: 4 + LUCK[s].mean())))
    assert pool([own], [1], Noise(9.0, 2.0))[0].sigma[1] == pytest.approx(LUCK.std(ddof=1))
    two = influence(*reversed(subsets(lambda s: 4.0, K=2)))
    assert pool([two], [1], None)[0] is two and two.source == "nothing"
    assert isinstance(two.estimate(0, 1, 0), Estimate)


@pytest.mark.parametrize("missing", [1, 2])
def test_the_jackknife_needs_members_and_pairs(missing):
    members, table = subsets(lambda s: 4 + 1 / len(s))
    with pytest.raises(InputError, match="must include members and pairs without each one"):
        influence(table[table.k != missing], members)
