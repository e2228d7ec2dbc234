"""Which form does the law in N have? Three, side by side, judged by what they did not see.

    free         A / N^alpha + E                     one law a D
    pinned       A / N + E                           one law a D; the paper's exponent is 1.02
    power mean   [(A N^-a)^q + (B D^-b)^q]^(1/q) + E one surface over all D

Every form predicts the loss of the largest model at every D from the smaller ones. The form with
the lowest root mean square error heads the book, by code. What those errors have beyond the noise
of runs is what its limits may be wrong by (`laws/discrepancy.py`).

    sizes = fit_sizes(tuned_by_data)             # one row a D and model
    sizes[28_672].limit, sizes.form, sizes.table()
    fit_sizes(limits_by_data, "limit")           # the joint limits
"""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ieee_lib.errors import InputError, check_choice
from ieee_lib.laws.discrepancy import Discrepancy
from ieee_lib.laws.estimates import Estimate, estimates
from ieee_lib.laws.fit import fit_power_law
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.power_mean import fit_power_mean
from ieee_lib.laws.units import scale_of

FREE, PINNED, POWER_MEAN = FORMS = ("free exponent", "exponent 1", "power mean")
"""Forms of the law in N."""
FORM_DIGITS = {"bias": 3, "rms": 3, "noise": 3, "error": 3, "limit": 3, "chi2": 1}
"""Decimals of a table of forms."""


@dataclass(frozen=True, eq=False, repr=False)
class SizeLaws(Mapping[int, PowerLaw]):
    """The law in N at every D (tokens), by the form that predicts best."""

    form: str
    """The form of these laws."""
    by_form: dict[str, dict[int, PowerLaw]]
    """form -> D -> law."""
    errors: pd.DataFrame
    """form, D, N (left out), error (measured minus predicted, nats/token), se (its noise)."""

    def __getitem__(self, D: int) -> PowerLaw:
        return self.by_form[self.form][D]

    def __iter__(self) -> Iterator[int]:
        return iter(self.by_form[self.form])

    def __len__(self) -> int:
        return len(self.by_form[self.form])

    def at(self, D: int) -> dict[str, PowerLaw]:
        """Return the law of every form at one D."""
        return {form: laws[D] for form, laws in self.by_form.items() if D in laws}

    def table(self) -> pd.DataFrame:
        """Return one row a form and D: errors of the form at the left-out models, and its limit.

        Columns: form, heads (whether the book uses it), predictions, bias and rms of their errors,
        noise (what rms the noise of runs alone makes), D, error there, limit (estimate), chi2 and
        dof of the fit (nats/token).
        """
        rows = []
        for form, laws in self.by_form.items():
            left_out = self.errors[self.errors.form == form].set_index("D")
            errors = left_out.error
            for D, law in laws.items():
                rows.append(
                    {
                        "form": form,
                        "heads": "yes" if form == self.form else "",
                        "predictions": len(errors),
                        "bias": errors.mean(),
                        "rms": _rms(errors),
                        "noise": _rms(left_out.se),
                        "D": D,
                        "error": errors.get(D, math.nan),
                        "limit": law.limit,
                        "chi2": law.chi2,
                        "dof": law.dof,
                    }
                )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        laws = "\n".join(f"D = {D:,}: {law!r}" for D, law in self.items())
        return f"{laws}\n({self.form}, which predicted the left-out models best)"


def fit_sizes(frame: pd.DataFrame, y: str = "loss", *, form: str | None = None) -> SizeLaws:
    """Return the laws in N at every D of a frame, by the form that predicts best or a given one.

    frame: one row a D (tokens) and N (parameters), y as in `fit_power_law`. Forms that a frame has
    too few points for are left out. Without a model to spare at any D the exponent is free and
    nothing says what the form may be wrong by. Raises InputError where a D has too few points for
    the form, and for an unknown form.
    """
    check_choice("form", form or FREE, FORMS)
    errors = left_out_errors(frame, y)
    by_form = {}
    for name in FORMS:
        try:
            by_form[name] = _fit(frame, y, name)
        except InputError:
            if name == (form or FREE):
                raise
    for name, laws in by_form.items():
        wrong_by = Discrepancy.of(errors[errors.form == name])
        by_form[name] = {D: replace(law, discrepancy=wrong_by) for D, law in laws.items()}
    return SizeLaws(form or best_form(errors[errors.form.isin(by_form)]), by_form, errors)


def best_form(errors: pd.DataFrame) -> str:
    """Return the form with the lowest rms error; without any error the free exponent.

    A form that could predict fewer models than another is not judged against it.
    """
    if errors.empty:
        return FREE
    counts = errors.groupby("form").error.count()
    judged = errors[errors.form.isin(counts.index[counts == counts.max()])]
    return str((judged.error**2).groupby(judged.form).mean().idxmin())


def left_out_errors(frame: pd.DataFrame, y: str = "loss") -> pd.DataFrame:
    """Return how far every form misses the largest model at every D, from the smaller ones alone.

    Columns: form, D, N, error (measured minus predicted, nats/token), se (standard error of that
    difference by the noise of runs, were the form exact). A form that the smaller models are too
    few for has no row.
    """
    largest = frame.loc[frame.groupby("D").N.idxmax()]
    rest = frame.drop(index=largest.index)
    measured = estimates(largest, y)
    rows = []
    for form in FORMS:
        laws = _fit_where_possible(rest, y, form)
        for D, N, loss in zip(largest.D, largest.N, measured, strict=True):
            if D in laws:
                rows.append({"form": form, "D": D, "N": N, **miss(laws[D], N, loss)})
    columns = ["form", "D", "N", "error", "se"]
    return pd.DataFrame(rows, columns=columns).dropna(subset=["error"])


def miss(law: PowerLaw, x: float, measured: Estimate) -> dict[str, float]:
    """Return how far a law misses a point that it did not see: error and se (nats/token).

    x: in tokens or parameters, not in the law's unit.
    """
    at = x / scale_of(law.unit)
    error = measured.value - float(law(at))
    return {"error": error, "se": math.hypot(measured.se, law.noise_at(at))}


def _fit(frame: pd.DataFrame, y: str, form: str) -> dict[int, PowerLaw]:
    """Return D -> law in N of one form; raises InputError where it has too few points."""
    if form == POWER_MEAN:
        surface = fit_power_mean(frame, y)
        return {int(D): surface.at(D) for D in sorted(frame.D.unique())}
    alpha = 1.0 if form == PINNED else None
    return {
        D: fit_power_law(frame[frame.D == D], y, x="N", alpha=alpha)
        for D in map(int, sorted(frame.D.unique()))
    }


def _fit_where_possible(frame: pd.DataFrame, y: str, form: str) -> dict[int, PowerLaw]:
    """Return D -> law of one form, at the D that have points enough for it."""
    groups = [frame] if form == POWER_MEAN else [rows for _, rows in frame.groupby("D")]
    laws: dict[int, PowerLaw] = {}
    for rows in groups:
        with contextlib.suppress(InputError):
            laws |= _fit(rows, y, form)
    return laws


def _rms(errors: pd.Series) -> float:
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else math.nan
