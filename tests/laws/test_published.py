"""The paper's own points, refitted: what it printed comes out, or the table says so."""

import pytest

from ieee_lib.laws.coverage import CASES, coverage_frame
from ieee_lib.laws.published import limit_pairs, multipliers, published, refits


def test_the_joint_limits_come_out_as_printed_or_are_called_stale():
    table = refits().set_index("law")
    assert table.E["joint law in N at 200M"] == pytest.approx(3.169, abs=5e-4)
    assert table.E["joint law in N at 400M"] == pytest.approx(2.980, abs=5e-4)
    assert table.reproduced["joint law in N at 200M"] == "yes"
    assert table.reproduced["joint law in N at 400M"] == "yes"
    for stale in ("joint law in N at 800M", "joint law in N at 1.6B"):
        assert table.reproduced[stale] != "yes" and "stale" in table.note[stale]
    assert (table["E low"] < table.E).all() and (table["E high"] > table.E).all()


def test_the_printed_multipliers_lie_inside_our_intervals():
    table = multipliers().set_index("recipe")
    for recipe, printed in (("regularized limit", 2.29), ("joint limit", 5.17)):
        row = table.loc[recipe]
        assert row.printed == printed and row.low < printed < row.high and row.inside == "yes"
    unknown = table.loc["5 x 1.4B ensemble"]
    assert unknown.inside == "the loss is not public"
    assert unknown[["refitted", "low", "high"]].isna().all()  # unknown stays unknown


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


@pytest.mark.parametrize("case", [c for c in CASES if c[1] != "bootstrap"][:4], ids=str)
def test_intervals_hold_the_truth_about_as_often_as_they_say(case, monkeypatch):
    """Fewer data sets than the benchmark's 500, with the bounds that this allows."""
    monkeypatch.setattr("ieee_lib.laws.coverage.CASES", {case: CASES[case]})
    (row,) = coverage_frame(n=150, noises=(0.01,)).to_dict("records")
    assert 0.89 <= row["coverage"] <= 0.99, row
