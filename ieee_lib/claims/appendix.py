"""What the items of the appendix showed, one sentence each, from the frames behind them.

    held_across_sizes(held)                  # "wd = 0.8: 0.07M loses 0.061 [0.037, 0.084]; ..."

An item without records says so: nothing is made up for it.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from ieee_lib.claims.your_text import interval
from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.influence import MIN_MEMBERS
from ieee_lib.laws.power_law import PowerLaw

NOTHING = "Not recorded here"


def direction(value: Estimate, above: str, below: str, equal: str = "within noise") -> str:
    """Return what a 95 % interval says: above zero, below zero, or neither."""
    if value.ci_low > 0:
        return above
    return below if value.ci_high < 0 else equal


def held_across_sizes(held: pd.DataFrame) -> str:
    """Say what holding one setting across N costs each larger model (ICLR Fig 10)."""
    (name,) = held.held.unique()
    others = held.iloc[1:]
    measured = others[others.n > 0].to_dict("records")
    parts = [
        f"{row['model']} {interval(row['difference'])} "
        f"({direction(row['difference'], 'worse', 'better')})"
        for row in measured
    ]
    sentence = f"{name} at every N, against tuned: {'; '.join(parts) or 'nothing is recorded'}."
    if measured and not any(row["difference"].ci_low > 0 for row in measured):
        sentence += " No model is worse beyond noise."
    unknown = list(others.model[others.n == 0])
    return sentence + (f" No run at it is recorded for {', '.join(unknown)}." if unknown else "")


def batch_size(means: pd.DataFrame, difference: Estimate | None) -> str:
    """Say which batch size is best at one epoch (ICLR Fig 12, left; the paper: the smallest).

    means: batch_size, loss; difference: loss at the largest batch minus that at the smallest.
    """
    if difference is None:
        return f"{NOTHING}: one epoch at several batch sizes. In the paper the smallest is best."
    best = means.iloc[means.loss.argmin()]
    verdict = direction(difference, "smaller is better", "larger is better")
    return (
        f"Lowest at {best.batch_size:.0f} sequences a step; the largest batch minus the smallest: "
        f"{interval(difference)} nats/token ({verdict}). In the paper the smallest is best."
    )


def epochs_of_error(turning: pd.DataFrame) -> str:
    """Say whether downstream error turns up later than loss (ICLR Fig 19)."""
    paper = "In the paper (300M, decay 0.1) loss is lowest at 8 epochs and error at 16."
    if turning.empty:
        return f"{NOTHING}: answers of models at several epochs. {paper}"
    parts = []
    for row in turning.to_dict("records"):
        of_loss, of_error = row["epochs at lowest loss"], row["epochs at lowest error"]
        where = "at the same place"
        if of_error != of_loss:
            where = "later" if of_error > of_loss else "earlier"
        part = f"wd {row['wd']:g}: loss is lowest at {of_loss} epochs, error at {of_error} ({where}"
        if of_error == row["most epochs"]:
            parts.append(f"{part}, the most tried)")
            continue
        rise = direction(row["rise of error"], "rises", "falls", "stays within noise")
        parts.append(
            f"{part}); from there to the most epochs error {rise} "
            f"({interval(row['rise of error'])})"
        )
    return f"{'; '.join(parts)}. {paper}"


def refits(by_seed: Sequence[PowerLaw], few: EnsembleLaw, law: EnsembleLaw) -> str:
    """Say how far limits move from seed to seed, and with fewer members (ICLR Fig 20)."""
    limits = [fit.E for fit in by_seed]
    bounded = sum(fit.has_bounded_limit for fit in by_seed)
    moved = few.limit - law.limit
    return (
        f"The limit in N moves by {max(limits) - min(limits):.3f} nats/token over {len(limits)} "
        f"seeds ({bounded} of {len(limits)} laws bound it); in the paper by at most 0.02 over 3. "
        f"{few.K} members instead of {law.K} move the K → ∞ limit by {interval(moved)}."
    )


def next_sizes(predicted: pd.DataFrame, n_model: int) -> str:
    """Say how far the law of the smaller models misses the next two (ICLR Fig 21)."""
    paper = "In the paper the errors are 0.005 and 0.008."
    if predicted.empty:
        left = f"{n_model} models less two leave {max(n_model - 2, 0)}, and a law needs three"
        return f"{NOTHING}: {left}. {paper}"
    parts = []
    for form, rows in predicted.groupby("form", sort=False):
        errors = [f"{row['model']} {interval(row['error'])}" for row in rows.to_dict("records")]
        inside = sum(error.ci_low <= 0 <= error.ci_high for error in rows.error)
        parts.append(f"{form}: {', '.join(errors)} ({inside} of {len(rows)} within noise)")
    points = predicted.points.iloc[0]
    return f"Measured minus predicted from {points} models: {'; '.join(parts)}. {paper}"


def continued_decay(decays: pd.DataFrame, default: float) -> str:
    """Say whether another weight decay helps continued pre-training (ICLR Table 6: no)."""
    paper = "In the paper decay does not help here."
    others = decays[decays.wd != default] if len(decays) else decays
    if others.empty:
        return f"{NOTHING}: other weight decays than {default:g}. {paper}"
    parts = [
        f"wd {row['wd']:g}: {interval(row['difference'])} "
        f"({direction(row['difference'], 'worse', 'better')})"
        for row in others.to_dict("records")
    ]
    return f"Against wd {default:g}: {'; '.join(parts)}. {paper}"


def weight_averages(laws: Mapping[str, EnsembleLaw]) -> str:
    """Say whether one model of averaged weights is as good as the ensemble (ICLR Table 7).

    laws: of the ensemble and then of the averaged weights, on the same members.
    """
    paper = "In the paper averaged weights are slightly better as K grows."
    if len(laws) < 2:
        return f"{NOTHING}: the loss of averaged weights. {paper}"
    ensemble, averaged = laws.values()
    parts = []
    for k in (2, ensemble.K):
        difference = averaged.at(k) - ensemble.at(k)
        if ensemble.K < MIN_MEMBERS:  # two members tell no noise of a difference
            parts.append(f"K = {k}: {difference.value:.3f} nats/token (noise unknown)")
        else:
            verdict = direction(difference, "worse", "better")
            parts.append(f"K = {k}: {interval(difference)} nats/token ({verdict})")
    return f"Averaged weights minus ensemble, {'; '.join(dict.fromkeys(parts))}. {paper}"


def what_is_missing(items: pd.DataFrame) -> str:
    """Say for which items nothing is trained, and why; and whose runs are not recorded."""
    lines = []
    for why, rows in items[items["nothing trained because"] != ""].groupby(
        "nothing trained because", sort=False
    ):
        lines.append(f"Nothing trained for {', '.join(rows['item'])}: {why}.")
    partly = items[items.recorded < items.runs]
    lines += [
        f"{row['recorded']} of {row['runs']} runs recorded: {row['item']}."
        for row in partly.to_dict("records")
    ]
    return "\n".join(lines) or "All runs of all items are recorded."
