"""Figures of notebooks 06 to 08: series, places and labels, from recorded runs."""

import numpy as np
import pytest

from ieee_lib import laws, plots, recipes
from ieee_lib.plots.legends import is_note
from tests.plots.conftest import labels


def test_students_stand_at_their_own_size_with_an_arrow_from_their_teachers(study, ax):
    tuned = recipes.regularized(study)
    law = laws.fit_power_law(tuned, x="N")
    (teachers,) = laws.fit_ensembles(recipes.teachers(study, tuned)).values()
    students = recipes.students(study, tuned)[:2]
    assert plots.students_against_total_parameters(ax, tuned, law, teachers, students) is ax
    students_of = ["student of 5 teachers", "student of a single teacher"]
    assert labels(ax)[-2:] == students_of and "from teachers to student" in labels(ax)
    ends = [text.xy for text in ax.texts if text.arrow_patch]
    assert [end[1] for end in ends] == [loss.value for loss in students.loss]
    of_all, of_one = (x / teachers.N for x, _ in ends)
    assert 0.7 < of_one < of_all < 1, "beside the models of their size, apart"
    starts = [text.xyann for text in ax.texts if text.arrow_patch]
    assert starts == [(teachers.N * k, teachers.at(k).value) for k in (5, 1)]


def test_a_line_each_number_of_teachers_and_decay(study, ax):
    tuned = recipes.regularized(study)
    sweep = recipes.student_sweep(study, tuned)
    single, together = laws.estimates(tuned)[:2]
    plots.loss_against_synthetic_share(ax, sweep, {"single": single, "together": together})
    assert labels(ax) == [
        "single",
        "together",
        "student of 5 teachers, wd 0.1",
        "student of 5 teachers, wd 0.4",
        "student of a single teacher, wd 0.8",
    ]
    assert list(ax.get_xticks()) == [0.25, 0.5, 0.75]


def test_ensembles_of_each_model_are_a_series(study, ax):
    models = laws.mean_errors(recipes.downstream_answers(study), ["continuation"])
    plots.error_against_total_parameters(ax, models, label="probe (acc)")
    sizes = ("0.04M", "0.07M", "0.14M", "0.32M")
    ensembles = [f"ensembles of 1–5 models of {size}" for size in sizes]
    *series, interval = labels(ax)
    assert series == ["standard", "regularized", *ensembles, "distilled"]
    assert interval == "95 % interval of a point: about ±8.7%", "one bar stands for all"
    lines = [line for line in ax.lines if line.get_label() in series]
    drawn = np.concatenate([line.get_ydata() for line in lines])
    assert sorted(drawn) == sorted(error.value for error in models.error)
    ax.clear()
    plots.error_against_loss(ax, models, label="probe (acc)")
    lines = [line for line in ax.lines if line.get_label() in series]
    drawn = np.concatenate([line.get_xdata() for line in lines])
    assert sorted(drawn) == sorted(models.loss)


def test_a_dotted_line_leads_to_the_default_recipes_curve(study, ax):
    continued = recipes.continued_pretraining(recipes.continued_setting(study))
    continued["efficiency"] = laws.target_efficiency(continued)
    plots.loss_against_target_tokens(ax, continued)
    names = ["default recipe", "smaller batch", "+ epoching", "+ ensemble, K = 4"]
    assert [label for label in labels(ax) if not is_note(label)] == names
    gains = [text.get_text() for text in ax.texts]
    assert gains == [f"{e.value:.1f}x" for e in continued.efficiency[1:4]]
    dotted = [line for line in ax.lines if line.get_linestyle() == ":"]
    reached = [line.get_xdata()[1] for line in dotted if len(line.get_xdata())]
    assert reached == pytest.approx([8192 * e.value for e in continued.efficiency[1:4]])
