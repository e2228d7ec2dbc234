"""The book's tables: tidy frames in, a `Table` out.

tuned_table(tuned(study, "regularized").table, caption=study.caption(4))
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from ieee_lib.config import ModelConfig
from ieee_lib.jobs.stages import DRAW, FIT, PREPARE, WORK
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.plots.saving import Table


def count_frame(models: Mapping[str, ModelConfig]) -> pd.DataFrame:
    """Return one row a model: shape, parameters by group, total, non-embedding (Table 2)."""
    rows = []
    for name, model in models.items():
        count = model.count()
        shape = {
            f: getattr(model, f) for f in ("n_embd", "n_mlp", "n_layer", "n_head", "n_kv_head")
        }
        totals = {"non_embedding": count.non_embedding, "total": count.total}
        rows.append({"model": name, **shape, **asdict(count), **totals})
    return pd.DataFrame(rows)


def size_frame(models: Mapping[str, ModelConfig], tuned: pd.DataFrame) -> pd.DataFrame:
    """Add the column N (total parameters) to a frame of tuned settings."""
    return tuned.assign(N=[models[name].count().total for name in tuned.model])


def tuned_table(table: pd.DataFrame, *, caption: str) -> Table:
    """Return tuned settings and losses of a recipe, one row a model (Fig 3's table)."""
    columns = ["model", "N", "wd", "lr", "epochs", "loss", "se", "status", "moves"]
    return Table(table[columns], caption, {"loss": 3, "se": 3})


def certificate_table(certificates: pd.DataFrame, *, caption: str) -> Table:
    """Return the certificate of every search: centre, neighbours, differences and verdicts."""
    columns = ["model", "axis", "wd", "lr", "epochs", "loss", "n", "difference", "z", "verdict"]
    digits = {"loss": 3, "difference": 3, "z": 1}
    return Table(certificates[columns], caption, digits)


def law_table(laws: Mapping[str, PowerLaw], *, caption: str) -> Table:
    """Return fitted laws with intervals, points and degrees of freedom, one row a law."""
    rows = []
    for name, law in laws.items():
        low, high = law.interval("E")
        alpha_low, alpha_high = law.interval("alpha")
        boot_low, boot_high = law.bootstrap_interval()
        rows.append(
            {"law": name, "A": law.A, "alpha": law.alpha, "alpha low": alpha_low}
            | {"alpha high": alpha_high, "E": law.E, "E low": low, "E high": high}
            | {"E boot low": boot_low, "E boot high": boot_high}
            | {"points": law.n_point, "freedom": law.freedom, "chi2": law.chi2}
        )
    digits = {"A": 3, "alpha": 2, "alpha low": 2, "alpha high": 2, "E": 3, "E low": 3, "E high": 3}
    digits |= {"E boot low": 3, "E boot high": 3, "chi2": 2}
    equations = tuple(f"{name}: {law._repr_latex_()}" for name, law in laws.items())
    return Table(pd.DataFrame(rows), caption, digits, equations)


def ensemble_table(frame: pd.DataFrame, *, caption: str) -> Table:
    """Return laws in K (`ensembles.laws_frame`), one row an ensemble."""
    names = ["member", "ensemble", "limit", "low", "high", "limit, beta free"]
    digits = dict.fromkeys(names, 3) | dict.fromkeys(["beta", "beta low", "beta high"], 2)
    return Table(frame, caption, digits)


def stage_table(
    seconds: Mapping[str, float], records: Iterable[Mapping[str, Any]], wall: float, n_worker: int
) -> Table:
    """Return wall seconds and share of each stage of a book that took `wall` seconds.

    `records` are those it wrote. What workers did in parallel is given as wall time: their
    seconds over the number of workers.
    """
    records = list(records)
    trained = [r for r in records if r["kind"] == "train"]
    compiled = sum(r["stack"]["compile_seconds"] for r in trained)
    evaluated = sum(r["stack"]["evaluation_seconds"] for r in trained)
    parallel = {
        "training steps": sum(r["seconds"] for r in trained) - compiled - evaluated,
        "validation while training": evaluated,
        "scoring ensembles, sampling, answering": sum(
            r["seconds"] for r in records if r["kind"] != "train"
        ),
        "compile": compiled,
    }
    rows = {name: value / n_worker for name, value in parallel.items()}
    rows["start of workers, waiting for the last"] = seconds.get(WORK, 0.0) - sum(rows.values())
    rows |= {name: seconds.get(name, 0.0) for name in (PREPARE, FIT, DRAW)}
    rows["notebooks: kernels, imports, the rest"] = wall - sum(rows.values())
    frame = pd.DataFrame(rows.items(), columns=["stage", "seconds"])
    frame["share (%)"] = 100 * frame.seconds / wall
    total = pd.DataFrame([{"stage": "all", "seconds": wall, "share (%)": 100.0}])
    caption = f"{len(trained)} runs trained · {n_worker} worker(s), whose time counts divided"
    digits = {"seconds": 0, "share (%)": 1}
    return Table(pd.concat([frame, total], ignore_index=True), caption, digits)
