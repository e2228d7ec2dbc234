"""Figures: the numbers they show, the same bytes twice, no torch."""

import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ieee_lib import InputError
from ieee_lib.laws.estimates import Estimate, limit_of, noise_of
from ieee_lib.laws.power_law import fit_power_law
from ieee_lib.plots import figures
from ieee_lib.plots import marks as plots
from ieee_lib.plots.saving import Table, context, save


def runs(epochs=(1, 4, 16), seeds=3):
    rows = [
        {"status": "done", "epochs": e, "seed": s, "val_loss": 4 + abs(i - 1) + s / 50,
         "train_loss": 4 - i + s / 50}
        for i, e in enumerate(epochs)
        for s in range(seeds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def sizes(losses=(4.6, 4.4, 4.3, 4.25), status="certified"):
    table = pd.DataFrame({"model": list("abcd"), "N": [4e4, 1e5, 2e5, 4e5], "loss": losses})
    return table.assign(
        se=0.01, wd=[0.8, 0.8, 1.6, 3.2], lr=3e-3, epochs=16, status=status, moves=0
    )


def test_a_saved_figure_carries_its_numbers_and_the_same_bytes(tmp_path):
    def draw(folder):
        with context("paper"):
            drawing = figures.loss_against_epochs(runs(), caption="a caption")
        return save(drawing, tmp_path / folder, "fig")

    first, second = draw("a"), draw("b")
    assert [p.suffix for p in first] == [".svg", ".pdf", ".png", ".json"]
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.suffix
    numbers = json.loads(first[-1].read_text())
    assert numbers["caption"] == "a caption"
    assert [row["loss"] for row in numbers["validation"]] == pytest.approx([5.02, 4.02, 5.02])
    assert "a caption" in first[0].read_text()


def test_talk_is_larger_with_the_same_colours(tmp_path):
    sizes_ = {}
    for name in ("paper", "talk"):
        with context(name):
            figure = figures.loss_against_epochs(runs(), caption="c").figure
        sizes_[name] = figure.get_size_inches()[0]
        assert figure.axes[0].lines[0].get_color() == plots.COLORS["standard"]
        text = save(figures.Drawing(figure, {}, "c"), tmp_path, name, formats=["svg"])[
            0
        ].read_text()
        assert "<text" in text  # editable, not outlines
    assert sizes_["talk"] > 1.5 * sizes_["paper"]
    with pytest.raises(InputError, match="allowed are paper, talk"), context("slide"):
        pass


def test_the_law_is_drawn_with_its_limit_and_interval(tmp_path):
    table = sizes()
    law = fit_power_law(table.N / 1e6, table.loss, sigma=table.se)
    with context("paper"):
        drawing = figures.loss_against_size(
            {"regularized": table}, laws={"regularized": law}, caption="c"
        )
    labels = drawing.figure.axes[0].get_legend_handles_labels()[1]
    low, high = law.interval("E")
    assert f"limit {law.E:.3f}, 95 % [{low:.3f}, {high:.3f}]" in labels
    saved = json.loads(save(drawing, tmp_path, "f", formats=[])[-1].read_text())
    assert saved["laws"]["regularized"]["E_interval_95"] == pytest.approx([low, high])


@pytest.mark.parametrize("status", ["uncertified", "not searched"])
def test_uncertified_points_are_open(status):
    table = sizes(status=status)
    with context("paper"):
        axes = figures.loss_against_size({"regularized": table}, caption="c").figure.axes[0]
    assert "not certified" in axes.get_legend_handles_labels()[1]
    assert axes.lines[-1].get_markerfacecolor() == "white"


def test_ticks_stay_when_the_style_has_gone():
    """How many there are follows from their size; other ones would not fit the layout."""
    with context("talk"):
        drawing = figures.loss_against_size({"regularized": sizes()}, caption="c")
        ax = drawing.figure.axes[0]
        wanted, ticks = plt.rcParams["ytick.labelsize"], list(ax.get_yticks())
    assert ax.yaxis.get_tick_params()["labelsize"] == wanted != plt.rcParams["ytick.labelsize"]
    drawing.figure.draw_without_rendering()
    assert list(ax.get_yticks()) == ticks


def test_a_limit_that_nothing_bounds_does_not_swallow_the_axis(recwarn):
    straight = limit_in_N(4.6, 4.4, 4.25, 4.1)[1]
    nowhere = straight - straight  # open at both ends
    assert (nowhere.low, nowhere.high) == (-np.inf, np.inf)
    for value in (straight - (straight.value - 4.3), nowhere - -4.3):
        with context("paper"):
            figure, ax = plt.subplots()
            ax.plot([1, 2], [4.6, 4.1])
            plots.limit(ax, value, "joint", label="limit")
            figure.canvas.draw()
        low, high = ax.get_ylim()
        assert low < value.value < high and high - low < 50 and not recwarn.list
        band = ax.patches[-1] if ax.patches else ax.artists[-1]
        assert band.get_y() < low, "the band goes on below the axes"


def test_an_end_that_nothing_bounds_is_an_arrow_of_one_length():
    """Bars that ran to the frame said nothing about where their ends are, and hid the others."""
    spread = 0.1 * noise_of(["01"])
    above, both = spread.copy(), np.where(spread > 0, np.inf, -np.inf)
    above[spread > 0.1] = np.inf
    values = [Estimate(2.0, 2 + draws) for draws in (spread, above, both)]
    ways = [[], [1], [-1, 1]]
    no_loss = [Estimate(2.0, np.where(spread > 0, 2 + spread, 0))]  # 0 on a log axis: no bound
    for scale, own, wanted in (("linear", values, ways), ("log", no_loss, [[-1]])):
        with context("paper"):
            figure, ax = plt.subplots()
            ax.set_yscale(scale)
            plots.estimates(ax, range(len(own)), own, "joint", label="joint")
            plots.legend_above(figure, ax)
            figure.canvas.draw()
        arrows = [[np.sign(t.xyann[1]) for t in ax.texts if t.xy[0] == x] for x in range(len(own))]
        assert arrows == wanted
        assert len({abs(t.xyann[1]) for t in ax.texts}) == 1
        bars = [s for s in ax.collections[0].get_segments() if len(s)]
        assert np.isfinite(bars).all() and np.ptp(ax.get_ylim()) < 2
        assert [t.get_text() for t in figure.legends[0].get_texts()] == ["joint", plots.NO_BOUND]


def test_an_arrow_may_lie_along_either_axis():
    _, ax = plt.subplots()
    plots.arrows(ax, (0, 0), True, False, "k", axis="x")
    (arrow,) = ax.texts
    assert arrow.xyann[0] < 0 == arrow.xyann[1]


def limit_in_N(*losses):
    points = [Estimate(y, y + 0.01 * noise_of([f"{i:016x}"]), 0.01) for i, y in enumerate(losses)]
    return dict(zip((4e4, 1e5, 2e5, 4e5), points, strict=True)), limit_of(
        [0.04, 0.1, 0.2, 0.4], points, unit="N[M]"
    )


def test_a_table_is_written_as_csv_markdown_and_latex(tmp_path):
    table = Table(pd.DataFrame({"a": [1.23456, float("nan")], "b": ["x", "y"]}), "Cap", {"a": 2})
    files = save(table, tmp_path, "t")
    assert files[0].read_text() == "a,b\n1.23456,x\n,y\n"
    assert "| 1.23 | x |\n| – | y |" in files[1].read_text() and "Cap" in files[1].read_text()
    assert r"\begin{tabular}" in files[2].read_text()
    assert json.loads(files[3].read_text())["rows"][1] == {"a": None, "b": "y"}


def test_analysis_imports_neither_torch_nor_lightning():
    program = (
        "import sys, pkgutil, importlib, ieee_lib.plots as room\n"
        "for module in pkgutil.iter_modules(room.__path__, 'ieee_lib.plots.'):\n"
        "    importlib.import_module(module.name)\n"
        "import ieee_lib.book.run, ieee_lib.study, ieee_lib.recipes.search\n"
        "assert not {'torch', 'lightning', 'datasets'} & set(sys.modules), 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
