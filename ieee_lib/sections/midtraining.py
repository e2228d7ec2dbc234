"""08: epochs and ensembles when a trained model continues on a small text (Sec. 7.2, Table 1)."""

from dataclasses import dataclass

import pandas as pd

from ieee_lib.claims import verdicts as verdicts
from ieee_lib.claims.verdicts import Claim, claims_table
from ieee_lib.config import EnsembleSpec, EvaluationSpec, RunSpec
from ieee_lib.errors import check
from ieee_lib.evaluation.probe import PROBE, continuation_items
from ieee_lib.laws.downstream import error_of
from ieee_lib.laws.effective_data import effective_data
from ieee_lib.laws.ensembles import EnsembleLaw, ensemble_laws
from ieee_lib.laws.estimates import Estimate, mean_of, replicate_noise
from ieee_lib.laws.published import published
from ieee_lib.plots import midtraining_figures as figures
from ieee_lib.plots.saving import Drawing, Table
from ieee_lib.recipes.midtraining import Setting, open_setting
from ieee_lib.study import Study
from ieee_lib.text.corpus import open_corpus


@dataclass(frozen=True)
class Found:
    setting: Setting
    recipes: dict[str, Estimate]
    """Recipe at the target's D -> loss on the target; the last is the ensemble's."""
    curve: dict[int, Estimate]
    """Target tokens -> loss of the default recipe."""
    law: EnsembleLaw
    """The ensemble, by K."""
    errors: dict[str, dict[str | int, Estimate]]
    """Metric -> recipe, or target tokens -> error on the probe, held-out text of the target."""

    def caption(self, n_point: int, *notes: str) -> str:
        target, base = self.setting.target, self.setting.base
        after = [f"base: {base.scale.corpus.source}"] if base else []
        return target.caption(n_point, *after, *notes)

    def worth(self, recipe: str, metric: str = "") -> Estimate:
        """Return how many times the target text the default recipe needs for the same loss.

        With a metric, for the same error on the probe.
        """
        values = self.errors[metric] if metric else {**self.recipes, **self.curve}
        curve = {d: values[d] for d in self.curve}
        return effective_data(curve, values[recipe]) / self.setting.wanted.seed_tokens


def specs(study: Study) -> list[RunSpec]:
    return open_setting(study).all_specs()


def precheck(study: Study, *, target: str = "", text_field: str = "") -> None:
    """Raise InputError for a target that cannot be read or is too short; packs both texts."""
    if study.source == "train":
        found = open_setting(study, target=target, text_field=text_field).target
        corpus = open_corpus(found.corpus_folder)
        continuation_items(corpus, block_size=study.scale.training.block_size, n_item=1)


def gather(study: Study, *, target: str = "", text_field: str = "") -> Found:
    setting = open_setting(study, target=target, text_field=text_field)
    runs = setting.train()
    sigma = replicate_noise(runs, study.scale.assumed_noise)

    def loss(specs: list[RunSpec]) -> Estimate:
        return mean_of(runs[runs.run_id.isin([s.run_id for s in specs])], sigma=sigma)

    recipes = {name: loss(setting.specs(recipe)) for name, recipe in setting.recipes().items()}
    ensemble = setting.ensemble(setting.recipes()["+ epoching"])
    scores = setting.target.score([ensemble], label="ensemble of continued models")
    law = ensemble_laws(scores, noise=sigma)[0]
    recipes[together := f"+ ensemble of {law.K}"] = law.best
    curve = {d: loss(setting.specs(recipe)) for d, recipe in setting.more_data().items()}
    asked = {**setting.recipes(), together: None, **setting.more_data()}
    seeds = {name: EnsembleSpec(tuple(setting.specs(r))) for name, r in asked.items() if r}
    errors = _errors(setting, {name: seeds.get(name, ensemble) for name in asked}, together)
    return Found(setting, recipes, curve, law, errors)


def _errors(
    setting: Setting, models: dict[str | int, EnsembleSpec], together: str
) -> dict[str, dict[str | int, Estimate]]:
    """Return errors on the probe by metric: of seeds their mean, of the ensemble its own."""
    asked = {name: _on_probe(setting, m) for name, m in models.items()}
    frame = setting.target.evaluate(asked.values(), label="probe")
    errors: dict[str, dict[str | int, Estimate]] = {}
    for name, spec in asked.items():
        rows = frame[frame.evaluation == spec.run_id]
        rows = rows[rows.k == (rows.K.max() if name == together else 1)]
        check(len(rows) > 0, "continued runs", str(name), "have all diverged")
        for metric, part in rows.groupby("metric", sort=False):
            errors.setdefault(metric, {})[name] = error_of(part)
    return errors


def _on_probe(setting: Setting, models: EnsembleSpec) -> EvaluationSpec:
    n_item = setting.target.scale.downstream.probe_items
    return EvaluationSpec(models=models, task=PROBE, n_item=n_item)


def staircase(found: Found) -> Drawing:
    return figures.staircase(
        found.curve, found.recipes, caption=found.caption(len(found.curve) + 3, "bars: 95 %")
    )


def recipe_table(found: Found) -> Table:
    """Return Table 1 as it comes out here: each recipe, then the default with more text."""
    setting = found.setting
    settings = {**setting.recipes(), list(found.recipes)[-1]: setting.recipes()["+ epoching"]}
    rows = [
        {"recipe": name, "target tokens": settings[name].seed_tokens}
        | {"batch": settings[name].batch_size, "lr": settings[name].lr}
        | {"epochs": settings[name].epochs}
        | {"K": 1 if name in setting.recipes() else found.law.K}
        | {"loss": value.value, "low": value.low, "high": value.high}
        | {"worth": found.worth(name).value, "worth low": found.worth(name).low}
        | {"worth high": found.worth(name).high}
        for name, value in found.recipes.items()
    ]
    for tokens, value in list(found.curve.items())[1:]:
        more = setting.more_data()[tokens]
        rows.append(
            {"recipe": f"default, {tokens / setting.wanted.seed_tokens:g}x the text"}
            | {"target tokens": tokens, "batch": more.batch_size, "lr": more.lr}
            | {"epochs": more.epochs, "K": 1}
            | {"loss": value.value, "low": value.low, "high": value.high}
        )
    digits = dict.fromkeys(("loss", "low", "high"), 3)
    digits |= dict.fromkeys(("worth", "worth low", "worth high"), 1)
    note = "worth: times the target tokens that the default recipe needs for the same loss"
    return Table(pd.DataFrame(rows), found.caption(len(rows), note), digits)


def probe_table(found: Found) -> Table:
    """Return errors on the target's probe, and what recipes are worth by them."""
    rows = []
    for metric, errors in found.errors.items():
        for name, value in errors.items():
            if name == found.setting.wanted.seed_tokens:
                continue  # the default recipe itself
            row = {"recipe": name if isinstance(name, str) else f"default, {name:,} tokens"}
            row |= {"metric": metric, "error": 100 * value.value, "low": 100 * value.low}
            row["high"] = 100 * value.high
            if name in found.recipes:
                worth = found.worth(name, metric)
                row |= {"worth": worth.value, "worth low": worth.low, "worth high": worth.high}
            rows.append(row)
    digits = dict.fromkeys(("error", "low", "high", "worth", "worth low", "worth high"), 1)
    note = "error in %, 95 % over documents; guessing errs at 75 %"
    return Table(pd.DataFrame(rows), found.caption(len(rows), note), digits)


def members_table(found: Found) -> Table:
    """Return loss against K."""
    points = [found.law.at(k) for k in found.law.points.k]
    rows = [
        {"K": k, "loss": p.value, "low": p.low, "high": p.high}
        for k, p in zip(found.law.points.k, points, strict=True)
    ]
    note = f"all subsets of a size; limit in K {found.law.limit!r}"
    digits = dict.fromkeys(("loss", "low", "high"), 3)
    return Table(pd.DataFrame(rows), found.caption(len(rows), note), digits)


def published_table(found: Found) -> Table:
    """Return the paper's Table 1: accuracy of Llama-3.2-3B on three mathematics tasks."""
    caption = "the paper: Llama-3.2-3B on MegaMath · Table 1 · accuracy in % · UNKNOWN is empty"
    frame = published("continued").drop(columns="source")
    return Table(frame.astype(object).where(frame.notna(), ""), caption)


def claims(found: Found) -> list[Claim]:
    one, repeated = found.recipes["smaller batch"], found.recipes["+ epoching"]
    name = list(found.recipes)[-1]
    return [
        verdicts.difference_below("epochs_help_midtraining", repeated, one),
        verdicts.difference_below("ensembles_help_midtraining", found.recipes[name], repeated),
        verdicts.saves_data("midtraining_saves_data", found.worth(name)),
    ]


ITEMS = {
    "fig11_continued_pretraining": staircase,
    "tab11_recipes": recipe_table,
    "tab11_probe": probe_table,
    "tab11_members": members_table,
    "tab11_published": published_table,
    "tab11_claims": lambda found: claims_table(
        claims(found), caption=found.caption(len(found.recipes))
    ),
}
