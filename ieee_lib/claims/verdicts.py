"""Verdicts: a measure with its interval, held against a bound that was fixed before any run.

A measure counts only when its 95 % interval lies on one side of the bound; otherwise the row
says that this scale cannot tell. Every verdict names its reason. A claim that does not hold is a
finding.

    claim("joint_saves_data", efficiency, above(efficiency, 1.0))
    table(judged)                            # one row a claim
    summary(judged)                          # what holds, by how much, and what does not
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import pandas as pd

from ieee_lib.claims.measures import Measure, measured
from ieee_lib.claims.statements import STATEMENTS
from ieee_lib.laws.estimates import Estimate

HOLDS = "holds"
DOES_NOT = "does not hold"
UNTESTABLE = "not testable at this scale"
NOT_RUN = "not run yet"


class Verdict(NamedTuple):
    """A verdict, why, and the p-value behind it."""

    word: str
    reason: str
    p: float = math.nan
    """Two-sided; NaN where the verdict rests on no noise."""


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
    reason: str
    """Why it is that verdict."""
    p: float
    """Two-sided p-value of the verdict; NaN where it rests on no noise."""
    version: str
    """Version of the criterion, and its seal."""
    detail: str
    """What exactly was measured."""
    notebook: str


def claim(
    key: str, measure: Measure | Estimate | float, verdict: Verdict, detail: str = ""
) -> Claim:
    """Return a statement's row."""
    statement = STATEMENTS[key]
    number = measured(measure)
    return Claim(
        statement=statement.statement,
        section=statement.section,
        criterion=statement.criterion,
        measure=number.value,
        ci_low=number.ci_low,
        ci_high=number.ci_high,
        verdict=verdict.word,
        reason=verdict.reason,
        p=verdict.p,
        version=statement.version,
        detail=detail,
        notebook=statement.notebook,
    )


def without_measure(notebook: str, word: str, reason: str) -> list[Claim]:
    """Return the rows of a notebook that has no runs yet, or none that can be judged."""
    keys = [key for key, statement in STATEMENTS.items() if statement.notebook == notebook]
    return [claim(key, math.nan, Verdict(word, reason)) for key in keys]


def untestable(reason: str) -> Verdict:
    """Return the verdict of what no interval can tell; it counts as one test that found nothing."""
    return Verdict(UNTESTABLE, reason, 1.0)


def below(measure: Measure | Estimate, bound: float) -> Verdict:
    """Return the verdict of "measure < bound" given the measure's 95 % interval."""
    number = measured(measure)
    holds, fails = number.ci_high < bound, number.ci_low >= bound
    return _one_sided(number, "below", bound, holds=holds, fails=fails)


def above(measure: Measure | Estimate, bound: float) -> Verdict:
    """Return the verdict of "measure > bound" given the measure's 95 % interval."""
    number = measured(measure)
    holds, fails = number.ci_low > bound, number.ci_high <= bound
    return _one_sided(number, "above", bound, holds=holds, fails=fails)


def _one_sided(number: Measure, side: str, bound: float, *, holds: bool, fails: bool) -> Verdict:
    p = min(number.p_below(bound), number.p_above(bound))
    if holds:
        return Verdict(HOLDS, f"the interval lies {side} {bound:g}", p)
    if fails:
        return Verdict(DOES_NOT, f"the interval does not reach {side} {bound:g}", p)
    return Verdict(UNTESTABLE, _undecided(number, f"the interval includes {bound:g}"), p)


def _undecided(number: Measure, reason: str) -> str:
    """Return why an interval decides nothing, and which of its ends nothing bounds."""
    if number.problem:
        return f"nothing bounds the measure: {number.problem}"
    ends = {"lower": number.ci_low, "upper": number.ci_high}
    unbounded = [name for name, end in ends.items() if math.isinf(end)]
    return f"{reason}; nothing bounds its {' or '.join(unbounded)} end" if unbounded else reason


def within(measure: Measure | Estimate, low: float, high: float) -> Verdict:
    """Return the verdict of "low < measure < high": the interval must lie in between."""
    number = measured(measure)
    sides = (above(number, low), below(number, high))
    between = f"{low:.3g} to {high:.3g}"
    if any(side.word == DOES_NOT for side in sides):
        outside = min(side.p for side in sides if side.word == DOES_NOT)
        return Verdict(DOES_NOT, f"the interval lies outside {between}", outside)
    p = max(number.p_above(low), number.p_below(high))
    if all(side.word == HOLDS for side in sides):
        return Verdict(HOLDS, f"the interval lies within {between}", p)
    return Verdict(UNTESTABLE, _undecided(number, f"the interval crosses an end of {between}"), p)


def near_zero(measure: Measure | Estimate, reach: float) -> Verdict:
    """Return the verdict of "zero": the interval must include it and end within `reach` of it."""
    number = measured(measure)
    if number.ci_low > 0 or number.ci_high < 0:
        return Verdict(
            DOES_NOT, "the interval excludes 0", min(number.p_below(0), number.p_above(0))
        )
    p = max(number.p_above(-reach), number.p_below(reach))
    if max(-number.ci_low, number.ci_high) <= reach:
        return Verdict(HOLDS, f"the interval includes 0 and ends within {reach:g} of it", p)
    reason = f"the interval includes 0 and reaches more than {reach:g} from it"
    return Verdict(UNTESTABLE, _undecided(number, reason), p)


def if_sure(condition: Verdict, verdict: Verdict, otherwise: str) -> Verdict:
    """Return a verdict that needs a condition to hold first."""
    return verdict if condition.word == HOLDS else untestable(f"{otherwise}: {condition.reason}")


def table(claims: Sequence[Claim]) -> pd.DataFrame:
    """Return one row a claim: criterion, measure with its interval, verdict, reason, version.

    Its caption ends with what `p` and `version` are; see `plots.saving.Table`.
    """
    frame = pd.DataFrame([asdict(claim) for claim in claims])
    frame.attrs["notes"] = COLUMNS
    return frame


COLUMNS = (
    "p: two-sided p-value of the verdict, – where it rests on no noise",
    "version: of the criterion, with the checksum of its text",
)
"""What a table of claims says of its columns."""

DIGITS = {"measure": 3, "ci_low": 3, "ci_high": 3, "p": 4}
"""Decimals of a table of claims."""


def numbers(claim: Claim) -> str:
    """Return a claim's measure with its interval as text; empty without a measure."""
    if math.isnan(claim.measure):
        return ""
    text = f"{claim.measure:.3f}"
    if claim.ci_low < claim.ci_high:
        text += f" [{claim.ci_low:.3f}, {claim.ci_high:.3f}]"
    return text.replace("-inf", "−∞").replace("inf", "∞")


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
    """Say what was measured for a claim, why that decides, and what it was held against."""
    said = [numbers(claim), claim.reason, f"criterion: {claim.criterion}"]
    detail = f" ({claim.detail})" if claim.detail else ""
    return f"{claim.statement}: {'; '.join(filter(None, said))}{detail}."
