"""Decay as a timescale: slopes on simulated optima, the paper's cells, suggestions."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from ieee_lib import InputError, Scale
from ieee_lib.config.scale_tables import GRIDS, LR_GRID, WD_GRID
from ieee_lib.laws import slopes, timescale_line
from ieee_lib.laws.published import published
from ieee_lib.laws.timescale import (
    PAPER,
    RESOLUTION,
    LogLine,
    fit_settings,
    published_optima,
    with_timescale,
)


def optima(slope=0.0, *, level=3.0, rng=None, source="a scale", status="certified"):
    """Return sixteen optima at lr · wd · steps = level (N/D)^slope; rng: with a grid's noise."""
    rows = []
    for N, D in itertools.product((1e7, 3e7, 1e8, 3e8), (2e7, 4e7, 8e7, 1.6e8)):
        steps, lr = D / 1e5, 3e-3 * (N / 1e7) ** -0.2
        wd = level * (N / D) ** slope / (lr * steps)
        if rng:
            wd *= math.exp(RESOLUTION["decay"] * rng.standard_normal())
        rows.append({"N": N, "D": D, "wd": wd, "lr": lr, "epochs": 16 * (N / D) ** -0.3})
    frame = pd.DataFrame(rows).assign(source=source, status=status, tokens_per_step=1e5)
    return with_timescale(frame)


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.4])
def test_a_known_slope_comes_out_whatever_the_level_of_each_setup(slope):
    both = pd.concat([optima(slope, source="a"), optima(slope, level=0.5, source="b")])
    line = timescale_line(both)
    assert line.coefficient("ratio").value == pytest.approx(slope)
    assert line.at({"a": 1.0, "ratio": 0.0}).value == pytest.approx(3.0)
    assert line.at({"b": 1.0, "ratio": 0.0}).value == pytest.approx(0.5)
    assert line.sigma == RESOLUTION["decay"], "exact optima are still on a grid"


def test_intervals_cover_the_slope_and_the_next_optimum_as_often_as_they_say():
    rng = np.random.default_rng(1)
    hits, next_hits = [], []
    for _ in range(300):
        line = timescale_line(optima(0.2, rng=rng))
        _, low, high = line.coefficient("ratio")
        hits.append(low <= 0.2 <= high)
        _, low, high = line.at({"a scale": 1.0}, optimum=True)
        one_more = 3 * math.exp(RESOLUTION["decay"] * rng.standard_normal())
        next_hits.append(low <= one_more <= high)
    assert np.mean(hits) >= 0.93 and np.mean(next_hits) >= 0.93  # sigma is never below the grid's


def test_the_papers_cells_are_where_its_scale_starts_and_have_no_slope():
    paper, scale = published_optima(), Scale.load("paper")
    starts = {
        (row.model, row.seed_tokens): (row.wd, row.lr, row.epochs) for row in scale.regularized
    }
    cells = {
        (r["model"], r["D"]): (r["wd"], r["lr"], r["epochs"]) for r in paper.to_dict("records")
    }
    assert cells == starts and len(cells) == 16
    assert scale.training.block_size * scale.training.batch_size == paper.tokens_per_step.max()
    later = published_optima(later=True)
    assert (later.wd != paper.wd).sum() == 1 == (later.epochs != paper.epochs).sum()
    decay = with_timescale(paper).decay
    assert (decay.min(), decay.max()) == pytest.approx((1.92, 5.12))
    assert math.exp(np.log(decay).mean()) == pytest.approx(3.42, abs=0.01)
    row = slopes(with_timescale(paper)).set_index("optima").loc[PAPER]
    assert row.slope == pytest.approx(0.042, abs=0.001)  # derived elsewhere: 0.04 +- 0.08
    assert row["slope ci_low"] < 0 < row["slope ci_high"] < 0.5


def test_what_is_not_certified_is_in_no_line():
    loose = optima(1.0, source="b", status="not searched")
    table = slopes(pd.concat([optima(0.0, source="a"), loose])).set_index("optima")
    assert table.slope["all certified and published"] == pytest.approx(0, abs=1e-9)
    assert table.slope["b, all settings used"] == pytest.approx(1)
    assert "b, certified" not in table.index and table.n["a, certified"] == 16
    assert "a, all settings used" not in table.index, "the same set twice"
    quoted = table[table.source != "here"]
    assert set(quoted.index) == set(published("timescales").optima)
    assert table["slope in D"]["a, certified"] == pytest.approx(0, abs=1e-9)


def test_a_suggestion_is_on_the_grid_with_its_range_and_what_it_rests_on():
    law = fit_settings(optima(0.0))
    start = law.suggest(N=1e8, D=8e7, tokens_per_step=100_000)
    assert start.wd.value in WD_GRID and start.lr.value in LR_GRID
    assert start.epochs.value in GRIDS["epochs"] and start.start["epochs"] == 16
    assert start.decay.value == pytest.approx(3.0)
    assert start.wd.ci_low < start.wd.value < start.wd.ci_high
    assert start.optima == {"a scale": 16} and start.nearest == pytest.approx(1.0)
    assert "from 16 optima (16 of a scale)" in repr(start)
    # Steps of twice the tokens are half as many: twice the decay.
    twice = law.suggest(N=1e8, D=8e7, tokens_per_step=200_000)
    assert twice.wd.ci_high == pytest.approx(2 * start.wd.ci_high)
    assert law.suggest(N=3e9, D=8e7, tokens_per_step=100_000).nearest == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("N", "D", "step", "message"),
    [(0, 1e6, 512, "N = 0"), (1e5, 100, 512, "D = 100"), (1e5, math.nan, 512, "D = nan"),
     (1e5, 1e6, "512", "tokens_per_step = '512'")],
)  # fmt: skip
def test_bad_questions_are_one_clear_line(N, D, step, message):
    with pytest.raises(InputError, match=message):
        fit_settings(optima()).suggest(N, D, step)


def test_too_few_optima_are_refused():
    with pytest.raises(InputError, match=r"optima = 2: must be 3 or more"):
        LogLine(pd.DataFrame({"a": 1.0, "b": [1.0, 2.0]}), pd.Series([1.0, 2.0]), 0.1)
