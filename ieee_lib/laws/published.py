"""The paper's public numbers, each with its source and decimals (data/published/*.csv), refitted.

published("fig2_sizes")       # as printed
published_points("k_limits")  # with noise, for fit_power_law
refits()                      # our fits of its points, with intervals, beside what it printed
"""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from ieee_lib import paths
from ieee_lib.config.scale import Scale
from ieee_lib.errors import check_choice
from ieee_lib.laws.data_efficiency import data_efficiency
from ieee_lib.laws.estimates import assumed
from ieee_lib.laws.fit import fit_power_law

NOISE = 0.01
"""Standard deviation assumed for a published loss, nats/token: chart readings have two decimals,
and limits vary by up to 0.02 over three seeds (v1 H.1)."""


def published(name: str) -> pd.DataFrame:
    """Return one published table, with N in parameters where it has sizes.

    Raises InputError for an unknown name.
    """
    check_choice("published", name, sorted(path.stem for path in paths.published().glob("*.csv")))
    table = pd.read_csv(paths.published() / f"{name}.csv")
    return table.assign(N=1e9 * table.N_billions) if "N_billions" in table else table


def published_points(name: str) -> pd.DataFrame:
    """Return a published table to fit laws to: loss as estimates with the assumed `NOISE`.

    N is in parameters and D in tokens.

        fit_power_law(published_points("data_points").query("recipe == 'standard'"), x="D")
    """
    table = published(name)
    names = table[[column for column in ("recipe", "model", "D") if column in table]]
    losses = [
        assumed(loss, sigma=NOISE, name=" ".join(map(str, words)))
        for loss, words in zip(table.loss, names.to_dict("split")["data"], strict=True)
    ]
    return table.assign(loss=pd.Series(losses))


def published_costs() -> pd.DataFrame:
    """Return the paper's points at 200M tokens whose training compute follows from public settings.

    Columns: recipe, model, N, D, K, wd, epochs, flops (of a student also its teachers' and what
    they wrote), parameters (N x K), loss (estimates at `NOISE`), source. What is not public is not
    here: regularized losses of 150M and 600M, tuned settings of 1.5B and 3.2B (and the epochs of
    the standard 3.2B: two are printed), settings of 5 x 1.4B.
    FLOPs follow `ModelConfig.flops_per_token` at the paper's shapes; writing is a forward pass.
    """
    usual = pd.concat([published("fig2_sizes"), published("fig2_epochs")], ignore_index=True)
    usual = usual.fillna({"model": "300M", "N": 3e8}).query("model != '3.2B'")
    usual = usual.assign(recipe="standard", K=1, wd=0.1, trained=1)
    points = pd.concat([usual, published("compute")], ignore_index=True)
    points = points.drop_duplicates(["recipe", "model", "K", "wd", "epochs", "trained"])
    scale = Scale.load("paper")
    per_token = points.model.map({m: c.flops_per_token() for m, c in scale.models.items()})
    students = points[["student_tokens", "sampled_tokens"]].fillna(0)
    tokens = points.trained * points.epochs * scale.base_tokens + students.student_tokens
    names = points[["recipe", "model", "K", "wd", "epochs", "trained"]].to_dict("split")["data"]
    losses = [
        assumed(loss, sigma=NOISE, name=" ".join(map(str, words)))
        for loss, words in zip(points.loss, names, strict=True)
    ]
    columns = [
        "recipe",
        "model",
        "N",
        "D",
        "K",
        "wd",
        "epochs",
        "flops",
        "parameters",
        "loss",
        "source",
    ]
    return points.assign(
        D=scale.base_tokens,
        flops=per_token * (tokens + students.sampled_tokens / 3),
        parameters=points.N * points.K,
        loss=pd.Series(losses, points.index),
    )[columns].reset_index(drop=True)


def reference_points(row: Mapping[Hashable, Any]) -> tuple[pd.Series, pd.Series]:
    """Return x and loss of one row of `reference_fits`: points whose law is known."""
    table = published(row["table"])
    if row["table"] == "data_points":
        table = table.assign(D_billions=table.D / 1e9)
    if isinstance(row["query"], str):
        table = table.query(row["query"])
    return table[row["x"]], table.loss


def refits() -> pd.DataFrame:
    """Return our fit of every set of the paper's points, beside the limit that it printed.

    Least squares as the authors', with intervals at `NOISE`; `reproduced` says whether the
    printed limit, at its decimals, is ours.
    """
    fits = published("reference_fits")
    rows = []
    for row in fits[fits.printed_E.notna()].to_dict("records"):
        x, loss = reference_points(row)
        law = fit_power_law(x, loss, sigma=NOISE, unit=row["x"])
        ci_low, ci_high = law.interval("E")
        printed = row["printed_E"]
        if abs(law.E - printed) <= 0.5 * 10 ** -row["printed_decimals"] + 1e-9:
            reproduced = "yes"
        elif ci_low <= printed <= ci_high:
            reproduced = "within the interval"
        else:
            reproduced = "no"
        rows.append(
            {
                "law": row["name"],
                "points": law.n_point,
                "A": law.A,
                "alpha": law.alpha,
                "E": law.E,
                "E ci_low": ci_low,
                "E ci_high": ci_high,
                "E printed": printed,
                "reproduced": reproduced,
                "note": row["source"],
            }
        )
    return pd.DataFrame(rows)


def multipliers() -> pd.DataFrame:
    """Return the paper's multipliers at 200M tokens beside ours from its points, with intervals."""
    points = published_points("data_points").query("recipe == 'standard'")
    standard, reference = fit_power_law(points, x="D").limit, points.loss.iloc[0]
    rows = []
    for row in published("multipliers").to_dict("records"):
        loss = assumed(row["loss"], sigma=NOISE, name=row["recipe"])
        gain = data_efficiency(standard, loss, reference)
        if math.isnan(row["loss"]):
            inside = "the loss is not public"
        else:
            inside = "yes" if gain.ci_low <= row["multiplier"] <= gain.ci_high else "no"
        rows.append(
            {
                "recipe": row["recipe"],
                "loss": row["loss"],
                "printed": row["multiplier"],
                "refitted": gain,
                "inside": inside,
            }
        )
    return pd.DataFrame(rows)


def limit_pairs() -> pd.DataFrame:
    """Return K → ∞ limits at both member settings: the single-model optimum, and the heuristic's.

    A gain of zero marks published cells that are likely stale; `stale` says which those are.
    """
    keys = ["model", "N_billions", "D"]
    pairs = published("k_limits_same_settings")[[*keys, "loss"]].merge(
        published("k_limits")[[*keys, "loss", "stale"]],
        on=keys,
        suffixes=(" at single optimum", " at heuristic"),
    )
    pairs["gain"] = pairs["loss at single optimum"] - pairs["loss at heuristic"]
    return pairs.assign(stale=pairs.stale.fillna(""))
