"""Intervals of E and alpha by the profile of the likelihood (known noise, few points).

For every exponent the best A and E give chi2(alpha). The 95 % region is where

    chi2(alpha, E) - min chi2 <= 3.841 F^2,    chi2(alpha, E) = chi2(alpha) + ((E - E(alpha)) / s)^2

with E(alpha) and its standard error s from the linear fit, and F the factor on the noise.

    profile_intervals(ALPHAS, x, y, sigma)["E"]          # (4.324, 4.384)
"""

import math

import numpy as np

from ieee_lib.laws.scan import ALPHAS, Floats, linear_fits

CHI2_95 = 3.841
"""95 % quantile of chi-square with one degree of freedom."""


def profile_intervals(
    alphas: Floats, x: Floats, y: Floats, sigma: Floats, *, factor: float = 1.0
) -> dict[str, tuple[float, float]]:
    """Return the 95 % intervals of E and alpha of A / x^alpha + E over the exponents scanned.

    alphas: exponents, one alone where it is held fixed; x, y, sigma: (points,). Where the region
    reaches the scan's smallest exponent, the law is as good as a logarithm, which has no limit:
    the end of E on that side is then infinite.
    """
    _, E, error, chi2 = linear_fits(alphas, x, y[None], sigma)
    E, error, chi2 = E[:, 0], error[:, 0], chi2[:, 0]
    room = CHI2_95 * factor**2 - (chi2 - chi2.min())
    inside = room >= 0
    half_width = error[inside] * np.sqrt(room[inside])
    allowed, centre = alphas[inside], E[inside]
    ci_low = float(np.min(centre - half_width))
    ci_high = float(np.max(centre + half_width))
    edge = int(allowed.argmin())
    if len(alphas) > 1 and allowed[edge] <= ALPHAS[0]:
        # As alpha -> 0 the logarithm falls without end (E below the points) or rises (above).
        level = float(np.average(y, weights=1 / sigma**2))
        if centre[edge] - half_width[edge] < level:
            ci_low = -math.inf
        if centre[edge] + half_width[edge] > level:
            ci_high = math.inf
    return {"E": (ci_low, ci_high), "alpha": (float(allowed.min()), float(allowed.max()))}
