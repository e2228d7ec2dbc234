"""Recipes beyond the paper: one thing changed in the members of one ensemble, at several decays."""

from dataclasses import replace

import matplotlib.pyplot as plt
import pytest

from ieee_lib import InputError, Scale, laws, plots, recipes
from ieee_lib.errors import MissingRuns
from ieee_lib.recipes import beyond
from ieee_lib.recipes.beyond import BASE, PROBABILITIES, beyond_specs, chained, variants
from ieee_lib.recipes.ensembles import centre_of, centres_of, heuristic
from ieee_lib.study import Study
from tests.conftest import ROOT


@pytest.fixture
def study(monkeypatch):
    monkeypatch.setenv("IEEE_LIB_HOME", str(ROOT))
    return Study.open("laptop", source="archive")


@pytest.fixture
def settings(study):
    centres = centres_of(recipes.regularized(study))
    return heuristic(centre_of(centres, study.scale.ensembles.model))


@pytest.fixture
def scores(study):
    return recipes.beyond_ensembles(study, recipes.regularized(study))


def test_every_recipe_changes_one_thing_in_the_same_members_at_every_decay(study, settings):
    table, groups = study.scale.beyond, variants(study, settings)
    assert list(groups) == [BASE, *table.recipes]
    for name, changes in {BASE: {}, **table.recipes}.items():
        assert len(groups[name]) == len(table.decays)
        for ensemble, base, decay in zip(groups[name], groups[BASE], table.decays, strict=True):
            assert [run.replace(**changes) for run in base.members] == list(ensemble.members)
            assert {run.wd for run in ensemble.members} == {decay * settings.wd}
            assert [run.init_seed for run in ensemble.members] == list(range(table.members))


def test_members_of_a_chain_come_from_the_one_before(study, settings):
    table, chains = study.scale.beyond, chained(study, settings)
    assert list(chains) == ["snapshots of one run", "chain distillation"]
    for name, field in zip(chains, ("start", "teacher"), strict=True):
        for spec, decay in zip(chains[name], table.decays, strict=True):
            first, *others = spec.members
            assert len(spec.members) == table.links and not first.start and not first.teacher
            previous = [run.run_id for run in spec.members[:-1]]
            assert [getattr(run, field) for run in others] == previous
            assert {run.wd for run in spec.members} == {decay * settings.wd}
            assert sum(run.epochs for run in spec.members) == table.members * settings.epochs
    taught = chains["chain distillation"][0].members[1]
    assert (taught.teacher_weight, taught.temperature, taught.init_seed) == (0.5, 1.2, 1)


def test_a_plan_lists_all_runs(study, settings):
    groups = {**variants(study, settings), **chained(study, settings)}
    members = [run.run_id for specs in groups.values() for spec in specs for run in spec.members]
    assert [run.run_id for run in beyond_specs(study)] == members


class Scored(Exception):
    """Ends where scoring begins."""


def test_recipes_train_together_and_chains_one_after_the_other(study, settings, monkeypatch):
    tuned, calls = recipes.regularized(study), []

    def stop(*_, **__):
        raise Scored

    monkeypatch.setattr(
        Study, "ensure", lambda self, runs, **_: calls.append([run.run_id for run in runs])
    )
    monkeypatch.setattr(beyond, "score", stop)
    with pytest.raises(Scored):
        recipes.beyond_ensembles(replace(study, source="train", executor="none"), tuned)
    members = [
        run.run_id
        for specs in variants(study, settings).values()
        for spec in specs
        for run in spec.members
    ]
    chains = [spec for specs in chained(study, settings).values() for spec in specs]
    assert calls[0] == members
    assert calls[1:] == [
        [chain.members[place].run_id for chain in chains]
        for place in range(study.scale.beyond.links)
    ]


def test_what_is_not_recorded_is_left_out(study, settings, scores):
    recorded = {
        name: [spec.run_id for spec in specs if study.store.get(spec.run_id)]
        for name, specs in {**variants(study, settings), **chained(study, settings)}.items()
    }
    recorded[PROBABILITIES] = recorded[BASE]
    for name, rows in scores.groupby("recipe"):
        assert list(rows.ensemble.unique()) == recorded.pop(name)
        assert set(rows.exchangeable) == {name not in study.scale.beyond.chains}
    assert not any(recorded.values())
    base, averaged = (scores[scores.recipe == name] for name in (BASE, PROBABILITIES))
    assert list(averaged.loss) == list(base.loss_probabilities)
    assert list(scores.recipe.unique())[:2] == [BASE, PROBABILITIES]
    assert f"{BASE}, wd {settings.wd:g}" in set(scores.setting)
    averages = [
        name
        for name, fields in study.scale.beyond.recipes.items()
        if "ema" in fields or "mean_of_last" in fields
    ]
    for row in scores.to_dict("records"):
        assert (row["noise_of"] == row["members"]) == (row["recipe"] not in averages)
    assert scores.noise.nunique() == 1 and scores.noise_dof.iloc[0] >= 12, "pooled over all"


def test_without_an_ensemble_of_the_base_its_runs_are_missing(study, monkeypatch):
    """As in a book of which only a part is recorded: it leaves the notebook out."""
    tuned, get = recipes.regularized(study), study.store.get
    ids = {
        spec.run_id
        for spec in variants(study, heuristic(centre_of(centres_of(tuned), "0.07M")))[BASE]
    }
    has = study.store.has
    monkeypatch.setattr(type(study.store), "get", lambda _, i: None if i in ids else get(i))
    monkeypatch.setattr(
        type(study.store), "has", lambda _, i, **how: i not in ids and has(i, **how)
    )
    with pytest.raises(MissingRuns, match="runs"):
        recipes.beyond_ensembles(study, tuned)


def test_recorded_recipes_are_compared(scores):
    by_setting = laws.fit_ensembles(scores, by="setting")
    compared = laws.compare_tuned(scores, by_setting, BASE)
    limits = compared[compared.of == "K → ∞"].set_index("recipe")
    assert limits.verdict[BASE] == "base"
    averaged, base = (by_setting[f"{name}, wd 0.8"].limit for name in (PROBABILITIES, BASE))
    assert (averaged - base).ci_low > 0, "of the same members"
    untuned = limits.loc["no decay of the head"]
    assert untuned.difference.ci_low > 0.25 and untuned.verdict == "inconclusive"
    inputs = compared[compared.recipe == "15 % of inputs replaced"].set_index("of")
    assert inputs.verdict["one member"] == inputs.verdict["all members"] == "helps"
    alone = [by_setting[f"{name}, wd 0.8"].at(1) for name in ("15 % of inputs replaced", BASE)]
    gain, at_one_decay = inputs.difference["one member"], alone[0] - alone[1]
    assert gain.ci_low > -0.04 and at_one_decay.ci_high < -0.25, "decay does most of it"
    average = limits.loc["moving average of weights"]
    assert -0.005 < average.difference.ci_low < average.difference.ci_high < 0.005, "paired"
    said = laws.sentences(compared)
    assert len(said) == len(limits)  # without the base, with the best
    with plots.style():
        ax = plots.differences_from_base(plt.subplots()[1], compared, "K → ∞")
    shown = [bar.lines[0].get_xdata()[0] for bar in ax.containers]
    others = limits[limits.verdict != "base"]
    assert shown == [difference.value for difference in others.difference] == sorted(shown)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(others.index)
    bottom, top = ax.get_ylim()
    assert bottom > top, "the best on top"
    plt.close("all")


def test_a_chain_learns_from_the_weights_of_the_run_before(project):
    scale = Scale.load("smoke")
    scale = replace(scale, execution=replace(scale.execution, executor="inline", compile="never"))
    study = Study.open(scale)
    first = study.spec(next(iter(scale.models)), wd=0.8, lr=1e-2, epochs=1)
    taught = first.replace(init_seed=1, teacher=first.run_id, teacher_weight=0.5)
    alone = taught.replace(teacher="", teacher_weight=0.0)
    study.ensure([first], weights=True)
    runs = study.ensure([taught, alone]).set_index("run_id")
    assert set(runs.status) == {"done"} and runs.val_loss.nunique() == 2
    options = f"teacher {first.run_id}, teacher_weight 0.5"
    assert (runs.options[taught.run_id], runs.options[alone.run_id]) == (options, "")
    wider = list(scale.models)[1]
    other = study.spec(wider, wd=0.8, lr=1e-2, epochs=1).replace(
        teacher=first.run_id, teacher_weight=0.5
    )
    with pytest.raises(InputError, match=f"teacher = '{first.run_id}': is a ModelConfig"):
        study.ensure([other])
