"""Weight decay as a timescale: what tuned settings share over N and D (Sec. 3; notebook 02).

A step of AdamW shrinks every decayed weight by lr · wd. Over one epoch, at the peak rate,

    decay per epoch = lr · wd · steps per epoch = 1 / tau,      tau in epochs

Noise model: ln(decay per epoch) of each optimum is off by an independent normal error. It holds
what a search cannot tell apart: an optimum on a grid of factors f lies anywhere within half a step,
a standard deviation of ln f / sqrt(12); and what is left: seeds at a flat optimum, and the line's
form. So sigma is the residuals' standard deviation, and never below the grid's; intervals are
Student's t at the residuals' degrees of freedom.

    slopes(optima)                                   # against N/D, one row a set of optima
    fit_settings(optima).suggest(3e5, 1e6, 512)      # wd 0.8 [0.3, 2.3], ...
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ieee_lib.config.fields import check_number
from ieee_lib.config.scale_tables import GRIDS
from ieee_lib.errors import check
from ieee_lib.laws.estimates import t_quantile
from ieee_lib.laws.published import published
from ieee_lib.laws.scan import Floats

PAPER = "the paper"
PUBLISHED = "published"
"""Status of the paper's tuned settings: its certificates are not public."""

_DECAY_STEP, _LR_STEP, _EPOCHS_STEP = math.log(2), math.log(10) / 2, math.log(2)
"""Steps of the search's grids, as logarithms; lr has two in a factor of 10."""

RESOLUTION = {
    "decay": math.hypot(_DECAY_STEP, _LR_STEP) / math.sqrt(12),
    "lr": _LR_STEP / math.sqrt(12),
    "epochs": _EPOCHS_STEP / math.sqrt(12),
}
"""Standard deviation of an optimum's logarithm that its grid alone makes; decay has two axes."""


def with_timescale(optima: pd.DataFrame) -> pd.DataFrame:
    """Return tuned settings with their timescale.

    optima: source, N, D, wd, lr, epochs, status, tokens_per_step. Adds ratio (N / D), decay (lr ·
    wd · steps per epoch), tau (epochs) and counts: certified by a search, or published as tuned.
    """
    decay = optima.lr * optima.wd * optima["D"] / optima.tokens_per_step
    counts = optima.status.str.startswith("certified") | (optima.status == PUBLISHED)
    return optima.assign(ratio=optima.N / optima["D"], decay=decay, tau=1 / decay, counts=counts)


def published_optima(*, later: bool = False) -> pd.DataFrame:
    """Return the paper's 16 tuned settings; `later`: one cell as a later list of it says.

    Columns as `with_timescale` needs them. Source: Fig 3, v1 Fig 12.
    """
    table = published("tuned_settings").assign(source=PAPER, status=PUBLISHED)
    rows = table.sort_values("version", ascending=later, kind="stable")
    return rows.drop_duplicates(["model", "D"]).sort_values(["D", "N"], ignore_index=True)


class Range(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    ci_low: float
    ci_high: float

    def __repr__(self) -> str:
        return f"{self.value:g} [{self.ci_low:.2g}, {self.ci_high:.2g}]"


class LogLine:
    """A line ln y = X b through optima, by least squares; noise as the module says."""

    def __init__(self, X: pd.DataFrame, y: pd.Series, resolution: float) -> None:
        self.names = [str(name) for name in X]
        values, log_y = X.to_numpy(dtype=float), np.log(y.to_numpy(dtype=float))
        self.dof = len(log_y) - values.shape[1]
        check(self.dof >= 1, "optima", len(log_y), f"must be {values.shape[1] + 1} or more")
        self.b = np.linalg.lstsq(values, log_y)[0]
        self.spread = np.linalg.inv(values.T @ values)
        residual = math.sqrt(float(np.sum((log_y - values @ self.b) ** 2)) / self.dof)
        self.sigma = max(residual, resolution)

    def coefficient(self, name: str) -> Range:
        """Return a coefficient with its interval."""
        return self._range(np.array([other == name for other in self.names], dtype=float))

    def at(self, x: Mapping[str, float], *, optimum: bool = False) -> Range:
        """Return y where columns are x (others 0), and the interval: of the line, or an optimum."""
        row = np.array([x.get(name, 0.0) for name in self.names])
        return Range(*map(math.exp, self._range(row, scatter=float(optimum))))

    def _range(self, row: Floats, scatter: float = 0.0) -> Range:
        """Return row · b and its interval; scatter: variance of one more optimum, in sigma^2."""
        half = float(t_quantile(0.975, self.dof)) * self.sigma
        half *= math.sqrt(float(row @ self.spread @ row) + scatter)
        middle = float(row @ self.b)
        return Range(middle, middle - half, middle + half)


def timescale_line(optima: pd.DataFrame, *, by: Sequence[str] = ("ratio",)) -> LogLine:
    """Return the line of ln(decay) in ln `by`: one slope, and a level for each source.

    A source is a setup: text, tokenizer, batch. What those do to the level is no slope.
    """
    X = pd.get_dummies(optima.source).astype(float)
    X[list(by)] = np.log(optima[list(by)])
    return LogLine(X, optima.decay, RESOLUTION["decay"])


def slopes(optima: pd.DataFrame) -> pd.DataFrame:
    """Return the slope of ln(decay per epoch) in ln(N / D), one row a set of optima.

    optima: as `with_timescale` gives them. Columns: optima (which), n, slope and "slope in D" (at
    equal N; 0: tuned decay halves when D doubles), each with ci_low and ci_high, lowest and highest
    decay, sigma (of its logarithm), source. The first row has all that count. Sets of fewer than
    four are left out, and rows of others' work have only what was published.
    """
    sets = {"all certified and published": optima[optima.counts]}
    for source, rows in optima.groupby("source", sort=False):
        certified = rows[rows.counts]
        if source == PAPER:
            sets[PAPER] = rows
            sets["the paper, one cell by a later list"] = with_timescale(
                published_optima(later=True)
            )
        else:
            sets[f"{source}, certified"] = certified
            if len(rows) > len(certified):
                sets[f"{source}, all settings used"] = rows
    ours = [_slope_row(name, rows) for name, rows in sets.items() if len(rows) >= 4]
    return pd.concat([pd.DataFrame(ours), published("timescales")], ignore_index=True)


def _slope_row(name: str, rows: pd.DataFrame) -> dict[str, object]:
    line, row = timescale_line(rows), {"optima": name, "n": len(rows)}
    row |= _columns("slope", line.coefficient("ratio"))
    if rows["D"].nunique() > 1:
        row |= _columns("slope in D", timescale_line(rows, by=("N", "D")).coefficient("D"))
    lowest, highest = rows.decay.min(), rows.decay.max()
    return {**row, "lowest": lowest, "highest": highest, "sigma": line.sigma, "source": "here"}


def _columns(name: str, value: Range) -> dict[str, float]:
    return {name: value.value, f"{name} ci_low": value.ci_low, f"{name} ci_high": value.ci_high}


@dataclass(frozen=True, repr=False)
class Suggestion:
    """Where to start a search at one N and D."""

    wd: Range
    lr: Range
    epochs: Range
    decay: Range
    """Decay per epoch, lr · wd · steps per epoch, which wd is worked out from."""
    optima: dict[str, int]
    """Source -> number of optima that it rests on."""
    nearest: float
    """Factor in N or D, whichever is larger, to the nearest of these optima."""

    @property
    def start(self) -> dict[str, Any]:
        """Return wd, lr and epochs to start from."""
        return {"wd": self.wd.value, "lr": self.lr.value, "epochs": int(self.epochs.value)}

    def __repr__(self) -> str:
        sources = ", ".join(f"{n} of {source}" for source, n in self.optima.items())
        return (
            f"wd {self.wd}, lr {self.lr}, epochs {self.epochs}; from {sum(self.optima.values())} "
            f"optima ({sources}), the nearest a factor of {self.nearest:.2g} away in N or D"
        )


@dataclass(frozen=True)
class SettingsLaw:
    """Tuned settings against N / D and D: where to start another search.

        ln y = a + b ln(N / D) + c ln D,     y: decay per epoch, lr, epochs

    c is the difference between setups as much as a law: between the recorded scales and the
    paper's D, a factor of thousands, nothing is known.
    """

    optima: pd.DataFrame
    lines: dict[str, LogLine]

    def suggest(self, N: float, D: float, tokens_per_step: int) -> Suggestion:
        """Return starting values with the range of 95 % of optima, and what they rest on.

        N: parameters; D: unique training tokens; tokens_per_step: of one optimizer step. Raises
        InputError for values that no run can have.
        """
        check_number("N", N, least=1)
        check_number("tokens_per_step", tokens_per_step, least=1)
        check_number("D", D, least=tokens_per_step)
        x = {"level": 1.0, "ratio": math.log(N / D), "D": math.log(D)}
        decay, lr, epochs = (self.lines[y].at(x, optimum=True) for y in RESOLUTION)
        lr, epochs = _on_grid(lr, "lr"), _on_grid(epochs, "epochs")
        steps = D / tokens_per_step
        wd = _on_grid(Range(*(value / (lr.value * steps) for value in decay)), "wd")
        away = np.maximum(np.log(self.optima.N / N).abs(), np.log(self.optima["D"] / D).abs())
        counts = {
            str(source): n for source, n in self.optima.source.value_counts(sort=False).items()
        }
        return Suggestion(wd, lr, epochs, decay, counts, math.exp(away.min()))


def fit_settings(optima: pd.DataFrame) -> SettingsLaw:
    """Return the law of tuned settings through the optima that count (`with_timescale`)."""
    rows = optima[optima.counts].reset_index(drop=True)
    X = pd.DataFrame({"level": 1.0, "ratio": np.log(rows.ratio), "D": np.log(rows["D"])})
    return SettingsLaw(rows, {y: LogLine(X, rows[y], s) for y, s in RESOLUTION.items()})


def _on_grid(value: Range, axis: str) -> Range:
    """Return a range with its value at the nearest of the search's grid, as a factor."""
    grid = [choice for choice in GRIDS[axis] if choice > 0]
    nearest = min(grid, key=lambda choice: abs(math.log(choice / value.value)))
    return value._replace(value=nearest)
