"""Figures of notebooks 04 and 05: what is drawn of a limit, and of one that does not exist."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ieee_lib import laws, plots
from ieee_lib.laws.estimates import Estimate
from ieee_lib.plots import marks
from ieee_lib.plots.style import readable
from tests.laws.test_data_efficiency import exactly, limit_in_N
from tests.plots.conftest import labels
from tests.synthetic import ensembles_by_model


@pytest.fixture
def falling():
    return limit_in_N(4.6, 4.4, 4.3, 4.25)


@pytest.fixture
def rising():
    return limit_in_N(5.1, 5.2, 5.4, 5.9)


def standard_and(recipe, loss):
    """Return losses of the standard recipe at three D, and one of another recipe, with its law."""
    D = [10**5, 2 * 10**5, 4 * 10**5]
    losses = [exactly(4.6), exactly(4.4), exactly(4.3)]
    table = pd.DataFrame({"recipe": "standard", "D": D, "loss": losses})
    law = laws.fit_power_law(table, x="D")
    table.loc[3] = [recipe, D[1], loss]
    reference = dict(zip(D, losses, strict=True))
    return table.assign(efficiency=laws.data_efficiencies(table, law, reference)), law


def test_a_limit_that_does_not_exist_is_said_and_has_no_arrow(ax, rising):
    losses, law = standard_and("joint", rising.limit)
    plots.data_efficiency_arrow(ax, losses, law, D=200_000, recipe="joint")
    assert "joint, D = 200,000: no limit" in labels(ax) and not ax.texts


def test_an_arrow_goes_from_a_loss_to_the_data_that_the_standard_recipe_needs(ax):
    losses, law = standard_and("regularized", exactly(4.35))
    plots.data_efficiency_arrow(ax, losses, law, D=200_000, recipe="regularized")
    (arrow,) = ax.texts
    assert arrow.xyann == (200_000, 4.35)
    assert arrow.xy == (pytest.approx(1e6 * law.inverse(4.35)), 4.35)
    gain = losses.efficiency[3]
    assert f"data efficiency {gain!r}" in labels(ax) and gain.value > 1


def test_a_loss_below_the_standard_limit_has_no_arrow(ax):
    losses, law = standard_and("regularized", exactly(2.0))
    plots.data_efficiency_arrow(ax, losses, law, D=200_000, recipe="regularized")
    assert not ax.texts
    assert "below the standard law's limit: no amount of data reaches it" in labels(ax)


def test_a_law_that_rises_has_no_limit_to_draw(falling):
    """Many members of large models on few tokens: their limits in K rise with N."""
    rising = limit_in_N(5.1, 5.12, 5.16, 5.25)
    with plots.style():
        _, (one, many) = plt.subplots(1, 2)
        plots.laws_by_data(one, {8: falling}, "regularized", title="t")
        plots.laws_by_data(many, {4: rising, 8: falling}, "joint", title="t")
    texts = [text.get_text() for text in many.get_legend().get_texts()]
    assert texts[:2] == ["D = 4: none", "K → ∞ limits"] and texts[2].startswith("D = 8: 4.")
    n_limit = [len(ax.containers) - n_law for ax, n_law in ((one, 1), (many, 2))]
    assert n_limit == [1, 1]


def test_k_limits_have_the_colour_of_ensembles_and_laws_through_them_that_of_the_joint_limit(
    ax, falling
):
    plots.laws_by_data(ax, {8: falling}, "joint", title="t")
    points, limit = (container.lines[0] for container in ax.containers)
    (curve,) = (line for line in ax.lines if line.get_linestyle() == "--")
    looks = [(line.get_color(), line.get_marker()) for line in (points, limit)]
    assert looks == [(plots.COLORS[r], plots.MARKERS[r]) for r in ("ensemble", "joint")]
    assert curve.get_color() == plots.COLORS["joint"]


def test_bars_of_limits_stand_beside_one_another(ax, falling):
    other = limit_in_N(4.9, 4.7, 4.6, 4.55)
    plots.laws_by_data(ax, {4: other, 8: falling}, "joint", title="t")
    limits = [bar for bar in ax.containers if len(bar.lines[0].get_xdata()) == 1]
    places = [bar.lines[0].get_xdata()[0] for bar in limits]
    largest = max(falling.frame["N"])
    assert largest < places[0] < places[1] < ax.get_xlim()[1]
    assert "∞" in [text.get_text() for text in ax.get_xticklabels()]
    ends = [bar.lines[2][0].get_segments()[0][:, 1] for bar in limits]
    expected = [[law.limit.ci_low, law.limit.ci_high] for law in (other, falling)]
    assert np.array(ends) == pytest.approx(np.array(expected))


def test_the_right_axis_marks_each_loss_with_its_data_efficiency(ax, rising):
    ax.set_ylim(4.0, 5.0)
    gains = pd.DataFrame(
        {
            "recipe": ["standard", "regularized", "ensemble", "joint"],
            "loss": [exactly(4.5), exactly(4.3), exactly(4.29), rising.limit],
            "efficiency": [exactly(1.0), exactly(1.5), exactly(np.inf), exactly(2.0)],
        }
    )
    plots.efficiency_axis(ax, gains)
    (right,) = (other for other in ax.figure.axes if other is not ax)
    names = [text.get_text() for text in right.get_yticklabels()]
    ticks = dict(zip(names, right.get_yticks(), strict=True))
    assert right.get_ylim() == ax.get_ylim() and list(ticks) == ["1.00x", "1.50x", "∞"]
    assert ticks["1.00x"] == 4.5 and ticks["∞"] == 4.29
    assert ticks["1.50x"] == pytest.approx(4.35), "a label is moved up from one too near"
    color = right.get_yticklabels()[1].get_color()
    assert color == readable(plots.COLORS["regularized"])
    ax.set_ylim(3.0, 6.0)
    assert right.get_ylim() == (3.0, 6.0), "a reader who zooms moves both axes"


def test_recipes_stand_side_by_side_on_their_laws(ax):
    losses, law = standard_and("regularized", exactly(4.35))
    plots.loss_by_data(ax, losses, {"standard": law})
    assert labels(ax)[-2:] == ["standard, best model", "regularized, N → ∞"]
    (curve,) = (line for line in ax.lines if line.get_linestyle() == "--" and len(line.get_xdata()))
    points = [c.lines[0].get_xdata() for c in ax.containers]
    assert curve.get_xdata()[0] == pytest.approx(points[0][0]) and points[1][0] > points[0][1]
    assert curve.get_ydata()[0] == pytest.approx(law(0.1))


def test_one_long_bar_does_not_swallow_the_axis_of_data_efficiency(ax):
    wide = Estimate(2.0, np.geomspace(1.0, 500.0, 1000))
    gains = pd.DataFrame({"recipe": "joint", "D": [1000, 2000], "efficiency": [exactly(1.5), wide]})
    plots.efficiency_by_data(ax, gains)
    assert ax.get_ylim() == (0.8, 8.0)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["1x", "2x", "3x", "5x"]


def test_the_limits_of_every_model_stand_at_infinity(ax):
    by_model = ensembles_by_model()
    plots.limits_in_members(ax, by_model)
    assert labels(ax) == list(by_model)
    at_infinity = [c.lines[0].get_ydata()[0] for c in ax.containers]
    assert at_infinity == [law.limit.value for law in by_model.values()]
    _, right = plt.subplots()
    joint = laws.fit_power_law(laws.ensembles_frame(by_model), "limit", x="N")
    plots.limits_in_parameters(right, joint)
    assert "K → ∞ limits" in labels(right)
    assert marks.limit_label("joint limit", joint.limit) in labels(right)
