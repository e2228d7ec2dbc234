"""Verdicts before anything ran; what a section asks for; how captions name a ladder."""

import pandas as pd
import pytest

from ieee_lib import Scale
from ieee_lib.book.chapters import SECTIONS
from ieee_lib.book.recorded import about_verdicts
from ieee_lib.claims.statements import STATEMENTS
from ieee_lib.claims.verdicts import DOES_NOT, HOLDS, NOT_RUN, UNTESTABLE
from ieee_lib.errors import InputError, MissingRuns
from ieee_lib.runs.store import RunStore
from ieee_lib.sections import verdicts
from ieee_lib.study import Study


@pytest.fixture
def study(home):
    return Study(Scale.load("smoke"), "records", RunStore.of("smoke"), "0" * 16, None)


def test_flipped_verdicts_are_named_and_those_not_run_are_not():
    rows = [("a", HOLDS, HOLDS), ("b", HOLDS, DOES_NOT), ("c", UNTESTABLE, HOLDS)]
    rows += [("d", HOLDS, NOT_RUN), ("e", NOT_RUN, HOLDS)]
    judged = pd.DataFrame(rows, columns=["statement", "recorded", "here"])
    judged["flipped"] = judged.recorded != judged.here
    said = about_verdicts(judged)
    assert said.startswith("2 of 5 verdicts flipped:") and "b: holds → does not hold" in said
    assert "c: not testable at this scale → holds" in said and "d: holds" not in said
    assert about_verdicts(judged[:1]) == "no verdict flipped"


def test_without_runs_every_claim_says_so_and_nothing_trains(study):
    found = verdicts.gather(study)
    assert [claim.verdict for claim in found.claims] == [NOT_RUN] * len(STATEMENTS)
    assert found.costs.empty
    verdicts.verdict_table(found).to_markdown()
    verdicts.cost_table(found).to_markdown()


def test_a_reader_never_trains(study):
    reader = study.reading()
    with pytest.raises(MissingRuns, match=r"not recorded.*ieee_lib reproduce --scale smoke"):
        reader.ensure([study.spec("14k", wd=0.1, lr=1e-2, epochs=1)])
    assert issubclass(MissingRuns, InputError) and reader.touched == set()


def test_plans_of_ensembles_hold_every_member_once_asked(study):
    base = study.scale.base_tokens
    wanted = {s.run_id: s for s in SECTIONS["05"].specs(study)}.values()
    assert {s.seed_tokens for s in wanted} == set(study.scale.seed_tokens)
    members = [s for s in SECTIONS["04"].specs(study) if s.seed_tokens == base]
    assert len({s.run_id for s in members}) == 4 * study.scale.ensembles.members
    assert {s.run_id for s in members} <= {s.run_id for s in wanted}


def test_captions_name_scale_data_seeds_and_points(study):
    assert study.caption(4).startswith(
        "smoke scale · stdlib · D = 4,096 tokens · 2 seeds a point · 4"
    )
    ladder = study.caption(3, "a note", ladder=(2048, 4096))
    assert "D = 2,048, 4,096 tokens" in ladder and "2 seeds a point (1 off the base D)" in ladder
