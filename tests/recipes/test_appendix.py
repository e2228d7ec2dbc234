"""The paper's appendix: what records answer, what minutes of training add, what is said without."""

import dataclasses

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

from ieee_lib import Scale, claims, laws, plots, recipes
from ieee_lib.book.plan import not_run_lines, open_plan
from ieee_lib.book.run import run_notebook
from ieee_lib.book.sections import SECTIONS
from ieee_lib.config.scale_tables import Appendix, Settings
from ieee_lib.laws import Estimate
from ieee_lib.plots.saving import output
from ieee_lib.recipes.appendix import FIELDS, appendix_specs
from ieee_lib.study import Study
from tests import synthetic
from tests.conftest import ROOT, digests_of, run


@pytest.fixture
def study(monkeypatch):
    """The recorded laptop book, without a table [appendix] and what it asks for."""
    monkeypatch.setenv("IEEE_LIB_HOME", str(ROOT))
    scale = dataclasses.replace(Scale.load("laptop"), appendix=Appendix())
    return Study.open(scale, source="archive")


@pytest.fixture
def tuned(study):
    return recipes.regularized(study)


def spread(value, width=0.01):
    """An estimate with draws of a given width."""
    return Estimate(value, value + width * np.linspace(-1, 1, 1000))


def test_a_held_decay_takes_the_lowest_recorded_point_of_the_plain_recipe(study, tuned):
    held = recipes.held_setting(study, tuned, "wd").set_index("model")
    value, n_seed = tuned.wd.iloc[0], study.scale.seeds_at(study.scale.base_tokens)
    assert set(held.held) == {f"wd = {value:g}"}
    assert held.difference.iloc[0].value == 0
    runs = study.runs()
    at_value = runs[(runs.wd == value) & (runs["D"] == study.scale.base_tokens)]
    plain = at_value[(at_value.synthetic == "") & (at_value.start == "") & (at_value.dropout == 0)]
    plain = plain[(plain.optimizer == "adamw") & (plain.init_seed == plain.data_seed)]
    plain = plain[(plain.decay_mask == "paper") & ~plain.reshuffle & (plain.options == "")]
    for model, row in held[held.n > 0].iterrows():
        of_model = plain[(plain.model == model) & (plain.init_seed < n_seed)]
        means = of_model.groupby(["lr", "epochs"]).val_loss.mean()
        assert row.loss == pytest.approx(means.min())
        assert (row.lr, row.epochs) == means.idxmin()
        assert row.status == f"lowest recorded of {len(means)}"
    students = at_value[(at_value.model == "0.07M") & (at_value.synthetic != "")]
    assert students.val_loss.min() < held.loss["0.07M"], "a student is no point of the recipe"
    difference = held.difference["0.07M"]
    assert difference.value == pytest.approx(held.loss["0.07M"] - tuned.loss[1])
    assert held.difference["0.32M"].ci_low > 0.1, (
        "what suits the smallest does not suit the largest"
    )


def test_a_held_setting_that_is_optimal_everywhere_costs_nothing(study, tuned):
    held = recipes.held_setting(study, tuned, "epochs")
    assert set(tuned.epochs) == {16}
    at_tuned = (held[["lr", "wd"]] == tuned[["lr", "wd"]]).all(axis=1)
    assert at_tuned.sum() == 3, "one seed of another point of 0.04M happens to be lower"
    assert [d.value for d in held.difference[at_tuned]] == [0] * 3
    (lucky,) = held.difference[~at_tuned]
    assert lucky.ci_low < lucky.value < 0 < lucky.ci_high
    assert claims.held_across_sizes(held).endswith("No model is worse beyond noise.")


def test_what_is_neither_recorded_nor_asked_for_is_said(study, tuned):
    setting = recipes.continued_setting(study)
    assert recipes.batch_size_runs(study).empty and recipes.errors_by_epochs(study).empty
    assert recipes.continued_decays(setting).empty and recipes.continued_averages(setting).empty
    assert list(recipes.with_larger(study, tuned).N) == list(tuned.N)
    turning, predicted = laws.turning_points(pd.DataFrame()), laws.predict_next({}, tuned)
    for said in (
        claims.batch_size(pd.DataFrame(), None),
        claims.epochs_of_error(turning),
        claims.next_sizes(predicted, len(tuned)),
        claims.continued_decay(recipes.continued_decays(setting), 0.1),
        claims.weight_averages({"logits averaged": None}),
    ):
        assert said.startswith("Not recorded here: ") and "In the paper" in said
    items = recipes.appendix_items(study)
    assert set(items["nothing trained because"]) == {"no [appendix] table in this scale", ""}
    assert (items.runs[items["nothing trained because"] == ""] > 0).all()
    assert "no [appendix] table" in claims.what_is_missing(items)


def test_what_a_scale_asks_for_and_nobody_trained_falls_back_to_records(monkeypatch):
    """Nothing was trained for the appendix at the workstation scale."""
    monkeypatch.setenv("IEEE_LIB_HOME", str(ROOT))
    study = Study.open("workstation", source="archive")
    tuned = recipes.regularized(study)
    held = recipes.held_setting(study, tuned, "wd").set_index("model")
    assert held.status["0.40M"] == "not recorded" and np.isnan(held.loss["0.40M"])
    asking = Study.open(
        dataclasses.replace(study.scale, appendix=Appendix(held=("wd",), batch_sizes=(8, 16))),
        source="archive",
    )
    pd.testing.assert_frame_equal(
        recipes.held_setting(asking, tuned, "wd").drop(columns="difference"),
        recipes.held_setting(study, tuned, "wd").drop(columns="difference"),
    )
    assert recipes.batch_size_runs(asking).empty
    items = recipes.appendix_items(asking).set_index("item")
    assert items.runs["batch size (Fig 12, left)"] == 2 * study.scale.seeds
    assert "3 of 6 runs recorded: batch size" in claims.what_is_missing(items.reset_index())


def test_seeds_are_refitted_one_by_one(study, tuned):
    by_seed = recipes.regularized_by_seed(study, tuned)
    assert by_seed.groupby("seed").N.apply(list).map(tuple).nunique() == 1
    n_seed, runs = study.scale.seeds, study.runs().set_index("run_id")
    ids = by_seed.groupby("N").run_ids.sum()
    assert list(ids) == [row[:n_seed] for row in tuned.run_ids]
    losses = [runs.val_loss[list(row)].mean() for row in ids]
    assert by_seed.groupby("N").loss.mean().tolist() == pytest.approx(losses)


def test_the_next_two_sizes_are_predicted_from_the_smaller_ones():
    N = np.array([4e4, 1e5, 2e5, 4e5, 8e5])
    exact = 0.01 / (N / 1e6) + 4.2
    frame = pd.DataFrame({"model": list("abcde"), "N": N, "loss": exact, "sigma": 0.01})
    frame["run_ids"] = [(f"{i:016x}",) for i in range(5)]
    by_form = laws.laws_of_smaller(frame)
    predicted = laws.predict_next(by_form, frame)
    assert list(predicted.model) == ["d", "e"] * 2 and set(predicted.points) == {3}
    assert [error.value for error in predicted.error] == pytest.approx([0] * 4, abs=1e-4)
    worse = frame.assign(loss=exact + np.array([0, 0, 0, 0, 0.5]))
    missed = laws.predict_next(laws.laws_of_smaller(worse), worse).error.iloc[1]
    assert missed.value == pytest.approx(0.5, abs=1e-4) and missed.ci_low > 0
    assert laws.laws_of_smaller(frame[:4]) == {}, "two points are no law"
    said = claims.next_sizes(predicted, 5)
    assert "from 3 models" in said and "2 of 2 within noise" in said
    with plots.style():
        ax = plots.predicted_sizes(plt.subplots()[1], frame, by_form)
    assert {"in the fit", "left out", *by_form} == set(ax.get_legend_handles_labels()[1])
    plt.close("all")


def test_loss_and_error_turn_where_they_are_lowest():
    rows = [(0.1, 1, 5.0, 0.7), (0.1, 4, 4.0, 0.5), (0.1, 16, 4.5, 0.4), (0.1, 64, 5.0, 0.6)]
    rows += [(1.6, 1, 5.0, 0.7), (1.6, 4, 4.0, 0.4), (1.6, 16, 4.1, 0.5), (1.6, 64, 4.2, 0.6)]
    errors = pd.DataFrame(
        [
            {"wd": wd, "epochs": epochs, "loss": spread(loss), "error": spread(error)}
            for wd, epochs, loss, error in rows
        ]
    )
    turning = laws.turning_points(errors.sample(frac=1, random_state=0)).set_index("wd")
    assert list(turning["epochs at lowest loss"]) == [4, 4]
    assert list(turning["epochs at lowest error"]) == [16, 4]
    assert turning["rise of error"][0.1].value == pytest.approx(0.2)
    said = claims.epochs_of_error(turning.reset_index())
    at_end = turning.reset_index().assign(**{"most epochs": [16, 32]})
    assert "error at 16 (later, the most tried); wd 1.6" in claims.epochs_of_error(at_end)
    assert "error at 16 (later)" in said and "error at 4 (at the same place)" in said
    with plots.style():
        axes = plots.loss_and_error_against_epochs(plt.subplots(1, 2)[1], errors)
    assert axes[1].get_legend_handles_labels()[1] == ["wd 0.1", "wd 1.6"]
    assert list(axes[1].containers[0].lines[0].get_ydata()) == [0.7, 0.5, 0.4, 0.6]
    plt.close("all")


def test_batch_sizes_are_compared_at_their_ends():
    rows = [(size, seed, 4 + size / 100 + seed / 1000) for size in (8, 16, 32) for seed in (0, 1)]
    runs = pd.DataFrame(rows, columns=["batch_size", "seed", "val_loss"])
    runs = runs.assign(status="done", run_id=[f"{i:016x}" for i in range(len(runs))])
    noise = laws.pooled_noise(runs, ["batch_size"])
    difference = laws.rise_with("batch_size", runs, noise)
    assert difference.value == pytest.approx(0.24) and difference.ci_low > 0
    assert laws.rise_with("batch_size", runs[runs.batch_size == 8], noise) is None
    means = laws.seed_means(runs, ["batch_size"])
    said = claims.batch_size(means, difference)
    assert said.startswith("Lowest at 8 sequences a step") and "(smaller is better)" in said
    assert "(larger is better)" in claims.batch_size(means, -difference)


def test_averaged_weights_are_compared_on_the_same_members():
    scores = synthetic.scores(K=4)
    both = laws.concat({"logits": scores, "weights": scores.assign(loss=scores.loss + 0.1)}, "a")
    said = claims.weight_averages(laws.fit_ensembles(both, by="a"))
    assert "K = 2: 0.100 [0.100, 0.100] nats/token (worse)" in said and "K = 4: " in said
    better = both.assign(loss=both.loss - 0.2 * (both.a == "weights"))
    assert "(better)" in claims.weight_averages(laws.fit_ensembles(better, by="a"))
    pair = synthetic.scores(K=2)
    two = laws.concat({"logits": pair, "weights": pair.assign(loss=pair.loss + 0.1)}, "a")
    assert "noise unknown" in claims.weight_averages(laws.fit_ensembles(two, by="a"))


def test_a_plan_says_what_is_not_run_and_why():
    planned = {"13": SECTIONS["13"]}
    assert not_run_lines(Scale.load("laptop"), SECTIONS) == []
    (line,) = not_run_lines(Scale.load("paper"), SECTIONS)
    assert "decay in continued pre-training (Table 6)" in line and "no `continued_wd`" in line
    optional, line = not_run_lines(Scale.load("gpu"), planned)
    assert optional == "Optional, not planned here: 10_beyond_the_paper, 11_predictions (--only)."
    assert line.endswith("no [appendix] table in this scale.")
    assert all(item in line for item in FIELDS)


def test_every_field_of_the_table_asks_for_runs_of_its_own():
    asked = Scale.load("laptop")
    all_ids = {spec.run_id for spec in appendix_specs(open_plan(asked))}
    for name in FIELDS.values():
        empty = getattr(Appendix(), name)
        less = dataclasses.replace(asked.appendix, **{name: empty})
        plan = open_plan(dataclasses.replace(asked, appendix=less))
        assert {spec.run_id for spec in appendix_specs(plan)} < all_ids, name


@pytest.mark.slow
def test_the_notebook_trains_its_runs_once_and_is_redrawn_from_them(own_book):
    command = ("ieee_lib", "reproduce", "--scale", "smoke", "--only", "13")
    folder = own_book / "figures" / "smoke"
    times = (folder / "tab_stages.csv").read_text()
    assert "Where the time went" in run(*command, home=own_book).stdout
    assert (folder / "tab_stages.csv").read_text() == times, "the whole book's, not one section's"
    drawn = {name: digest for name, digest in digests_of(folder).items() if "23" in name}
    cells = nbformat.read(SECTIONS["13"].path, as_version=4).cells
    saved = [line for c in cells for line in c.source.splitlines() if "fig23" in line]
    assert len({name.split(".")[0] for name in drawn if name.startswith("fig")}) == 6 <= len(saved)
    held = pd.read_csv(folder / "tab23_held_settings.csv")
    assert set(held.status) <= {"certified", "certified within noise", "uncertified"}
    again = run(*command, home=own_book)
    assert "nothing to train" in again.stdout and " runs in " not in again.stderr
    run("ieee_lib", "figures", "--scale", "smoke", "--only", "13", home=own_book)
    assert {n: d for n, d in digests_of(folder).items() if "23" in n} == drawn


@pytest.mark.parametrize("scale", ["laptop", "workstation"])
def test_the_notebook_is_drawn_from_each_archive(scale, monkeypatch):
    monkeypatch.setenv("IEEE_LIB_HOME", str(ROOT))
    with output(write=False):
        ran = run_notebook(SECTIONS["13"].path, {"scale": scale, "source": "archive"})
    assert {"fig23a_held_settings", "fig23d_refits_over_seeds", "tab23_what_held"} <= set(ran.saved)
    said = ran.saved["tab23_what_held"].frame.set_index("item")["what the records show"]
    assert len(said) == 8 and not said.str.contains("nan").any()


def test_a_larger_model_is_none_of_the_ladder():
    scale = Scale.load("smoke")
    (row,) = scale.appendix.larger
    assert row.model in scale.models and isinstance(row, Settings)
    assert row.model not in [each.model for each in scale.regularized]
