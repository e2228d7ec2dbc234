"""The power-mean surface recovers its truth; its slices are laws in N."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ieee_lib import InputError
from ieee_lib.laws import Discrepancy, estimates
from ieee_lib.laws.estimates import noise_of, t_scale
from ieee_lib.laws.power_mean import fit_power_mean, power_mean
from ieee_lib.laws.units import unit_of

TRUTH = np.array([np.log(0.3), 0.6, np.log(0.8), 0.3, np.log(1.7), 2.5])
"""log A, a, log B, b, log q, E; N and D in millions."""
SIZES = {"a": 0.5e6, "b": 1e6, "c": 2e6, "d": 5e6, "e": 15e6}
COUNTS = (4e6, 8e6, 16e6)


def cells(noise=0.0, seed=0, truth=TRUTH, sizes=SIZES, counts=COUNTS):
    """One row a D and model, losses of the surface with noise; sigma 0.004 at 5 dof."""
    rng = np.random.default_rng(seed)
    rows = []
    for i, D in enumerate(counts):
        for j, (model, N) in enumerate(sizes.items()):
            loss = float(power_mean(truth, N / 1e6, D / 1e6)) + noise * rng.normal()
            ids = (f"{1000 * seed + 10 * i + j:016x}",)
            rows.append({"model": model, "N": N, "D": D, "loss": loss, "run_ids": ids})
    return pd.DataFrame(rows).assign(sigma=0.004, dof=5.0)


@pytest.fixture(scope="module")
def surface():
    return fit_power_mean(cells())


def test_the_loss_by_hand():
    A, a, B, b, q, E = 0.3, 0.6, 0.8, 0.3, 1.7, 2.5
    by_hand = ((A * 4**-a) ** q + (B * 9**-b) ** q) ** (1 / q) + E
    assert power_mean(TRUTH, 4.0, 9.0) == pytest.approx(by_hand)
    assert power_mean(TRUTH, np.inf, 9.0) == pytest.approx(B * 9**-b + E)
    additive = power_mean(np.array([*TRUTH[:4], 0.0, E]), 4.0, 9.0)
    assert additive == pytest.approx(A * 4**-a + B * 9**-b + E)


def test_exact_cells_give_the_exact_surface(surface):
    assert surface.parameters == pytest.approx(TRUTH, abs=0.02)
    assert surface.chi2 < 1e-3 and surface.dof == 9 and surface.units == ("N[M]", "D[M]")
    for D in COUNTS:
        law = surface.at(D)
        assert pytest.approx(0.8 * (D / 1e6) ** -0.3 + 2.5, abs=1e-3) == law.E
        for N in (0.7, 15.0, 100.0):
            assert law(N) == pytest.approx(float(power_mean(TRUTH, N, D / 1e6)), abs=1e-3)
            assert law.inverse(law(N)) == pytest.approx(N, rel=1e-4)
        assert law.inverse(law.E - 0.01) == np.inf == law.inverse(law.E)
        assert law.labels == list(SIZES) and law.dof == 9 and law.noise_dof == 5
        assert law.y == pytest.approx([law(x) for x in law.x], abs=1e-3)
    with pytest.raises(InputError, match=r"D = 5.*: must be one of \[4000000.0, 8000000.0"):
        surface.at(5e6)


def test_two_D_are_enough_and_one_is_not():
    two = fit_power_mean(cells(counts=COUNTS[:2]))
    assert two.chi2 < 1e-2 and two.at(COUNTS[0]).E > two.at(COUNTS[1]).E
    with pytest.raises(InputError, match="need at least two"):
        fit_power_mean(pd.concat([cells(counts=COUNTS[:1])] * 2, ignore_index=True))


def test_the_noise_of_a_slice_is_that_of_all_cells_to_first_order(surface):
    """Refit to cells moved one at a time: the limit moves as the response says."""
    D = COUNTS[1]
    response = surface.response(np.inf, D / 1e6)
    frame = cells()
    for i in (2, 7, 14):
        moved = frame.assign(loss=frame.loss + 0.0005 * (frame.index == i))
        change = (fit_power_mean(moved).at(D).E - surface.at(D).E) / 0.0005
        assert change == pytest.approx(response[i], abs=0.05), i
    law = surface.at(D)
    error = 0.004 * np.linalg.norm(response)
    half = stats.t.ppf(0.975, 5) * error
    assert law.interval("E") == pytest.approx((law.E - half, law.E + half))
    assert np.isnan(law.interval("alpha")).all()
    z = np.stack([noise_of(ids) for ids in frame.run_ids], axis=1)
    expected = law.E + 0.004 * t_scale(5) * (z @ response)
    assert law.limit.E_draws == pytest.approx(expected)
    assert (law.limit.ci_low, law.limit.ci_high) == law.interval("E")
    at = law.at(3.0)
    assert at.value == pytest.approx(float(law(3.0))) and at.se < 0.004


def test_limits_of_one_surface_share_its_noise(surface):
    small, large = (surface.at(D).limit for D in COUNTS[1:])
    assert (small - large).se < 0.7 * np.hypot(small.se, large.se)


def test_a_surface_that_misfits_takes_its_residuals():
    frame = cells(noise=0.03)
    surface = fit_power_mean(frame)
    law = surface.at(COUNTS[2])
    assert (
        law.chi2
        == surface.chi2
        == pytest.approx(
            sum(
                (
                    (row.loss - float(power_mean(surface.parameters, row.N / 1e6, row.D / 1e6)))
                    / 0.004
                )
                ** 2
                for row in frame.itertuples()
            )
        )
    )
    assert law.misfits and law.scale_dof == 9
    assert law.noise_factor == pytest.approx(np.sqrt(surface.chi2 / 9))
    error = 0.004 * law.noise_factor * np.linalg.norm(surface.response(np.inf, 16.0))
    assert law.interval("E")[1] - law.E == pytest.approx(stats.t.ppf(0.975, 9) * error)


def test_its_discrepancy_widens_the_limit(surface):
    law = surface.at(COUNTS[0])
    wrong = replace(law, discrepancy=Discrepancy((0.03,) * 3, (0.0,) * 3))
    half = np.hypot(law.interval("E")[1] - law.E, 0.03 * stats.t.ppf(0.975, 3))
    ends = law.E - half, law.E + half
    assert wrong.interval("E") == pytest.approx(ends, abs=0.01 * half)


def test_a_slice_refitted_without_a_cell(surface):
    law = surface.at(COUNTS[0])
    fewer = law.without("e")
    assert fewer.labels == list("abcd") and fewer.surface.dof == 8
    assert len(fewer.surface.frame) == 14 and fewer.frame.D.unique().tolist() == [COUNTS[0]]
    assert pytest.approx(law.E, abs=2e-3) == fewer.E
    moved = cells()
    moved.loc[4, "loss"] += 1.0  # the cell that is left out
    assert pytest.approx(fewer.E, abs=1e-6) == fit_power_mean(moved).at(COUNTS[0]).without("e").E
    one = law.only("e")
    assert one.labels == ["e"] and one.surface.dof == 5 and one.without().labels == ["e"]
    kept = law.to_dict()
    assert kept["surface"]["b"] == surface.parameters[3] and "^q" in kept["law"]
    assert kept["E"] == law.E and "first-order" in kept["method"]


def test_what_a_surface_needs():
    frame = cells()
    with pytest.raises(InputError, match="cells = 6: need more than 6"):
        fit_power_mean(frame[:6])
    with pytest.raises(InputError, match=r"D = \[4000000.0\]: need at least two"):
        fit_power_mean(pd.concat([frame[:5]] * 2))
    lost = frame.assign(loss=frame.loss.where(frame.index != 3))
    assert len(fit_power_mean(lost).points) == 14
    assert len(estimates(lost)) == 15


def test_units_of_a_surface_do_not_matter():
    """The same cells a thousand times larger are fitted in billions."""
    small, large = cells(noise=0.003), cells(noise=0.003)
    large = large.assign(N=1e3 * large.N, D=1e3 * large.D)
    one, other = fit_power_mean(small).at(COUNTS[0]), fit_power_mean(large).at(1e3 * COUNTS[0])
    assert unit_of([9e7, 1.2e8], "N") == "N[B]" and unit_of([1e8], "D") == "D[M]"
    assert other.unit == "N[B]" and one.interval("E") == pytest.approx(
        other.interval("E"), abs=1e-9
    )


def test_a_limit_below_zero_bounds_nothing():
    truth = np.array([np.log(3.0), 0.3, np.log(4.0), 0.3, 0.0, -1.0])
    law = fit_power_mean(cells(truth=truth)).at(COUNTS[2])
    low = replace(law, discrepancy=Discrepancy((5.0,) * 2, (0.0,) * 2))
    assert low.interval("E")[0] == -np.inf and not low.has_bounded_limit
    assert np.isfinite(low.interval("E")[1])


def test_a_limit_between_zero_and_one_is_bounded_and_so_is_the_upper_end_of_one_below_zero():
    """Losses of a fraction of a nat; a surface far below zero bounds its limit above alone."""
    small = cells(truth=np.array([*TRUTH[:5], 0.1])).assign(sigma=1e-4)
    law = fit_power_mean(small).at(COUNTS[2])
    low, high = law.interval("E")
    assert 0.3 < low < law.E < high < 0.6
    nonsense = cells(truth=np.array([*TRUTH[:5], -3.0])).assign(sigma=1e-4)
    low, high = fit_power_mean(nonsense).at(COUNTS[2]).interval("E")
    assert low == -np.inf and -3 < high < -2


def test_a_slice_is_printed_with_the_term_of_its_D(surface):
    law = surface.at(COUNTS[0])
    A, a, q, by_D = map(float, law.printed)
    by_hand = ((A * 2.0**-a) ** q + by_D**q) ** (1 / q) + TRUTH[5]
    assert by_hand == pytest.approx(float(law(2.0)), abs=1e-3)
    assert repr(law).startswith(f"[({law.printed[0]} / N[M]^{law.printed[1]})^{law.printed[2]} + ")
    assert f"^(1/{law.printed[2]}) + 2.500, limit {law.E:.3f} [" in repr(law)
    latex = law._repr_latex_()
    assert rf"\, (N / 1\,\mathrm{{M}})^{{-{law.printed[1]}}})^{{q}}" in latex
    assert rf"L(\infty) = {law.E:.3f}" in latex and "+2.500" in latex
    assert law.label == f"power mean, q = 1.7, limit {law.E:.3f}"


def test_a_surface_says_that_its_points_hardly_tell_a_parameter(surface):
    """Cells of a sharp corner, q = 60: the fit stops at the largest q that it tries."""
    note = "a parameter is at the edge of its range"
    law = surface.at(COUNTS[0])
    assert not law.is_at_edge and note not in repr(law) + law._repr_latex_()
    corner = fit_power_mean(cells(truth=np.array([*TRUTH[:4], np.log(60), 2.5]))).at(COUNTS[0])
    assert corner.is_at_edge and note in repr(corner) and note in corner._repr_latex_()


def test_limits_of_a_surface_cover_the_truth():
    hits = []
    for seed in range(20):
        surface = fit_power_mean(cells(noise=0.004, seed=seed).assign(dof=np.inf))
        for D in COUNTS:
            low, high = surface.at(D).interval("E")
            hits.append(low <= 0.8 * (D / 1e6) ** -0.3 + 2.5 <= high)
    assert np.mean(hits) >= 0.8, np.mean(hits)
