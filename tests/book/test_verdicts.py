"""Verdicts before anything ran; what a section needs; how captions name a ladder."""

import dataclasses

import pandas as pd
import pytest

from ieee_lib import Scale, book
from ieee_lib.book import verdicts
from ieee_lib.book.archive import verdicts_line
from ieee_lib.book.run import Ran, one_book
from ieee_lib.book.sections import SECTIONS
from ieee_lib.claims.statements import STATEMENTS
from ieee_lib.claims.verdicts import DOES_NOT, HOLDS, NOT_RUN, UNTESTABLE, Verdict, claim
from ieee_lib.errors import InputError, MissingRuns
from ieee_lib.runs.store import RunStore
from ieee_lib.study import Study


@pytest.fixture
def study(home):
    return Study(Scale.load("smoke"), "records", RunStore.of("smoke"), "0" * 16, None)


def test_flipped_verdicts_are_named_and_those_not_run_are_not():
    rows = [("a", HOLDS, HOLDS), ("b", HOLDS, DOES_NOT), ("c", UNTESTABLE, HOLDS)]
    rows += [("d", HOLDS, NOT_RUN), ("e", NOT_RUN, HOLDS)]
    judged = pd.DataFrame(rows, columns=["statement", "recorded", "here"])
    judged["flipped"] = judged.recorded != judged.here
    said = verdicts_line(judged)
    assert said.startswith("2 of 5 verdicts flipped:") and "b: holds → does not hold" in said
    assert "c: not testable at this scale → holds" in said and "d: holds" not in said
    assert verdicts_line(judged[:1]) == "no verdict flipped"


def test_without_runs_every_claim_says_so_and_nothing_trains(study):
    ran = book.run_records(study)
    assert ran == {} and book.cost_frame(ran).empty
    assert [claim.verdict for claim in book.judged(ran)] == [NOT_RUN] * len(STATEMENTS)


def ran_or_raised(monkeypatch, outcomes):
    """Let notebooks end as given, by number: with claims, or with an error."""

    def run(path, parameters):
        outcome = outcomes.get(path.stem[:2], MissingRuns("source", "records", "none"))
        if isinstance(outcome, Exception):
            raise outcome
        return Ran(path, {"judged": outcome})

    monkeypatch.setattr(verdicts, "run_notebook", run)


def test_what_is_missing_is_not_run_and_what_is_lost_is_not_testable(study, monkeypatch):
    texts = [s for s in STATEMENTS.values() if s.notebook == "02"]
    claims = [claim(key, 1.0, Verdict(HOLDS, "")) for key, s in STATEMENTS.items() if s in texts]
    lost = InputError("members", "all", "have diverged")
    ran_or_raised(monkeypatch, {"02": claims[::-1], "03": lost})
    monkeypatch.setattr(RunStore, "records", lambda self: iter([{"run_id": "a"}]))
    ran = book.run_records(study)
    assert list(ran) == ["02", "03"]
    judged = book.judged(ran)
    assert [c.statement for c in judged] == [s.statement for s in STATEMENTS.values()]
    assert {c.verdict for c in judged if c.notebook == "02"} == {HOLDS}
    reasons = {(c.verdict, c.reason) for c in judged if c.notebook == "03"}
    assert reasons == {(UNTESTABLE, "members = 'all': have diverged")}
    not_run = {(c.verdict, c.reason) for c in judged if c.notebook not in ("02", "03")}
    assert not_run == {(NOT_RUN, "its runs are not recorded")}


def test_a_notebook_that_ran_in_this_book_is_not_run_again(study, monkeypatch):
    ran_or_raised(monkeypatch, {"01": []})
    monkeypatch.setattr(RunStore, "records", lambda self: iter([{"run_id": "a"}]))
    with one_book() as session:
        path = SECTIONS["02"].path
        session.ran[path] = Ran(path, {"study": study, "judged": []})
        session.running.add(SECTIONS["01"].path)
        ran = book.run_records(study)
    assert list(ran) == ["02"] and ran["02"].study is study
    with one_book() as session:
        other = dataclasses.replace(study, fingerprint="1" * 16)
        session.ran[path] = Ran(path, {"study": other, "judged": []})
        assert list(book.run_records(study)) == ["01"], "it ran on another text"


def test_a_reader_never_trains(study):
    reader = study.reading()
    with pytest.raises(MissingRuns, match=r"not recorded.*ieee_lib reproduce --scale smoke"):
        reader.ensure([study.spec("14k", wd=0.1, lr=1e-2, epochs=1)])
    assert issubclass(MissingRuns, InputError) and reader.trace.accessed == set()


def test_plans_of_ensembles_hold_every_member_once_asked(study):
    base = study.scale.base_tokens
    wanted = {s.run_id: s for s in SECTIONS["05"].needs(study)}.values()
    assert {s.seed_tokens for s in wanted} == set(study.scale.seed_tokens)
    members = [s for s in SECTIONS["04"].needs(study) if s.seed_tokens == base]
    assert len({s.run_id for s in members}) == 4 * study.scale.ensembles.members
    assert {s.run_id for s in members} <= {s.run_id for s in wanted}


def test_captions_name_scale_data_and_what_is_shown(study):
    tuned = pd.DataFrame({"loss": [4.0, 3.9], "n": [2, 3]})
    assert study.caption({"single model": tuned}).startswith(
        "smoke scale · Python's standard library · D = 4,096 tokens · 2 single models (2–3 seeds "
    )
    ladder = study.caption({"law": 1}, "a note", ladder=(2048, 4096))
    assert "D = 2,048, 4,096 tokens · 1 law · a note" in ladder
