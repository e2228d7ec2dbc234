"""The book's tables: tidy frames in, a `Table` out.

tuned_table(study.scale.models, results, caption=study.caption(4))
"""

from collections.abc import Mapping
from dataclasses import asdict

import pandas as pd

from ieee_lib.analysis.drawing import Table
from ieee_lib.analysis.laws import PowerLaw
from ieee_lib.analysis.uncertainty import Estimate
from ieee_lib.spec import ModelConfig


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
    return Table(pd.DataFrame(rows), caption, digits)


def ensemble_table(frame: pd.DataFrame, *, caption: str) -> Table:
    """Return laws in K (`ensembles.laws_frame`), one row an ensemble."""
    names = ["member", "ensemble", "limit", "low", "high", "limit, beta free"]
    digits = dict.fromkeys(names, 3) | dict.fromkeys(["beta", "beta low", "beta high"], 2)
    return Table(frame, caption, digits)


def estimate_table(
    rows: Mapping[str, Estimate], *, name: str, caption: str, digits: int = 3
) -> Table:
    """Return estimates with their 95 % intervals, one row each."""
    frame = pd.DataFrame(
        [{name: key, "value": e.value, "low": e.low, "high": e.high} for key, e in rows.items()]
    )
    return Table(frame, caption, dict.fromkeys(("value", "low", "high"), digits))
