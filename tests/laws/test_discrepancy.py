"""What a form may be wrong by: errors at left-out points, less what noise explains."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ieee_lib.laws.discrepancy import Discrepancy


def drawn(rng, tau, se, n=3):
    error = rng.normal(0, np.hypot(tau, se), n)
    return Discrepancy.of(pd.DataFrame({"error": error, "se": se}))


def test_without_noise_it_is_students_t():
    form = Discrepancy((0.03, -0.04, 0.0), (0.0, 0.0, 0.0))
    rms = np.sqrt(0.0025 / 3)
    assert (form.tau, form.dof) == (pytest.approx(rms), 3)
    p = [0.025, 0.16, 0.5, 0.84, 0.975]
    assert form.quantiles(p) == pytest.approx(rms * stats.t.ppf(p, 3), rel=0.01, abs=1e-6)
    draws = form.draws("here")
    assert np.quantile(draws, 0.84) == pytest.approx(rms * stats.t.ppf(0.84, 3), rel=0.1)
    assert (draws == form.draws("here")).all() and (draws != form.draws("there")).any()


def test_tau_solves_its_equation():
    form = Discrepancy((0.03, -0.05), (0.01, 0.02))
    squares = np.square(form.errors) / (form.tau**2 + np.square(form.noise))
    assert squares.sum() == pytest.approx(2) and form.tau < np.sqrt(0.0017)


def test_errors_as_large_as_their_noise_leave_no_more_than_a_tail():
    quiet = Discrepancy((0.005, -0.01, 0.008), (0.02, 0.02, 0.02))
    assert quiet.tau == 0 and quiet.quantiles(0.6) == 0
    assert 0 < quiet.quantiles(0.975) < 0.02
    assert quiet.quantiles(0.025) == pytest.approx(-quiet.quantiles(0.975))


@pytest.mark.parametrize("tau", [0.0, pytest.param(0.01, marks=pytest.mark.slow), 0.03])
def test_its_interval_holds_the_forms_error_at_the_next_place(tau):
    rng = np.random.default_rng(0)
    ends = np.array([drawn(rng, tau, 0.02).quantiles([0.025, 0.975]) for _ in range(200)])
    error = rng.normal(0, tau, 200)
    covered = np.mean((ends[:, 0] <= error) & (error <= ends[:, 1]))
    assert covered >= 0.93
    raw = 2 * stats.t.ppf(0.975, 3) * np.hypot(tau, 0.02)
    assert np.median(np.ptp(ends, axis=1)) < (0.75 if tau < 0.02 else 1.0) * raw


def test_errors_of_unknown_noise_say_nothing():
    frame = pd.DataFrame({"error": [0.03, 0.5], "se": [0.0, np.inf]})
    assert Discrepancy.of(frame) == Discrepancy((0.03,), (0.0,))
    assert Discrepancy.of(frame[1:]) is None
    assert Discrepancy.of(pd.DataFrame({"error": [], "se": []})) is None
    assert Discrepancy.of(frame[:1]).to_dict() == {
        "tau": pytest.approx(0.03), "dof": 1, "errors": [0.03], "noise": [0.0],
    }  # fmt: skip
