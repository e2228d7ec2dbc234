"""Noise between seeds, from few seeds of each model."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f as f_distribution

from ieee_lib.laws.noise import moderated, seed_noise


def cells(sigmas, *, dof=1.0, n_D=3):
    rows = [
        {"D": D, "N": N, "variance": sigma**2, "dof": dof}
        for D in range(n_D)
        for N, sigma in enumerate(sigmas)
    ]
    return pd.DataFrame(rows)


def test_equal_models_share_all_their_seeds():
    table = seed_noise(cells([0.01, 0.01, 0.01, 0.01]), assumed=1.0)
    assert table.sigma.to_numpy() == pytest.approx(0.01)
    assert set(table["sigma dof"]) == {12}


def test_models_that_differ_beyond_chance_are_drawn_to_one_another_only_in_part():
    true = np.array([0.006, 0.008, 0.012, 0.014])
    table = seed_noise(cells(true, dof=8.0), assumed=1.0)
    sigma = table.groupby("N").sigma.first().to_numpy()
    pooled = math.sqrt(np.mean(np.square(true)))
    assert 0.006 < sigma[0] < 0.007 and 0.013 < sigma[3] < 0.014
    assert (np.abs(sigma - pooled) < np.abs(true - pooled)).all()
    assert (table["sigma dof"] > 24).all() and (table["sigma dof"] < 96).all()


def test_the_prior_of_smyth_is_found_again():
    """Variances drawn from s0^2 d0 / chi2(d0) and seen through chi2(d) give d0 and s0 back."""
    rng = np.random.default_rng(0)
    n, d0, d, s0 = 4000, 5.0, 4.0, 0.3
    true = s0**2 * d0 / rng.chisquare(d0, n)
    squares = true * rng.chisquare(d, n)
    variance, dof = moderated(squares, np.full(n, d), assumed=1.0)
    assert dof[0] == pytest.approx(d0 + d, rel=0.1)
    error = np.log(variance / true)
    alone = np.log(squares / d / true)
    assert error.std() < 0.7 * alone.std()
    assert variance == pytest.approx((5 * s0**2 + squares) / 9, rel=0.1)


def test_an_outlier_keeps_its_own_noise():
    frame = cells([0.01, 0.01, 0.01, 0.01])
    frame.loc[3, "variance"] = 0.1**2
    table = seed_noise(frame, assumed=1.0)
    assert table.sigma[3] == pytest.approx(0.1) and table["sigma dof"][3] == 1
    assert table.sigma.drop(3).to_numpy() == pytest.approx(0.01)
    assert set(table["sigma dof"].drop(3)) == {11}


def test_single_seeds_take_what_the_others_say():
    frame = cells([0.01, 0.02])
    frame.loc[frame.N == 1, ["variance", "dof"]] = [math.nan, 0.0]
    assert seed_noise(frame, assumed=1.0).sigma.to_numpy() == pytest.approx(0.01)
    nothing = seed_noise(frame.assign(variance=math.nan, dof=0.0), assumed=0.5)
    assert set(nothing.sigma) == {0.5} and set(nothing["sigma dof"]) == {math.inf}


def test_two_seeds_that_agree_by_chance_do_not_make_a_model_exact():
    frame = cells([0.01, 0.01, 0.01, 0.0], n_D=1)
    table = seed_noise(frame, assumed=1.0)
    assert table.sigma[3] > 0.005


def test_an_outlier_is_one_among_all_cells():
    """12 cells of one degree of freedom: the point 1 - 0.01 / 12 of F at 1 and 11."""
    bound = 1e-4 * f_distribution.ppf(1 - 0.01 / 12, 1, 11)
    for factor, is_own in ((0.99, False), (1.01, True)):
        frame = cells([0.01, 0.01, 0.01, 0.01])
        frame.loc[5, "variance"] = factor * bound
        sigma = seed_noise(frame, assumed=1.0).sigma
        assert (sigma[5] == pytest.approx(math.sqrt(factor * bound))) == is_own


def test_two_models_are_enough_to_differ_and_one_is_not():
    variance, dof = moderated(np.array([8e-5, 8e-3]), np.array([8.0, 8.0]), assumed=1.0)
    assert 1e-5 < variance[0] < 5e-5 and 5e-4 < variance[1] < 1e-3 and (dof < 16).all()
    alone, dof = moderated(np.array([8e-4]), np.array([8.0]), assumed=1.0)
    assert alone == pytest.approx(1e-4) and dof == 8


def test_seeds_that_agree_count_as_a_hundredth_of_the_pooled_variance():
    squares, dof = np.array([0.0, 8e-4, 8e-4, 8e-4]), np.full(4, 8.0)
    floored = np.array([0.01 * 24e-4 / 32 * 8, 8e-4, 8e-4, 8e-4])
    prior = moderated(floored, dof, assumed=1.0)[1]
    assert moderated(squares, dof, assumed=1.0)[1] == pytest.approx(prior, rel=1e-3)
