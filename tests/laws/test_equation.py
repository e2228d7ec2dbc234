"""Printed laws: parsed again they give the loss; intervals with open ends."""

import re

import numpy as np
import pandas as pd
import pytest

from ieee_lib.laws import fit_power_law, published_law
from ieee_lib.laws.equation import interval_latex, interval_text, rounded
from ieee_lib.laws.power_mean import fit_power_mean
from ieee_lib.laws.scan import power_law
from tests.laws.test_power_mean import cells
from tests.synthetic import chain, ensemble

LAWS = [
    (1e8 * np.array([0.5, 1, 2, 4, 10]), (0.05, 1.02, 3.43), 1e9),
    (1e8 * np.array([0.5, 1, 2, 4, 10]), (1.3, 0.23, 1.89), 1e9),
    (np.geomspace(1e18, 1e21, 6), (2.0, 0.05, 1.5), 1e21),  # FLOPs
    (np.array([0.05, 0.1, 0.4, 1.0]), (0.047, 1.02, 3.43), 1.0),
    (np.array([0.05, 0.1, 0.4, 1.0]), (8.0, 0.031, -4.0), 1.0),
]


def parsed(text):
    """A, alpha and E of a printed law."""
    number = r"([\d.]+(?:e[+-]?\d+)?)"
    A, alpha, sign, E = re.match(rf"{number} / .*?\^{number} ([+-]) {number}", text).groups()
    return float(A), float(alpha), float(sign + E)


@pytest.mark.parametrize(("x", "coefficients", "size"), LAWS)
def test_a_printed_law_reproduces_its_loss(x, coefficients, size):
    law = fit_power_law(x, power_law(x / size, *coefficients), sigma=0.01, unit="N")
    assert power_law(x, *parsed(repr(law))) == pytest.approx(law(x), abs=0.001)
    latex = law._repr_latex_()
    A, alpha, E = re.match(r"\$L\(N\) = ([\d.e+]+)\\, N\^{-([\d.]+)} ([+-][\d.]+)", latex).groups()
    assert power_law(x, float(A), float(alpha), float(E)) == pytest.approx(law(x), abs=0.001)


def test_digits_are_as_few_as_three():
    x = np.array([0.15, 0.3, 0.6, 1.4])
    law = fit_power_law(x, power_law(x, 0.047, 1.02, 3.43), sigma=0.002, unit="N[B]")
    assert repr(law).startswith("0.047 / N[B]^1.02 + 3.430 [3.42")
    assert law._repr_latex_().startswith(
        r"$L(N) = 0.047\, (N / 1\,\mathrm{B})^{-1.02} +3.430\;[3.42"
    )
    seen = []
    rounded((0.123456789, 12.3456789), lambda c: seen.append(c) or np.zeros(1))
    assert seen == [(0.123456789, 12.3456789), [0.123, 12.3]]
    assert rounded((1.0, 0.05), lambda c: np.zeros(1)) == ["1.00", "0.05"]
    assert rounded((0.123456789,), lambda c: 100 * c[0] * np.ones(1)) == ["0.12346"]
    assert rounded((1.23456789,), lambda c: 1e18 * c[0] * np.ones(1)) == ["1.23456789"]


def test_printed_coefficients_stay_as_printed():
    assert repr(published_law(406.4, 0.34, 1.69, unit="N")) == "406.4 / N^0.34 + 1.690 (as printed)"
    law = published_law(1.3, 0.23, 1.89, unit="D[B]")
    assert law._repr_latex_() == r"$L(D) = 1.3\, (D / 1\,\mathrm{B})^{-0.23} +1.890$"


def test_a_printed_surface_reproduces_its_loss():
    surface = fit_power_mean(cells())
    for D in (4e6, 16e6):
        law = surface.at(D)
        A, a, q, by_D, E, limit = map(
            float,
            re.match(
                r"\[\(([\d.e-]+) / N\[M\]\^([\d.]+)\)\^([\d.]+) \+ ([\d.]+)\^.*\] ?\^\(1/.*\) "
                r"\+ ([\d.]+), limit ([\d.]+)",
                repr(law).replace("]^(1/", "] ^(1/"),
            ).groups(),
        )
        loss = ((A * law.x**-a) ** q + by_D**q) ** (1 / q) + E
        assert loss == pytest.approx(law(law.x), abs=0.0015)
        assert limit == pytest.approx(law.E, abs=5e-4)
        assert rf"L(\infty) = {law.E:.3f}\;[" in law._repr_latex_()
        assert rf"^{{1/q}} {surface.parameters[-1]:+.3f},\; q = " in law._repr_latex_()


def test_an_ensemble_prints_its_exponent_where_it_has_one():
    assert repr(ensemble()).startswith("0.4 / K + 4.000 [")
    curve = pd.Series({k: 3.0 + 0.2 / k**0.3937 for k in range(1, 8)})
    from ieee_lib.laws import fit_ensembles

    (law,) = fit_ensembles(chain(curve.to_dict())).values()
    assert repr(law).startswith("0.2 / K^0.394 + 3.000 [")


def test_open_ends_of_an_interval():
    assert interval_text((-np.inf, 3.4)) == "[−∞, 3.400]"
    assert interval_text((3.0, np.inf)) == "[3.000, ∞]"
    assert interval_latex((-np.inf, 3.4)) == r"[-\infty,\, 3.400]"


def test_a_law_says_what_bounds_it():
    x = np.array([1.0, 2, 4, 8])
    assert repr(fit_power_law(x, [5.1, 5.12, 5.16, 5.25], sigma=0.002)).endswith("rises: no limit)")
    line = fit_power_law(x, 3.5 - 0.1 * np.log(x), sigma=0.02)
    assert "[−∞, 3." in repr(line) and "the points bound no limit" in repr(line)
    assert r"[-\infty,\, 3." in line._repr_latex_()
