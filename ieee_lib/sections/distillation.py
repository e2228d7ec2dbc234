"""06: most of an ensemble's gain fits into one small student (Sec. 6, Fig 9, Tables 3 and 4)."""

from dataclasses import dataclass

import pandas as pd

from ieee_lib.claims import verdicts as verdicts
from ieee_lib.claims.verdicts import Claim, claims_table
from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.scale import UNITS
from ieee_lib.laws.ensembles import EnsembleLaw, ensemble_laws
from ieee_lib.laws.estimates import Estimate, mean_of, replicate_noise
from ieee_lib.plots import distillation_figures as figures
from ieee_lib.plots.saving import Drawing, Table
from ieee_lib.recipes import distill, single
from ieee_lib.recipes import ensembles as recipe
from ieee_lib.recipes.distill import Student
from ieee_lib.sections.ensembles import member_noise
from ieee_lib.sections.tuned import Tuned, tuned
from ieee_lib.study import Study


@dataclass(frozen=True)
class Taught:
    """A student and what its seeds reached."""

    student: Student
    loss: Estimate
    """Mean over seeds; the luck of the teachers is not in its noise."""
    retention: Estimate
    """Share of the teachers' gain over the tuned single model that the student keeps; these
    teachers, so their own noise is not in it."""


@dataclass(frozen=True)
class Found:
    study: Study
    regularized: Tuned
    law: EnsembleLaw
    """The teachers: members tuned for many."""
    students: dict[str, Taught]
    sweep: list[Taught]

    @property
    def single(self) -> Estimate:
        """The tuned single model of the students' size."""
        return self.regularized.points[self.law.about["N"]]

    def caption(self, n_point: int, *notes: str) -> str:
        teachers = f"{self.law.K} teachers of {self.law.about['model']}"
        synthetic = f"{self.study.scale.distillation.n_token:,} synthetic tokens"
        return self.study.caption(n_point, teachers, synthetic, *notes)


def teachers(study: Study, centre) -> EnsembleSpec:
    """Return the ensemble that teaches: notebook 03's members tuned for many."""
    return recipe.ensemble(study, recipe.heuristic(centre), study.scale.distillation.teachers)


def _asked(study: Study, ensemble: EnsembleSpec) -> tuple[dict[str, Student], list[Student]]:
    return distill.students(study, ensemble), distill.sweep(study, ensemble)


def specs(study: Study) -> list[RunSpec]:
    centres = single.known_centres(study, "regularized")
    ensemble = teachers(study, recipe.tuned_centre(centres, study.scale.ensembles.model))
    students, sweep = _asked(study, ensemble)
    taught = [spec for student in (*students.values(), *sweep) for spec in student.specs(study)]
    return [*ensemble.members, *taught]


def gather(study: Study) -> Found:
    regularized = tuned(study, "regularized")
    ensemble = teachers(
        study, recipe.tuned_centre(regularized.centres, study.scale.ensembles.model)
    )
    ensemble = distill.healthy(study, ensemble)
    noise = member_noise(study, [ensemble])
    law = ensemble_laws(study.score([ensemble], label="teachers"), noise=noise)[0]
    students, sweep = _asked(study, ensemble)
    runs = distill.teach(study, [*students.values(), *sweep]).drop_duplicates("run_id")
    sigma = replicate_noise(runs, study.scale.assumed_noise)
    single_loss = regularized.points[law.about["N"]]

    def taught(student: Student) -> Taught:
        ids = [spec.run_id for spec in student.specs(study)]
        loss = mean_of(runs[runs.run_id.isin(ids)], sigma=sigma)
        return Taught(student, loss, (single_loss - loss) / (single_loss - law.best.value))

    return Found(
        study=study,
        regularized=regularized,
        law=law,
        students={name: taught(student) for name, student in students.items()},
        sweep=[taught(student) for student in sweep],
    )


def against_total(found: Found) -> Drawing:
    shown = {name: found.students[name].loss for name in ("ensemble", "self")}
    return figures.students_against_total(
        found.regularized.table,
        found.regularized.limit,
        found.law,
        shown,
        unit=UNITS[found.study.scale.unit],
        caption=found.caption(found.law.K + len(shown), "bars and bands: 95 %"),
    )


def against_weight(found: Found) -> Drawing:
    points = pd.DataFrame(
        {"taught": _by(t), "w": t.student.weight, "loss": t.loss} for t in found.sweep
    )
    return figures.loss_against_weight(
        points,
        {"best single": found.single, "teachers together": found.law.best},
        caption=sweep_caption(found, len(points)),
    )


def sweep_caption(found: Found, n_point: int) -> str:
    """Return the caption of the sweep, which has the seeds of a search."""
    seeds, teachers = found.study.scale.search.seeds, f"{found.law.K} teachers"
    return found.study.caption(n_point, teachers, "bars: 95 %", seeds=seeds)


def _by(taught: Taught) -> str:
    n = len(taught.student.sample.teachers.members)
    return f"of {n if n > 1 else 'one'}, wd {taught.student.wd:g}"


def student_table(found: Found) -> Table:
    """Return every student beside its teachers and the tuned single model."""
    rows = [
        {"student": name, "teachers": len(t.student.sample.teachers.members)}
        | {"w": t.student.weight, "wd": t.student.wd, "seeds": t.student.n_seed}
        | {"tokens": t.student.specs(found.study)[0].tokens}
        | {"loss": t.loss.value, "low": t.loss.low, "high": t.loss.high}
        | {"retention": t.retention.value, "retention low": t.retention.low}
        | {"retention high": t.retention.high}
        for name, t in found.students.items()
        if name != "matched" or t.student != found.students["self"].student
    ]
    digits = dict.fromkeys(("loss", "low", "high"), 3) | {"w": 3}
    digits |= dict.fromkeys(("retention", "retention low", "retention high"), 2)
    best = f"best single {found.single!r}"
    ensemble = f"ensemble {found.law.best!r}, one of them {found.law.at(1)!r}"
    return Table(pd.DataFrame(rows), found.caption(len(rows), best, ensemble), digits)


def sweep_table(found: Found) -> Table:
    """Return the students of the sweep over w and decay (Table 3)."""
    rows = [
        {"teachers": len(t.student.sample.teachers.members), "w": t.student.weight}
        | {"wd": t.student.wd, "seeds": t.student.n_seed}
        | {"tokens": t.student.specs(found.study)[0].tokens}
        | {"loss": t.loss.value, "low": t.loss.low, "high": t.loss.high}
        for t in found.sweep
    ]
    digits = dict.fromkeys(("loss", "low", "high", "w"), 3)
    return Table(pd.DataFrame(rows), sweep_caption(found, len(rows)), digits)


def claims(found: Found) -> list[Claim]:
    taught = found.students
    at = {name: f"w {t.student.weight:g}, wd {t.student.wd:g}" for name, t in taught.items()}
    own, matched, bare = (taught[name].loss for name in ("self", "matched", "no real data"))
    gain = found.single - found.law.best
    return [
        verdicts.keeps_gain(
            taught["ensemble"].retention, gain, f"{found.law.K} teachers, {at['ensemble']}"
        ),
        verdicts.difference_below(
            "self_distillation_helps", own, found.single, f"one teacher, {at['self']}"
        ),
        verdicts.difference_above("real_data_is_needed", bare, matched, at["matched"]),
    ]


ITEMS = {
    "fig09_students_against_total_parameters": against_total,
    "fig09b_loss_against_synthetic_share": against_weight,
    "tab09_students": student_table,
    "tab09_sweep": sweep_table,
    "tab09_claims": lambda found: claims_table(
        claims(found), caption=found.caption(len(found.students))
    ),
}
