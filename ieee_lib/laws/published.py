"""The paper's public numbers, each with its source and decimals (data/published/*.csv), refitted.

published("fig2_sizes")
refits()                      # our fits of its points, with intervals, beside what it printed
"""

import pandas as pd

from ieee_lib import paths
from ieee_lib.errors import check_choice
from ieee_lib.laws.estimates import Estimate, Limit, assumed, limit_of
from ieee_lib.laws.power_law import data_efficiency, fit_power_law

NOISE = 0.01
"""Standard deviation assumed for a published loss, nats/token: chart readings have two decimals,
and limits vary by up to 0.02 over three seeds (v1 H.1)."""


def published(name: str) -> pd.DataFrame:
    """Return one published table; raises InputError for an unknown name."""
    check_choice("published", name, sorted(path.stem for path in paths.published().glob("*.csv")))
    return pd.read_csv(paths.published() / f"{name}.csv")


def reference_points(row: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return x and loss of one row of `reference_fits`: points whose law is known."""
    table = published(row.table)
    if row.table == "data_points":
        table = table.assign(D_billions=table.D / 1e9)
    table = table.query(row.query) if isinstance(row.query, str) else table
    return table[row.x], table.loss


def refits() -> pd.DataFrame:
    """Return our fit of every set of the paper's points, beside the limit that it printed.

    Least squares as the authors', with intervals at `NOISE`; `reproduced` says whether the
    printed limit, at its decimals, is ours.
    """
    rows = []
    fits = published("reference_fits")
    for row in fits[fits.printed_E.notna()].itertuples():
        law = fit_power_law(*reference_points(row), sigma=NOISE, unit=row.x)
        low, high = law.interval("E")
        same = abs(law.E - row.printed_E) <= 0.5 * 10**-row.printed_decimals + 1e-9
        inside = low <= row.printed_E <= high
        verdict = "yes" if same else "within the interval" if inside else "no"
        rows.append(
            {"law": row.name, "points": law.n_point, "A": law.A, "alpha": law.alpha, "E": law.E}
            | {"E low": low, "E high": high, "E printed": row.printed_E}
            | {"reproduced": verdict, "note": row.source}
        )
    return pd.DataFrame(rows)


def standard_law() -> tuple[Limit, Estimate]:
    """Return the refitted law in D of the standard recipe, and its own loss at 200M tokens."""
    points = published("data_points").query("recipe == 'standard'")
    estimates = [assumed(r.loss, sigma=NOISE, name=f"standard {r.D}") for r in points.itertuples()]
    return limit_of(points.D / 1e9, estimates, unit="D[B]"), estimates[0]


def multipliers() -> pd.DataFrame:
    """Return the paper's multipliers at 200M tokens beside ours from its points, with intervals."""
    standard, reference = standard_law()
    rows = []
    for row in published("multipliers").itertuples():
        known = {"recipe": row.recipe, "loss": row.loss, "printed": row.multiplier}
        loss = assumed(row.loss, sigma=NOISE, name=row.recipe)
        gain = data_efficiency(standard, loss, reference)
        inside = gain.low <= row.multiplier <= gain.high
        verdict = "the loss is not public" if row.loss != row.loss else "yes" if inside else "no"
        rows.append(
            {**known, "refitted": gain.value, "low": gain.low, "high": gain.high}
            | {"inside": verdict}
        )
    return pd.DataFrame(rows)


def limit_pairs() -> pd.DataFrame:
    """Return limits in K at both member settings: best for one model, and the heuristic's."""
    keys = ["model", "N_billions", "D"]
    pairs = published("k_limits_same_settings")[[*keys, "loss"]].merge(
        published("k_limits")[[*keys, "loss", "stale"]], on=keys, suffixes=(" for one", " for many")
    )
    pairs["gain"] = pairs["loss for one"] - pairs["loss for many"]
    return pairs
