"""Recipes beyond the paper against its own, each at the weight decay that suits it best.

compared = compare_tuned(scores, by_setting, "heuristic")
compared[compared.of == LIMIT]           # recipe, wd, loss, difference, verdict
sentences(compared)                      # one a recipe, with its numbers
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate

ONE, ALL, LIMIT = "one member", "all members", "K → ∞"
"""What recipes are compared by: one model, the ensemble that was trained, and its limit."""

HELPS, DOES_NOT, INCONCLUSIVE, SAME, BASE = (
    "helps", "does not help", "inconclusive", "the same", "base",
)  # fmt: skip

ROUNDING = 1e-6
"""Nats/token: what two ways to compute one loss may differ by."""


def compare_tuned(scores: pd.DataFrame, laws: Mapping[str, EnsembleLaw], base: str) -> pd.DataFrame:
    """Return three rows a recipe, as one member, as an ensemble and as K → ∞; lowest limit first.

    scores, laws: of `recipes.beyond_ensembles`, by setting (a recipe at one decay). base: the
    recipe that the others are compared with. Each recipe, the base too, counts at the decay at
    which it is lowest, of those whose limit the points bound.

    Columns: recipe, of (see above), K, wd, tried (number of decays), tuned (the best decay lies
    between others: elsewhere the optimum may lie beyond those tried), loss and difference from the
    base (estimates, nats/token; what both share cancels, see `noise_of` in the frame), same decay
    (the difference from the base at the recipe's own best decay, NaN where it lacks one), verdict
    (helps: the 95 % interval of the difference is below 0; does not help: above, at a tuned decay;
    else inconclusive), setting, run_ids.
    """
    settings: dict[str, list[str]] = {}
    for row in scores.drop_duplicates("setting").to_dict("records"):
        settings.setdefault(row["recipe"], []).append(row["setting"])
    shared = {row["setting"]: row["noise_of"] for row in scores.to_dict("records")
              if row["k"] == row["K"]}  # fmt: skip
    laws = {setting: _with_noise_of(law, shared[setting]) for setting, law in laws.items()}
    rows: list[dict[str, Any]] = []
    for of in (ONE, ALL, LIMIT):
        best = {
            recipe: min(tried, key=lambda setting: _rank(laws[setting], of))
            for recipe, tried in settings.items()
        }
        reference = _loss(laws[best[base]], of)
        at_decay = {laws[s].settings["wd"]: _loss(laws[s], of) for s in settings[base]}
        for recipe, setting in best.items():
            law, tried = laws[setting], settings[recipe]
            difference = _loss(law, of) - reference
            is_tuned = setting not in (tried[0], tried[-1])
            rows.append(
                {
                    "recipe": recipe,
                    "of": of,
                    "K": law.K,
                    "wd": law.settings["wd"],
                    "tried": len(tried),
                    "tuned": is_tuned,
                    "loss": _loss(law, of),
                    "difference": difference,
                    "same decay": _loss(law, of) - at_decay.get(law.settings["wd"], float("nan")),
                    "verdict": BASE if recipe == base else _verdict(difference, tuned=is_tuned),
                    "setting": setting,
                    "run_ids": law.members,
                }
            )
    limits = {row["recipe"]: row["loss"].value for row in rows if row["of"] == LIMIT}
    return pd.DataFrame(rows).sort_values(
        "recipe", key=lambda names: names.map(limits), kind="stable", ignore_index=True
    )


def _with_noise_of(law: EnsembleLaw, run_ids: tuple[str, ...]) -> EnsembleLaw:
    """Return a law whose members take the noise of other runs, of the same seeds and steps.

    How far each member's differs from that of its other run is what is left of a difference: two
    members do not say it.
    """
    if law.influence.deviations is None:
        return law
    return replace(law, influence=replace(law.influence, members=run_ids))


def _loss(law: EnsembleLaw, of: str) -> Estimate:
    """Return what is compared; a chain's limit with the luck of its runs too.

    Its law's residuals say how well it is extrapolated, and not how another chain would end.
    """
    if of == ONE:
        return law.at(1)
    if of == ALL:
        return law.measured
    return law.limit if law.exchangeable else law.limit + (law.measured - law.measured.value)


def _rank(law: EnsembleLaw, of: str) -> tuple[bool, float]:
    """Return what decays are ordered by, the best first: unbounded limits come last."""
    loss = _loss(law, of)
    return math.isinf(loss.ci_low), loss.value


def _verdict(difference: Estimate, *, tuned: bool) -> str:
    """Return the verdict; what is higher at a decay that is no optimum may be lower at another."""
    if max(-difference.ci_low, difference.ci_high) < ROUNDING:
        return SAME
    if difference.ci_high < 0:
        return HELPS
    if difference.ci_low > 0 and tuned:
        return DOES_NOT
    return INCONCLUSIVE


def sentences(compared: pd.DataFrame) -> pd.DataFrame:
    """Return a sentence a recipe, and one on the lowest of all: question, verdict and answer.

    compared: as `compare_tuned` gives it. In brackets: difference from the base, each at its best
    decay; that decay; and the difference from the base there.
    """
    rows = []
    for recipe, group in compared[compared.verdict != BASE].groupby("recipe", sort=False):
        parts = [
            f"as {_words(row)} it {_VERBS[row['verdict']]} ({_number(row)})"
            for row in group.to_dict("records")
        ]
        tried = int(group.tried.iloc[0])
        tuning = "At one decay, not tuned" if tried == 1 else f"At the best of {tried} decays"
        verdict = ", ".join(dict.fromkeys(group.verdict))
        answer = f"{tuning}, {'; '.join(parts)}."
        rows.append({"question": f"{recipe}:", "verdict": verdict, "answer": answer})
    return pd.DataFrame([*rows, _best(compared[compared.of == ALL])])


_VERBS = {
    HELPS: "helps", DOES_NOT: "does not help", INCONCLUSIVE: "is inconclusive",
    SAME: "changes nothing",
}  # fmt: skip


def _words(row: Mapping[Any, Any]) -> str:
    return {ONE: "one model", ALL: f"{row['K']} members", LIMIT: "K → ∞"}[row["of"]]


def _number(row: Mapping[Any, Any]) -> str:
    last = "" if row["tuned"] or row["tried"] == 1 else ", the last one tried"
    there = f", there {row['same decay']}" if math.isfinite(row["same decay"].value) else ""
    return f"{row['difference']}, wd {row['wd']:g}{last}{there}"


def _best(ensembles: pd.DataFrame) -> dict[str, str]:
    """Say which ensemble has the lowest measured loss, and how far from the base's that is."""
    rows = ensembles.to_dict("records")
    base = next(row for row in rows if row["verdict"] == BASE)
    best = min(rows, key=lambda row: row["loss"].value)
    answer = f"{_words(base)} of the paper's recipe, at the best decay, have {base['loss']}; "
    if best is base:
        answer += "none of the others is lower."
    else:
        answer += f"{_words(best)} of {best['recipe']} have {best['loss']} ({_number(best)}), "
        answer += f"the lowest of {len(rows) - 1} others and chosen for it."
    return {"question": "The best ensemble:", "verdict": best["verdict"], "answer": answer}
