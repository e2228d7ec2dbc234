"""Fitted laws as a frame, one row a law.

laws_frame({"regularized, N → ∞": law})
"""

from collections.abc import Mapping

import pandas as pd

from ieee_lib.laws.power_law import PowerLaw

LAW_DIGITS = {"A": 3, "alpha": 2, "E": 3, "chi2": 2}
"""Decimals of a table of laws."""


def laws_frame(laws: Mapping[str, PowerLaw]) -> pd.DataFrame:
    """Return fitted laws with their intervals, points and degrees of freedom, one row a law."""
    rows = []
    for name, law in laws.items():
        alpha_low, alpha_high = law.interval("alpha")
        ci_low, ci_high = law.interval("E")
        rows.append(
            {
                "law": name,
                "A": law.A,
                "alpha": law.alpha,
                "alpha ci_low": alpha_low,
                "alpha ci_high": alpha_high,
                "E": law.E,
                "E ci_low": ci_low,
                "E ci_high": ci_high,
                "points": law.n_point,
                "dof": law.dof,
                "chi2": law.chi2,
            }
        )
    return pd.DataFrame(rows)
