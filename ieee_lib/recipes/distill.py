"""Distillation: students of text that trained models wrote (Sec. 6, Fig 9, Tables 3 and 4).

Teachers write unconditionally; a student of their own size starts from scratch on batches that
mix the real D tokens with theirs, a share w of the sequences being synthetic.

    asked = students(study, teachers)        # "ensemble", "self", "no real data", ...
    runs = teach(study, asked.values())
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from ieee_lib.spec import EnsembleSpec, RunSpec, SampleSpec
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
    """Return the students the section compares, by name; the first is the paper's recipe."""
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
    return {**asked, "self": own, "no real data": replace(own, real_data=False)}


def sweep(study: Study, teachers: EnsembleSpec) -> list[Student]:
    """Return students of the ensemble at every w and decay of the sweep (Table 3)."""
    wanted = study.scale.distillation
    text = sample(study, teachers, wanted.kinds[0])
    n_seed = study.scale.search.seeds
    return [
        Student(sample=text, weight=weight, wd=wd, n_seed=n_seed)
        for weight in wanted.weights
        for wd in wanted.decays
    ]


def teach(study: Study, asked: Iterable[Student]) -> pd.DataFrame:
    """Return the students' runs, one row each; teachers write first what is missing."""
    asked = list(asked)
    study.sample([student.sample for student in asked], label="teachers writing")
    return study.ensure([s for student in asked for s in student.specs(study)], label="students")
