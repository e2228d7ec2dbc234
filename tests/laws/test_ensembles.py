"""Laws in K recover what made the data; members that are no replicates take a free exponent."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t

from ieee_lib import InputError
from ieee_lib.laws import (
    ENSEMBLE_DIGITS,
    best_ensemble,
    concat,
    ensembles_frame,
    fit_ensembles,
    fit_power_law,
    settings_label,
)
from ieee_lib.plots import Table
from tests.synthetic import chain, ensemble, scores


def test_a_law_in_K_recovers_limit_and_exponent():
    law = ensemble()
    assert law.limit.value == pytest.approx(4.0, abs=1e-6)
    assert (
        law.law.fixed_alpha and law.law.alpha == 1 and law.free.alpha == pytest.approx(1, abs=1e-3)
    )
    assert law.at(1).value == pytest.approx(4.4) and law.measured.value == pytest.approx(4.08)
    assert law.at_members(10).value == pytest.approx(4.04) and law.from_first(3).n_point == 3
    assert pytest.approx(4.0) == law.from_first(3).E and law.gain.value == pytest.approx(0.2)
    assert law.points.n.tolist() == [5, 10, 10, 5, 1] and law.K == 5
    assert law.form_error == pytest.approx(0, abs=1e-3)
    assert repr(law) == "0.4 / K + 4.000 [3.987, 4.013] (5 members of m)"
    assert law._repr_latex_() == r"$L(K) = 0.4 / K + 4.000\;[3.987,\, 4.013]$"
    slow = ensemble(beta=0.6)
    assert slow.free.alpha == pytest.approx(0.6, abs=1e-3)
    assert slow.form_error == pytest.approx(slow.free.E - slow.limit.value) != 0
    pair = ensemble(K=2)
    assert pair.free is None and pair.limit.value == pytest.approx(4.0)
    assert np.isnan(ensembles_frame({"m": pair}).beta).all() and np.isnan(pair.form_error)
    assert ensemble(K=3).free is None and ensemble(K=4).free is not None


def test_the_noise_of_a_level_is_its_members():
    """All members share one deviation: se of the mean of K, at every k, and t with 4 dof."""
    law = ensemble(spread=0.02)
    se = 0.02 / np.sqrt(5)
    assert law.points.se.tolist() == pytest.approx([se] * 5)
    assert law.limit.se == pytest.approx(se) and law.measured.se == pytest.approx(se)
    half = student_t.ppf(0.975, 4) * se
    assert law.limit.ci_high - law.limit.ci_low == pytest.approx(2 * half, rel=0.1)
    assert (law.at(2) - law.at(1)).se == pytest.approx(0, abs=1e-9), "what they share cancels"
    assert law.at(2).draws.mean() == pytest.approx(law.at(2).value, abs=0.1 * half)
    assert law.gain.ci_low == pytest.approx(0.2) == law.gain.ci_high


def test_the_interval_of_the_exponent_is_the_jackknifes():
    rough = scores(beta=0.7, noise=0.02)
    rough.loss += np.random.default_rng(3).normal(0, 0.003, len(rough))
    (law,) = fit_ensembles(rough).values()
    betas = []
    for member in law.members:
        kept = law.scores[[member not in subset for subset in law.scores.members]]
        points = kept.groupby("k").loss.mean()
        betas.append(fit_power_law(points.index, points, sigma=1.0).alpha)
    error = np.sqrt(4 / 5 * np.sum((np.array(betas) - np.mean(betas)) ** 2))
    low, high = law.beta_interval
    assert (low + high) / 2 == pytest.approx(law.free.alpha) and high - low > 0.1
    assert (high - low) / 2 == pytest.approx(student_t.ppf(0.975, 4) * error, rel=0.01)
    row = ensembles_frame({"m": law}).iloc[0]
    assert (row["beta ci_low"], row["beta ci_high"]) == (low, high)
    assert row["limit, beta free"] == law.free.E and row["form error"] == law.form_error
    assert row["noise of"] == "all ensembles" and row.run_ids == law.members
    by_size = law.scores.groupby("k").loss.mean()
    assert row["one member"] == pytest.approx(by_size[1])
    assert row["all members"] == pytest.approx(by_size[5])
    printed = Table(ensembles_frame({"m": law}), "c", ENSEMBLE_DIGITS).formatted().iloc[0]
    decimals = {name: len(printed[name].partition(".")[2]) for name in ENSEMBLE_DIGITS}
    assert decimals == dict.fromkeys(ENSEMBLE_DIGITS, 3) | {"beta": 2, "form error": 4}


def test_a_law_refitted_without_a_member():
    law = ensemble(noise=0.02)
    left = law.without(law.members[0])
    assert left.K == 4 and left.members == law.members[1:] and len(left.scores) == 2**4 - 1
    assert left.limit.value != law.limit.value
    assert np.array_equal(left.influence.sigma, law.influence.sigma) and left.limit.dof == 4
    subsets = law.scores[[law.members[0] not in subset for subset in law.scores.members]]
    assert left.points.loss.tolist() == subsets.groupby("k").loss.mean().tolist()
    assert law.without(*law.members[:2]).members == law.members[2:]
    with pytest.raises(InputError, match="member = 'nobody'"):
        law.without("nobody")


def test_ensembles_are_named_by_model_or_by_what_tells_them_apart():
    two = pd.concat([scores(7e4, model="small"), scores(9e4, model="large")])
    assert list(fit_ensembles(two)) == ["small", "large"]
    same = pd.concat([scores(7e4), scores(9e4).assign(epochs=64, wd=0.4)])
    assert list(fit_ensembles(same)) == ["32 epochs, wd 0.8", "64 epochs, wd 0.4"]
    seeds = same.assign(seeds=np.where(same.epochs == 32, "both", "init only"))
    assert list(fit_ensembles(seeds, by="seeds")) == ["both", "init only"]
    assert settings_label({"epochs": 4, "wd": 1.6}) == "4 epochs, wd 1.6"
    with pytest.raises(InputError, match="has lost 4 members to divergence"):
        fit_ensembles(scores(K=1).assign(n_diverged=4))
    table = concat({"a": same[:2], "b": same[:1]}, "recipe")
    assert table.recipe.tolist() == ["a", "a", "b"] and table.columns[0] == "recipe"


def test_the_best_ensemble_has_the_lowest_measured_loss():
    low_limit, low_loss = ensemble(limit=3.9, gain=0.9), ensemble(N=9e4, gain=0.1)
    assert best_ensemble([low_limit, low_loss]) is low_loss


def test_members_that_are_not_exchangeable_take_a_free_exponent():
    truth = {k: 3.0 + 0.2 / k**0.5 for k in range(1, 8)}
    (law,) = fit_ensembles(chain(truth)).values()
    assert law.law.alpha == pytest.approx(0.5, abs=1e-4) and not law.law.fixed_alpha
    assert law.limit.value == pytest.approx(3.0, abs=1e-4) == law.from_first(5).E
    assert law.limit.ci_low <= law.limit.value <= law.limit.ci_high
    assert repr(law).startswith("0.2 / K^0.5 + 3.000 [3.000, 3.000] (7 members of m, not exch")
    assert r"0.2 / K^{0.5} + 3.000\;[3.000,\, 3.000]" in law._repr_latex_()
    assert np.isnan(law.beta_interval).all() and law.influence.deviations is None
    with pytest.raises(InputError, match="is a chain: take law"):
        law.at_members(9)
    # Its residuals are its noise: a rougher curve, a wider limit.
    rough = {k: loss + 0.002 * (-1) ** k for k, loss in truth.items()}
    (wide,) = fit_ensembles(chain(rough)).values()
    assert wide.limit.ci_low < wide.limit.value - 0.01
    assert wide.limit.ci_low == pytest.approx(wide.law.interval("E")[0], abs=0.01)
    assert wide.law.noise_dof == 4 and wide.law.chi2 == pytest.approx(4)
    # Four points and three parameters or fewer leave no residual.
    for n, beta in ((4, 0.5), (3, 1.0)):
        (few,) = fit_ensembles(chain({k: truth[k] for k in range(1, n + 1)})).values()
        assert few.law.alpha == pytest.approx(beta, abs=1e-3)
    assert (few.limit.ci_low, few.limit.ci_high) == (-np.inf, np.inf)


def test_a_chain_counts_the_first_k_alone_and_no_noise_of_replicates():
    snapshots = scores(K=5, spread=0.03, model="snapshots").assign(exchangeable=False)
    both = pd.concat([scores(9e4, K=5, model="replicates"), snapshots])
    laws = fit_ensembles(both.assign(exchangeable=both.exchangeable.fillna(True)))
    chained = laws["snapshots"]
    assert chained.points.n.tolist() == [1] * 5
    first = snapshots[[s == chained.members[: len(s)] for s in snapshots.members]]
    assert chained.points.loss.tolist() == first.loss.tolist()
    assert chained.influence.source == "single runs"
    assert laws["replicates"].limit.se == pytest.approx(0.01 / np.sqrt(5))
    fewer = chained.without(chained.members[-1])
    assert fewer.K == 4 and fewer.influence.deviations is None


def test_the_table_of_an_ensemble_gives_its_members_mean_and_all_of_them():
    row = ensembles_frame({"m": ensemble(limit=4.0, gain=0.4, K=5)}).iloc[0]
    assert row["one member"] == pytest.approx(4.4) and row["all members"] == pytest.approx(4.08)
    assert row.limit.value == pytest.approx(4.0) and row.K == 5 and row.beta == pytest.approx(1.0)


def test_an_ensemble_whose_loss_rises_with_K_has_no_limit_in_the_table():
    laws = {"falls": ensemble(limit=4.0, gain=0.4, K=5), "rises": ensemble(gain=-0.1, K=5)}
    rises = ensembles_frame(laws).iloc[1]
    assert rises["all members"] > rises["one member"]
    limits = [rises.limit.value, rises.limit.ci_low, rises.limit.ci_high]
    assert np.isnan([*limits, rises["limit, beta free"], rises["form error"]]).all()
    table = Table(ensembles_frame(laws), "", digits=ENSEMBLE_DIGITS)
    assert table.formatted().limit.tolist() == ["4.000", "–"]


def test_a_point_in_K_has_the_noise_of_its_members_influence():
    law = ensemble(noise=0.02, interaction=0.02, K=5)
    for k, se in zip(law.points.k, law.points.se, strict=True):
        assert se == pytest.approx(law.at(k).se, rel=1e-12)
    assert law.points.se.nunique() == 5
