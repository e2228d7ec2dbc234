"""Recipes beyond the paper: one thing changed in the members of one ensemble, limits compared."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ieee_lib import laws, plots, recipes
from ieee_lib.config import EnsembleSpec
from ieee_lib.recipes.beyond import BASE, PROBABILITIES, SNAPSHOTS, beyond_specs
from ieee_lib.study import Study
from tests.conftest import ROOT


@pytest.fixture
def study(monkeypatch):
    monkeypatch.setenv("IEEE_LIB_HOME", str(ROOT))
    return Study.open("laptop", source="archive")


@pytest.fixture
def scores(study):
    return recipes.beyond_ensembles(study, recipes.regularized(study))


def test_every_recipe_changes_one_thing_in_the_same_members(study, scores):
    names = list(dict.fromkeys(scores.recipe))
    assert names == [BASE, PROBABILITIES, *study.scale.beyond.recipes, SNAPSHOTS]
    for name, changes in study.scale.beyond.recipes.items():
        rows = scores[scores.recipe == name]
        for field, value in changes.items():
            assert set(rows[field]) == {value} and value not in set(scores[field][:7])
    by_name = dict(list(scores.groupby("recipe")))
    base, averaged = by_name[BASE], by_name[PROBABILITIES]
    assert list(averaged.loss) == list(base.loss_probabilities)
    assert list(averaged.members) == list(base.members)
    assert set(by_name[SNAPSHOTS].noise) == set(base.noise)
    assert len({rows.noise.iloc[0] for rows in by_name.values()}) > 3, "noise of a recipe's own"


def test_a_plan_lists_the_runs_behind_the_scores(study, scores):
    specs = beyond_specs(study)
    assert {spec.run_id for spec in specs} == set().union(*scores.members)
    chain = specs[-study.scale.beyond.members :]
    assert not chain[0].start
    assert [spec.start for spec in chain[1:]] == [spec.run_id for spec in chain[:-1]]


def test_recipes_train_together_and_snapshots_one_after_the_other(study, monkeypatch):
    tuned = recipes.regularized(study)
    specs = beyond_specs(study)
    calls = []
    ensure, score = Study.ensure, Study.score

    def note_runs(self, runs, **options):
        calls.append([run.run_id for run in runs])
        return ensure(self, runs, **options)

    def note_ensembles(self, ensembles, **options):
        ensembles = list(ensembles)
        calls.append([ensemble.run_id for ensemble in ensembles])
        return score(self, ensembles, **options)

    monkeypatch.setattr(Study, "ensure", note_runs)
    monkeypatch.setattr(Study, "score", note_ensembles)
    recipes.beyond_ensembles(study, tuned)
    ids = [spec.run_id for spec in specs]
    n = study.scale.beyond.members
    assert calls[0] == ids[:-n] and calls[1 : 1 + n] == [[run_id] for run_id in ids[-n:]]
    groups = [EnsembleSpec(tuple(specs[i : i + n])) for i in range(0, len(specs), n)]
    assert calls[1 + n] == [group.run_id for group in groups]


def test_limits_are_compared_with_the_base(scores):
    by_recipe = laws.fit_ensembles(scores, by="recipe")
    compared = laws.compare_limits(by_recipe, BASE).set_index("recipe")
    assert compared.verdict[BASE] == "base" and compared.difference[BASE].value == 0
    for name, law in by_recipe.items():
        difference = compared.difference[name]
        assert difference.value == law.limit.value - by_recipe[BASE].limit.value
        assert compared["all members"][name] == law.measured.value
    assert compared.verdict["a new order every epoch"] == "inconclusive"
    assert compared.verdict["dropout 0.1"] == "inconclusive"
    assert compared.verdict["probabilities averaged"] == "does not help"  # of the same members
    snapshots = compared.difference["snapshots of one run"]
    assert (snapshots.ci_low, snapshots.ci_high) == (-np.inf, np.inf), "three links bound nothing"
    flipped = laws.compare_limits(by_recipe, "decay of everything").set_index("recipe")
    assert flipped.verdict[BASE] == "helps"


def test_a_figure_of_differences_has_the_best_on_top(scores):
    compared = laws.compare_limits(laws.fit_ensembles(scores, by="recipe"), BASE)
    with plots.style():
        ax = plots.differences_from_base(plt.subplots()[1], compared)
    shown = [bar.lines[0].get_xdata()[0] for bar in ax.containers]
    values = [d.value for d in compared.difference if d.value]
    assert shown == pytest.approx(sorted(values, reverse=True))
    assert ax.get_yticklabels()[-1].get_text() == "a new order every epoch"
    assert len(ax.get_yticklabels()) == len(compared) - 1
    plt.close("all")
