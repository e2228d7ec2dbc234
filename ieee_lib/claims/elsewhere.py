"""Who else saw it: what independent public work found of a claim (data/published; notebook 09).

    seen_elsewhere()[0].number               # "epoch 20.8 at 14M parameters, ..."
    elsewhere_table(judged)                  # one row a finding, beside our verdict

Form only: data, sizes and tokenizers differ, so no level of loss is compared with ours.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pandas as pd

from ieee_lib import paths
from ieee_lib.claims.statements import STATEMENTS
from ieee_lib.claims.verdicts import Claim
from ieee_lib.errors import check, check_choice

Agreement = Literal["yes", "in part", "no", "cannot tell"]


@dataclass(frozen=True)
class Finding:
    """What somebody else measured that bears on a claim."""

    claim: str
    """Key of the statement."""
    who: str
    setting: str
    """Data and sizes, in their words."""
    agrees: Agreement
    """Whether its form agrees with the paper's statement."""
    finding: str
    number: str
    source: str
    second_hand: bool = False
    """It is quoted from another's account."""

    def __post_init__(self) -> None:
        check_choice("claim", self.claim, STATEMENTS)
        check_choice("agrees", self.agrees, get_args(Agreement))
        has_number = any(letter.isdigit() for letter in self.number)
        check(has_number, f"{self.claim}, {self.who}: number", self.number, "must hold a number")
        check(bool(self.source), f"{self.claim}, {self.who}: source", self.source, "must be given")


def seen_elsewhere() -> list[Finding]:
    """Return every independent finding, in the order of the paper's claims.

    Raises InputError for one without a claim that exists, a number or a source.
    """
    with (paths.published() / "seen_elsewhere.csv").open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    findings = [Finding(**{**row, "second_hand": row["second_hand"] == "yes"}) for row in rows]
    return sorted(findings, key=lambda finding: list(STATEMENTS).index(finding.claim))


def elsewhere_table(judged: Sequence[Claim]) -> pd.DataFrame:
    """Return one row a finding: statement, our verdict, who, agrees, what they found, source."""
    verdicts = {claim.statement: claim.verdict for claim in judged}
    rows = []
    for each in seen_elsewhere():
        statement = STATEMENTS[each.claim].statement
        rows.append(
            {
                "statement": statement,
                "here": verdicts.get(statement, ""),
                "who": f"{each.who} (second-hand)" if each.second_hand else each.who,
                "setting": each.setting,
                "agrees": each.agrees,
                "finding": each.finding,
                "number": each.number,
                "source": each.source,
            }
        )
    return pd.DataFrame(rows)
