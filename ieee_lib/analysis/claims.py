"""The paper's statements as rows: a measure with its interval, a criterion, a verdict.

Criteria are fixed here, before any run. A difference counts only when its 95 % interval lies on
one side of the bound; otherwise the row says that this scale cannot tell. A claim that does not
hold is a finding.

    claims_table([overfits(runs), decay_is_large(tuned)], caption=...)
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2 as chi2_distribution

from ieee_lib.analysis.drawing import Table
from ieee_lib.analysis.laws import PowerLaw
from ieee_lib.training.frame import seed_means

HOLDS = "holds"
DOES_NOT = "does not hold"
UNTESTABLE = "not testable at this scale"


@dataclass(frozen=True)
class Claim:
    """One row of the claims table."""

    statement: str
    """What the paper says, in one line."""
    section: str
    """Where it says so."""
    criterion: str
    """When it counts as holding here."""
    measure: float
    """Our number; its unit is in the criterion."""
    low: float
    """Lower end of its 95 % interval; the measure itself where it is not a mean over seeds."""
    high: float
    """Upper end."""
    verdict: str
    notebook: str
    """Where it is shown."""


def below(measure: float, low: float, high: float, bound: float) -> str:
    """Return the verdict of "measure < bound" given the measure's 95 % interval."""
    if math.isnan(measure) or math.isnan(low) or math.isnan(high):
        return UNTESTABLE
    return HOLDS if high < bound else DOES_NOT if low >= bound else UNTESTABLE


def above(measure: float, low: float, high: float, bound: float) -> str:
    """Return the verdict of "measure > bound" given the measure's 95 % interval."""
    return below(-measure, -high, -low, -bound)


def overfits(runs: pd.DataFrame) -> Claim:
    """At wd 0.1, more epochs over the same data end up worse (Sec. 2.1, Fig 2 left)."""
    means = seed_means(runs, ["epochs"]).dropna(subset="loss")
    last, best = means.iloc[-1], means.loc[means.loss.idxmin()]
    rise, low, high = _difference(last, best) if last.epochs > best.epochs else (0.0, 0.0, 0.0)
    return Claim(
        "Too many epochs of the standard recipe overfit: validation loss rises again",
        "2.1",
        f"loss at {last.epochs:.0f} epochs minus the lowest (at {best.epochs:.0f}) > 0 nats",
        rise,
        low,
        high,
        above(rise, low, high, 0.0),
        "01",
    )


def memorizes(runs: pd.DataFrame) -> Claim:
    """Training loss keeps falling while validation loss rises (v1 Fig 15)."""
    val = seed_means(runs, ["epochs"]).dropna(subset="loss")
    train = seed_means(runs, ["epochs"], value="train_loss").dropna(subset="loss")
    at_best = train.loc[val.loss.idxmin()]
    fall, low, high = _difference(train.iloc[-1], at_best)
    return Claim(
        "Meanwhile the training loss keeps falling",
        "2.1",
        "training loss at most epochs minus that at the best validation loss < 0 nats",
        fall,
        low,
        high,
        below(fall, low, high, 0.0),
        "01",
    )


def standard_stalls(standard: pd.DataFrame) -> Claim:
    """Ten times the parameters improve the tuned standard recipe by less than 0.1 (Fig 2 right)."""
    table = standard.sort_values("N")
    gain, low, high = _difference(table.iloc[0], table.iloc[-1])
    ratio = table.N.iloc[-1] / table.N.iloc[0]
    return Claim(
        "The tuned standard recipe hardly gains from parameters",
        "2.1",
        f"loss falls by < 0.1 nats over {ratio:.0f}x the parameters",
        gain,
        low,
        high,
        below(gain, low, high, 0.1),
        "01",
    )


def decay_is_large(regularized: pd.DataFrame) -> Claim:
    """The tuned weight decay is far above 0.1 at every N (Sec. 3; 30x at most in the paper)."""
    smallest = float(regularized.wd.min())
    certified = (regularized.status != "uncertified").all()
    return Claim(
        "The best weight decay is several times the standard 0.1 at every N",
        "3",
        "smallest tuned weight decay over the models >= 0.4, every search certified",
        smallest,
        smallest,
        smallest,
        UNTESTABLE if not certified else HOLDS if smallest >= 0.4 else DOES_NOT,
        "02",
    )


def decay_helps(standard: pd.DataFrame, regularized: pd.DataFrame) -> Claim:
    """Tuned decay beats the tuned standard recipe at every N (Fig 3)."""
    pairs = regularized.merge(standard, on="N", suffixes=("", "_standard"))
    gains = []
    for _, pair in pairs.iterrows():
        usual = pd.Series({"loss": pair["loss_standard"], "se": pair["se_standard"]})
        gains.append(_difference(usual, pair))
    gain, low, high = _first(gains, min)
    return Claim(
        "Tuned weight decay beats the tuned standard recipe at every N",
        "3",
        "smallest gain over the models > 0 nats",
        gain,
        low,
        high,
        above(gain, low, high, 0.0),
        "02",
    )


def falls_with_size(regularized: pd.DataFrame) -> Claim:
    """The regularized loss falls with every step in N (Fig 3)."""
    table = regularized.sort_values("N")
    steps = [_difference(table.iloc[i + 1], table.iloc[i]) for i in range(len(table) - 1)]
    step, low, high = _first(steps, max)
    return Claim(
        "With tuned decay the loss falls at every step in N",
        "3",
        "largest change between neighbouring sizes < 0 nats",
        step,
        low,
        high,
        below(step, low, high, 0.0),
        "02",
    )


def follows_power_law(law: PowerLaw) -> Claim:
    """A / N^alpha + E describes the tuned losses within their noise (Fig 3)."""
    bound = float(chi2_distribution.ppf(0.95, law.freedom)) if law.freedom > 0 else math.nan
    return Claim(
        "The regularized loss follows a power law in N",
        "3",
        f"chi-square of the fit < {bound:.2f} (95 % at {law.freedom} degree(s) of freedom)",
        law.chi2,
        law.chi2,
        law.chi2,
        UNTESTABLE if law.freedom < 1 else HOLDS if law.chi2 < bound else DOES_NOT,
        "02",
    )


def limit_below_standard(law: PowerLaw, standard: pd.DataFrame) -> Claim:
    """The limit of the regularized law lies below the best standard loss (Fig 1, Fig 3)."""
    best = standard.loc[standard.loss.idxmin()]
    low, high = law.interval("E")
    spread = 1.96 * best.se
    difference = law.E - best.loss
    low, high = low - best.loss - spread, high - best.loss + spread
    return Claim(
        "The regularized recipe's limit in N lies below the best standard loss",
        "3",
        "limit minus best standard loss < 0 nats",
        difference,
        low,
        high,
        below(difference, low, high, 0.0),
        "02",
    )


def claims_table(claims: Sequence[Claim], *, caption: str) -> Table:
    """Return the rows as a table."""
    digits = {"measure": 3, "low": 3, "high": 3}
    return Table(pd.DataFrame([asdict(claim) for claim in claims]), caption, digits)


def _difference(a: pd.Series, b: pd.Series) -> tuple[float, float, float]:
    """Return a.loss - b.loss and its 95 % interval from the two standard errors."""
    value = float(a.loss - b.loss)
    error = 1.96 * float(np.hypot(a.se, b.se))
    return value, value - error, value + error


def _first(intervals: list[tuple[float, float, float]], order) -> tuple[float, float, float]:
    """Return the smallest or largest by measure; one that is not a number wins."""
    broken = [i for i in intervals if math.isnan(i[0])]
    return broken[0] if broken else order(intervals)
