"""Who teaches whom: samples, shares, seeds; what a student's record says of it."""

import pytest

from ieee_lib import Scale
from ieee_lib.recipes import distill
from ieee_lib.recipes import ensemble as recipe
from ieee_lib.study import Study
from ieee_lib.training.store import RunStore


@pytest.fixture
def study(home):
    scale = Scale.load("paper")
    return Study(scale, "records", RunStore.of("paper"), "0" * 16, None)


def test_the_papers_students(study):
    """Sec. 6: 128,000 and 51,200 steps, wd 0.1, lr 3e-3, teachers at 32 epochs and wd 0.8."""
    centre = recipe.tuned_centre(study.scale.settings("regularized", 209_715_200), "300M")
    teachers = recipe.ensemble(study, recipe.heuristic(centre), 8)
    asked = distill.students(study, teachers)
    assert list(asked) == ["ensemble", "self", "no real data"]
    (student,), (own,), (bare,) = (s.specs(study) for s in asked.values())
    assert teachers.members[0].epochs == 32 and teachers.members[0].wd == 0.8
    # 1 - 0.9 is not a tenth in binary: the paper's own formula truncates the same way
    assert student.n_step in (128_000, 127_999) and own.n_step == bare.n_step == 51_200
    assert {(s.wd, s.lr, s.epochs) for s in (student, own, bare)} == {(0.1, 3e-3, 16)}
    assert bare.synthetic_only and not own.synthetic_only
    assert student.synthetic == asked["ensemble"].sample.run_id != own.synthetic
    assert own.synthetic == bare.synthetic
    assert asked["ensemble"].sample.kind == "mixture"
    assert asked["self"].sample.teachers.members == teachers.members[:1]


def test_no_student_starts_as_one_of_its_teachers(home):
    study = Study(Scale.load("laptop"), "records", RunStore.of("laptop"), "0" * 16, None)
    centre = study.scale.settings("regularized", study.scale.base_tokens)[1]
    teachers = recipe.ensemble(study, centre, 5)
    asked = distill.students(study, teachers)
    assert list(asked) == ["ensemble", "self", "no real data"]
    for student in (*asked.values(), *distill.sweep(study, teachers)):
        seeds = {s.init_seed for s in student.specs(study)}
        assert len(seeds) == student.n_seed >= 2
        assert not seeds & {m.init_seed for m in teachers.members}
    swept = {(s.weight, s.wd) for s in distill.sweep(study, teachers)}
    assert len(swept) == len(study.scale.distillation.weights) * len(
        study.scale.distillation.decays
    )
