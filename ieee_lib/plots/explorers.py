"""Figures that a reader turns knobs of (`ieee_lib.plots.explore`): frames, fits and choices in.

drawing = limit_from(law, 3, caption=...)
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from ieee_lib.errors import check
from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.power_law import LEAST, fit_power_law
from ieee_lib.plots import marks as plots
from ieee_lib.plots.figures import LOSS, SIZE, law_text, short_count
from ieee_lib.plots.saving import Drawing, finish


def one_of_many(
    curves: Mapping[float, pd.DataFrame], chosen: float, recipe: str, *, name: str, caption: str
) -> Drawing:
    """Draw the loss along training of one setting, those of the others in grey.

    curves: value of the setting `name` -> frame of tokens, train_loss, val_loss, mean over seeds.
    """
    figure, ax = plt.subplots()
    for value, curve in curves.items():
        if value != chosen:
            ax.plot(curve.tokens, curve.val_loss, color=plots.GREY, alpha=0.5, linewidth=1)
    color, curve = plots.COLORS[recipe], curves[chosen]
    last = curve.iloc[-1]
    label = f"{name} {chosen:g}: validation, {last.val_loss:.3f} at the end"
    ax.plot(curve.tokens, curve.val_loss, color=color, marker=plots.MARKERS[recipe], label=label)
    ax.plot(curve.tokens, curve.train_loss, color=color, linestyle="--", label="training")
    ax.xaxis.set_major_formatter(lambda v, _: short_count(v))
    ax.set(xlabel="tokens trained on, repeats counted", ylabel=LOSS)
    plots.legend_above(figure, ax)
    return finish(figure, caption, chosen=chosen, curve=curve)


def law_through(
    points: Mapping[int, Estimate], chosen: tuple[int, ...], *, unit: float, caption: str
) -> Drawing:
    """Draw the law in N through some of the points; those left out are hollow.

    points: N -> loss. Raises InputError for fewer than three points: the law has as many
    parameters.
    """
    allowed = f"the law A / N^alpha + E needs at least {LEAST}"
    check(len(chosen) >= LEAST, "points", len(chosen), allowed)
    kept = {n: points[n] for n in sorted(chosen)}
    law = fit_power_law(
        [n / unit for n in kept], [p.value for p in kept.values()],
        sigma=[p.se for p in kept.values()], unit="N",
    )  # fmt: skip
    left = {n: p for n, p in points.items() if n not in kept}
    figure, ax = plt.subplots()
    plots.estimates(ax, list(kept), list(kept.values()), "regularized", label="in the fit")
    if left:
        plots.estimates(
            ax, list(left), list(left.values()), "regularized", label="left out", filled=False
        )
    reach = (0.8 * min(points), 3 * max(points))
    plots.law(ax, law, reach, "regularized", label=law_text(law), unit=unit)
    sizes = sorted(points)
    plots.log_ticks(ax, sizes, labels=[short_count(n) for n in sizes])
    ax.set(xlabel=SIZE, ylabel=LOSS)
    plots.legend_above(figure, ax)
    return finish(figure, caption, points=dict(points), chosen=list(kept), law=law)


def limit_from(law: EnsembleLaw, n_known: int, *, caption: str) -> Drawing:
    """Draw the law in K as the first few points would have it, and what more members gave."""
    table = law.points
    known, later = table[table.k <= n_known], table[table.k > n_known]
    early = fit_power_law(known.k, known.loss, sigma=known.se, alpha=1.0, unit="K")
    figure, ax = plt.subplots()
    at = {int(k): law.at(int(k)) for k in table.k}
    for part, label, filled in ((known, "in the fit", True), (later, "measured later", False)):
        if len(part):
            own = [at[int(k)] for k in part.k]
            plots.estimates(ax, part.k, own, "ensemble", label=label, filled=filled)
    plots.law(ax, early, (1, 2 * law.K), "ensemble", label=law_text(early))
    ax.set(xlabel="members K", ylabel=LOSS, xticks=range(1, 2 * law.K + 1))
    plots.legend_above(figure, ax)
    missed = {int(r.k): float(r.loss - early(r.k)) for r in later.itertuples()}
    return finish(figure, caption, points=table, law=early, missed=missed)
