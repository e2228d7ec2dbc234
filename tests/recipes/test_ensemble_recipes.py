"""Which members an ensemble has: the paper's heuristic, seeds, neighbours."""

import dataclasses
import re
import tomllib

import pytest

from ieee_lib import InputError, Scale
from ieee_lib.config import EnsembleSpec
from ieee_lib.config.scale import FOLDER
from ieee_lib.config.scale_tables import Settings
from ieee_lib.recipes import ensembles as recipe
from ieee_lib.recipes import regularized
from ieee_lib.runs.store import RunStore
from ieee_lib.study import Study

PAPER = """
200 150M 32 3e-3 0.4 | 200 300M 32 3e-3 0.8 | 200 600M 16 1e-3 1.6 | 200 1.4B 16 1e-3 1.6
400 150M 64 3e-3 0.4 | 400 300M 32 3e-3 0.4 | 400 600M 16 1e-3 0.8 | 400 1.4B 16 1e-3 1.6
800 150M 128 3e-3 0.2 | 800 300M 32 3e-3 0.2 | 800 600M 32 3e-3 0.2 | 800 1.4B 16 1e-3 0.8
1600 150M 128 3e-3 0.1 | 1600 300M 64 1e-3 0.2 | 1600 600M 32 1e-3 0.4 | 1600 1.4B 16 1e-3 0.4
"""
"""Member settings as published (paper's ensemble_members.py): tokens (M), model, epochs, lr, wd."""


@pytest.fixture
def study(home):
    scale = Scale.load("smoke")
    return Study(scale, "records", RunStore.of("smoke"), "0" * 16, None)


def test_the_heuristic_gives_the_papers_whole_table():
    scale = Scale.load("paper")
    found = {(s.seed_tokens // 2**20, s.model): recipe.heuristic(s) for s in scale.regularized}
    rows = [cell.split() for line in PAPER.strip().splitlines() for cell in line.split("|")]
    assert len(rows) == 16
    for tokens, model, epochs, lr, wd in rows:
        settings = found[int(tokens), model]
        assert settings.epochs == int(epochs), (tokens, model)
        assert (settings.lr, settings.wd) == (float(lr), float(wd)), (tokens, model)


def test_members_differ_by_what_was_asked(study):
    settings = study.scale.settings("regularized", 4096)[0]
    seeds = {
        vary: [(m.init_seed, m.data_seed) for m in e.members]
        for vary, e in recipe.seed_ablation_specs(study, settings).items()
    }
    assert seeds == {
        "init and order": [(0, 0), (1, 1)],
        "init only": [(0, 0), (1, 0)],
        "order only": [(0, 0), (0, 1)],
    }
    around = recipe.neighbour_specs(study, recipe.heuristic(settings))
    found = {(e.members[0].epochs, e.members[0].wd) for e in around}
    assert found == {(8, 0.4), (32, 0.4), (16, 0.2), (16, 0.8)}
    centres = study.scale.settings("regularized", 4096)
    assert [len(e.members) for e in recipe.single_optimum_specs(study, centres)] == [2, 3, 2, 2]
    assert [len(e.members) for e in recipe.member_ensembles(study, centres)] == [3, 3, 3, 3]
    assert study.scale.members_at(4096) == 3 and study.scale.members_at(2048) == 2


def test_recorded_ensembles_are_those_of_the_section_that_have_scores(monkeypatch):
    study = Study.open("laptop", source="archive")
    tuned = regularized(study)
    scores = recipe.recorded_ensembles(study, tuned)
    heuristic = recipe.tuned_ensembles(study, tuned)
    assert set(heuristic.ensemble) < set(scores.ensemble) and scores.ensemble.nunique() > 15
    assert not scores.duplicated(["ensemble", "members"]).any()
    grid = set(recipe.ensemble_grid(study).ensemble) - set(heuristic.ensemble)
    get = type(study.store).get
    monkeypatch.setattr(
        type(study.store), "get", lambda self, i: None if i in grid else get(self, i)
    )
    assert set(recipe.recorded_ensembles(study, tuned).ensemble) == set(scores.ensemble) - grid


def test_an_ensemble_is_named_by_its_members_in_order(spec):
    a, b = spec, spec.replace(init_seed=1)
    assert EnsembleSpec((a, b)).run_id == EnsembleSpec((a, b)).run_id
    assert EnsembleSpec((a, b)).run_id != EnsembleSpec((b, a)).run_id
    shared = EnsembleSpec((a, b)).to_dict()
    assert shared["members"] == [a.run_id, b.run_id] and shared["wd"] == a.wd
    assert "init_seed" not in shared


@pytest.mark.parametrize(
    ("members", "allowed"),
    [
        (lambda s: (), "at least one member"),
        (lambda s: (s, s), "must not hold a member twice"),
        (lambda s: (s, s.replace(val_sequences=8)), "must have the val_sequences of the first"),
        (lambda s: (s, s.replace(corpus="f" * 16)), "must have the corpus of the first"),
    ],
)
def test_bad_ensembles_are_refused(spec, members, allowed):
    with pytest.raises(InputError, match=allowed):
        EnsembleSpec(members(spec))


def test_settings_at_the_edge_of_the_grid_stay_on_it():
    edge = Settings(model="m", seed_tokens=1, wd=0.0, lr=1e-3, epochs=128)
    assert recipe.heuristic(edge) == edge


def with_settings(rows):
    table = tomllib.loads((FOLDER / "smoke.toml").read_text(encoding="utf-8"))
    table["ensembles"]["settings"] = rows
    return Scale.from_dict("smoke", table)


def a_row(scale, **changes):
    """Return members' settings of the largest model at the base, as a scale file has them."""
    row = scale.settings("regularized", scale.base_tokens)[-1]
    return {**dataclasses.asdict(row), "wd": 0.2, "epochs": 4, **changes}


def test_members_take_searched_settings_where_the_scale_has_them(study):
    row = a_row(study.scale)
    scale = with_settings([row])
    searched = dataclasses.replace(study, scale=scale)
    centres = scale.settings("regularized", scale.base_tokens)
    *others, last = recipe.member_ensembles(searched, centres)
    assert {(m.wd, m.epochs) for m in last.members} == {(0.2, 4)}
    assert others == recipe.member_ensembles(study, centres)[:-1], "others keep the heuristic"
    smaller = scale.settings("regularized", scale.seed_tokens[0])[-1]
    assert recipe.member_settings(scale, smaller) == recipe.heuristic(smaller), "nor another D"
    assert recipe.single_optimum_specs(searched, centres) == recipe.single_optimum_specs(
        study, centres
    )
    assert recipe.members_note(study.scale) == "members at the heuristic's settings"
    assert recipe.members_note(scale).endswith(f"at searched ones: {row['model']}")
    assert recipe.searched_members(scale) == [row["model"]]
    assert recipe.searched_members(study.scale) == []


@pytest.mark.parametrize("members", [2, 4])
def test_neighbours_of_the_heuristic_have_as_many_members_as_its_ensemble(study, members):
    table = dataclasses.replace(study.scale.ensembles, members=members)
    study = dataclasses.replace(study, scale=dataclasses.replace(study.scale, ensembles=table))
    centre = study.scale.settings("regularized", study.scale.base_tokens)[0]
    around = recipe.neighbour_specs(study, recipe.heuristic(centre))
    assert {len(each.members) for each in around} == {members}
    (own,) = recipe.member_ensembles(study, [centre])
    assert len(own.members) == members


@pytest.mark.parametrize(
    ("changes", "named", "allowed"),
    [
        ({"model": "9B"}, "ensembles.settings[0].model", "allowed are"),
        ({"seed_tokens": 1024 * 64}, "ensembles.settings[0]", "under regularized at D = 65536"),
        ({"wd": 0.3}, "wd", "allowed are"),
    ],
)
def test_bad_members_settings_are_refused(study, changes, named, allowed):
    with pytest.raises(InputError, match=re.escape(allowed)) as error:
        with_settings([a_row(study.scale, **changes)])
    assert named in str(error.value)


def test_members_settings_come_once_and_never_for_the_model_that_tests_the_heuristic(study):
    row = a_row(study.scale)
    with pytest.raises(InputError, match="listed once"):
        with_settings([row, row])
    with pytest.raises(InputError, match="it tests the heuristic"):
        with_settings([a_row(study.scale, model=study.scale.ensembles.model)])
