"""Figures with controls: every position draws; widgets only where somebody can move them."""

import base64

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from ieee_lib import plots
from ieee_lib.book.run import run_notebook
from ieee_lib.config.session import SESSION
from ieee_lib.errors import InputError
from ieee_lib.laws import fit_power_law
from ieee_lib.plots import interact
from ieee_lib.plots.interact import _figure
from ieee_lib.plots.saving import output
from tests.conftest import ROOT
from tests.synthetic import tuned

NOTEBOOKS = sorted(
    path.stem for path in (ROOT / "notebooks").glob("*.ipynb") if "interact(" in path.read_text()
)


def law_through(ax, points):
    law = fit_power_law(tuned(), x="N")
    return plots.law_through(ax, tuned(), law.only(*points))


POINTS = plots.choices("abcd", "abcd")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_position_of_every_control_draws(name, monkeypatch):
    drawn = []

    def record(draw, **controls):
        drawn.append((draw, controls))

    monkeypatch.setattr(plots, "interact", record)
    with output(write=False):
        run_notebook(ROOT / "notebooks" / f"{name}.ipynb", {"scale": "laptop", "source": "archive"})
    assert drawn
    for draw, controls in drawn:
        start = {each: control.value for each, control in controls.items()}
        shown = set()
        for each, control in controls.items():
            options = [control.options] if control.is_multiple else control.options
            for value in [start[each], *options]:
                figure = _figure(draw, {**start, each: value})
                shown.add(_content(figure))
        assert len(shown) >= 2 or _has_one_position(controls), "the controls change nothing"


def _content(figure):
    """What a figure shows: its lines and labels."""
    (ax,) = figure.axes
    lines = tuple(tuple(map(float, line.get_ydata())) for line in ax.lines)
    return lines, tuple(ax.get_legend_handles_labels()[1])


def _has_one_position(controls):
    return all(
        control.is_multiple and set(control.value) == set(control.options)
        for control in controls.values()
    )


def test_outside_jupyterlab_it_is_the_figure_as_the_controls_first_stand(monkeypatch):
    monkeypatch.delenv(SESSION, raising=False)
    before = plt.get_fignums()
    figure = interact(law_through, points=plots.choices("abcd", "bcd"))
    assert isinstance(figure, Figure) and plt.get_fignums() == before
    assert "left out" in figure.axes[0].get_legend_handles_labels()[1]


def test_a_law_needs_three_points():
    with pytest.raises(InputError, match="need at least 3"):
        _figure(law_through, {"points": ("a", "b")})


def test_moving_a_slider_redraws(monkeypatch):
    widgets = pytest.importorskip("ipywidgets")
    monkeypatch.setenv(SESSION, "03_ensembles.ipynb")
    drawn = []

    def line(ax, height, slope):
        drawn.append((height, height + slope))
        ax.plot([0, 1], drawn[-1], label="line")
        return ax

    box = interact(line, height=plots.choice([1, 2, 5], 2), slope=plots.choice([0, 1], 0))
    sliders = [w for row in box.children[:2] for w in row.children if hasattr(w, "options")]
    assert [type(w) for w in sliders] == [widgets.SelectionSlider] * 2
    images = [picture(box)]
    for slider, value in ((sliders[0], 5), (sliders[1], 1)):
        slider.value = value
        images.append(picture(box))
    assert drawn == [(2, 2), (5, 5), (5, 6)]
    assert len(set(images)) == 3


def picture(box):
    """The bytes of the one image below a widget's controls."""
    (shown,) = box.children[-1].outputs
    image = base64.b64decode(shown["data"]["image/png"])
    assert image.startswith(b"\x89PNG")
    return image


def test_boxes_choose_points_and_too_few_are_said_in_words(monkeypatch):
    pytest.importorskip("ipywidgets")
    monkeypatch.setenv(SESSION, "02_regularized_scaling.ipynb")
    box = interact(law_through, points=POINTS)
    boxes = box.children[0].children[1:]
    assert [b.description for b in boxes] == list("abcd") and all(b.value for b in boxes)
    before = picture(box)
    boxes[0].value = False
    assert picture(box) != before
    for checkbox in boxes:
        checkbox.value = False
    (said,) = box.children[-1].outputs
    assert said["output_type"] == "stream" and "need at least 3" in said["text"]
