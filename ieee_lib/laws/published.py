"""The paper's public numbers, each with its source and decimals (data/published/*.csv), refitted.

published("fig2_sizes")
refits()                      # our fits of its points, with intervals, beside what it printed
"""

import pandas as pd

from ieee_lib import paths
from ieee_lib.errors import check_choice
from ieee_lib.laws.data_efficiency import data_efficiency
from ieee_lib.laws.estimates import Estimate, assumed
from ieee_lib.laws.power_law import Limit, fit_power_law, fit_through

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
        ci_low, ci_high = law.interval("E")
        same = abs(law.E - row.printed_E) <= 0.5 * 10**-row.printed_decimals + 1e-9
        inside = ci_low <= row.printed_E <= ci_high
        rows.append(
            {
                "law": row.name,
                "points": law.n_point,
                "A": law.A,
                "alpha": law.alpha,
                "E": law.E,
                "E ci_low": ci_low,
                "E ci_high": ci_high,
                "E printed": row.printed_E,
                "reproduced": "yes" if same else "within the interval" if inside else "no",
                "note": row.source,
            }
        )
    return pd.DataFrame(rows)


def standard_law() -> tuple[Limit, Estimate]:
    """Return the refitted law in D of the standard recipe, and its own loss at 200M tokens."""
    points = published("data_points").query("recipe == 'standard'")
    estimates = [assumed(r.loss, sigma=NOISE, name=f"standard {r.D}") for r in points.itertuples()]
    return fit_through(points.D / 1e9, estimates, unit="D[B]").limit, estimates[0]


def multipliers() -> pd.DataFrame:
    """Return the paper's multipliers at 200M tokens beside ours from its points, with intervals."""
    standard, reference = standard_law()
    rows = []
    for row in published("multipliers").itertuples():
        loss = assumed(row.loss, sigma=NOISE, name=row.recipe)
        gain = data_efficiency(standard, loss, reference)
        inside = gain.ci_low <= row.multiplier <= gain.ci_high
        verdict = "the loss is not public" if row.loss != row.loss else "yes" if inside else "no"
        rows.append(
            {
                "recipe": row.recipe,
                "loss": row.loss,
                "printed": row.multiplier,
                "refitted": gain,
                "inside": verdict,
            }
        )
    return pd.DataFrame(rows)


def limit_pairs() -> pd.DataFrame:
    """Return K → ∞ limits at both member settings: the single-model optimum, and the heuristic's."""
    keys = ["model", "N_billions", "D"]
    pairs = published("k_limits_same_settings")[[*keys, "loss"]].merge(
        published("k_limits")[[*keys, "loss", "stale"]],
        on=keys,
        suffixes=(" at single optimum", " at heuristic"),
    )
    pairs["gain"] = pairs["loss at single optimum"] - pairs["loss at heuristic"]
    return pairs
