"""The law against known truth, the paper's own points and independent fits."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit

from ieee_lib import InputError
from ieee_lib.laws import data_efficiency
from ieee_lib.laws.power_law import (
    fit_many,
    fit_power_law,
    power_law,
    published_law,
)
from ieee_lib.laws.published import published, reference_points
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


def test_bootstrap_agrees_with_the_profile():
    law = fit_power_law(SIZES, power_law(SIZES, 0.1, 1.0, 3.4), sigma=0.003)
    _, _, E = law.bootstrap(2000, seed=1)
    assert np.median(E) == pytest.approx(3.4, abs=0.003)
    assert law.bootstrap_interval() == pytest.approx(law.interval("E"), abs=0.01)
    assert np.array_equal(E, law.bootstrap(2000, seed=1)[2])


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
    assert not line.has_bounded_limit and "do not bound a limit" in law_text(line)
    known = fit_power_law(SIZES, y, sigma=0.001)
    assert known.has_bounded_limit and f"{known.E:.3f}" in law_text(known)


def test_a_law_beyond_its_noise_is_known_no_better_than_it_fits():
    bend = np.array([0.0, 0.04, -0.04, 0.0, 0.02])
    x = np.array([0.1, 0.2, 0.4, 0.8, 1.6])
    good, bad = (
        fit_power_law(x, power_law(x, 0.1, 1.0, 3.4) + b, sigma=0.004) for b in (0.0, bend)
    )
    assert good.noise_factor == 1.0 and bad.chi2 > bad.chi2_bound == pytest.approx(5.991, abs=1e-3)
    wide = fit_power_law(x, bad.y, sigma=0.004 * np.sqrt(bad.chi2 / 2))  # noise that would explain
    assert wide.noise_factor == 1.0 and pytest.approx(bad.E, abs=1e-4) == wide.E
    assert bad.interval("E") == pytest.approx(wide.interval("E"), abs=1e-3)
    assert bad.interval("alpha") == pytest.approx(wide.interval("alpha"), abs=1e-2)
    assert bad.bootstrap_interval() == pytest.approx(wide.bootstrap_interval(), abs=1e-2)
    exact = fit_power_law(x[:3], bad.y[:3], sigma=0.004)
    assert exact.noise_factor == 1.0 and np.isnan(exact.chi2_bound)


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
    ],
)
def test_bad_points_are_refused(x, y, sigma, message):
    with pytest.raises(InputError) as error:
        fit_power_law(x, y, sigma=sigma)
    assert message in str(error.value)


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
