"""Verdicts: a measure with its interval, held against a bound that was fixed before any run.

A difference counts only when its 95 % interval lies on one side of the bound; otherwise the row
says that this scale cannot tell. A claim that does not hold is a finding.

    claim("saves_data", efficiency, above(efficiency, 1.0))
    table(judged)                            # one row a claim
    summary(judged)                          # what holds, by how much, and what does not
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from ieee_lib.claims.statements import STATEMENTS
from ieee_lib.laws.estimates import Estimate

HOLDS = "holds"
DOES_NOT = "does not hold"
UNTESTABLE = "not testable at this scale"
NOT_RUN = "not run yet"


@dataclass(frozen=True)
class Claim:
    """One row of the claims table."""

    statement: str
    section: str
    criterion: str
    measure: float
    """Our number."""
    ci_low: float
    """Lower end of its 95 % interval; the measure itself where it has no noise model."""
    ci_high: float
    verdict: str
    detail: str
    """What exactly was measured."""
    notebook: str


def claim(key: str, measure: Estimate | float, verdict: str, detail: str = "") -> Claim:
    """Return a statement's row."""
    statement = STATEMENTS[key]
    if not isinstance(measure, Estimate):
        measure = Estimate(float(measure), np.array([float(measure)]))
    return Claim(
        statement=statement.statement,
        section=statement.section,
        criterion=statement.criterion,
        measure=measure.value,
        ci_low=measure.ci_low,
        ci_high=measure.ci_high,
        verdict=verdict,
        detail=detail,
        notebook=statement.notebook,
    )


def without_measure(notebook: str, verdict: str, detail: str = "") -> list[Claim]:
    """Return the rows of a notebook that has no runs yet, or none that can be judged."""
    keys = [key for key, statement in STATEMENTS.items() if statement.notebook == notebook]
    return [claim(key, math.nan, verdict, detail) for key in keys]


def below(measure: Estimate, bound: float) -> str:
    """Return the verdict of "measure < bound" given the measure's 95 % interval."""
    if math.isnan(measure.value) or math.isnan(measure.ci_low) or math.isnan(measure.ci_high):
        return UNTESTABLE
    return HOLDS if measure.ci_high < bound else DOES_NOT if measure.ci_low >= bound else UNTESTABLE


def above(measure: Estimate, bound: float) -> str:
    """Return the verdict of "measure > bound" given the measure's 95 % interval."""
    return below(Estimate(-measure.value, -measure.draws), -bound)


def near_zero(measure: Estimate, reach: float) -> str:
    """Return the verdict of "zero": the interval must include it and end within `reach` of it."""
    ci_low, ci_high = measure.ci_low, measure.ci_high
    if not math.isfinite(ci_low + ci_high):
        return UNTESTABLE
    if ci_low > 0 or ci_high < 0:
        return DOES_NOT
    return HOLDS if max(-ci_low, ci_high) <= reach else UNTESTABLE


def every(verdicts: Sequence[str]) -> str:
    """Return the verdict of "each of them": one that does not hold decides, then one in doubt."""
    return next((v for v in (DOES_NOT, UNTESTABLE) if v in verdicts), HOLDS)


def not_far_below(measure: Estimate, margin: float) -> str:
    """Return the verdict of "not below 0": above -margin for sure, or below 0 for sure."""
    return DOES_NOT if measure.ci_high < 0 else above(measure, -margin)


def table(claims: Sequence[Claim]) -> pd.DataFrame:
    """Return one row a claim: statement, criterion, measure with its interval, verdict, detail."""
    return pd.DataFrame([asdict(claim) for claim in claims])


DIGITS = {"measure": 3, "ci_low": 3, "ci_high": 3}
"""Decimals of a table of claims."""


@dataclass(frozen=True)
class Summary:
    """What matched the paper and what did not, in words and numbers."""

    claims: tuple[Claim, ...]

    def to_markdown(self) -> str:
        """Return one paragraph a verdict, one line a claim."""
        parts = []
        for verdict in (HOLDS, DOES_NOT, UNTESTABLE, NOT_RUN):
            lines = [_sentence(claim) for claim in self.claims if claim.verdict == verdict]
            if lines:
                head = f"**{verdict[0].upper()}{verdict[1:]}** ({len(lines)} of {len(self.claims)})"
                parts.append("\n".join([head, "", *(f"- {line}" for line in lines)]))
        return "\n\n".join(parts)

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        return self.to_markdown().replace("**", "")


def summary(claims: Sequence[Claim]) -> Summary:
    """Return what matched and what did not, written from the verdicts."""
    return Summary(tuple(claims))


def _sentence(claim: Claim) -> str:
    """Say what was measured for a claim, and what it was held against."""
    said = f"{claim.statement}: "
    if not math.isnan(claim.measure):
        numbers = f"{claim.measure:.3f}"
        if claim.ci_low != claim.ci_high:
            numbers += f" [{claim.ci_low:.3f}, {claim.ci_high:.3f}]"
        said += numbers.replace("-inf", "−∞").replace("inf", "∞") + "; "
    said += f"criterion: {claim.criterion}"
    if claim.detail:
        said += f" ({claim.detail})"
    return said + "."
