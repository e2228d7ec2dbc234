"""Predictions: sealed before their targets are trained, scored after, and never altered."""

import dataclasses
import json
import math
from dataclasses import asdict
from datetime import UTC, datetime

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t

from ieee_lib import laws, paths, plots, predictions, recipes
from ieee_lib.config.scale import Scale
from ieee_lib.errors import InputError, MissingRuns
from ieee_lib.files import with_checksum
from ieee_lib.predictions import scores as score
from ieee_lib.predictions.questions import Cell, Question
from ieee_lib.predictions.scores import _began
from ieee_lib.study import Study
from tests.conftest import ROOT

pytestmark = pytest.mark.xdist_group("predictions")  # their runs are trained once


@pytest.fixture(autouse=True)
def house_style():
    with plots.style():
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small, smoke_corpora):
    """A home where every question was predicted before its target was trained."""
    home = tmp_path_factory.mktemp("predicted")
    (home / "data").mkdir()
    (home / "data" / "corpora").symlink_to(smoke_corpora)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IEEE_LIB_HOME", str(home))
        study = Study.open(str(small))
        questions = list(predictions.questions(study))
        cells = list(dict.fromkeys(cell for q in questions for cell in (*q.basis, q.target)))
        while left := [cell for cell in cells if not cell.is_recorded(study)]:
            predictions.predict(study)
            made = {each["prediction_id"] for each in predictions.predictions("small")}
            waiting = [q for q in questions if predictions.prediction_id(q, study) not in made]
            held = {run_id for q in waiting for run_id in q.new_ids(study)}
            ready = [cell for cell in left if not held & set(cell.run_ids(study))]
            assert ready, "a target is part of what it is predicted from"
            study.ensure([run for cell in ready if cell.K == 1 for run in cell.runs(study)])
            study.score([cell.ensemble(study) for cell in ready if cell.K > 1])
        study.close()
    return home


@pytest.fixture
def study(trained, small, monkeypatch):
    """The trained home, read."""
    monkeypatch.setenv("IEEE_LIB_HOME", str(trained))
    return Study.open(str(small), source="records")


def test_every_question_asks_for_the_largest_from_the_rest(project, small):
    study = Study.open(Scale.load(str(small)), source="records")
    questions = list(predictions.questions(study))
    assert {q.axis for q in questions} == {"N", "D", "K"}
    assert len({q.name for q in questions}) == len(questions)
    for q in questions:
        assert q.new_ids(study) and not q.is_measured(study) and not q.is_answered(study)
        at = [(c.size(study), c.settings.seed_tokens, c.K) for c in (*q.basis, q.target)]
        axis = "NDK".index(q.axis)
        values = [place[axis] for place in at]
        assert values == sorted(set(values)) and len(values) >= (2 if q.axis == "K" else 4)
        assert len({place[:axis] + place[axis + 1 :] for place in at}) == 1
    assert not predictions.predict(study), "nothing is trained"
    with pytest.raises(MissingRuns, match="with its target trained"):
        score(study)


def test_a_model_beyond_the_ensembles_is_predicted_in_N_alone(study):
    (name,) = study.scale.ensembles.alone
    about = [q for q in predictions.questions(study) if q.target.settings.model == name]
    assert about and {(q.axis, q.target.recipe) for q in about} == {("N", "regularized")}


def test_predictions_are_older_than_what_they_predict(study):
    logged = predictions.predictions("small")
    assert {each["axis"] for each in logged} == {"N", "D", "K"}
    assert len(logged) == len(list(predictions.questions(study))) and not predictions.predict(study)
    for each in logged:
        assert each["low"] <= each["predicted"] <= each["high"]
        made = [datetime.fromisoformat(study.store.get(i)["created"]) for i in each["target"]]
        assert max(made) >= datetime.fromisoformat(each["created"])
    rows = score(study)
    assert set(rows.counted) == {"yes"} and len(rows) == len(logged)
    assert (
        rows.covered == ((rows.ci_low <= rows.measured) & (rows.measured <= rows.ci_high))
    ).all()
    assert (rows.error == rows.measured - rows.predicted).all()
    total = predictions.coverage(rows).iloc[0]
    assert total.predictions == len(logged) and total.covered == rows.covered.sum()
    assert total.expected == round(0.95 * len(logged), 1)
    assert predictions.coverage_note(rows).startswith(f"{rows.covered.sum()} of {len(logged)} 95 %")


def test_a_law_of_a_question_is_refitted_from_its_points(study):
    questions = predictions.answered(study)
    assert len(questions) == len(list(predictions.questions(study)))
    for question in questions.values():
        law, points = question.law(study), question.points(study)
        assert law.n_point == question.n_point
        assert set().union(*points.run_ids) == question.basis_ids(study)
        if question.axis != "K":
            assert law.y == pytest.approx([loss.value for loss in points.loss])


def test_a_target_that_is_not_trained_waits(study):
    """Records of a part of a plan, with all of its predictions."""
    target = predictions.predictions("small")[-1]["target"]
    path = paths.runs("small") / f"{target[-1]}.json"
    before = path.read_text()
    try:
        path.unlink()
        rows = score(study)
        waiting = rows[rows.counted == "not trained yet"]
        assert len(waiting) >= 1 and waiting.measured.isna().all() and not waiting.covered.any()
        assert f"{len(waiting)} not counted: not trained yet" in predictions.coverage_note(rows)
        assert predictions.coverage(rows).predictions[0] == len(rows) - len(waiting)
    finally:
        path.write_text(before)


def test_what_diverged_predicts_nothing_and_is_not_scored(study):
    question = next(q for q in predictions.questions(study) if q.axis == "K")
    run_id = question.target.runs(study)[0].run_id
    path = paths.runs("small") / f"{run_id}.json"
    before = path.read_text()
    try:
        gone = {**json.loads(before), "status": "diverged", "val_loss": None}
        path.write_text(json.dumps(with_checksum(gone)))
        assert question.is_lost(study) and not question.is_answered(study)
        assert math.isnan(predictions.measured(study, question.target).value)
        rows = score(study)
        lost = rows[rows.counted == "diverged"]
        assert len(lost) and not lost.covered.any()
        assert plots.errors_of_predictions(plt.subplots()[1], rows, "K")
    finally:
        path.write_text(before)


def test_a_second_attempt_is_shown_and_not_counted(study):
    """The same model, D and K with other settings, which are recorded too."""
    folder = paths.predictions("small")
    logged = predictions.predictions("small")
    first = next(p for p in logged if (p["axis"], p["recipe"]) == ("D", "regularized"))
    model, seed_tokens = first["settings"]["model"], first["settings"]["seed_tokens"]
    rows = study.scale.settings("standard", seed_tokens)
    other = Cell("regularized", next(row for row in rows if row.model == model))
    again = {"settings": asdict(other.settings), "target": other.run_ids(study)}
    again |= {"created": "2000-01-01T00:00:00+00:00"}
    path = folder / f"{'f' * 16}.json"
    try:
        path.write_text(json.dumps(with_checksum({**first, **again, "prediction_id": path.stem})))
        counted = list(score(study).counted)
        assert counted.count("second attempt") == 1
        assert set(counted) == {"yes", "second attempt"}
    finally:
        path.unlink()


def test_a_target_began_when_its_stack_was_first_begun():
    """A resumed run ends long after; records of older code say only when they ended."""
    record = {"created": "2026-01-02T04:00:00+00:00", "seconds": 60.0, "stack": {"size": 10}}
    assert _began(record) == datetime(2026, 1, 2, 3, 50, tzinfo=UTC)
    assert _began({**record, "begun": "2026-01-02T01:00:00+00:00"}).hour == 1


def test_a_prediction_cannot_be_altered_or_made_too_late(study):
    folder = paths.predictions("small")
    before = {path: path.read_text() for path in folder.iterdir()}
    path = next(iter(before))
    body = json.loads(before[path])
    try:
        path.write_text(json.dumps({**body, "predicted": body["predicted"] + 0.01}))
        with pytest.raises(InputError, match="sha256 differs"):
            predictions.predictions("small")
        path.write_text(json.dumps(with_checksum({**body, "created": "2099-01-01T00:00:00+00:00"})))
        rows = score(study)
        assert sorted(rows.counted)[0] == "made too late"
        assert (rows.counted == "yes").sum() == len(before) - 1
        (late,) = rows.axis[rows.counted == "made too late"]
        ax = plots.errors_of_predictions(plt.subplots()[1], rows, late)
        assert any((line.get_alpha() or 1) < 1 for line in ax.lines), "it looks like the others"
        for path in before:
            path.unlink()
        assert not predictions.predict(study), "everything is trained: nothing is left to predict"
    finally:
        for path, text in before.items():
            path.write_text(text)


def test_a_closed_round_keeps_its_predictions_and_what_was_measured(study):
    """Closed, altered, and put back for the other tests."""
    before, folder = score(study), paths.predictions("small")
    assert not len(predictions.earlier_rounds("small"))
    with pytest.raises(InputError, match="a-z, 0-9"):
        predictions.close_round(study, "../first")
    stranger = folder / f"{'e' * 16}.json"
    other_text = {**predictions.predictions("small")[0], "fingerprint": "0" * 16}
    other_text |= {"prediction_id": stranger.stem, "target": ["0" * 16]}
    stranger.write_text(json.dumps(with_checksum(other_text)))
    with pytest.raises(InputError, match="would close 1 predictions that this scale"):
        predictions.close_round(study, "first")
    stranger.unlink()
    closed = predictions.close_round(study, "first")
    measured = closed / "measured.json"
    try:
        earlier = predictions.earlier_rounds("small")
        assert list(earlier["round"].unique()) == ["first"]
        pd.testing.assert_frame_equal(earlier.drop(columns="round"), before)
        assert predictions.coverage(earlier).equals(predictions.coverage(before))
        assert not predictions.predictions("small"), "they are of the round alone"
        with pytest.raises(InputError, match="closed already"):
            predictions.close_round(study, "first")
        text = measured.read_text()
        body = json.loads(text)
        measured.write_text(json.dumps({**body, "round": "other"}))
        with pytest.raises(InputError, match="sha256 differs"):
            predictions.earlier_rounds("small")
        measured.write_text(json.dumps(with_checksum({**body, "measured": body["measured"][1:]})))
        with pytest.raises(InputError, match="must have the predictions it closed"):
            predictions.earlier_rounds("small")
        measured.write_text(text)
        again = next(path for path in closed.iterdir() if path != measured)
        (folder / again.name).write_text(again.read_text())
        assert list(score(study).counted) == ["second attempt"], "the closed round was first"
        (folder / again.name).unlink()
    finally:
        measured.unlink()
        for path in closed.iterdir():
            path.rename(folder / path.name)
        closed.rmdir()


@pytest.fixture
def more_members(study):
    """A question of K members, and the same of the members that are known."""
    question = next(q for q in predictions.questions(study) if q.axis == "K")
    return study, question, Question("K", question.basis, question.basis[0])


def width(estimate):
    return estimate.ci_high - estimate.ci_low


def test_the_interval_of_more_members_knows_whom_the_two_share(more_members):
    """The same members as the law's are no news; new ones bring s^2 (1 / k - 1 / K)."""
    study, question, same = more_members
    assert width(same.predicted(study)) == pytest.approx(0, abs=1e-12)
    law = question._ensembles(study)[question.basis[0].settings.model]
    k, K = law.K, question.target.K
    s = law.at_members(K).se * np.sqrt(k)
    reach = student_t.ppf(0.975, law.influence.dof) * s * np.sqrt(1 / k - 1 / K)
    assert width(question.predicted(study)) == pytest.approx(2 * reach, rel=0.15)


def test_a_prediction_of_n_says_every_form_and_rests_on_the_smaller_models_of_every_d(study):
    question = next(q for q in predictions.questions(study) if q.axis == "N")
    by_form = question.by_form(study)
    assert next(iter(by_form)) == question._sizes(study).form
    assert set(by_form) >= {"free exponent", "exponent 1"}
    peers = question.peers(study)
    assert peers[0] == question and {p.target.recipe for p in peers} == {question.target.recipe}
    assert len({p.target.settings.seed_tokens for p in peers}) == len(peers) > 1
    left_out = question._sizes(study).errors.N.unique()
    assert question.target.size(study) not in left_out, "the target is in no fit, nor judges one"


@pytest.fixture
def recorded(monkeypatch):
    """The recorded predictions of the workstation scale, and their archive."""
    monkeypatch.setenv("IEEE_LIB_HOME", str(ROOT))
    return Study.open("workstation", source="archive")


def test_sealed_predictions_stay_and_stand_beside_those_of_today(recorded):
    """Their intervals are those of their time; the free law's value still follows."""
    sealed = {each["prediction_id"]: each for each in predictions.predictions("workstation")}
    rows = score(recorded)
    assert sorted(rows.predicted) == sorted(each["predicted"] for each in sealed.values())
    again = predictions.predicted_again(recorded, rows)
    heads = again[again.heads == "yes"]
    assert len(heads) == 11 and set(again.form) == {"1 / K", *laws.FORMS}
    by_form = predictions.coverage(again, by="form").set_index(["axis", "form"])
    assert by_form.predictions["N", "exponent 1"] == by_form.predictions["N", "free exponent"] == 3
    # With as many seeds as then, the law predicts what was sealed.
    as_sealed = dataclasses.replace(recorded.scale, tuned_seeds=5, ladder_seeds=2)
    study = Study.open(as_sealed, source="archive")
    then = predictions.predicted_again(study, score(study))
    by_target = {tuple(each["target"]): each for each in sealed.values()}
    law = "form == 'free exponent' and axis == 'N' and recipe == 'regularized' and D != 131_072"
    free, more = then.query(law), again.query(law)
    assert len(free) == 2
    for row in free.to_dict("records"):
        value, _, _ = by_target[row["run_ids"]]["forms"]["free exponent"]
        assert row["predicted"] == pytest.approx(value, abs=1e-6)
    assert len(more) == 2 and not np.allclose(more.predicted, free.predicted)


def test_the_recorded_predictions_held_as_the_readme_says(recorded):
    rows = score(recorded)
    counted = rows[rows.counted == "yes"]
    assert (len(rows), len(counted), counted.covered.sum()) == (22, 19, 19)
    by_axis = predictions.coverage(rows).groupby("axis").covered.sum()
    assert dict(by_axis) == {"all": 19, "K": 4, "N": 7, "D": 8}


def test_a_sealed_prediction_is_scored_where_its_point_has_more_seeds_by_now(recorded):
    rows = score(recorded).query(f"D == {recorded.scale.base_tokens} and axis == 'N'")
    row = rows[rows.recipe == "regularized"].iloc[0]
    sealed = set(row.run_ids)
    as_sealed = dataclasses.replace(recorded.scale, tuned_seeds=len(sealed))
    tuned = recipes.regularized(recorded).set_index("model").loc[row.model]
    before = recipes.regularized(Study.open(as_sealed, source="archive"))
    before = before.set_index("model").loc[row.model]
    assert sealed == set(before.run_ids) < set(tuned.run_ids) and row.counted == "yes"
    assert row.measured == pytest.approx(tuned.loss) != before.loss


def test_the_first_round_held_as_the_readme_says(recorded):
    rows = predictions.earlier_rounds(recorded.scale.name)
    counted = rows[rows.counted == "yes"]
    assert (len(rows), len(counted), counted.covered.sum()) == (24, 23, 18)
    by_axis = predictions.coverage(rows).set_index(["axis", "recipe"]).covered
    assert by_axis["K", "ensemble"] == 4 and by_axis["N", "regularized"] == 1


def test_a_figure_of_predictions_shows_each_error_and_interval(recorded):
    rows = score(recorded)
    fig, axes = plt.subplots(1, 3)
    for ax, (axis, of_axis) in zip(axes, rows.groupby("axis"), strict=True):
        assert plots.errors_of_predictions(ax, rows, axis) is ax
        points = [line for line in ax.lines if line.get_linestyle() == "None"]
        errors = sorted(x for line in points for x in line.get_xdata() if x)
        assert errors == pytest.approx(sorted(of_axis.error))
        names = [label.get_text() for label in ax.get_yticklabels()]
        assert len(names) == len(of_axis)
        starred = [name for name in names if name.endswith("*")]
        assert len(starred) == (of_axis.counted != "yes").sum()
        assert ax.get_xlim()[0] < errors[0] and errors[-1] < ax.get_xlim()[1]
    assert axes[0].get_title("left").startswith("from smaller D")
    assert axes[1].get_title("left").startswith("from fewer members")
    plots.legend_above(axes[0], columns=3)
    legend = [text.get_text() for text in fig.legends[0].get_texts()]
    assert legend[:3] == ["ensemble", "regularized", "standard"]
    assert any("not counted" in text for text in legend)
