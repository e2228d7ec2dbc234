"""Marks: laws, limits and intervals as drawn, what nothing bounds, series removed."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ieee_lib import plots
from ieee_lib.laws import Estimate, fit_power_law
from ieee_lib.laws.estimates import noise_of
from ieee_lib.plots import legends, marks
from tests.plots.conftest import labels
from tests.synthetic import STRAIGHT, law_in_N, near, tuned


def test_the_law_is_drawn_with_its_limit_and_interval(ax):
    table = tuned()
    law = fit_power_law(table, x="N")
    plots.loss_against_parameters(ax, table, law)
    ci_low, ci_high = law.interval("E")
    assert f"limit {law.E:.3f}, 95 % [{ci_low:.3f}, {ci_high:.3f}]" in labels(ax)
    (dashed,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    x, y = dashed.get_data()
    assert x[0] == pytest.approx(0.8 * 4e4) and x[-1] == pytest.approx(3 * 4e5)
    assert y == pytest.approx(law(x / 1e6)), "the axis shows parameters, the law counts millions"
    assert list(ax.get_xticks()) == list(table.N)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["40k", "100k", "200k", "400k"]


@pytest.mark.parametrize("status", ["uncertified", "not searched"])
def test_uncertified_points_are_open(ax, status):
    plots.loss_against_parameters(ax, tuned(status=status))
    names = ["regularized recipe", "hollow: settings not certified as best"]
    handles, shown = ax.get_legend_handles_labels()
    assert sorted(shown) == sorted(names)
    faces = [h.lines[0] if hasattr(h, "lines") else h for h in handles]
    faces = [line.get_markerfacecolor() for line in faces]
    assert faces == ["white", "white"], "a handle looks as its points do"
    plots.loss_against_parameters(ax, tuned(status=status), recipe="standard")
    assert labels(ax).count(names[1]) == 1, "said once"


@pytest.mark.parametrize("ends", [(-np.inf, 4.3), (4.3, np.inf), (-np.inf, np.inf)])
def test_an_interval_that_nothing_bounds_does_not_swallow_the_axis(ax, ends, recwarn):
    ax.plot([1, 2], [4.6, 4.1])
    low, high = ax.get_ylim()
    marks.band(ax, *ends, "k")
    ax.figure.canvas.draw()
    assert ax.get_ylim() == (low, high) and not recwarn.list
    (band,) = ax.patches
    bottom, top = band.get_y(), band.get_y() + band.get_height()
    assert (bottom < low) == np.isinf(ends[0]) and (top > high) == np.isinf(ends[1])


def test_an_end_that_nothing_bounds_is_an_arrow_to_the_edge():
    """A long bar runs to the edge too, without a head: it ends somewhere."""
    spread = 0.1 * noise_of(["01"])
    above, both = spread.copy(), np.where(spread > 0, np.inf, -np.inf)
    above[spread > 0.1] = np.inf
    values = [Estimate(2.0, 2 + draws) for draws in (spread, above, both)]
    edges = [[], [1], [0, 1]]
    no_loss = [Estimate(2.0, np.where(spread > 0, 2 + spread, 0))]  # 0 on a log axis: no bound
    for scale, drawn, expected in (("linear", values, edges), ("log", no_loss, [[0]])):
        with plots.style():
            figure, ax = plt.subplots()
            ax.set_yscale(scale)
            plots.estimates(ax, range(len(drawn)), drawn, "joint", label="joint")
            plots.legend_above(ax)
            figure.canvas.draw()
        places = range(len(drawn))
        arrows = [[t.xy[1] for t in ax.texts if t.xy[0] == x] for x in places]
        assert arrows == expected
        assert all(t.xyann == (t.xy[0], drawn[t.xy[0]].value) for t in ax.texts)
        assert all(t.arrow_patch.get_clip_on() for t in ax.texts)
        bars = [s for s in ax.collections[0].get_segments() if len(s)]
        assert np.isfinite(bars).all() and np.ptp(ax.get_ylim()) < 2
        assert [t.get_text() for t in figure.legends[0].get_texts()] == ["joint", legends.NO_BOUND]


def test_an_arrow_may_lie_along_either_axis(ax):
    marks.arrows(ax, (0, 0), True, False, "k", axis="x")
    (arrow,) = ax.texts
    assert arrow.xy == (0, 0) == arrow.xyann
    ax.set(xlim=(-7, 5), ylim=(-1, 1))
    ax.figure.canvas.draw()
    left = arrow.arrow_patch.get_window_extent().x0
    assert left == pytest.approx(ax.bbox.x0, abs=3), "the edge as it is when drawn"


def test_what_an_arrow_means_is_said_once_a_figure():
    with plots.style():
        figure, axes = plt.subplots(1, 2)
        axes[0].plot([0, 1], [0, 1], label="line")
        for ax in axes:
            marks.arrows(ax, (0.5, 0.5), True, True, "k")
        plots.legend_above(axes[1])
    said = [handle.get_label() for ax in axes for handle in ax.lines]
    assert said.count(legends.NO_BOUND) == 1
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [legends.NO_BOUND]


def test_a_law_whose_limit_nothing_bounds_says_so():
    bounded = law_in_N(4.6, 4.4, 4.3, 4.25)
    assert marks.law_text(law_in_N(*STRAIGHT)) == "fit (limit not determined), 4 points"
    assert f"{bounded.E:.3f}, 4 points" in marks.law_text(bounded)
    assert marks.interval_text(4.0, -np.inf, np.inf) == "4.000 [−∞, ∞]"


def test_a_series_is_removed_from_axes_and_legend(ax):
    table = tuned()
    plots.loss_against_parameters(ax, table.assign(loss=table.loss + 0.3), recipe="standard")
    plots.loss_against_parameters(ax, table, fit_power_law(table, x="N"))
    plots.legend_above(ax)
    figure, n_line = ax.figure, len(ax.lines)
    assert plots.remove(ax, "standard recipe") is ax
    assert "standard recipe" not in labels(ax) and "regularized recipe" in labels(ax)
    (legend,) = figure.legends
    assert "standard recipe" not in [text.get_text() for text in legend.get_texts()]
    assert len(ax.lines) < n_line and len(ax.containers) == 1
    law = next(label for label in labels(ax) if "4 points" in label)
    assert law not in labels(plots.remove(ax, law))


def test_removing_a_series_keeps_a_legend_inside_where_it_is(ax):
    for name in ("a", "b"):
        ax.plot([1, 2], [1, 2], label=name)
    ax.legend()
    plots.remove(ax, "a")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["b"]
    assert not ax.figure.legends


def test_axes_stay_on_the_points(ax):
    ax.set_ylim(-100, 100)
    plots.focus(ax, [near(4.0), near(4.4), Estimate(np.inf, np.full(3, np.inf))])
    assert ax.get_ylim() == pytest.approx((3.8, 4.6))
