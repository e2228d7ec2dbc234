"""Distillation: students of text that trained models wrote (Sec. 6, Fig 9, Tables 3 and 4).

Teachers write unconditionally; a student of their own size starts from scratch on batches that
mix the real D tokens with theirs, a share w of the sequences being synthetic.

    tuned = regularized(study)
    scores = teachers(study, tuned)          # one row a scored subset of the teachers
    compared = students(study, tuned)        # one row a student, its loss an estimate
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from ieee_lib.config import EnsembleSpec, RunSpec, SampleSpec
from ieee_lib.config.derived import SampleKind
from ieee_lib.config.scale_tables import Settings
from ieee_lib.errors import check
from ieee_lib.laws.estimates import replicate_noise, seed_mean
from ieee_lib.recipes import single
from ieee_lib.recipes.ensembles import centre_of, centres_of, ensemble, heuristic, score
from ieee_lib.study import Study

FIRST_SEED = 100
"""Students' seeds start here, so that none begins where one of its teachers began."""


def teachers(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of the ensemble that teaches: notebook 03's members at the heuristic.

    Columns as in `recipes.tuned_ensembles`. Trains and scores what is missing; members that
    diverged do not teach.
    """
    return score(study, [_teaching(study, tuned)], label="teachers")


def students(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the students that the section compares, one row each (Fig 9, Table 4).

    Columns: student (ensemble, self, matched, no real data), teachers (their number), w (share of
    synthetic sequences), wd, seeds, tokens and flops of one run, loss (estimate, nats/token, over
    seeds of the students), run_ids. "no real data" is as long as "matched", which is "self" itself
    where both have the same w. Trains what is missing.
    """
    teaching = _teaching(study, tuned)
    compared = compared_students(study, teaching)
    frame = _losses(study, teaching, compared.values())
    frame.insert(0, "student", list(compared))
    return frame


def student_sweep(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return students over w and weight decay (Table 3); columns as in `students`.

    Of the ensemble at every decay of the scale's sweep, of one model at its own.
    """
    teaching = _teaching(study, tuned)
    return _losses(study, teaching, swept_students(study, teaching))


def students_with_costs(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return all students of the section, each once, with all the compute that they rest on.

    Columns as in `students`, without their name; flops: of the student's training, of its teachers'
    and of writing (a forward pass).
    """
    teaching = _teaching(study, tuned)
    taught = [*compared_students(study, teaching).values(), *swept_students(study, teaching)]
    frame = _losses(study, teaching, taught)
    before = [s.sample.flops + sum(m.flops for m in s.sample.teachers.members) for s in taught]
    return frame.assign(flops=frame.flops + before).drop_duplicates("run_ids")


def distillation_specs(study: Study) -> list[RunSpec]:
    """Return the teachers' and students' runs, from recorded searches or the scale's settings."""
    teaching = teacher_spec(study, single.current_centres(study, "regularized"))
    taught = [*compared_students(study, teaching).values(), *swept_students(study, teaching)]
    return [*teaching.members, *(spec for student in taught for spec in student.specs(study))]


@dataclass(frozen=True, kw_only=True)
class Student:
    """One way to teach; several seeds of it are trained."""

    sample: SampleSpec
    """What the teachers wrote."""
    weight: float
    """w: the share of synthetic sequences."""
    wd: float
    n_seed: int
    real_data: bool = True
    """False: synthetic sequences take the place of the real ones, at the same length (Table 4)."""

    def specs(self, study: Study) -> list[RunSpec]:
        """Return its runs, one a seed."""
        table = study.scale.distillation
        return [
            study.spec(
                study.scale.ensembles.model,
                seed=FIRST_SEED + seed,
                wd=self.wd,
                lr=table.lr,
                epochs=table.epochs,
                synthetic=self.sample.run_id,
                synthetic_weight=self.weight,
                synthetic_only=not self.real_data,
            )
            for seed in range(self.n_seed)
        ]


def teacher_spec(study: Study, centres: Iterable[Settings]) -> EnsembleSpec:
    """Return the ensemble that teaches: members at the heuristic's settings of one model."""
    centre = centre_of(centres, study.scale.ensembles.model)
    return ensemble(study, heuristic(centre), study.scale.distillation.teachers)


def healthy(study: Study, teachers: EnsembleSpec) -> EnsembleSpec:
    """Return the teachers without those that diverged, training what is missing.

    Raises InputError where none is left.
    """
    runs = study.ensure(teachers.members, weights=True, label="teachers")
    done = [m for m, status in zip(teachers.members, runs.status, strict=True) if status == "done"]
    check(bool(done), "teachers", [m.run_id for m in teachers.members], "have all diverged")
    return EnsembleSpec(tuple(done))


def first_teacher(teachers: EnsembleSpec) -> EnsembleSpec:
    """Return the first teacher alone, for self-distillation."""
    return EnsembleSpec(teachers.members[:1])


def sample(study: Study, teachers: EnsembleSpec, kind: SampleKind) -> SampleSpec:
    """Return the text that teachers write, at the scale's length."""
    return SampleSpec(teachers=teachers, kind=kind, n_token=study.scale.distillation.n_token)


def compared_students(study: Study, teachers: EnsembleSpec) -> dict[str, Student]:
    """Return the students that the section compares, by name.

    "ensemble" and "self" are the paper's recipes; "no real data" is compared with "matched".
    """
    table, n_seed = study.scale.distillation, study.scale.seeds
    compared = {}
    for i, kind in enumerate(table.kinds):
        compared["ensemble" if i == 0 else f"ensemble, {kind}"] = Student(
            sample=sample(study, teachers, kind),
            weight=table.ensemble_weight,
            wd=table.ensemble_wd,
            n_seed=n_seed,
        )
    compared["self"] = Student(
        sample=sample(study, first_teacher(teachers), "mixture"),
        weight=table.self_weight,
        wd=table.self_wd,
        n_seed=n_seed,
    )
    compared["matched"] = replace(compared["self"], weight=table.ablation_weight)
    compared["no real data"] = replace(compared["matched"], real_data=False)
    return compared


def swept_students(study: Study, teachers: EnsembleSpec) -> list[Student]:
    """Return students at every w: of the ensemble at every decay, of one model at its own."""
    table, n_seed = study.scale.distillation, study.scale.search.seeds
    from_all = sample(study, teachers, table.kinds[0])
    from_one = sample(study, first_teacher(teachers), "mixture")
    points = [(from_all, weight, wd) for weight in table.weights for wd in table.decays]
    points += [(from_one, weight, table.self_wd) for weight in table.weights]
    return [Student(sample=s, weight=w, wd=wd, n_seed=n_seed) for s, w, wd in points]


def teach(study: Study, students: Iterable[Student]) -> pd.DataFrame:
    """Return the students' runs, one row each; teachers write first what is missing."""
    students = list(students)
    study.sample([student.sample for student in students], label="teachers writing")
    return study.ensure([s for student in students for s in student.specs(study)], label="students")


def _teaching(study: Study, tuned: pd.DataFrame) -> EnsembleSpec:
    return healthy(study, teacher_spec(study, centres_of(tuned)))


def _losses(study: Study, teaching: EnsembleSpec, students: Iterable[Student]) -> pd.DataFrame:
    """Return one row a student; all of the section's are taught together and share their noise."""
    taught = [*compared_students(study, teaching).values(), *swept_students(study, teaching)]
    runs = teach(study, taught).drop_duplicates("run_id")
    noise = replicate_noise(runs, study.scale.assumed_noise)
    rows = []
    for student in students:
        specs = student.specs(study)
        run_ids = tuple(spec.run_id for spec in specs)
        rows.append(
            {
                "teachers": len(student.sample.teachers.members),
                "w": student.weight,
                "wd": student.wd,
                "seeds": student.n_seed,
                "tokens": specs[0].tokens,
                "flops": specs[0].flops,
                "loss": seed_mean(runs[runs.run_id.isin(run_ids)], noise),
                "run_ids": run_ids,
            }
        )
    return pd.DataFrame(rows)
