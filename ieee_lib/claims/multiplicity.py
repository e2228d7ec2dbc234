"""How many claims are judged, and what judging them together would change.

    correction(judged)                       # a sentence, and the verdicts that would not stand

Each verdict is wrong in at most 5 % of repetitions where its statement lies at its bound. Holm's
step-down procedure holds the chance of *any* wrong verdict among m to 5 %: the i-th smallest
p-value must be at most 0.05 / (m - i + 1), and so must all smaller ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ieee_lib.claims.measures import ALPHA
from ieee_lib.claims.verdicts import DOES_NOT, HOLDS, NOT_RUN, UNTESTABLE, Claim


@dataclass(frozen=True)
class Correction:
    """What Holm's correction over all judged claims changes."""

    n_judged: int
    n_tested: int
    """Those whose verdict rests on an interval."""
    n_decided: int
    """Of these, those that hold or do not hold."""
    lost: tuple[tuple[Claim, float], ...]
    """Claims that it would leave undecided, and the p-value that they needed."""

    def to_markdown(self) -> str:
        """Return the sentence, and one line a claim that would be undecided."""
        said = (
            f"{self.n_judged} claims are judged, {self.n_tested} of them by a 95 % interval, each "
            f"for itself; {self.n_decided} of these are decided. Judged together (Holm, 5 % for "
            "any wrong verdict among all), "
        )
        if not self.lost:
            return said + "all of them stay as they are."
        rows = [
            f"- {claim.statement}: {claim.verdict}, p = {claim.p:.2g} where {needed:.2g} is needed"
            for claim, needed in self.lost
        ]
        return "\n".join([f"{said}{len(self.lost)} would be {UNTESTABLE}:", "", *rows])

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        return self.to_markdown()


def correction(claims: Sequence[Claim]) -> Correction:
    """Return what Holm's correction over the claims that were judged would change."""
    judged = [claim for claim in claims if claim.verdict != NOT_RUN]
    tested = sorted((each for each in judged if not math.isnan(each.p)), key=lambda each: each.p)
    needed = ALPHA / np.arange(len(tested), 0, -1)
    passes = np.logical_and.accumulate(
        [each.p <= p for each, p in zip(tested, needed, strict=True)]
    )
    decided = [each.verdict in (HOLDS, DOES_NOT) for each in tested]
    lost = [
        (each, float(p))
        for each, p, is_decided, stands in zip(tested, needed, decided, passes, strict=True)
        if is_decided and not stands
    ]
    return Correction(len(judged), len(tested), sum(decided), tuple(lost))
