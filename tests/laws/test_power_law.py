"""The law against known truth, the paper's own points and independent fits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import curve_fit

from ieee_lib import InputError
from ieee_lib.laws import (
    Discrepancy,
    Estimate,
    data_efficiency,
    fit_power_law,
    laws_frame,
    published_law,
)
from ieee_lib.laws.estimates import noise_of, t_scale
from ieee_lib.laws.profile import limit_ends
from ieee_lib.laws.published import published, reference_points
from ieee_lib.laws.scan import ALPHAS, fit_many, linear_fits, power_law
from ieee_lib.plots import law_text
from tests.synthetic import ensembles_by_model, tuned

SIZES = np.array([0.15, 0.3, 0.6, 1.4])


@pytest.mark.parametrize(
    ("A", "alpha", "E"), [(0.047, 1.02, 3.43), (1.3, 0.23, 1.89), (0.44, 1.07, 3.27), (0.02, 2, 3)]
)
def test_exact_data_give_the_exact_law(A, alpha, E):
    law = fit_power_law(SIZES, power_law(SIZES, A, alpha, E), sigma=0.01)
    assert (law.A, law.alpha, law.E) == pytest.approx((A, alpha, E), rel=1e-5)
    assert law.chi2 < 1e-6 and law.dof == 1
    ci_low, ci_high = law.interval("E")
    assert ci_low <= E <= ci_high and law.interval("alpha")[0] <= alpha <= law.interval("alpha")[1]


REFERENCES = published("reference_fits")


@pytest.mark.parametrize("row", REFERENCES.to_dict("records"), ids=list(REFERENCES.name))
def test_reference_fits(row):
    x, loss = reference_points(row)
    law = fit_power_law(x, loss, sigma=0.005)
    fitted = (law.A, law.alpha, law.E)
    assert pytest.approx(law.E, abs=row["tolerance"]) == row["E"]
    printed = (row["A"], row["alpha"], row["E"])
    assert fitted == pytest.approx(printed, rel=5e-3)  # given to 3 digits
    authors, _ = curve_fit(
        power_law, x, loss, p0=[1.0, 0.5, 2.0], bounds=(0, np.inf), max_nfev=10**5
    )  # the authors' own call
    assert fitted == pytest.approx(authors, rel=5e-3)


def test_rounded_limits_and_the_stale_cells():
    fits = REFERENCES.set_index("name").E
    points = published("data_points").query("recipe == 'joint'").loss.tolist()
    refits = [round(fits[f"joint law in N at {d}"], 2) for d in ("200M", "400M", "800M", "1.6B")]
    assert refits[:2] == points[:2] and abs(refits[2] - points[2]) > 0.01
    assert abs(refits[3] - points[3]) > 0.005


def test_two_decimal_points_bound_the_limit_loosely():
    points = published("data_points").query("recipe == 'standard'")
    ci_low, ci_high = fit_power_law(points.D / 1e9, points.loss, sigma=0.005).interval("E")
    assert ci_low < 1.89 < ci_high and ci_high - ci_low > 0.1


@pytest.mark.parametrize(("loss", "multiplier"), [(3.43, 2.27), (3.17, 5.08)])
def test_multipliers_from_the_printed_coefficients(loss, multiplier):
    row = published("laws").query("law == 'standard'").iloc[0]
    standard = published_law(row.A, row.alpha, row.E, unit="D[B]")
    assert data_efficiency(standard, loss, 3.74974) == pytest.approx(multiplier, abs=0.01)
    assert repr(standard) == "1.3 / D[B]^0.23 + 1.890 (as printed)"


def test_inverse_undoes_the_law():
    law = fit_power_law(SIZES, power_law(SIZES, 0.05, 1.0, 3.4), sigma=0.01)
    assert law.inverse(law(0.7)) == pytest.approx(0.7)
    assert law.inverse(3.3) == np.inf
    assert law.inverse(np.array([law(2.0), 3.0])) == pytest.approx([2.0, np.inf])


def test_many_fits_equal_single_fits():
    rng = np.random.default_rng(0)
    sigma = np.full(4, 0.01)
    Y = power_law(SIZES, 0.1, 0.8, 3.4) + rng.normal(0, 0.01, (20, 4))
    A, alpha, E = fit_many(SIZES, Y, sigma)
    for i in range(20):
        law = fit_power_law(SIZES, Y[i], sigma=sigma)
        assert (
            law.chi2
            <= np.sum(((Y[i] - power_law(SIZES, A[i], alpha[i], E[i])) / sigma) ** 2) + 1e-9
        )
        assert E[i] == pytest.approx(law.E, abs=2e-3)


@pytest.mark.parametrize("alpha", [0.05, 0.237, 1.02, 3.3])
def test_the_scan_is_refined_to_a_ten_thousandth_of_an_exponent(alpha):
    """Exponents scanned are 1 % apart; a parabola through three of them finds what is between."""
    Y = np.stack([power_law(SIZES, A, alpha, 3.4) for A in (0.1, 0.5)])
    A, found, E = fit_many(SIZES, Y, np.full(4, 0.01))
    assert found == pytest.approx([alpha] * 2, rel=1e-4)
    assert ALPHAS[1] / ALPHAS[0] == pytest.approx(1.01, abs=1e-3)
    assert pytest.approx([3.5, 3.9], abs=2e-3) == A + E  # the loss at x = 1


@pytest.mark.parametrize(
    ("x", "truth"), [(SIZES, (0.1, 1.0, 3.4)), (np.arange(1, 6), (0.3, 1.0, 3.3))]
)
def test_interval_of_the_limit_covers_the_truth(x, truth):
    """95 % intervals on 200 noisy data sets; the full study is a benchmark."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        law = fit_power_law(x, power_law(x, *truth) + rng.normal(0, 0.01, len(x)), sigma=0.01)
        ci_low, ci_high = law.interval("E")
        hits += ci_low <= truth[2] <= ci_high
    assert 0.90 <= hits / 200 <= 0.99, hits


def test_interval_grows_with_the_noise_and_may_be_unbounded():
    y = power_law(SIZES, 0.05, 1.0, 3.4)
    widths = [np.diff(fit_power_law(SIZES, y, sigma=s).interval("E"))[0] for s in (0.001, 0.004)]
    assert widths[1] > 2 * widths[0]
    line = fit_power_law(SIZES, 3.5 - 0.1 * np.log(SIZES), sigma=0.02)
    assert line.interval("E")[0] == -np.inf
    assert not line.has_bounded_limit and "limit not determined" in law_text(line)
    known = fit_power_law(SIZES, y, sigma=0.001)
    assert known.has_bounded_limit and f"{known.E:.3f}" in law_text(known)


BENT = power_law([0.1, 0.2, 0.4, 0.8, 1.6], 0.1, 1.0, 3.4)
BENT += np.array([0.0, 0.04, -0.04, 0.0, 0.02])


def brute_force(x, y, sigma, reach, alphas=None):
    """The smallest and largest E (and alpha) with chi2 - min <= reach^2 on a plain grid."""
    alphas = np.geomspace(0.3, 3, 1000) if alphas is None else alphas
    limits = np.linspace(3.3, 3.5, 2000)
    best, chi2 = np.inf, np.empty((len(alphas), len(limits)))
    for row, alpha in zip(chi2, alphas, strict=True):
        z = np.asarray(x, float) ** -alpha
        rest = np.asarray(y)[None, :] - limits[:, None]
        A = (rest * z / sigma**2).sum(1) / (z**2 / sigma**2).sum()
        row[:] = (((rest - A[:, None] * z) / sigma) ** 2).sum(1)
        best = min(best, row.min())
    inside = chi2 <= best + reach**2
    E, alpha = limits[inside.any(0)], alphas[inside.any(1)]
    return (E[0], E[-1]), (alpha[0], alpha[-1])


@pytest.mark.parametrize("dof", [np.inf, 3])
def test_the_profile_is_that_of_a_brute_force_grid(dof):
    """At a noise of 0.003 of exact points: chi2 - min <= t^2, over A, alpha and E."""
    y, sigma = power_law(SIZES, 0.1, 1.0, 3.4), np.array([0.004, 0.003, 0.003, 0.002])
    law = fit_power_law(SIZES, y, sigma=sigma, dof=dof)
    E, alpha = brute_force(SIZES, y, sigma, stats.t.ppf(0.975, dof))
    assert law.interval("E") == pytest.approx(E, abs=5e-4)
    assert law.interval("alpha") == pytest.approx(alpha, rel=0.01)
    fixed = fit_power_law(SIZES, y, sigma=sigma, dof=dof, alpha=1.0)
    E, _ = brute_force(SIZES, y, sigma, stats.t.ppf(0.975, dof), alphas=np.array([1.0]))
    assert fixed.interval("E") == pytest.approx(E, abs=5e-4)


@pytest.mark.parametrize("sigma", [1e-2, 1e-4, 1e-6])
def test_intervals_shrink_with_the_noise_however_small(sigma):
    """To first order the error of E follows from the law's derivatives: J = (z, -A z ln x, 1)."""
    x = np.array([0.1, 0.2, 0.4, 0.8, 1.6])
    law = fit_power_law(x, power_law(x, 0.3, 0.7, 3.0), sigma=sigma)
    z = x**-0.7
    J = np.stack([z, -0.3 * z * np.log(x), np.ones(5)], axis=1)
    error = sigma * np.sqrt(np.linalg.inv(J.T @ J).diagonal())
    low, high = law.interval("E")
    assert (high - low) / 2 == pytest.approx(1.96 * error[2], rel=0.03)
    low, high = law.interval("alpha")
    assert (high - low) / 2 == pytest.approx(1.96 * error[1], rel=0.2)


def test_a_law_beyond_its_noise_takes_its_residuals_with_their_degrees_of_freedom():
    """chi2 beyond its 95 % point: sigma times sqrt(chi2 / dof), t(dof)^2 = F(1, dof)."""
    x = np.array([0.1, 0.2, 0.4, 0.8, 1.6])
    good = fit_power_law(x, power_law(x, 0.1, 1.0, 3.4), sigma=0.004)
    bad = fit_power_law(x, BENT, sigma=0.004)
    assert good.noise_factor == 1.0 and not good.misfits and good.scale_dof == np.inf
    assert bad.chi2 > bad.chi2_bound == pytest.approx(5.991, abs=1e-3)
    assert bad.misfits and bad.scale_dof == bad.dof == 2
    factor = np.sqrt(bad.chi2 / 2)
    assert bad.noise_factor == pytest.approx(factor)
    # The same as its residuals' sigma of two degrees of freedom: t is 4.303, not 1.96.
    wide = fit_power_law(x, BENT, sigma=0.004 * factor, dof=2)
    assert wide.noise_factor == 1.0 and pytest.approx(bad.E, abs=1e-4) == wide.E
    assert bad.interval("E") == pytest.approx(wide.interval("E"), abs=1e-3)
    assert bad.interval("alpha") == pytest.approx(wide.interval("alpha"), abs=1e-2)
    reach = 0.004 * factor * np.sqrt(stats.f.ppf(0.95, 1, 2))
    fixed = fit_power_law(x, BENT, sigma=0.004, alpha=bad.alpha)
    fixed_reach = np.sqrt(fixed.chi2 / 3 * stats.f.ppf(0.95, 1, 3))
    E, _ = brute_force(x, BENT, 0.004 * np.ones(5), fixed_reach, alphas=np.array([bad.alpha]))
    assert fixed.interval("E") == pytest.approx(E, abs=5e-4) and reach > 0.004 * factor * 4.3
    # Noise from three degrees of freedom is itself uncertain: F(2, 3) allows more chi2.
    assert fit_power_law(x, BENT, sigma=0.004, dof=3).chi2_bound == pytest.approx(
        2 * stats.f.ppf(0.95, 2, 3)
    )
    exact = fit_power_law(x[:3], power_law(x[:3], 0.1, 1.0, 3.4), sigma=0.004)
    assert exact.noise_factor == 1.0 and np.isnan(exact.chi2_bound) and not exact.misfits


def test_what_the_form_may_be_wrong_by_widens_the_limit_and_what_lies_beyond():
    law = fit_power_law(tuned(), x="N")
    wrong = replace(law, discrepancy=Discrepancy((0.05,) * 3, (0.0,) * 3))
    for p in (0.025, 0.2, 0.9, 0.975):
        distance = np.hypot(law.limit_quantiles(p)[0] - law.E, 0.05 * stats.t.ppf(p, 3))
        assert abs(wrong.limit_quantiles(p)[0] - law.E) == pytest.approx(distance, rel=0.01)
    assert wrong.limit_quantiles(0.9)[0] > law.E > wrong.limit_quantiles(0.2)[0]
    assert wrong.limit.dof == 3 and wrong.limit.se > law.limit.se
    inside, beyond = 0.3, 0.8
    assert np.array_equal(wrong.at(inside).draws, law.at(inside).draws)
    extra = wrong.at(beyond).draws - law.at(beyond).draws
    assert np.quantile(extra, [0.16, 0.84]) == pytest.approx(
        0.05 * stats.t.ppf([0.16, 0.84], 3), rel=0.15
    )
    assert wrong.without("a").discrepancy == wrong.discrepancy
    assert wrong.to_dict()["discrepancy"]["tau"] == pytest.approx(0.05)
    assert law.to_dict()["discrepancy"] is None


def test_a_limit_ends_where_the_logarithm_leaves_the_region():
    """On the smallest exponent's own chi2 hangs whether E has a lower end, to the last bit."""
    x, sigma = np.array([1.0, 2, 4, 8, 16]), np.full(5, 0.02)
    y = 4 + 0.5 * x**-0.5
    excess = linear_fits(ALPHAS, x, y[None], sigma)[3][:, 0]
    reach = np.sqrt(excess[ALPHAS.argmin()] - excess.min())
    low, high = limit_ends(ALPHAS, x, y, sigma, np.array([0.99 * reach, 1.01 * reach]))
    assert np.isfinite(low[0]) and low[1] == -np.inf and np.isfinite(high).all()


def test_only_an_end_below_zero_is_no_bound():
    """Losses of a fraction of a nat, as those of a probe may be, bound their limit as others do."""
    x = np.array([1.0, 2, 4, 8, 16])
    low, high = fit_power_law(x, 0.4 + 0.5 / x, sigma=0.005).interval("E")
    assert 0.3 < low < 0.4 < high < 0.5
    low, high = fit_power_law(x, 0.005 + 0.5 / x, sigma=0.005).interval("E")
    assert low == -np.inf and 0.005 < high < 0.1


def test_draws_of_a_limit_have_the_distribution_of_its_interval():
    law = fit_power_law(tuned().assign(dof=6), x="N")
    limit = law.limit
    assert law.noise_dof == 6 == limit.dof
    for q in (0.025, 0.16, 0.5, 0.84, 0.975):
        expected = law.limit_quantiles(q)[0] if q != 0.5 else law.E
        assert np.quantile(limit.draws, q) == pytest.approx(expected, abs=0.004)
    assert (limit.ci_low, limit.ci_high) == law.interval("E")
    # In the order of refits to the draws of the points, each a t with the points' dof.
    assert np.array_equal(np.argsort(limit.draws), np.argsort(limit.E_draws))
    z = np.stack([noise_of(ids) for ids in law.frame.run_ids], axis=1)
    Y = law.y + 0.01 * 3**0.5 * t_scale(6)[:, None] * z
    A, alpha, E = fit_many(law.x, Y, law.sigma)
    assert limit.E_draws == pytest.approx(E) and limit.A_draws == pytest.approx(A)
    assert limit.alpha_draws == pytest.approx(alpha)
    assert law.at(0.3).draws == pytest.approx(A * 0.3**-alpha + E)
    low, high = np.quantile(E, [0.16, 0.84])
    assert limit.se == pytest.approx((high - low) / 2)
    loss = limit.inverse(law.at(0.3))
    assert loss.value == pytest.approx(0.3) and loss.draws == pytest.approx(0.3)
    below = limit.inverse(Estimate(law.E - 1.0, limit.E_draws - 1e-9))
    assert below.value == np.inf and np.isinf(below.draws).all()


def test_draws_of_a_law_that_misfits_take_its_residuals():
    table = tuned((4.6, 4.35, 4.38, 4.25))
    bad = fit_power_law(table, x="N")
    assert bad.misfits and bad.noise_factor > 2
    z = np.stack([noise_of(ids) for ids in table.run_ids], axis=1)
    noise = bad.noise_factor * t_scale(1)[:, None] * 0.01 * 3**0.5 * z
    assert bad.limit.E_draws == pytest.approx(fit_many(bad.x, bad.y + noise, bad.sigma)[2])


def test_limits_that_share_runs_cancel_in_a_difference():
    """Two laws through the same noise: the difference of their limits has none of it."""
    one = fit_power_law(tuned(), x="N").limit
    other = fit_power_law(tuned((4.5, 4.3, 4.2, 4.15)), x="N").limit
    apart = tuned((4.5, 4.3, 4.2, 4.15))
    apart["run_ids"] = [tuple(f"{100 + 10 * i + s:016x}" for s in range(3)) for i in range(4)]
    shared, none = one - other, one - fit_power_law(apart, x="N").limit
    assert shared.value == pytest.approx(0.1) == none.value
    assert shared.ci_high - shared.ci_low < 0.01 < 0.05 < none.ci_high - none.ci_low


@pytest.mark.parametrize("dof", [2, 5])
def test_noise_from_few_replicates_still_covers(dof):
    rng, hits = np.random.default_rng(dof), 0
    for _ in range(150):
        sigma = 0.01 * np.sqrt(rng.chisquare(dof) / dof)
        y = power_law(SIZES, 0.1, 1.0, 3.4) + rng.normal(0, 0.01, 4)
        low, high = fit_power_law(SIZES, y, sigma=sigma, dof=dof).interval("E")
        hits += low <= 3.4 <= high
    assert hits / 150 >= 0.92, hits


def test_a_law_is_unbounded_on_the_side_where_its_logarithm_leads():
    """Falling without end: nothing below. Rising: nothing above. Flat within noise: neither."""
    x = np.log(SIZES)
    ends = {
        slope: fit_power_law(SIZES, 3.5 + slope * x, sigma=0.02).interval("E")
        for slope in (-0.1, 0.1, 0.001)
    }
    assert ends[-0.1][0] == -np.inf and np.isfinite(ends[-0.1][1])
    assert np.isfinite(ends[0.1][0]) and ends[0.1][1] == np.inf
    assert ends[0.001] == (-np.inf, np.inf)


def test_a_fixed_exponent_is_held():
    law = fit_power_law([1, 2, 3, 4, 5], power_law([1, 2, 3, 4, 5], 0.3, 1, 3), sigma=0.01, alpha=1)
    assert law.alpha == 1 and law.dof == 3 and pytest.approx(3) == law.E


def test_a_law_on_its_way_to_a_frame():
    law = fit_power_law(tuned(), x="N")
    (row,) = laws_frame({"N": law}).to_dict("records")
    assert (row["E"], row["A"], row["points"], row["dof"]) == (law.E, law.A, 4, 1)
    assert (row["E ci_low"], row["E ci_high"]) == law.interval("E")
    assert (row["alpha ci_low"], row["alpha ci_high"]) == law.interval("alpha")
    assert row["chi2"] == law.chi2
    kept = law.to_dict()
    assert kept["E_interval_95"] == list(law.interval("E")) and kept["x_unit"] == "N[M]"
    assert kept["degrees_of_freedom"] == 1 and kept["noise_scale"] == law.noise_factor


def test_repr_shows_law_interval_and_few_points():
    law = fit_power_law(SIZES, power_law(SIZES, 0.047, 1.02, 3.43), sigma=0.002, unit="N[B]")
    assert repr(law).startswith("0.047 / N[B]^1.02 + 3.430 [3.42")
    assert repr(law).endswith("(4 points)")


@pytest.mark.parametrize(
    ("x", "y", "sigma", "message"),
    [
        ([1, 2], [3, 2], 0.1, "points = 2: need at least 3 different x"),
        ([1, 2, 0], [3, 2, 1], 0.1, "must be positive"),
        ([1, 2, 3], [3, 2, np.nan], 0.1, "drop diverged runs first"),
        ([1, 2, 3], [3, 2, 1], 0.0, "sigma = [0.0, 0.0, 0.0]: must be positive"),
        ([1, 2, 3], [3, 2, 1], np.nan, "must be positive"),
        ([1, 2, 3], [3, 2, 1], None, "sigma = [nan, nan, nan]: must be positive"),
        ([1, 2, np.inf], [3, 2, 1], 0.1, "must be positive and finite"),
        ([1, 2, 3], [3, 2, 1], [0.1, 0.1], "sigma = (2,): must have the shape of x, (3,)"),
        ([1, 2, 3], [3, 2], 0.1, "y = (2,): must have the shape of x, (3,)"),
        ([[1, 2, 3]], [[3, 2, 1]], 0.1, "must be a list of numbers"),
    ],
)
def test_bad_points_are_refused(x, y, sigma, message):
    with pytest.raises(InputError) as error:
        fit_power_law(x, y, sigma=sigma)
    assert message in str(error.value)


@pytest.mark.parametrize("alpha", [-1, 0, np.nan, 1000, 0.019, 6.1, np.inf])
def test_an_exponent_out_of_range_is_refused(alpha):
    for refused in (
        lambda: fit_power_law([1, 2, 3], [3, 2, 1], sigma=0.1, alpha=alpha),
        lambda: published_law(1.0, alpha, 3.0, unit="x"),
    ):
        with pytest.raises(InputError) as error:
            refused()
        assert str(error.value) == f"alpha = {alpha!r}: must lie between 0.02 and 6"


def test_printed_laws_and_noise_are_checked():
    assert fit_power_law([1, 2], [3, 2], sigma=0.1, alpha=0.02).alpha == 0.02
    assert fit_power_law([1, 2], [3, 2], sigma=0.1, alpha=6).alpha == 6
    pinned = fit_power_law([1, 2, 4], [3, 2.999, 2.998], sigma=1e-4, alpha=0.02)
    assert pinned.has_bounded_limit and not pinned.is_at_edge and pinned.dof == 1
    with pytest.raises(InputError, match="A and E must be finite"):
        published_law(np.nan, 1.0, 3.0, unit="x")
    for dof in (0, -1, np.nan):
        with pytest.raises(InputError, match=r"dof = .*: must be positive"):
            fit_power_law([1, 2, 3], [3, 2, 1], sigma=0.1, dof=dof)
        with pytest.raises(InputError, match=r"dof = .*: must be positive"):
            fit_power_law(tuned().assign(dof=float(dof)), x="N")
    with pytest.raises(InputError, match="points = 0"):
        fit_power_law(tuned().assign(loss=np.nan), x="N")


def test_a_frame_is_fitted_in_millions_and_keeps_its_points():
    table = tuned()
    law = fit_power_law(table, x="N")
    plain = fit_power_law(table.N / 1e6, table.loss, sigma=table.se)
    assert (law.A, law.alpha, law.E) == pytest.approx((plain.A, plain.alpha, plain.E))
    assert law.unit == "N[M]" and law.labels == list("abcd") and law.frame.equals(table)
    assert law.limit.value == law.E and law.limit.ci_low < law.E < law.limit.ci_high
    large = fit_power_law(table.assign(N=1e4 * table.N), x="N")
    assert large.unit == "N[B]" and pytest.approx(law.E, abs=1e-6) == large.E
    lost = fit_power_law(table.assign(loss=[np.nan, 4.4, 4.3, 4.25]), x="N")
    assert lost.labels == list("bcd")


def test_a_law_refitted_without_points_or_through_some():
    law = fit_power_law(tuned(), x="N")
    assert law.without("a").labels == list("bcd") == law.only("b", "c", "d").labels
    assert law.without("a").E == law.only("b", "c", "d").E != law.E
    in_D = fit_power_law(tuned().rename(columns={"N": "D"}), x="D")
    assert in_D.labels == [4e4, 1e5, 2e5, 4e5] and in_D.without(4e4).n_point == 3
    with pytest.raises(InputError, match="point = 'e': allowed are a, b, c, d"):
        law.without("e")
    with pytest.raises(InputError, match="need at least 3 different x"):
        law.only("a", "b")
    with pytest.raises(InputError, match="points = 0"):
        law.only()
    with pytest.raises(InputError, match="has no frame that names its points"):
        fit_power_law(SIZES, power_law(SIZES, 0.1, 1, 3), sigma=0.01).without(0.15)


def test_a_limit_says_whether_it_exists_and_is_bounded():
    x = np.array([0.04, 0.1, 0.2, 0.4])
    flat = {"model": list("abcd"), "N": 1e6 * x, "sigma": 0.01}
    ids = [(f"{i:016x}",) for i in range(4)]

    def limit(losses):
        return fit_power_law(pd.DataFrame({**flat, "loss": losses, "run_ids": ids}), x="N").limit

    falling = limit(power_law(x, 0.02, 1.0, 4.0))
    assert falling.exists and falling.is_bounded and falling.alpha.value == pytest.approx(1.0)
    straight = limit(np.array([4.6, 4.4, 4.25, 4.1]))
    assert straight.exists and not straight.is_bounded and straight.ci_low == -np.inf
    rising = limit(np.array([5.1, 5.12, 5.16, 5.25]))
    assert not rising.exists and not rising.is_bounded
    with pytest.raises(InputError, match="has no draws: fit it to a frame"):
        _ = fit_power_law(x, power_law(x, 0.02, 1.0, 4.0), sigma=0.01).limit


def test_a_law_through_estimates_knows_what_they_share():
    """Limits in K of the same members at every N: the noise of each is its members' own."""
    by_model = ensembles_by_model()
    table = pd.DataFrame(
        {"model": list(by_model), "N": [law.N for law in by_model.values()],
         "limit": [law.limit for law in by_model.values()]}
    )  # fmt: skip
    law = fit_power_law(table, "limit", x="N")
    assert law.points == tuple(table.limit) and law.columns == ("N", "limit")
    assert (law.limit - law.limit).ci_high == 0
