"""What the runner prints of a part of a book: what is left to train, which claims ran."""

import re

import pytest

from ieee_lib.book.runner import _ahead, reproduce
from ieee_lib.book.sections import choose
from ieee_lib.config.scale import FOLDER
from ieee_lib.study import Study


@pytest.fixture
def printed(project, capsys):
    """Return a function that makes a part of a small book, and returns what was printed.

    The scale is the smoke scale, called evidence, so that verdicts are printed.
    """
    text = (FOLDER / "smoke.toml").read_text()
    (project / "data" / "mine.toml").write_text(text.replace("evidence = false", "evidence = true"))

    def make(only, **options):
        assert reproduce(str(project / "data" / "mine.toml"), only=only, **options) == 0
        return capsys.readouterr().out

    return make


def test_a_part_without_claims_prints_none(printed):
    said = printed("00")
    assert "[1/1] 00_setup: nothing to train" in said
    assert "not run yet" not in said and "Claims of the paper" not in said
    assert re.search(r"Not run yet: (\d+) of \1 claims", said)


@pytest.mark.slow
def test_what_is_recorded_is_not_left_and_only_claims_that_ran_are_rows(printed, project):
    said = printed("01")
    assert re.search(r"\[1/1\] 01_overfitting_baseline: at least [\d.:]+ (s|min) of", said)
    rows = said.partition("Claims of the paper at this scale:")[2]
    assert len(re.findall(r"^  01  ", rows, re.MULTILINE)) == 3
    assert not re.search(r"^  0[2-9]  ", rows, re.MULTILINE) and "Not run yet: " in said
    study = Study.open(str(project / "data" / "mine.toml"))
    first, second = (section.needs(study) for section in choose("01,02").values())
    assert _ahead(study, first) == "nothing to train"
    assert _ahead(study, [*first, *second]) == _ahead(study, second) != "nothing to train"
    assert _ahead(study.reading(), second) == "from records"
