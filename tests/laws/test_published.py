"""The paper's own points, refitted: what it printed comes out, or the table says so."""

import numpy as np
import pytest

from ieee_lib.laws import fit_power_law
from ieee_lib.laws.published import (
    NOISE,
    limit_pairs,
    multipliers,
    published,
    published_points,
    refits,
)


def test_the_joint_limits_come_out_as_printed_or_are_called_stale():
    table = refits().set_index("law")
    assert table.E["joint law in N at 200M"] == pytest.approx(3.169, abs=5e-4)
    assert table.E["joint law in N at 400M"] == pytest.approx(2.980, abs=5e-4)
    assert table.reproduced["joint law in N at 200M"] == "yes"
    assert table.reproduced["joint law in N at 400M"] == "yes"
    for stale in ("joint law in N at 800M", "joint law in N at 1.6B"):
        assert table.reproduced[stale] != "yes" and "stale" in table.note[stale]
    assert (table["E ci_low"] < table.E).all() and (table["E ci_high"] > table.E).all()


def test_the_printed_multipliers_lie_inside_our_intervals():
    table = multipliers().set_index("recipe")
    for recipe, printed in (("regularized limit", 2.29), ("joint limit", 5.17)):
        row = table.loc[recipe]
        ours = row.refitted
        assert row.printed == printed and ours.ci_low < printed < ours.ci_high
        assert row.inside == "yes"
    unknown = table.loc["5 x 1.4B ensemble"]
    assert unknown.inside == "the loss is not public"
    ours = unknown.refitted
    assert np.isnan([ours.value, ours.ci_low, ours.ci_high]).all()  # unknown stays unknown


def test_published_tables_are_whole():
    assert len(published("k_limits")) == 16
    pairs = limit_pairs()
    assert len(pairs) == 14 and (pairs.gain > -0.001).all()
    equal = pairs[pairs.gain.abs() < 5e-4]
    assert set(equal.stale) == {"likely"} and len(equal) == 3  # the cells called stale
    downstream = published("downstream")
    assert len(downstream) == 30
    tasks = downstream[["arc_easy", "piqa", "sciq"]].dropna()
    assert tasks.mean(axis=1).to_numpy() == pytest.approx(
        downstream.average[tasks.index].to_numpy(), abs=0.01
    )
    for name in ("fig2_epochs", "fig2_sizes", "k_limits", "data_points", "downstream"):
        assert published(name).source.notna().all()


def test_published_points_are_frames_that_laws_are_fitted_to():
    table = refits().set_index("law")
    limits = published_points("k_limits")
    law = fit_power_law(limits[limits.D == 209715200], x="N")
    assert pytest.approx(table.E["joint law in N at 200M"], abs=1e-9) == law.E
    assert law.unit == "N[B]" and law.labels == ["150M", "300M", "600M", "1.4B"]
    assert law.without("150M").n_point == 3 and set(law.sigma) == {NOISE}
    points = published_points("data_points")
    assert [point.se for point in points.loss] == [NOISE] * 12
