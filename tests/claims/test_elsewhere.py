"""Who else saw it: every finding names a claim, a number and a source."""

from dataclasses import replace

import pytest

from ieee_lib import InputError
from ieee_lib.claims import STATEMENTS, elsewhere_table, seen_elsewhere
from ieee_lib.claims.verdicts import HOLDS, Verdict, claim


def test_every_finding_has_a_claim_a_number_and_a_source():
    findings = seen_elsewhere()
    assert len(findings) >= 15 and len({each.who for each in findings}) >= 6
    for each in findings:
        assert each.claim in STATEMENTS and each.finding and each.setting
        assert any(letter.isdigit() for letter in each.number), each
        assert "github.com/" in each.source or "arXiv " in each.source or each.second_hand, each
    assert {each.agrees for each in findings} == {"yes", "in part", "no", "cannot tell"}
    order = [list(STATEMENTS).index(each.claim) for each in findings]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("claim", "decay_help", "did you mean 'decay_helps'"),
        ("number", "much", "must hold a number"),
        ("source", "", "must be given"),
        ("agrees", "maybe", "allowed are yes, in part, no, cannot tell"),
    ],
)
def test_a_finding_without_them_is_refused(field, value, message):
    with pytest.raises(InputError, match=message):
        replace(seen_elsewhere()[0], **{field: value})


def test_findings_stand_beside_our_verdict():
    judged = [claim("decay_helps", 0.1, Verdict(HOLDS, "for a test"))]
    table = elsewhere_table(judged)
    rows = table[table.statement == STATEMENTS["decay_helps"].statement]
    assert len(rows) == 4 and set(rows.here) == {HOLDS}
    assert set(table.here[table.statement != rows.statement.iloc[0]]) == {""}
    assert "Lovelace et al. (second-hand)" in set(rows.who)
