"""Distillation: students of text that trained models wrote (Sec. 6, Fig 9, Tables 3 and 4).

Teachers write unconditionally; a student of their own size starts from scratch on batches that
mix the real D tokens with theirs, a share w of the sequences being synthetic.

    asked = students(study, teachers)        # "ensemble", "self", "no real data", ...
    runs = teach(study, asked.values())
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from ieee_lib.config import EnsembleSpec, RunSpec, SampleSpec
from ieee_lib.errors import check
from ieee_lib.study import Study

FIRST_SEED = 100
"""Students' seeds start here, so that none begins where one of its teachers began."""


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
        wanted = study.scale.distillation
        return [
            study.spec(
                study.scale.ensembles.model,
                seed=FIRST_SEED + seed,
                wd=self.wd,
                lr=wanted.lr,
                epochs=wanted.epochs,
                synthetic=self.sample.run_id,
                synthetic_weight=self.weight,
                synthetic_only=not self.real_data,
            )
            for seed in range(self.n_seed)
        ]


def sample(study: Study, teachers: EnsembleSpec, kind: str) -> SampleSpec:
    """Return the text that teachers write at the scale's length."""
    return SampleSpec(teachers=teachers, kind=kind, n_token=study.scale.distillation.n_token)


def alone(teachers: EnsembleSpec) -> EnsembleSpec:
    """Return the first teacher, for self-distillation."""
    return EnsembleSpec(teachers.members[:1])


def students(study: Study, teachers: EnsembleSpec) -> dict[str, Student]:
    """Return the students the section compares, by name.

    ensemble and self are the paper's recipes. "no real data" is compared with "matched", which is
    as long (Table 4), and is "self" where that has the same w.
    """
    wanted, n_seed = study.scale.distillation, study.scale.seeds
    asked = {}
    for i, kind in enumerate(wanted.kinds):
        asked["ensemble" if i == 0 else f"ensemble, {kind}"] = Student(
            sample=sample(study, teachers, kind),
            weight=wanted.ensemble_weight,
            wd=wanted.ensemble_wd,
            n_seed=n_seed,
        )
    own = Student(
        sample=sample(study, alone(teachers), "mixture"),
        weight=wanted.self_weight,
        wd=wanted.self_wd,
        n_seed=n_seed,
    )
    matched = replace(own, weight=wanted.ablation_weight)
    asked |= {"self": own, "matched": matched, "no real data": replace(matched, real_data=False)}
    return asked


def sweep(study: Study, teachers: EnsembleSpec) -> list[Student]:
    """Return students at every w: of the ensemble at every decay of the sweep (Table 3), of one
    model at its own."""
    wanted, n_seed = study.scale.distillation, study.scale.search.seeds
    of_many = sample(study, teachers, wanted.kinds[0])
    of_one = sample(study, alone(teachers), "mixture")
    points = [(of_many, weight, wd) for weight in wanted.weights for wd in wanted.decays]
    points += [(of_one, weight, wanted.self_wd) for weight in wanted.weights]
    return [Student(sample=s, weight=w, wd=wd, n_seed=n_seed) for s, w, wd in points]


def healthy(study: Study, teachers: EnsembleSpec) -> EnsembleSpec:
    """Return the teachers without those that diverged, training what is missing.

    Raises InputError where none is left.
    """
    runs = study.ensure(teachers.members, weights=True, label="teachers")
    done = [m for m, status in zip(teachers.members, runs.status, strict=True) if status == "done"]
    check(bool(done), "teachers", [m.run_id for m in teachers.members], "have all diverged")
    return EnsembleSpec(tuple(done))


def teach(study: Study, asked: Iterable[Student]) -> pd.DataFrame:
    """Return the students' runs, one row each; teachers write first what is missing."""
    asked = list(asked)
    study.sample([student.sample for student in asked], label="teachers writing")
    return study.ensure([s for student in asked for s in student.specs(study)], label="students")
