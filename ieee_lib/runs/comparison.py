"""The same runs trained twice: how far apart are their losses, beside the noise between seeds?

apart = compare_losses(recorded, here, seed_noise)    # two frames of `runs_frame`
losses_line(apart)                                   # "206 runs, all equal to the last digit"
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

CELL = ["D", "wd"]
"""Runs that share them have seed noise of about one size."""

FAR = 3.0
"""Standard deviations between seeds beyond which a single run stands out."""

COLUMNS = [
    *CELL, "runs", "diverged here", "equal", "rms apart", "most apart", "noise between seeds",
]  # fmt: skip

DIGITS = {"rms apart": 4, "most apart": 4, "noise between seeds": 4}


def compare_losses(
    recorded: pd.DataFrame, here: pd.DataFrame, seed_noise: Callable[[pd.DataFrame], float]
) -> pd.DataFrame:
    """Return one row a D and weight decay: the runs in both frames, and how far apart they are.

    recorded, here: rows of `runs_frame`; runs that diverged in `recorded` are left out. seed_noise:
    the standard deviation between seeds of recorded runs. Losses are in nats/token.
    """
    recorded = recorded[recorded.status == "done"]
    here = here[["run_id", "val_loss", "status"]]
    both = recorded.merge(here, on="run_id", suffixes=("", "_here"))
    rows = []
    for (D, wd), group in both.groupby(CELL):
        done = group.status_here == "done"
        apart = (group.val_loss_here - group.val_loss).abs().where(done)
        noise = seed_noise(recorded[(recorded.D == D) & (recorded.wd == wd)])
        counts = [len(group), int((~done).sum()), int((apart == 0).sum())]
        sizes = [float(np.sqrt((apart**2).mean())), float(apart.max()), noise]
        rows.append([D, wd, *counts, *sizes])
    return pd.DataFrame(rows, columns=COLUMNS)


def losses_line(apart: pd.DataFrame) -> str:
    """Say in one line what `compare_losses` returns."""
    n, n_equal, n_lost = (int(apart[name].sum()) for name in ("runs", "equal", "diverged here"))
    if not n:
        return "none of the same runs: the text is another one, so only verdicts are compared"
    if n_equal == n:
        return f"{n} runs, all equal to the last digit"
    line = f"{n} runs, {n_equal} of them equal"
    if n_lost:
        line += f", {n_lost} diverged here alone"
    if n_lost < n:
        ended = apart.dropna(subset="rms apart")
        rms = float(np.sqrt(np.average(ended["rms apart"] ** 2, weights=ended.runs)))
        line += f"; apart by {rms:.4f} nats rms"
    n_unknown = int(apart["noise between seeds"].isna().sum())
    note = f" ({n_unknown} of {len(apart)} rows have no noise to compare with)" if n_unknown else ""
    far = apart[apart["most apart"] > FAR * apart["noise between seeds"]]
    if far.empty:
        return f"{line}, nowhere by more than {FAR:g} times the noise between seeds{note}"
    where = "; ".join(f"D = {row['D']:,} at wd {row['wd']:g}" for row in far.to_dict("records"))
    return f"{line}, somewhere by more than {FAR:g} times the noise between seeds: {where}{note}"
