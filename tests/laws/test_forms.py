"""Forms of the law in N are chosen by the errors at models that they did not see."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ieee_lib import InputError
from ieee_lib.laws import fit_power_law
from ieee_lib.laws.discrepancy import Discrepancy
from ieee_lib.laws.forms import (
    FORMS,
    FREE,
    PINNED,
    POWER_MEAN,
    best_form,
    fit_sizes,
    left_out_errors,
)
from ieee_lib.laws.power_mean import fit_power_mean, power_mean
from ieee_lib.laws.scan import power_law
from tests.laws.test_power_mean import COUNTS, SIZES, TRUTH, cells


@pytest.fixture(scope="module")
def sizes():
    """Exact cells of a surface that bends more sharply than a power law."""
    return fit_sizes(cells())


def separate(alpha, noise=0.0):
    """One power law in N a D, with that exponent and limits that follow no law in D."""
    rng = np.random.default_rng(0)
    frame = cells()
    limits = frame.D.map(dict(zip(COUNTS, (3.2, 3.15, 2.9), strict=True)))
    loss = power_law(frame.N / 1e6, 0.3, alpha, limits) + noise * rng.normal(size=len(frame))
    return frame.assign(loss=loss)


def test_every_form_predicts_the_largest_model_from_the_smaller(sizes):
    frame = cells()
    for D in COUNTS:
        rows = frame[frame.D == D].sort_values("N")
        for form, alpha in ((FREE, None), (PINNED, 1.0)):
            law = fit_power_law(rows[:-1], x="N", alpha=alpha)
            error = rows.loss.iloc[-1] - float(law(rows.N.iloc[-1] / 1e6))
            row = sizes.errors[(sizes.errors.form == form) & (sizes.errors.D == D)].iloc[0]
            assert row.error == pytest.approx(error, abs=1e-6) and SIZES["e"] == row.N
    rest = frame[frame.model != "e"]
    surface = fit_power_mean(rest)
    errors = sizes.errors[sizes.errors.form == POWER_MEAN].set_index("D").error
    for D in COUNTS:
        truth = float(power_mean(TRUTH, 15.0, D / 1e6))
        assert errors[D] == pytest.approx(truth - float(surface.at(D)(15.0)), abs=1e-6)
    assert len(sizes.errors) == 9


def test_the_form_that_predicts_best_heads_the_book(sizes):
    assert sizes.form == POWER_MEAN and "(power mean, which predicted" in repr(sizes)
    assert fit_sizes(separate(1.0)).form == PINNED
    assert fit_sizes(separate(0.45)).form == FREE
    assert list(sizes) == sorted(COUNTS) and len(sizes) == 3
    assert sizes[COUNTS[0]] is sizes.by_form[POWER_MEAN][COUNTS[0]]
    assert list(sizes.at(COUNTS[0])) == list(FORMS)


def test_its_errors_are_what_its_limits_may_be_wrong_by():
    quiet = cells().assign(sigma=0.001)
    sizes = fit_sizes(quiet)
    pinned = sizes.at(COUNTS[1])[PINNED]
    left_out = sizes.errors[sizes.errors.form == PINNED]
    errors = left_out.error
    assert pinned.discrepancy == Discrepancy(tuple(errors), tuple(left_out.se))
    alone = fit_power_law(quiet.query("D == 8e6"), x="N", alpha=1.0)
    noise = alone.interval("E")[1] - alone.E
    half = np.hypot(noise, pinned.discrepancy.quantiles(0.975))
    assert pinned.interval("E") == pytest.approx((pinned.E - half, pinned.E + half))
    assert half > 1.3 * noise
    table = sizes.table()
    assert len(table) == 9 and set(table[table.heads == "yes"].form) == {POWER_MEAN}
    row = table[(table.form == PINNED) & (table.D == 8e6)].iloc[0]
    assert row["bias"] == pytest.approx(errors.mean()) and row.predictions == 3
    assert row["rms"] == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert row["noise"] == pytest.approx(np.sqrt(np.mean(left_out.se**2)))
    assert (row.limit.value, row.chi2, row.dof) == (pinned.E, pinned.chi2, pinned.dof)
    assert row["error"] == errors[left_out.D == 8e6].iloc[0]


def test_an_error_has_the_noise_of_the_point_and_of_the_law():
    """A pinned law through x = 1/3, 2/3, 1 weighs its points by hand."""
    frame = cells().query("D == 8e6 and model in ('a', 'b', 'c')")
    error = left_out_errors(frame).set_index("form").loc[PINNED]
    x = 1e6 / frame.N.to_numpy()
    (slope, intercept), at = np.polyfit(x[:2], frame.loss[:2], 1), x[2]
    weights = np.array([(at - x[1]) / (x[0] - x[1]), (at - x[0]) / (x[1] - x[0])])
    assert error.error == pytest.approx(frame.loss.iloc[2] - (slope * at + intercept))
    t_68 = stats.t.ppf(0.84, 5)  # half of the central 68 % at five degrees of freedom
    noise = np.hypot(0.004, t_68 * 0.004 * np.linalg.norm(weights))
    assert error.se == pytest.approx(noise, rel=0.1)


def test_a_form_can_be_given():
    given = fit_sizes(cells(), form=PINNED)
    assert given.form == PINNED and all(law.alpha == 1 for law in given.values())
    with pytest.raises(InputError, match="form = 'straight': allowed are free exponent"):
        fit_sizes(cells(), form="straight")


def test_too_few_points_leave_forms_out():
    """Three models a D: no free law without the largest. Two: a pinned law alone can be fitted."""
    three = cells()[lambda frame: frame.model.isin(["a", "b", "c"])]
    sizes = fit_sizes(three)
    assert set(sizes.errors.form) == {PINNED}
    assert sizes.at(COUNTS[0])[FREE].discrepancy is None
    two = three[three.model != "c"]
    with pytest.raises(InputError, match="points = 2: need at least 3"):
        fit_sizes(two)
    assert list(fit_sizes(two, form=PINNED).by_form) == [PINNED]
    one_D = cells(noise=0.004)[:5]
    assert set(fit_sizes(one_D).by_form) == {FREE, PINNED}


def test_forms_are_compared_where_all_predict():
    rows = [(FREE, 1, 0.01), (FREE, 2, 0.09), (PINNED, 1, 0.02), (PINNED, 2, None)]
    errors = pd.DataFrame(rows, columns=["form", "D", "error"]).dropna()
    assert best_form(errors) == FREE  # at D = 1 alone
    assert best_form(errors[errors.D == 2][:0]) == FREE
    swapped = pd.concat([errors, pd.DataFrame([(PINNED, 2, -0.03)], columns=errors.columns)])
    assert best_form(swapped) == PINNED
