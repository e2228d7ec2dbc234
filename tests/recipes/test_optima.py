"""Known optima of recorded scales and the paper, and searches that start from them."""

import numpy as np
import pytest

from ieee_lib import Scale, recipes
from ieee_lib.config.scale_tables import GRIDS
from ieee_lib.laws.timescale import fit_settings
from ieee_lib.recipes import optima, single, tuned
from ieee_lib.study import Study


@pytest.fixture(scope="module")
def known():
    return recipes.recorded_optima(Study.open("laptop", source="archive"))


def test_every_recorded_scale_and_the_paper_are_there_from_either_one(known):
    assert dict(known.source.value_counts()) == {
        "the paper": 16, "workstation scale": 16, "laptop scale": 12,
    }  # fmt: skip
    assert known[known.counts].source.value_counts().to_dict() == {
        "the paper": 16, "laptop scale": 4, "workstation scale": 4,
    }  # fmt: skip
    columns = ["source", "model", "D", "decay", "counts"]
    other = recipes.recorded_optima(Study.open("workstation", source="archive"))
    rows = [set(frame[columns].itertuples(index=False, name=None)) for frame in (known, other)]
    assert rows[0] == rows[1]
    row = known[(known.model == "0.07M") & (known["D"] == 28_672)].iloc[0]
    assert row.decay == pytest.approx(1e-2 * 1.6 * 56) and row.tau == pytest.approx(1 / 0.896)


def steps_off(start, row):
    """How many steps of the grid a suggestion is away from an optimum, on each axis."""
    return [
        abs(GRIDS[axis].index(start[axis]) - GRIDS[axis].index(row[axis]))
        for axis in single.AXES["regularized"]
    ]


def test_suggestions_come_near_every_certified_optimum_that_they_did_not_see(known):
    certified = known[known.counts].reset_index(drop=True)
    off = []
    for i, row in enumerate(certified.to_dict("records")):
        law = fit_settings(certified.drop(index=i))
        start = law.suggest(row["N"], int(row["D"]), int(row["tokens_per_step"])).start
        off.append(steps_off(start, row))
    assert np.max(off, axis=0).tolist() == [2, 1, 1]  # wd, lr, epochs
    assert np.mean(off, axis=0) == pytest.approx([0.58, 0.29, 0.42], abs=0.01)


def test_the_ranges_hold_the_settings_that_the_recorded_scales_use(known):
    law, inside = optima.settings_law(), []
    for row in known[~known.counts].to_dict("records"):
        near = law.suggest(row["N"], int(row["D"]), int(row["tokens_per_step"]))
        inside += [near.decay.ci_low <= row["decay"] <= near.decay.ci_high]
    assert (sum(inside), len(inside)) == (14, 20)  # fewer than 95 %: see LOG, 2026-11-30


def test_a_suggestion_does_not_depend_on_what_was_trained_here(home):
    assert repr(recipes.suggest_settings(1e5, 5e4, 512)) == repr(
        recipes.suggest_settings(1e5, 5e4, 512)
    )
    known = {"laptop scale": 4, "the paper": 16, "workstation scale": 4}
    assert recipes.suggest_settings(1e5, 5e4, 512).optima == known


class Asked(Exception):
    """Ends a search at its first question."""


def test_a_search_starts_from_suggestions_only_where_its_scale_gives_no_start(monkeypatch):
    begun = []
    optima.settings_law()  # the searches of the recorded scales, before they are counted

    def search(study, starts, *, axes, label):
        begun.append((starts, axes))
        raise Asked

    monkeypatch.setattr(single, "search", search)
    monkeypatch.setattr(tuned, "search", search)
    study = Study.open("laptop", source="archive")
    D = study.scale.seed_tokens[-1]
    assert not study.scale.settings("regularized", D)
    for tokens in (None, D):
        with pytest.raises(Asked):
            recipes.regularized(study, tokens)
    (listed, _), (suggested, axes) = begun
    assert listed == Scale.load("laptop").settings("regularized", 28_672)
    assert axes == single.AXES["regularized"] and [s.seed_tokens for s in suggested] == 4 * [D]
    assert [s.model for s in suggested] == study.scale.ladder_models()
    N = study.scale.models["0.07M"].count().total
    values = recipes.suggest_settings(N, D, 512).start
    assert {axis: getattr(suggested[1], axis) for axis in values} == values
