"""Points of loss against cost are what the records say, and nothing else is read or trained."""

import functools

import pytest

from ieee_lib import laws, recipes
from ieee_lib.laws.frontier import AT_OPTIMUM, FOR_MANY, OTHER
from ieee_lib.recipes.ensembles import centres_of, member_settings
from ieee_lib.study import Study

SINGLE = ["standard", "regularized"]


@pytest.fixture(scope="module", params=["laptop", "workstation"])
def study(request):
    return Study.open(request.param, source="archive")


@pytest.fixture(scope="module")
def tuned(study):
    return recipes.regularized(study)


@pytest.fixture(scope="module")
def points(study, tuned):
    return recipes.recorded_points(study, recipes.standard(study), tuned)


def test_every_run_without_options_is_in_one_point(study, points):
    runs = study.runs().query("D == @study.scale.base_tokens and start == '' and synthetic == ''")
    usual = (runs.optimizer == "adamw") & (runs.decay_mask == "paper") & ~runs.reshuffle
    usual &= (runs.options == "") & (runs.batch_size == study.scale.training.batch_size)
    runs = runs[usual & (runs.dropout == 0)].set_index("run_id")
    singles = points[points.recipe.isin(SINGLE)]
    named = [run_id for ids in singles.run_ids for run_id in ids]
    assert len(named) == len(set(named)) and set(named) == set(runs.index)
    for row in singles.to_dict("records"):
        group = runs.loc[list(row["run_ids"])]
        assert row["loss"].value == pytest.approx(group.val_loss.mean())
        assert set(group.flops) == {row["flops"]} and set(group.N) == {row["parameters"]}
        assert (row["recipe"] == "standard") == (row["wd"] == 0.1)


def test_an_ensemble_costs_its_members_and_is_called_by_their_settings(study, tuned, points):
    ensembles = points[points.recipe.isin([AT_OPTIMUM, FOR_MANY, OTHER])]
    assert not ensembles.duplicated(["model", "wd", "lr", "epochs", "K"]).any()
    assert (ensembles.parameters == ensembles.N * ensembles.K).all() and ensembles.K.min() == 2
    for row in ensembles.to_dict("records"):
        members = [study.store.get(run_id) for run_id in row["run_ids"][: row["K"]]]
        assert row["flops"] == sum(member["flops"] for member in members)
    for_many = functools.partial(member_settings, study.scale)
    for recipe, settings in ((AT_OPTIMUM, lambda centre: centre), (FOR_MANY, for_many)):
        expected = {(c.model, settings(c).wd, settings(c).epochs) for c in centres_of(tuned)}
        rows = points[points.recipe == recipe]
        found = set(zip(rows.model, rows.wd, rows.epochs, strict=True))
        assert found and found <= expected
        others = points[points.recipe == OTHER]
        assert not expected & set(zip(others.model, others.wd, others.epochs, strict=True))


def test_a_student_costs_its_teachers_and_what_they_wrote(study, points):
    students = points[points.recipe == "distilled"]
    assert len(students) >= 7 and (students.parameters == students.N).all()
    for row in students.to_dict("records"):
        own = study.store.get(row["run_ids"][0])
        sample = study.store.get(own["spec"]["synthetic"])
        teachers = [study.store.get(run_id) for run_id in sample["spec"]["members"]]
        before = sample["flops"] + sum(teacher["flops"] for teacher in teachers)
        assert row["flops"] == pytest.approx(own["flops"] + before, rel=1e-4)


def test_points_count_as_nothing_read_and_need_no_students(study, tuned, points, monkeypatch):
    standard = recipes.standard(study)
    before = set(study.trace.accessed)
    recipes.recorded_points(study, standard, tuned)
    assert study.trace.accessed == before
    get = type(study.store).get
    taught = {ids[0] for ids in points[points.recipe == "distilled"].run_ids}
    monkeypatch.setattr(
        type(study.store), "get", lambda self, i: None if i in taught else get(self, i)
    )
    monkeypatch.setattr(type(study.store), "has", lambda self, i, **kw: self.get(i) is not None)
    without = recipes.recorded_points(study, standard, tuned)
    assert set(points.recipe) - set(without.recipe) == {"distilled"}
    assert len(without) == (points.recipe != "distilled").sum()


def test_from_which_training_compute_on_ensembles_are_lower():
    """The laptop records: 2 x 0.04M from 1.34e11 FLOPs on, 2 x 0.07M for 8 epochs at 1.35e11."""
    study = Study.open("laptop", source="archive")
    table = recipes.recorded_points(study, recipes.standard(study), recipes.regularized(study))
    found = laws.fit_frontiers(table)
    start = laws.overtakes(found["ensemble"], found["regularized"])
    assert start.value == pytest.approx(1.339e11, rel=1e-3) == start.ci_low == start.ci_high
    best = found["ensemble"].best(1.351e11)
    assert (best.K, best.model, best.epochs) == (2, "0.07M", 8)
    assert best.loss.value == pytest.approx(4.437, abs=5e-4)
    assert found["regularized"].at(1.351e11).value == pytest.approx(4.494, abs=5e-4)
