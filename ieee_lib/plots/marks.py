"""Marks on axes: each takes an ax, a tidy frame, a fit or estimates, and returns the ax.

Nothing here opens a figure, fits, aggregates, loads or saves. One colour and one marker a recipe,
the same in every figure (`plots.style`).

    means(ax, table, "N", "regularized", label="regularized recipe")
    legend_above(ax)                         # plots.legends
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullLocator
from matplotlib.typing import ColorType

from ieee_lib.laws.estimates import Estimate, t_quantile
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.units import scale_of
from ieee_lib.plots.legends import NO_BOUND, NO_BOUND_MARKER, no_bound_entries, text_size
from ieee_lib.plots.style import COLORS, GREY, MARKERS, is_dark, marker_size, surface
from ieee_lib.plots.ticks import Staggered, short_count

LOSS = "validation loss (nats/token)"
PARAMETERS = "parameters N"
TOTAL_PARAMETERS = "total parameters, N × K"
SEED_TOKENS = "seed tokens D"
"""Labels of axes."""

FAR = 1e3
"""Nats/token beyond any axis: where an interval without an end is cut."""


def hollow() -> str:
    """Return what a hollow mark is filled with: the background, which hides the line behind it."""
    return surface()


def means(
    ax: Axes,
    table: pd.DataFrame,
    x: str,
    recipe: str,
    *,
    label: str,
    filled: bool = True,
    **line: Any,
) -> Axes:
    """Draw mean loss against x with its 95 % interval, joined by a line.

    table: x, loss, se (its standard error) and dof (of se; without it se is known).
    """
    table = table.dropna(subset="loss").sort_values(x)
    color = COLORS[recipe]
    style = {"linestyle": "-", "marker": MARKERS[recipe], "color": color, "ecolor": color}
    face = color if filled else hollow()
    ax.errorbar(
        table[x],
        table.loss,
        yerr=half_widths(table),
        label=label,
        **{**style, "markerfacecolor": face, "markeredgecolor": color, **line},
    )
    return ax


def half_widths(table: pd.DataFrame) -> pd.Series:
    """Return half of each row's 95 % interval, from se and dof; 0 where nothing says its noise."""
    dof = table["dof"] if "dof" in table else pd.Series(np.inf, table.index)
    factors = [t_quantile(0.975, n) if n > 0 else 0.0 for n in dof]
    return (table.se * np.array(factors, dtype=float)).fillna(0)


def law(ax: Axes, fit: PowerLaw, x_range: tuple[float, float], recipe: str, *, label: str) -> Axes:
    """Draw a fitted law (dashed) over a range of the axis, its asymptote, and that one's interval.

    The axis shows parameters or tokens, where the law's own x may count millions.
    """
    size = scale_of(fit.unit)
    x = np.geomspace(*x_range, 200) / size
    color = COLORS[recipe]
    ax.plot(x * size, fit(x), linestyle="--", color=color, label=label)
    ax.axhline(fit.E, linestyle=":", color=color, label=asymptote_label(fit))
    ci_low, ci_high = fit.interval("E")
    near = fit.E - 0.4 * abs(fit.y.max() - fit.E)  # further down it would swallow the axis
    ax.update_datalim([(x[0] * size, max(ci_low, near))], updatex=False)
    ax.autoscale_view(scalex=False)
    return band(ax, ci_low, ci_high, color)


def band(ax: Axes, ci_low: float, ci_high: float, color: ColorType) -> Axes:
    """Shade an interval of y over the axes' whole width, without moving the axis.

    A wide interval must not swallow the axis: it runs to the edge.
    """
    bottom, top = max(ci_low, -FAR), min(ci_high, FAR)
    shade = Rectangle((0, bottom), 1, top - bottom)
    alpha = 0.22 if is_dark() else 0.14
    shade.set(color=color, alpha=alpha, linewidth=0, transform=ax.get_yaxis_transform())
    ax.add_artist(shade)
    return ax


def curve(ax: Axes, fit: PowerLaw, x_range: tuple[float, float], recipe: str, **line: Any) -> Axes:
    """Draw a fitted law alone (dashed) over a range of the axis."""
    size = scale_of(fit.unit)
    x = np.geomspace(*x_range, 200)
    ax.plot(x, fit(x / size), **{"linestyle": "--", "color": COLORS[recipe], **line})
    return ax


def law_text(fit: PowerLaw, interval: tuple[float, float] | None = None) -> str:
    """Return a law as a line of a legend; it says what is fixed, or that no limit is bounded."""
    if not fit.has_bounded_limit:
        return f"fit (limit not determined), {fit.n_point} points"
    ends = f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else ""
    fixed = ", exponent fixed" if fit.fixed_alpha else ""
    return f"{fit.label}{ends}{fixed}, {fit.n_point} points"


def estimates(
    ax: Axes,
    x: Iterable[float],
    values: Sequence[Estimate],
    recipe: str,
    *,
    label: str,
    filled: bool = True,
    **line: Any,
) -> Axes:
    """Draw estimates with their 95 % intervals, an arrow for an end that nothing bounds."""
    color = COLORS[recipe]
    least = 0.0 if ax.get_yscale() == "log" else -np.inf  # on a log axis 0 is as far as −∞
    x = list(x)
    ends = [(v.ci_low, v.value, v.ci_high) for v in values]
    ci_low, middle, ci_high = np.array(ends, dtype=float).T
    no_bound = np.array([ci_low <= least, ci_high == np.inf])
    style = {
        "linestyle": "",
        "marker": MARKERS[recipe],
        "color": color,
        "ecolor": color,
        "markersize": marker_size(recipe),
        "markerfacecolor": color if filled else hollow(),
        **line,
    }
    with np.errstate(invalid="ignore"):  # of what is infinite itself
        lengths = np.nan_to_num([middle - ci_low, ci_high - middle])
    ax.errorbar(x, middle, yerr=np.where(no_bound, 0, lengths), label=label, **style)
    for place, y, below, above in zip(x, middle, *no_bound, strict=True):
        arrows(ax, (place, y), below, above, style["ecolor"])
    return ax


def arrows(
    ax: Axes,
    point: tuple[float, float],
    below: bool,
    above: bool,
    color: ColorType,
    *,
    axis: str = "y",
) -> Axes:
    """Draw an arrow from a point to the axes' edge, below, above or both: no bound on this side.

    It ends where the axes end when they are drawn, whatever their limits are by then.
    """
    look: dict[str, Any] = {"arrowstyle": "-|>", "color": color, "shrinkA": 0, "shrinkB": 0}
    look |= {"linewidth": mpl.rcParams["lines.linewidth"], "joinstyle": "miter"}
    look["mutation_scale"] = 1.1 * mpl.rcParams["font.size"]
    for is_open, edge in ((below, 0), (above, 1)):
        if not is_open or not np.isfinite(point).all():
            continue
        end = (point[0], edge) if axis == "y" else (edge, point[1])
        along = ax.get_xaxis_transform() if axis == "y" else ax.get_yaxis_transform()
        drawn = ax.annotate(
            "", end, point, xycoords=along, textcoords="data", arrowprops=look, zorder=2.5
        )
        assert drawn.arrow_patch is not None
        drawn.arrow_patch.set_clip_path(ax.patch)  # its point may lie beyond the axes
        if not no_bound_entries(ax):
            ax.plot(
                [], [], linestyle="", marker=NO_BOUND_MARKER[axis], color=GREY,
                markersize=1.2 * text_size(), label=NO_BOUND,
            )  # fmt: skip
    return ax


def limit_label(label: str, value: Estimate) -> str:
    """Return "label 4.151 [4.131, 4.170]"; the caption says that it is the 95 % interval."""
    return f"{label} {interval_text(value.value, value.ci_low, value.ci_high)}"


def interval_text(value: float, ci_low: float, ci_high: float) -> str:
    """Return "4.151 [4.131, 4.170]", with −∞ or ∞ for an end that nothing bounds."""
    text = f"{value:.3f} [{ci_low:.3f}, {ci_high:.3f}]"
    return text.replace("-inf", "−∞").replace("inf", "∞")


def focus(ax: Axes, points: Sequence[Estimate], ends: Iterable[float] = ()) -> Axes:
    """Keep the axes on the points and the finite ends: an open interval must not swallow them."""
    values = [p.value for p in points if np.isfinite(p.value)]
    span = max(values) - min(values)
    low, high = ax.get_ylim()
    low, high = max(low, min(values) - 0.5 * span), min(high, max(values) + 0.5 * span)
    margin = 0.05 * span
    finite = [end for end in ends if np.isfinite(end)]
    bottom, top = min([low + margin, *finite]), max([high - margin, *finite])
    ax.set_ylim(bottom - margin, top + margin)
    return ax


def spread(values: Sequence[float], gap: float) -> list[float]:
    """Return values moved up, where they are closer than `gap`, until labels there can be read."""
    places = np.array(values, dtype=float)
    order = np.argsort(places)
    for below, above in pairwise(order):
        places[above] = max(places[above], places[below] + gap)
    return list(places)


def count_ticks(ax: Axes, values: Iterable[float]) -> Axes:
    """Make the x axis logarithmic with a tick at each count, as a reader says it: 38.7k, 0.41M."""
    values = sorted(set(values))
    return log_ticks(ax, values, axis="x", labels=[short_count(v) for v in values])


def shades(recipe: str, n: int) -> list[ColorType]:
    """Return n shades of a recipe's colour, an ordered family: from pale to past the full one."""
    if n == 1:
        return [COLORS[recipe]]
    full = np.array(mpl.colors.to_rgb(COLORS[recipe]))
    pale, deep = (np.array(mpl.colors.to_rgb(c)) for c in (surface(), mpl.rcParams["text.color"]))
    ends = (0.65 * full + 0.35 * pale, full, 0.5 * full + 0.5 * deep)
    return list(sns.blend_palette([mpl.colors.to_hex(tuple(color)) for color in ends], n_colors=n))


def asymptote_label(fit: PowerLaw) -> str:
    """Return the limit of a law with its interval, as a line of a legend."""
    return "limit " + interval_text(fit.E, *fit.interval("E")).replace(" [", ", 95 % [")


def log_ticks(
    ax: Axes, values: Iterable[float], *, axis: str = "x", labels: Iterable[str] | None = None
) -> Axes:
    """Make an axis logarithmic with a tick at each of the values and nowhere else."""
    values = sorted(set(values))
    names = dict(zip(values, labels or [f"{v:g}" for v in values], strict=True))
    getattr(ax, f"set_{axis}scale")("log")
    which = getattr(ax, f"{axis}axis")
    which.set_major_locator(FixedLocator(values))
    which.set_minor_locator(NullLocator())
    which.set_major_formatter(Staggered(names))
    return ax
