"""What the form of a law may be wrong by, told by points that such laws did not see.

The error at a left-out point holds the form's error, of unknown size tau, and the noise of runs:

    sum error^2 / (tau^2 + se^2) = u,   u of chi2 with as many degrees of freedom as errors

A draw of u gives a draw of tau, 0 where the noise alone makes errors as large. Without noise the
form's error is then Student's t times the rms of the errors; with much noise it is small and has
long tails, since a few errors hardly tell. Source: the variance between studies of Paule and Mandel
(1982, u = number of errors), as a fiducial distribution.

    form = Discrepancy.of(errors)     # a frame with error and se
    form.tau, form.dof, form.quantiles([0.025, 0.975])
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import chi2, norm

from ieee_lib.laws.estimates import N_DRAW, named_generator
from ieee_lib.laws.scan import Floats


@dataclass(frozen=True)
class Discrepancy:
    """The form's error, from its errors at points that the laws did not see."""

    errors: tuple[float, ...]
    """Measured minus predicted, nats/token."""
    noise: tuple[float, ...]
    """Standard error of each by the noise of runs."""

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Discrepancy | None":
        """Return it from a frame with error and se; None where no error has a bounded noise."""
        bounded = frame[np.isfinite(frame.se.astype(float))]
        return cls(tuple(bounded.error), tuple(bounded.se)) if len(bounded) else None

    @property
    def dof(self) -> int:
        """Return the degrees of freedom: the number of errors."""
        return len(self.errors)

    @property
    def tau(self) -> float:
        """Return the standard deviation of the form's error beyond the noise, nats/token."""
        return float(self._solved(np.array([float(self.dof)]))[0])

    def draws(self, place: str) -> Floats:
        """Return draws (N_DRAW,) of the form's error at a named place."""
        order = named_generator("scale of the form").permutation(N_DRAW)
        return self._taus[order] * named_generator(f"form at {place}").standard_normal(N_DRAW)

    def quantiles(self, p: ArrayLike) -> Floats:
        """Return quantiles of the form's error, symmetric around 0."""
        return np.quantile(self._sorted, np.asarray(p, dtype=float), method="linear")

    def to_dict(self) -> dict[str, Any]:
        """Return its numbers, ready for JSON."""
        errors = {"errors": list(self.errors), "noise": list(self.noise)}
        return {"tau": self.tau, "dof": self.dof, **errors}

    @cached_property
    def _taus(self) -> Floats:
        """Return tau at N_DRAW quantiles of u, (N_DRAW,)."""
        return self._solved(chi2.ppf((np.arange(N_DRAW) + 0.5) / N_DRAW, self.dof))

    @cached_property
    def _sorted(self) -> Floats:
        z = norm.ppf((np.arange(401) + 0.5) / 401)
        return np.sort(np.outer(self._taus, z), axis=None)

    def _solved(self, u: Floats) -> Floats:
        """Return tau at every u by bisection; 0 where no tau solves it."""
        squares, noise = np.square(self.errors)[:, None], np.square(self.noise)[:, None]
        low, high = np.zeros_like(u), squares.sum() / u
        for _ in range(60):
            middle = (low + high) / 2
            with np.errstate(invalid="ignore", divide="ignore"):
                ratios = np.where(squares == 0, 0.0, squares / (middle + noise))
            is_low = ratios.sum(axis=0) > u
            low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
        return np.sqrt(low)
