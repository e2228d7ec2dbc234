"""Who teaches whom: samples, shares, seeds; what a student's record says of it."""

import pytest

from ieee_lib import InputError, Scale
from ieee_lib.config import EnsembleSpec
from ieee_lib.recipes import distill, regularized
from ieee_lib.recipes import ensembles as recipe
from ieee_lib.recipes.distill import distillation_specs, teacher_spec
from ieee_lib.runs.store import RunStore
from ieee_lib.study import Study


@pytest.fixture
def study(home):
    scale = Scale.load("paper")
    return Study(scale, "records", RunStore.of("paper"), "0" * 16, None)


def test_the_papers_students(study):
    """Sec. 6: 128,000 and 51,200 steps, wd 0.1, lr 3e-3, eight teachers at 32 epochs and wd 0.8;
    Table 4: 25,600 steps with and without real data."""
    ensemble = teacher_spec(study, study.scale.settings("regularized", 209_715_200))
    students = distill.compared_students(study, ensemble)
    assert list(students) == ["ensemble", "self", "matched", "no real data"]
    (student,), (own,), (matched,), (bare,) = (s.specs(study) for s in students.values())
    assert len(ensemble.members) == 8
    assert ensemble.members[0].model == study.scale.models["300M"]
    assert ensemble.members[0].epochs == 32 and ensemble.members[0].wd == 0.8
    # 1 - 0.9 is not a tenth in binary: the paper's own formula truncates the same way
    assert student.n_step in (128_000, 127_999) and own.n_step == 51_200
    assert matched.n_step == bare.n_step == 25_600
    assert {(s.wd, s.lr, s.epochs) for s in (student, own, matched, bare)} == {(0.1, 3e-3, 16)}
    assert bare.synthetic_only and not own.synthetic_only and not matched.synthetic_only
    assert student.synthetic == students["ensemble"].sample.run_id != own.synthetic
    assert own.synthetic == bare.synthetic
    assert students["ensemble"].sample.kind == "mixture"
    assert students["self"].sample.teachers.members == ensemble.members[:1]
    runs = distillation_specs(study)
    assert student in runs and set(ensemble.members) <= set(runs)


def test_no_student_starts_as_one_of_its_teachers(home):
    study = Study(Scale.load("laptop"), "records", RunStore.of("laptop"), "0" * 16, None)
    centre = study.scale.settings("regularized", study.scale.base_tokens)[1]
    ensemble = recipe.ensemble(study, centre, 5)
    students = distill.compared_students(study, ensemble)
    assert list(students) == ["ensemble", "self", "matched", "no real data"]
    assert students["matched"] == students["self"]  # the same w at this scale
    assert all(student.n_seed >= 2 for student in students.values())
    for student in (*students.values(), *distill.swept_students(study, ensemble)):
        seeds = {s.init_seed for s in student.specs(study)}
        assert len(seeds) == student.n_seed
        assert not seeds & {m.init_seed for m in ensemble.members}
    wanted = study.scale.distillation
    swept = {(s.sample, s.weight, s.wd) for s in distill.swept_students(study, ensemble)}
    assert len(swept) == len(wanted.weights) * (len(wanted.decays) + 1)


def test_a_teacher_that_diverged_does_not_teach(home, corpus, spec):
    scale = Scale.load("smoke")
    study = Study(scale, "train", RunStore.of("smoke"), corpus.fingerprint, corpus.folder)
    wild = spec.replace(lr=1e9, wd=0.0, clip_norm=1e9, init_seed=1)
    assert distill.healthy(study, EnsembleSpec((spec, wild))).members == (spec,)
    with pytest.raises(InputError, match=f"teachers.*{wild.run_id}.*have all diverged"):
        distill.healthy(study, EnsembleSpec((wild,)))


def test_the_recorded_students():
    study = Study.open("laptop", source="archive")
    tuned = regularized(study)
    students = distill.students(study, tuned)
    assert list(students.student) == ["ensemble", "self", "matched", "no real data"]
    assert list(students.teachers) == [5, 1, 1, 1]
    assert students.run_ids[1] == students.run_ids[2] != students.run_ids[3]
    assert (students.flops > 1e9).all() and (students.tokens > study.scale.base_tokens).all()
    scores = distill.teachers(study, tuned)
    assert len(scores) == 2**5 - 1 and scores.noise.nunique() == 1
    sweep = distill.student_sweep(study, tuned)
    assert len(sweep) == 9 and all(len(ids) == 1 for ids in sweep.run_ids)
    assert sweep.loss[4].se > students.loss[0].se  # one seed, and three of the same student
    assert sweep.run_ids[4] == students.run_ids[0][:1]
