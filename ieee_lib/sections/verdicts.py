"""09: every claim's verdict, what each notebook cost, and the paper's own points refitted."""

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from ieee_lib.claims.statements import STATEMENTS
from ieee_lib.claims.verdicts import (
    NOT_RUN,
    UNTESTABLE,
    Claim,
    claims_table,
    without_measure,
)
from ieee_lib.config import KINDS, RunSpec
from ieee_lib.errors import InputError, MissingRuns
from ieee_lib.laws import published
from ieee_lib.plots import published_figures
from ieee_lib.plots.saving import Drawing, Table
from ieee_lib.sections import (
    data_scaling,
    distillation,
    downstream,
    ensembles,
    joint,
    midtraining,
    overfitting,
    regularized,
)
from ieee_lib.study import Study

JUDGED = {
    "01": overfitting,
    "02": regularized,
    "03": ensembles,
    "04": joint,
    "05": data_scaling,
    "06": distillation,
    "07": downstream,
    "08": midtraining,
}
"""Notebook -> the module that judges its statements."""

PAPER = "the paper's published points, 200M tokens of DCLM unless said"
REFITTED = f"{PAPER} · refitted with an assumed noise of {published.NOISE} nats a point"


@dataclass(frozen=True)
class Found:
    study: Study
    claims: list[Claim]
    costs: pd.DataFrame
    """One row a notebook: what the runs behind it cost."""

    @property
    def caption(self) -> str:
        return self.study.caption(sum(claim.verdict != NOT_RUN for claim in self.claims))


def specs(study: Study) -> list[RunSpec]:
    return []


def gather(study: Study) -> Found:
    """Judge every notebook from records alone; a notebook without runs says "not run yet"."""
    rows: list[Claim] = []
    costs = []
    counted: set[str] = set()
    for notebook in sorted({known.notebook for known in STATEMENTS.values()}):
        reader = study.reading()
        section = JUDGED[notebook]
        try:
            rows += section.claims(section.gather(reader))
        except MissingRuns:
            rows += without_measure(notebook, NOT_RUN)
            continue
        except InputError as error:  # members or sizes lost to divergence
            rows += without_measure(notebook, UNTESTABLE, str(error))
            continue
        records = [study.store.get(i) for i in sorted(reader.touched)]
        kinds = Counter(KINDS[record["kind"]] for record in records)
        own = [r for r in records if r["run_id"] not in counted]
        counted |= {r["run_id"] for r in own}
        costs.append(
            {"notebook": notebook, **{kind: kinds[kind] for kind in KINDS.values()}}
            | {"first used here": len(own), "tokens": sum(r["tokens"] for r in own)}
            | {"FLOPs": sum(r["flops"] for r in own), "seconds": sum(r["seconds"] for r in own)}
        )
    return Found(study, rows, pd.DataFrame(costs))


def claims(found: Found) -> list[Claim]:
    return found.claims


def verdict_table(found: Found) -> Table:
    return claims_table(found.claims, caption=found.caption)


def cost_table(found: Found) -> Table:
    """Return what the runs that a notebook is the first to use cost, in worker seconds."""
    caption = found.study.caption(len(found.costs), "seconds: of one worker")
    return Table(found.costs, caption, {"seconds": 0})


def published_overfitting(found: Found) -> Drawing:
    return published_figures.overfitting(caption=f"{PAPER} · Fig 2 · 1 seed a point · 14 points")


def published_limits(found: Found) -> Drawing:
    caption = f"{REFITTED} · 16 limits and 12 points · bands: 95 %"
    return published_figures.limits(caption=caption)


def refit_table(found: Found) -> Table:
    digits = dict.fromkeys(("A", "alpha", "E", "E low", "E high"), 3) | {"E printed": 2}
    return Table(published.refits(), REFITTED, digits)


def multiplier_table(found: Found) -> Table:
    digits = dict.fromkeys(("printed", "refitted", "low", "high"), 2) | {"loss": 3}
    return Table(published.multipliers(), REFITTED, digits)


def pair_table(found: Found) -> Table:
    digits = dict.fromkeys(("loss for one", "loss for many", "gain"), 3)
    pairs = published.limit_pairs().assign(stale=lambda t: t.stale.fillna(""))
    return Table(pairs, f"{PAPER} · limits in K · 14 of 16 cells", digits)


ITEMS = {
    "claims": verdict_table,
    "tab_costs": cost_table,
    "fig02_published": published_overfitting,
    "fig07_published": published_limits,
    "tab_refits": refit_table,
    "tab_multipliers": multiplier_table,
    "tab_limit_pairs": pair_table,
}
