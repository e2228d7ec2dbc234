"""Figures of notebooks 00 to 03 and 09: series, places and labels."""

import numpy as np
import pytest

from ieee_lib import laws, plots, recipes
from ieee_lib.plots import marks
from ieee_lib.plots.style import GREY
from tests.plots.conftest import labels
from tests.synthetic import epoch_runs, tuned


def test_parameters_by_group_are_shares_of_the_total(study, ax):
    counts = recipes.model_sizes(study)
    published = laws.published("presets").set_index("model").total
    assert counts.set_index("model").total[published.index].equals(published.astype("int64"))
    assert list(counts.model[6:]) == list(study.scale.models)
    plots.parameter_shares(ax, counts)
    assert labels(ax) == ["embedding", "lm_head", "attention", "mlp", "norm"]
    ends = [bar.get_x() + bar.get_width() for bar in ax.containers[-1]]
    assert ends == pytest.approx([1.0] * len(counts))
    assert ax.texts[0].get_text() == "154M"


def test_loss_against_epochs_marks_the_lowest(ax):
    runs = epoch_runs()
    validation = laws.seed_means(runs, ["epochs"])
    training = laws.seed_means(runs, ["epochs"], value="train_loss")
    plots.loss_against_epochs(ax, validation, training)
    assert labels(ax) == ["validation, lowest: 4.02 at 4 epochs", "training"]
    drawn = [container[0].get_ydata() for container in ax.containers]
    assert [list(y) for y in drawn] == [list(validation.loss), list(training.loss)]
    assert list(ax.get_xticks()) == [1, 4, 16]


def test_one_curve_stands_out_of_the_others(study, ax):
    runs = recipes.overfitting(study)
    curves = study.mean_curves(runs, "epochs")
    plots.one_curve(ax, curves, 16, "standard", name="epochs")
    last = curves[16].val_loss.iloc[-1]
    ours = [
        f"epochs 16: validation, {last:.3f} at the end",
        "epochs 16: training, mean since the last point",
    ]
    assert labels(ax) == ["other epochs: validation", *ours]
    assert ax.get_ylabel() == "loss (nats/token)", "the training loss is there too"
    assert len(ax.lines) == len(curves) + 1


def test_a_law_through_some_points_shows_the_others_hollow(ax):
    law = laws.fit_power_law(tuned(), x="N").without("d")
    plots.law_through(ax, tuned(), law)
    assert {"in the fit", "left out"} <= set(labels(ax)) and "3 points" in labels(ax)[0]
    filled, hollow = (container[0].get_xdata() for container in ax.containers)
    assert list(filled) == [4e4, 1e5, 2e5] and list(hollow) == [4e5]


def test_the_papers_laws_are_drawn_with_their_limits(ax):
    limits = laws.published_points("k_limits")
    in_N = {D: laws.fit_power_law(rows, x="N") for D, rows in limits.groupby("D")}
    plots.published_limits(ax, in_N)
    assert [label.partition(":")[0] for label in labels(ax)] == [
        "K → ∞ limits",
        "arrow",
        "D = 210M",
        "D = 419M",
        "D = 839M, cells likely stale",
        "D = 1.68B, cells likely stale",
    ]
    assert "3.169 [3.141, 3.192]" in labels(ax)[2]
    at_infinity = [container.lines[0].get_ydata()[0] for container in ax.containers]
    assert at_infinity == [law.E for law in in_N.values()]
    assert ax.lines[0].get_xdata() == pytest.approx([1.5e8, 3e8, 6e8, 1.4e9])
    points = [line for line in ax.lines if line.get_marker() == plots.MARKERS["ensemble"]]
    assert [line.get_color() for line in points] == marks.shades("ensemble", 4)
    ends = [container.lines[0] for container in ax.containers]
    assert [line.get_color() for line in ends] == marks.shades("joint", 4)
    assert {line.get_marker() for line in ends} == {plots.MARKERS["joint"]}


def test_the_papers_recipes_keep_their_colours(ax):
    points = laws.published_points("data_points")
    in_D = {r: laws.fit_power_law(rows, x="D") for r, rows in points.groupby("recipe", sort=False)}
    plots.published_recipes(ax, in_D)
    marked = [line for line in ax.lines if line.get_marker() != "None"]
    series = [line for line in marked if len(line.get_xdata()) == 4]
    assert [line.get_color() for line in series] == [plots.COLORS[recipe] for recipe in in_D]
    ends = [container.lines[0].get_color() for container in ax.containers]
    assert ends == [plots.COLORS[recipe] for recipe in in_D]
    assert np.all(marked[0].get_xdata() == sorted(set(points.D)))


def test_the_papers_overfitting_is_drawn_as_printed(ax):
    epochs, sizes = laws.published("fig2_epochs"), laws.published("fig2_sizes")
    plots.published_epochs(ax, epochs)
    assert list(ax.lines[0].get_ydata()) == list(epochs.loss)
    ax.clear()
    plots.published_sizes(ax, sizes)
    assert list(ax.lines[0].get_ydata()) == list(sizes.sort_values("N").loss)
    ticks = [text.get_text() for text in ax.get_xticklabels()]
    assert ticks == ["150M", "300M", "600M", "1.4B", "\n1.5B", "3.2B"], "a line lower, not left out"


def test_the_timescale_shows_what_is_certified_and_what_is_not(study, ax):
    optima = recipes.recorded_optima(study)
    plots.decay_against_ratio(ax, optima, laws.timescale_line(optima[optima.counts]))
    shown = labels(ax)
    assert {"laptop scale (4)", "laptop scale, not certified (8)", "the paper (16)"} <= set(shown)
    points = dict(zip(shown, ax.get_legend_handles_labels()[0], strict=True))
    certified = optima[optima.counts & (optima.source == "laptop scale")]
    assert list(points["laptop scale (4)"].get_ydata()) == list(certified.decay)
    hollow = points["laptop scale, not certified (8)"].get_markerfacecolor()
    assert hollow == "white" != points["laptop scale (4)"].get_markerfacecolor()
    assert len(ax.collections) == 3, "a band for each source in the line"


def test_slopes_beyond_the_axis_run_to_its_edge_and_no_bound_is_an_arrow(study, ax):
    table = laws.slopes(recipes.recorded_optima(study))
    plots.slopes_in_ratio(ax, table)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[0] == "all certified and published (24)" and "Power Lines, one pass" in names
    wide = table[(table["slope ci_high"] > 0.75) & (table["slope ci_low"] < -0.75)]
    bars = [line.get_xdata() for line in ax.lines if line.get_linestyle() == "-"]
    left, right = ax.get_xlim()
    assert len(wide) == 2 == sum(low < left and high > right for low, high in bars)
    assert not ax.texts, "each of them has bounds"
    colors = [line.get_color() for line in ax.lines if line.get_linestyle() == "-"]
    assert colors[5:7] == [GREY, GREY] and GREY not in colors[:5], "the paper's are grey"
    table.loc[0, "slope ci_high"] = np.inf
    plots.slopes_in_ratio(ax, table)
    (arrow,) = ax.texts
    assert arrow.xy == (1, 0) and arrow.xyann == (table.slope[0], 0)
