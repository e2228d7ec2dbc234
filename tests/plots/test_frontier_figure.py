"""The figure of loss against compute: a frontier a recipe, small points, where one overtakes."""

import numpy as np
import pandas as pd
import pytest

from ieee_lib import laws, plots, recipes
from ieee_lib.laws.frontier import OTHER
from ieee_lib.plots.frontier import PALE
from tests.laws.test_frontier import points
from tests.plots.conftest import labels


@pytest.fixture
def table():
    return pd.concat(
        [
            points([1.0, 2.0, 8.0, 4.0], [4.6, 4.5, 4.9, 6.0], sigma=0.01),
            points([2.0, 8.0], [4.4, 4.3], recipe="regularized", sigma=0.01),
            points([4.0, 16.0], [4.2, 4.1], recipe=OTHER, sigma=0.01),
        ],
        ignore_index=True,
    )


def test_a_frontier_is_a_staircase_through_its_best_points(table, ax):
    found = laws.fit_frontiers(table)
    plots.loss_frontiers(ax, table, found, title="t")
    names = ["standard (wd 0.1)", "regularized (single model)", "pale: not on a frontier"]
    assert sorted(labels(ax)) == sorted(names)
    (one, other) = (container[0] for container in ax.containers)
    assert one.get_drawstyle() == "steps-post"
    assert list(one.get_xdata()) == [1, 2] and list(one.get_ydata()) == [4.6, 4.5]
    assert list(other.get_xdata()) == [1, 2, 8] and list(other.get_ydata()) == [4.6, 4.4, 4.3]
    ends = [c.get_segments()[0] for c in ax.collections if len(c.get_segments()) == 1]
    assert any(np.allclose(end, [[2, 4.5], [8, 4.5]]) for end in ends), "to its costliest point"
    small = [line for line in ax.lines if line.get_alpha() == PALE]
    assert all(line.get_zorder() < one.get_zorder() for line in small if len(line.get_xdata()))
    assert sorted(x for line in small for x in line.get_xdata()) == sorted(table.flops)
    assert ax.get_xlabel() == "training FLOPs" and ax.get_xscale() == "log"


def test_a_point_far_above_all_frontiers_is_not_shown(table, ax):
    plots.loss_frontiers(ax, table, laws.fit_frontiers(table))
    bottom, top = ax.get_ylim()
    assert top == pytest.approx(4.5 + 0.7 * 0.4) and bottom < 4.1 - 0.02
    assert ax.get_xlim() == pytest.approx((0.85, 1.2 * 16))


def test_where_one_recipe_overtakes_another_is_marked_with_its_interval(table, ax):
    found = laws.fit_frontiers(table)
    plots.loss_frontiers(ax, table, found)
    n_line = len(ax.lines)
    plots.overtaking(ax, laws.crossings(found))
    one, other = ax.lines[n_line:]
    assert one.get_label() == "above the axes: regularized below standard"
    assert other.get_label() == "above the axes: any ensemble below regularized"
    assert list(one.get_xdata()) == [2, 2, 2] and list(other.get_xdata()) == [4, 4, 4]
    top = ax.bbox.y1
    places = [line.get_transform().transform((4, 1))[1] for line in (one, other)]
    assert top < places[0] < places[1], "out of the data's way"
    plots.overtaking(ax, laws.crossings({}))
    assert len(ax.lines) == n_line + 2, "nothing overtakes, nothing is marked"


def test_an_end_of_an_interval_that_is_infinite_stops_at_the_axis(table, ax):
    noisy = points([4.0, 16.0], [4.31, 4.29], recipe=OTHER, sigma=0.05)
    unsure = pd.concat([table[table.recipe != OTHER], noisy], ignore_index=True)
    found = laws.fit_frontiers(unsure)
    plots.loss_frontiers(ax, unsure, found)
    plots.overtaking(ax, laws.crossings(found))
    assert laws.crossings(found)["from"].iloc[-1].ci_high == np.inf
    assert ax.lines[-1].get_xdata()[2] == ax.get_xlim()[1]


def test_parameters_have_ticks_that_can_be_read(study, ax):
    rows = recipes.recorded_points(study, recipes.standard(study), recipes.regularized(study))
    plots.loss_frontiers(ax, rows, laws.fit_frontiers(rows, "parameters"))
    ticks = ax.get_xticks()
    assert (ticks[1:] / ticks[:-1] >= 1.5).all() and ax.get_xticklabels()[0].get_text() == "38.7k"
    assert {"ensembles, tuned for K → ∞", "students, teachers' compute counted"} <= set(labels(ax))
