"""Which models answer, and what the recorded book says of them."""

import pytest

from ieee_lib import InputError
from ieee_lib.recipes import downstream
from ieee_lib.recipes.downstream import downstream_answers, downstream_specs
from ieee_lib.study import Study


@pytest.fixture(scope="module")
def study():
    return Study.open("laptop", source="archive")


@pytest.fixture(scope="module")
def answers(study):
    return downstream_answers(study)


def test_every_recipe_answers_and_an_ensemble_at_every_k(answers):
    models = answers.drop_duplicates("label")
    counts = models.groupby("recipe", sort=False).size().to_dict()
    assert counts == {"standard": 4, "regularized": 4, "ensemble": 20, "distilled": 2}
    ensemble = models[(models.recipe == "ensemble") & (models.model == "0.07M")]
    assert list(ensemble.K) == [1, 2, 3, 4, 5]
    assert list(ensemble.total) == [k * ensemble.N.iloc[0] for k in range(1, 6)]
    assert list(ensemble.flops) == [k * ensemble.flops.iloc[0] for k in range(1, 6)]
    assert ensemble.loss.is_monotonic_decreasing
    assert [len(ids) for ids in ensemble.run_ids] == [5, 2, 3, 4, 5]  # at K = 1 a mean over all
    assert list(ensemble.label)[:2] == ["ensemble, 0.07M", "ensemble, 2 x 0.07M"]
    assert set(answers.metric) == {"acc", "acc_mutual_info"}
    assert set(answers.chance_error) == {0.75} and set(answers.n_item) == {600}


def test_what_answers_is_what_a_plan_lists(study, answers):
    listed = {spec.run_id for spec in downstream_specs(study)}
    assert {run_id for ids in answers.run_ids for run_id in ids} == listed


def test_files_need_tasks(study):
    with pytest.raises(InputError, match=r"files = .*: has items of tasks; name some: -p tasks"):
        downstream.check(study, files="items")
    downstream.check(study, tasks="piqa", files="items")  # records say what was answered
