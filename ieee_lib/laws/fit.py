"""Fitting the law A / x^alpha + E to a frame, to estimates or to plain arrays (Sec. 3).

fit_power_law(tuned, x="N")                  # a frame with loss, sigma, dof and run_ids
fit_power_law(N / 1e9, loss, sigma=0.01)     # plain arrays
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ieee_lib.errors import check
from ieee_lib.laws.estimates import Estimate, estimates
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.scan import check_exponent, fit_one
from ieee_lib.laws.units import scale_of, unit_of


@overload
def fit_power_law(
    points: pd.DataFrame, y: str = ..., *, x: str = ..., alpha: float | None = ..., unit: str = ...
) -> PowerLaw: ...
@overload
def fit_power_law(
    points: ArrayLike,
    y: ArrayLike,
    *,
    sigma: ArrayLike,
    dof: float = ...,
    alpha: float | None = ...,
    unit: str = ...,
) -> PowerLaw: ...
def fit_power_law(points, y="loss", *, x="N", sigma=None, dof=math.inf, alpha=None, unit=""):
    """Fit A / x^alpha + E by least squares, weighted by the noise of the points.

    `points` is a frame with a column x ("N", "D" or "k") and a column y: numbers with `sigma`,
    `dof` and `run_ids` beside them (see `laws.estimates`), or estimates; rows without a finite y
    are left out. N and D are fitted in millions, from 1e8 on in billions. Or `points` and `y` are
    arrays, x in any unit, y in nats/token, with `sigma` the standard deviation of each y and `dof`
    the degrees of freedom behind it. A given `alpha` is held fixed.

    Raises InputError for fewer points than free parameters, for x, sigma or alpha out of range.
    """
    if not isinstance(points, pd.DataFrame):
        return _fit(points, y, sigma=sigma, dof=dof, alpha=alpha, unit=unit or "x")
    rows = estimates(points, y)
    finite = np.array([math.isfinite(row.value) for row in rows], dtype=bool)
    frame, unit = points[finite], unit or unit_of(points[x], x)
    law = fit_through(
        frame[x].to_numpy(dtype=float) / scale_of(unit),
        [row for row in rows if math.isfinite(row.value)],
        unit=unit,
        alpha=alpha,
    )
    return replace(law, frame=frame, columns=(x, y))


def fit_through(
    x: ArrayLike, points: Sequence[Estimate], *, unit: str, alpha: float | None = None
) -> PowerLaw:
    """Fit a law through estimates at x, in the law's unit."""
    sigma = np.maximum([point.se for point in points], 1e-6)
    dof = min((point.dof for point in points), default=math.inf)
    y = [point.value for point in points]
    return replace(_fit(x, y, sigma=sigma, dof=dof, alpha=alpha, unit=unit), points=tuple(points))


def _fit(
    x: ArrayLike, y: ArrayLike, *, sigma: ArrayLike, dof: float, alpha: float | None, unit: str
) -> PowerLaw:
    check(dof > 0, "dof", dof, "must be positive; infinite where sigma is known")
    x, y, sigma = (np.asarray(values, dtype=float) for values in (x, y, sigma))
    sigma = np.full(y.shape, sigma) if sigma.ndim == 0 else sigma
    A, exponent, E = fit_one(x, y, sigma, alpha=alpha)
    fixed = alpha is not None
    return PowerLaw(A, exponent, E, x, y, sigma, fixed_alpha=fixed, unit=unit, noise_dof=dof)


def published_law(A: float, alpha: float, E: float, *, unit: str) -> PowerLaw:
    """Return a law from printed coefficients; it has no points, so it has no interval."""
    check_exponent(alpha)
    check(math.isfinite(A) and math.isfinite(E), "law", (A, E), "A and E must be finite")
    nothing = np.empty(0)
    return PowerLaw(A, alpha, E, nothing, nothing, nothing, unit=unit)
