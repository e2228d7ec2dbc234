"""Recipes at every D: which runs, in which order, and what their frames hold."""

import dataclasses

import pytest

from ieee_lib import Scale, recipes
from ieee_lib.recipes import data_scaling
from ieee_lib.runs.store import Archive, RunStore
from ieee_lib.study import Study


@pytest.fixture
def study(home):
    scale = Scale.load("smoke")
    return Study(scale, "records", RunStore.of("smoke"), "0" * 16, None)


class Stop(Exception):
    """Ends a recipe at its first training."""


def first_batch(study, monkeypatch):
    """Return label, D and weights of the first batch that a recipe trains."""
    batches = []
    read = Study.ensure

    def ensure(self, specs, *, weights=False, label="training"):
        if self is not study:  # a reader, which asks what is recorded
            return read(self, specs, weights=weights, label=label)
        batches.append((label, {spec.seed_tokens for spec in specs}, weights))
        raise Stop

    monkeypatch.setattr(Study, "ensure", ensure)
    for recipe in (recipes.standard_by_data, recipes.regularized_by_data):
        with pytest.raises(Stop):
            recipe(study)
    assert batches[0] == batches[1] or study.scale.search.ladder
    return batches[0]


def test_what_is_not_searched_trains_in_one_batch(study, monkeypatch):
    assert not study.scale.search.ladder
    others = set(study.scale.seed_tokens) - {study.scale.base_tokens}
    batch = first_batch(study, monkeypatch)
    assert batch == ("all D but the base", others, True)


def test_a_searched_ladder_trains_search_by_search(study, monkeypatch):
    search = dataclasses.replace(study.scale.search, ladder=True)
    study = dataclasses.replace(study, scale=dataclasses.replace(study.scale, search=search))
    label, D, _ = first_batch(study, monkeypatch)
    assert label != "all D but the base" and len(D) == 1


def test_the_runs_of_one_D_are_two_recipes_and_the_members_of_every_model(study):
    scale = study.scale
    D = next(d for d in scale.seed_tokens if scale.base_tokens != d)
    members = {spec.run_id for spec in data_scaling.joint_specs(study, D)}
    specs = data_scaling.data_scaling_specs_at(study, D)
    assert {spec.seed_tokens for spec in specs} == {D}
    assert len(members) == len(scale.members()) * scale.ensembles.ladder_members
    assert members < {spec.run_id for spec in specs}
    every = {spec.run_id for spec in data_scaling.data_scaling_specs(study)}
    assert {spec.run_id for spec in specs} < every


def test_frames_hold_every_D_of_the_recorded_ladder():
    study = Study.open("laptop", source="archive")
    standard, tuned = recipes.standard_by_data(study), recipes.regularized_by_data(study)
    assert list(standard.D.unique()) == study.scale.ladder("standard")
    assert list(tuned.D.unique()) == study.scale.ladder()
    base = tuned[tuned.D.eq(study.scale.base_tokens)].reset_index(drop=True)
    assert base.equals(recipes.regularized(study))
    scores = recipes.ensembles_by_data(study, tuned)
    assert set(scores.D) == set(tuned.D)
    assert (scores.groupby("D").noise.nunique() == 1).all(), "noise is pooled over one D"
    assert scores.groupby("D").noise.first().nunique() == 3


def test_the_noise_of_a_model_rests_on_the_seeds_at_its_D_and_the_base_D():
    study = Study.open("laptop", source="archive")
    every = recipes.regularized_by_data(study)
    replicates = (every.n - 1).groupby(every.D).sum()
    base = study.scale.base_tokens
    for D, rows in every.groupby("D"):
        expected = replicates[D] + (replicates[base] if base != D else 0)
        assert set(rows.dof) == {expected} and rows.sigma.nunique() == 1
    assert every.sigma.nunique() == every.D.nunique()


def test_the_noise_does_not_depend_on_what_was_asked_first(home):
    """As in a session that trains: the base D is asked for before others are recorded."""
    archive, store = Archive.of("laptop"), RunStore.of("laptop")
    reader = Study.open("laptop", source="archive")
    study = Study(reader.scale, "records", store, reader.fingerprint, None)
    for record in archive.records():
        if record["kind"] == "train" and record["spec"]["seed_tokens"] == study.scale.base_tokens:
            store.put(record)
    alone = recipes.regularized(study)
    assert set(alone.dof) == {(alone.n - 1).sum()}
    for record in archive.records():
        store.put(record)
    expected = recipes.regularized_by_data(reader)
    every = recipes.regularized_by_data(study)
    assert every.equals(expected)
    assert recipes.regularized(study).equals(
        expected[study.scale.base_tokens == expected.D].reset_index(drop=True)
    )
