"""Figures with knobs: every position draws; widgets only where somebody can turn them."""

import pytest
from ieee_lib.book.chapters import SECTIONS, Chapter

from ieee_lib.errors import InputError
from ieee_lib.frontend import SESSION
from ieee_lib.plots.saving import Drawing, context
from ieee_lib.study import Study

EXPLORERS = [(number, name) for number, s in SECTIONS.items() for name in s.explorers]


@pytest.fixture(scope="module")
def study():
    return Study.open("laptop", source="archive")


@pytest.fixture(scope="module")
def chapters(study):
    return {number: Chapter.open(number, study) for number in {n for n, _ in EXPLORERS}}


@pytest.mark.parametrize(("number", "name"), EXPLORERS)
def test_every_position_of_every_knob_draws(chapters, number, name, monkeypatch):
    monkeypatch.delenv(SESSION, raising=False)
    chapter = chapters[number]
    first = chapter.explore(name)
    assert isinstance(first, Drawing) and "laptop scale" in first.caption
    explorer = chapter.section.explorers[name]
    knobs = explorer.knobs(chapter.found)
    start = {each: knob.value for each, knob in knobs.items()}
    shown = {str(first.data)}
    for each, knob in knobs.items():
        for value in [tuple(knob.options)] if knob.several else knob.options:
            with context("paper"):
                drawing = explorer.draw(chapter.found, **{**start, each: value})
            shown.add(str(drawing.data))
    assert len(shown) >= 2, "the knobs change nothing"


def test_a_law_needs_three_points(chapters):
    explorer = chapters["02"].section.explorers["law_through_some"]
    with pytest.raises(InputError, match="needs at least 3"):
        explorer.draw(chapters["02"].found, points=("0.04M", "0.07M"))


def test_turning_a_knob_redraws(chapters, monkeypatch, capsys):
    widgets = pytest.importorskip("ipywidgets")
    monkeypatch.setenv(SESSION, "03_ensembles.ipynb")
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda item: shown.append(item))
    box = chapters["03"].explore("limit_from_few")
    sliders = [w for row in box.children[:2] for w in row.children if hasattr(w, "options")]
    assert [type(w) for w in sliders] == [widgets.SelectionSlider] * 2
    members = sliders[1]
    members.value = 2
    assert shown[-1].data["law"].n_point == 2
    members.value = 5
    assert shown[-1].data["law"].n_point == 5 and shown[-1].data["missed"] == {}
    box = chapters["02"].explore("law_through_some")
    for checkbox in box.children[0].children[1:]:
        checkbox.value = False
    assert "needs at least 3" in capsys.readouterr().out


def test_an_unknown_explorer_is_named(chapters):
    with pytest.raises(InputError, match="explorer = 'limit'"):
        chapters["03"].explore("limit")
