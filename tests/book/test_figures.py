"""Redrawing: by notebook or by name, slides beside the committed figures, words by argument."""

import pytest

from ieee_lib import InputError, plots
from ieee_lib.book.figures import redraw
from ieee_lib.book.run import choose_figures
from ieee_lib.plots.saving import output
from ieee_lib.study import Study


def test_a_choice_is_of_notebooks_or_of_names():
    sections, names = choose_figures("03, 1")
    assert list(sections) == ["01", "03"] and names is None
    sections, names = choose_figures("fig02,tab08_sensitivity")
    assert list(sections) == ["01", "05", "09"]
    assert names == {
        "fig02_published",
        "fig02a_loss_against_epochs",
        "fig02b_standard_against_size",
        "tab08_sensitivity",
    }
    sections, names = choose_figures("06,fig01")
    assert list(sections) == ["05", "06"] and {"fig01_overview", "tab09_sweep"} <= names
    assert "fig08_data_efficiency" not in names


@pytest.mark.parametrize("only", ["fig99", "overview", "99", "fig01,03,figure"])
def test_what_names_nothing_is_refused_with_what_is_allowed(only):
    with pytest.raises(InputError, match="only = ") as error:
        choose_figures(only)
    assert "fig01_overview" in error.value.allowed or "05" in error.value.allowed


def test_a_slide_of_the_archive_lands_outside_of_the_committed_folder(home, capsys):
    redraw(
        "laptop",
        source="archive",
        only="fig02a",
        context="talk",
        background="dark",
        formats=["svg"],
        labels={"title": "It overfits", "ylabel": "loss"},
    )
    folder = home / "figures" / "slides" / "laptop" / "talk" / "dark"
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["fig02a_loss_against_epochs.json", "fig02a_loss_against_epochs.svg"]
    assert capsys.readouterr().out.split() == [
        "figures/slides/laptop/talk/dark/fig02a_loss_against_epochs"
    ]
    assert not (home / "figures" / "recorded").exists()
    drawn = (folder / names[1]).read_text()
    texts = ("It overfits", ">loss<", "epochs over the same D tokens")
    assert all(text in drawn for text in texts)
    assert "loss (nats/token)" not in drawn and "laptop scale" not in drawn, "no caption line"


def test_what_is_committed_is_one_style(home):
    study = Study.open("laptop", source="archive")
    with plots.style():
        assert study.figures_folder() == home / "figures" / "recorded" / "laptop"
    for look in (("paper", "dark"), ("talk", "white"), ("paper", "transparent")):
        with plots.style(*look):
            assert "recorded" not in study.figures_folder().parts


def test_a_caption_line_may_be_left_out_or_asked_for(home):
    redraw("laptop", source="archive", only="fig02a", formats=["svg"], caption=False)
    folder = home / "figures" / "recorded" / "laptop"
    assert "laptop scale" not in (folder / "fig02a_loss_against_epochs.svg").read_text()
    with output(["svg"], caption=True):
        redraw("laptop", source="archive", only="fig02a", formats=["svg"])
    assert "laptop scale" in (folder / "fig02a_loss_against_epochs.svg").read_text()
