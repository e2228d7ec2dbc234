"""Answers on one's own text, in words that follow from the numbers.

    table = answers(compared, tuned, rise, longer, certificates, by_data, in_members, student)
    in_words(table)                          # one sentence or two a question

A gain counts where its whole 95 % interval is above zero. Where the interval includes zero the
answer is inconclusive, or "no gain" where even its upper end is too small to notice.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ieee_lib.config.scale_tables import GRIDS
from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate, estimates

GAIN, NO_GAIN, LOSS, INCONCLUSIVE = "gain", "no gain", "loss", "inconclusive"
LEFT_OUT = "left out"
UNCERTIFIED = "uncertified"
"""Status of a search that ended while a neighbour was better."""

UNNOTICED = 0.01
"""Nats/token below which a gain is none in practice."""

Rows = dict[str, dict[Any, Any]]
"""Recipe -> its row of `laws.compare_recipes`."""


def verdict(gain: Estimate) -> str:
    """Return what a gain's 95 % interval says: gain, no gain, loss or inconclusive."""
    if gain.ci_low > 0:
        return GAIN
    if gain.ci_high < 0:
        return LOSS
    return NO_GAIN if gain.ci_high < UNNOTICED else INCONCLUSIVE


def gain_text(what: str, gain: Estimate) -> str:
    """Return a sentence on what something gains: "Decay gains 0.054 [0.031, 0.077] nats/token."""
    size = f"{interval(gain)} nats/token"
    texts = {
        GAIN: f"{what} gains {size}.",
        NO_GAIN: f"no gain at this size: {what} gains {size}.",
        LOSS: f"no gain at this size: {what} loses {interval(-gain)} nats/token.",
        INCONCLUSIVE: f"inconclusive: {what} gains {size}, and the interval includes zero.",
    }
    return _sentence(texts[verdict(gain)])


def interval(value: Estimate, digits: int = 3) -> str:
    """Return "0.054 [0.031, 0.077]", with ∞ for an end that nothing bounds."""
    ends = (value.value, value.ci_low, value.ci_high)
    middle, low, high = (f"{end:.{digits}f}" for end in ends)
    return f"{middle} [{low}, {high}]".replace("inf", "∞").replace("-", "−")


def answers(
    compared: pd.DataFrame,
    tuned: pd.DataFrame,
    rise: Estimate | None,
    longer: pd.DataFrame,
    certificates: pd.DataFrame,
    by_data: pd.DataFrame,
    ensembles: Mapping[str, EnsembleLaw],
    student: pd.DataFrame,
) -> pd.DataFrame:
    """Return one row a question: question, verdict, answer.

    compared: from `laws.compare_recipes`. tuned: regularized models, one row each, smallest first.
    longer, rise: runs of the tuned standard recipe and of twice its epochs, and what that adds to
    the loss (`laws.rise_with`); None where it is beyond the grid. certificates: of both
    recipes (`recipe`). by_data: the standard recipe, one row a D. ensembles: laws in K by settings.
    student: one row.
    """
    rows: Rows = {row["recipe"]: row for row in compared.to_dict("records")}
    decay = _decay(rows, certificates)
    rows["regularized"]["verdict"] = decay[0]
    given = {
        "Does this N and D overfit?": _overfits(rise, longer),
        "Does tuned decay help?": decay,
        "Do K members help?": _members(rows, ensembles),
        "What is it worth in data?": _data(rows, by_data),
        "What would a student keep?": _student(rows, student.to_dict("records")[0]),
        "Is it worth its training compute?": _training(rows),
        "Is it worth its inference compute?": _inference(rows),
    }
    if len(tuned) > 1:
        given["Does a larger model help?"] = _larger(tuned)
    given["How far was it tuned?"] = _tuning(certificates)
    table = [{"question": q, "verdict": v, "answer": text} for q, (v, text) in given.items()]
    return pd.DataFrame(table)


@dataclass(frozen=True, repr=False)
class Words:
    """Answers as a reader hears them."""

    answers: pd.DataFrame

    def _repr_markdown_(self) -> str:
        rows = self.answers.to_dict("records")
        return "\n".join(f"- **{row['question']}** {row['answer']}" for row in rows)

    def __repr__(self) -> str:
        return self._repr_markdown_().replace("**", "")


def in_words(answers: pd.DataFrame) -> Words:
    """Return the answers as sentences, one question a line."""
    return Words(answers)


def _overfits(rise: Estimate | None, runs: pd.DataFrame) -> tuple[str, str]:
    epochs = int(runs.epochs.min())
    best = runs[runs.epochs == epochs]
    train, val = best.train_loss.mean(), best.val_loss.mean()
    gap = f"At {epochs} epochs it has {train:.2f} on the training text, {val:.2f} on held-out text."
    if rise is None:
        text = f"Not within the grid: its longest, {epochs} epochs, are the standard recipe's best."
        return "no", f"{text} {gap}"
    what = f"the standard recipe's loss at twice its best epochs ({2 * epochs} for {epochs})"
    if rise.ci_low > 0:
        how, text = "yes", f"It overfits: {what} is higher by {interval(rise)} nats/token."
    elif rise.ci_high < 0:
        how, text = "no", f"Not yet: {what} is lower by {interval(-rise)} nats/token."
    else:
        how, text = INCONCLUSIVE, f"Inconclusive: {what} differs by {interval(rise)} nats/token."
    return how, f"{text} {gap}"


def _decay(rows: Rows, certificates: pd.DataFrame) -> tuple[str, str]:
    row, base = rows["regularized"], rows["standard"]
    if row["settings"] == base["settings"]:
        text = f"No gain at this size: the search ends at the standard recipe, {base['settings']}."
        return NO_GAIN, text
    how, text = verdict(row["gain"]), gain_text("tuned decay", row["gain"])
    unfinished = set(certificates[certificates.status == UNCERTIFIED].recipe)
    flattered = {GAIN: "standard", LOSS: "regularized", NO_GAIN: "regularized"}
    if flattered.get(how) in unfinished:
        now = interval(row["gain"])
        text = f"Inconclusive: the {flattered[how]} recipe is not tuned to the end; so far decay "
        how, text = INCONCLUSIVE, f"{text}gains {now} nats/token."
    return how, f"{text} Tuned: {row['settings']}; standard: {base['settings']}."


def _larger(tuned: pd.DataFrame) -> tuple[str, str]:
    small, *_, large = estimates(tuned)
    times = tuned.N.iloc[-1] / tuned.N.iloc[0]
    gain = small - large
    return verdict(gain), gain_text(f"{times:.1f} times the parameters, tuned as well,", gain)


def _ensemble(rows: Rows) -> dict[Any, Any] | None:
    """Return the row of the ensemble that was trained, if any."""
    return next((row for row in rows.values() if 1 < row["K"] < math.inf), None)


def _best_single(rows: Rows) -> Estimate:
    """Return the lowest loss of the standard and the regularized recipe."""
    losses = [rows[name]["loss"] for name in ("standard", "regularized")]
    return min(losses, key=lambda loss: loss.value)


def _members(rows: Rows, laws: Mapping[str, EnsembleLaw]) -> tuple[str, str]:
    if (row := _ensemble(rows)) is None:
        return LEFT_OUT, "Left out: the time was over. The same command goes on."
    single = _best_single(rows)
    gain = single - row["loss"]
    text = gain_text(f"an ensemble of {row['K']:.0f} over the best single model", gain)
    text += f" As K → ∞ it would gain {interval(single - rows['ensemble, K → ∞']['loss'])}."
    losses = [f"{name} {law.measured.value:.3f}" for name, law in laws.items()]
    return verdict(gain), f"{text} Loss by members' settings: {', '.join(losses)}."


def _data(rows: Rows, by_data: pd.DataFrame) -> tuple[str, str]:
    data = {name: row["data"] for name, row in rows.items() if name != "standard"}
    if all(math.isnan(times.value) for times in data.values()):
        text = (
            "Inconclusive: the standard recipe's loss at the three D does not fall as a law does."
        )
        return INCONCLUSIVE, text
    parts = [f"{name} {_times(times)}" for name, times in data.items()]
    verdicts = [verdict(times - 1.0) for times in data.values()]
    how = next((v for v in (GAIN, INCONCLUSIVE) if v in verdicts), NO_GAIN)
    text = "For the same loss the tuned standard recipe would need, times your D: "
    text += f"{'; '.join(parts)}. Read off its law through three D, of which yours is the largest: "
    text += "above 1x it is extrapolated, and the form of the law is taken as given."
    if unfinished := list(by_data[by_data.status == UNCERTIFIED]["D"]):
        at = " and ".join(f"{D:,}" for D in unfinished)
        text += f" At D = {at} it is not tuned to the end."
    return how, text


def _times(data: Estimate) -> str:
    """Return a multiplier with its interval; none for a loss that no amount of data reaches."""
    if math.isfinite(data.value):
        return interval(data, 2)
    least = f", at least {data.ci_low:.2f}" if math.isfinite(data.ci_low) else ""
    return f"more than its law reaches{least}"


def _student(rows: Rows, student: dict[Any, Any]) -> tuple[str, str]:
    if student["loss"] is None:
        minutes = max(1, math.ceil(student["minutes"]))
        text = f"Left out: it would take about {minutes} min more. The same command goes on."
        return LEFT_OUT, text
    single, row = _best_single(rows), _ensemble(rows)
    gain = single - student["loss"]
    text = gain_text("one student, its settings not tuned, over the best single model", gain)
    if row is not None and verdict(single - row["loss"]) == GAIN:
        kept = 100 * (gain / (single - row["loss"]))
        share = "nothing" if kept.ci_high < 0 else f"{interval(kept, 0)} %"
        text += f" Of its teachers' gain it keeps {share}."
    return verdict(gain), text


def _costs(rows: Rows, column: str) -> Iterator[tuple[str, str]]:
    """Yield the verdict of each recipe that can be trained, and what it costs and gains.

    Ensembles and students must beat the best single model, a single model the standard recipe.
    """
    base = rows["standard"][column]
    unit = {"flops": "the training FLOPs", "inference": "the parameters read a token"}[column]
    for name, row in rows.items():
        if name != "standard" and math.isfinite(row["K"]):
            over = _best_single(rows) if row["K"] > 1 or name == "student" else None
            gain = row["gain"] if over is None else over - row["loss"]
            how = row.get("verdict") or verdict(gain)
            answer = {GAIN: "worth it", INCONCLUSIVE: "inconclusive"}.get(how, "not worth it")
            yield how, f"{name}: {row[column] / base:.1f}x {unit}, {answer}"


def _training(rows: Rows) -> tuple[str, str]:
    how, text = _cost_answer(rows, "flops")
    return how, f"{text} One run or ensemble each against one standard run, searches not counted."


def _inference(rows: Rows) -> tuple[str, str]:
    how, text = _cost_answer(rows, "inference")
    row = _ensemble(rows)
    if row is not None and "student" in rows:
        more = rows["student"]["loss"] - row["loss"]
        better = gain_text(
            f"the ensemble over the student, at {row['K']:.0f}x its parameters,", more
        )
        text = f"{text} {better}"
    return how, text


def _cost_answer(rows: Rows, column: str) -> tuple[str, str]:
    costs = list(_costs(rows, column))
    verdicts = [how for how, _ in costs]
    overall = next((v for v in (GAIN, INCONCLUSIVE) if v in verdicts), NO_GAIN)
    return overall, _sentence("; ".join(text for _, text in costs))


def _tuning(certificates: pd.DataFrame) -> tuple[str, str]:
    parts = [f"{name}: {rows.status.iloc[0]}" for name, rows in _searches(certificates)]
    text = _sentence("; ".join(parts))
    is_open = certificates.status.eq(UNCERTIFIED).any()
    if is_open:
        text += " Uncertified: a neighbour is still better; with more minutes the search goes on."
    how = UNCERTIFIED if is_open else "certified"
    return how, " ".join([text, *edge_warnings(certificates)])


def edge_warnings(certificates: pd.DataFrame) -> list[str]:
    """Return a warning for every tuned value that lies at the edge of its grid."""
    warnings = []
    for search, rows in _searches(certificates):
        centre = rows[rows.axis == "centre"].iloc[0]
        searched = {axis[:-1] for axis in rows.axis if axis[-1] in "+-"}
        for name, grid in GRIDS.items():
            if name in searched and centre[name] in (grid[0], grid[-1]):
                warnings.append(
                    f"Warning: {name} = {centre[name]:g} of {search} lies at the edge of "
                    "the grid; the optimum may lie beyond it."
                )
    return warnings


def _searches(certificates: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name of each search and the rows of its certificate."""
    for recipe, searches in certificates.groupby("recipe", sort=False):
        for model, rows in searches.groupby("model", sort=False):
            yield f"the {recipe} recipe ({model})", rows


def _sentence(text: str) -> str:
    """Return a text with a large first letter and a full stop."""
    return f"{text[0].upper()}{text[1:].removesuffix('.')}."
