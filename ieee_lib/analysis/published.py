"""The paper's public numbers, each with its source and decimals (data/published/*.csv).

published("fig2_sizes")
"""

import pandas as pd

from ieee_lib import paths
from ieee_lib.errors import check_choice


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
