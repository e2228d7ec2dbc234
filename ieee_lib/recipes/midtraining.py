"""Continued pre-training: a trained base model goes on with a small target text (Sec. 7.2).

The base is trained here on other text, or given (Llama-3.2-3B at the paper's scale). Members of
an ensemble continue from the same weights and differ in the order of their data alone.

    setting = continued_setting(study)           # packs both texts where that is to be done
    continued_pretraining(setting)               # one row a recipe and D: loss on the target
    continued_ensemble(setting)                  # one row a scored member subset
    continued_probe(setting)                     # one row a recipe, D and metric: error
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from ieee_lib.config import EnsembleSpec, EvaluationSpec, ModelConfig, RunSpec
from ieee_lib.config.corpus import corpus_text, parse_corpus
from ieee_lib.config.scale_tables import Midtraining
from ieee_lib.errors import check as require
from ieee_lib.evaluation.probe import PROBE, continuation_items
from ieee_lib.laws.downstream import error_of
from ieee_lib.laws.ensembles import fit_ensembles
from ieee_lib.laws.estimates import replicate_noise, seed_mean
from ieee_lib.runs.frames import Noise
from ieee_lib.study import Study
from ieee_lib.text.corpus import open_corpus
from ieee_lib.text.sources import open_source

ENSEMBLE = "+ ensemble"
"""The last recipe: members of "+ epoching" answer together."""


@dataclass(frozen=True, kw_only=True)
class Continued:
    """One row of Table 1, but for its number of members."""

    seed_tokens: int
    """Target tokens."""
    batch_size: int
    """Sequences a step."""
    lr: float
    epochs: int


@dataclass(frozen=True)
class Setting:
    """A target text with the base model that continues on it."""

    table: Midtraining
    """The scale's settings."""
    target: Study
    """Records of the same scale, text of the target."""
    base: Study | None
    """Where the base is trained; None where it is given."""

    @cached_property
    def base_spec(self) -> RunSpec | None:
        """Return the run of the base model; None where it is given."""
        base = self.table.base
        if self.base is None or base is None:
            return None
        return self.base.spec(
            base.model,
            seed_tokens=min(base.seed_tokens, self._available()),
            wd=base.wd,
            lr=base.lr,
            epochs=base.epochs,
        )

    def recipes(self) -> dict[str, Continued]:
        """Return the recipes at the target's D, in the order in which they add up (Table 1)."""
        t = self.table
        default = Continued(seed_tokens=t.seed_tokens, batch_size=t.batch_size, lr=t.lr, epochs=1)
        small = replace(default, batch_size=t.small_batch, lr=t.small_lr)
        return {
            "default": default,
            "smaller batch": small,
            "+ epoching": replace(small, epochs=t.epochs),
        }

    def more_data(self) -> dict[int, Continued]:
        """Return D -> the default recipe with that much target text, the target's own D first."""
        default = self.recipes()["default"]
        return {d: replace(default, seed_tokens=d) for d in self.table.ladder}

    def specs(self, continued: Continued, n_seed: int | None = None) -> list[RunSpec]:
        """Return a recipe's runs, one an order of the data."""
        model, start = self._start()
        training = self.target.scale.training
        spec = RunSpec(
            model=model,
            corpus=self.target.fingerprint,
            start=start,
            seed_tokens=continued.seed_tokens,
            batch_size=continued.batch_size,
            epochs=continued.epochs,
            lr=continued.lr,
            wd=self.table.wd,
            val_sequences=training.val_sequences,
            evals=training.evals,
            precision=training.precision,
        )
        n_seed = n_seed or self.target.scale.seeds
        return [spec.replace(data_seed=seed) for seed in range(n_seed)]

    @property
    def ensemble(self) -> EnsembleSpec:
        """Return the ensemble of the members of "+ epoching"."""
        return EnsembleSpec(tuple(self.specs(self.recipes()["+ epoching"], self.table.members)))

    def all_specs(self) -> list[RunSpec]:
        """Return every run, the base first."""
        base = [self.base_spec] if self.base_spec else []
        recipes = [*self.recipes().values(), *self.more_data().values()]
        runs = [spec for recipe in recipes for spec in self.specs(recipe)]
        return [*base, *runs, *self.ensemble.members]

    def train(self) -> pd.DataFrame:
        """Train what is missing; return the continued runs, one row each."""
        if self.base is not None and self.base_spec is not None:
            self.base.ensure([self.base_spec], weights=True, label="base model")
        specs = [spec for spec in self.all_specs() if spec.start]
        return self.target.ensure(specs, label="continued pre-training").drop_duplicates("run_id")

    def caption(self, shown: Mapping[str, Any], *notes: str) -> str:
        """Return a figure's caption line: the target's text and D, and the base's text."""
        base = [f"base: {self.base.scale.corpus.words}"] if self.base else []
        return self.target.caption(shown, *base, *notes)

    def __repr__(self) -> str:
        base = self.base.scale.corpus.source if self.base else self.table.pretrained
        return f"{self.target}\nbase: {base}"

    def _start(self) -> tuple[ModelConfig, str]:
        """Return the shape of the base, and what names its weights."""
        if self.base_spec is not None:
            return self.base_spec.model, self.base_spec.run_id
        assert self.table.model is not None  # a given base comes with its shape
        return self.table.model, self.table.pretrained

    def _available(self) -> int:
        """Return the tokens of the base's text, in whole steps; its D is at most that."""
        assert self.base is not None and self.table.base is not None
        if self.base.corpus_folder is None:  # records alone: they had enough
            return self.table.base.seed_tokens
        training = self.base.scale.training
        step = training.batch_size * training.block_size
        packed = open_corpus(self.base.corpus_folder).manifest["tokens"]["train"]
        return packed // step * step


def continued_pretraining(setting: Setting) -> pd.DataFrame:
    """Return every recipe's loss on the target, and the default recipe's with more text (Table 1).

    Columns: recipe, D (target tokens), batch_size (sequences a step), lr, epochs, K (members),
    tokens and flops of continuing, loss (estimate, nats/token; of seeds their mean), run_ids.
    Trains and scores what is missing.
    """
    runs, noise = _trained(setting)
    (law,) = fit_ensembles(continued_ensemble(setting)).values()
    rows = []
    for name, continued, models in _compared(setting):
        is_ensemble = name == ENSEMBLE
        spec, run_ids = models.members[0], tuple(spec.run_id for spec in models.members)
        K = law.K if is_ensemble else 1
        seeds = seed_mean(runs[runs.run_id.isin(run_ids)], noise)
        rows.append(
            {
                "recipe": name,
                "D": continued.seed_tokens,
                "batch_size": continued.batch_size,
                "lr": continued.lr,
                "epochs": continued.epochs,
                "K": K,
                "tokens": K * spec.tokens,
                "flops": K * spec.flops,
                "loss": law.measured if is_ensemble else seeds,
                "run_ids": run_ids,
            }
        )
    return pd.DataFrame(rows)


def continued_ensemble(setting: Setting) -> pd.DataFrame:
    """Return the scores of the continued members' subsets, on the target.

    Columns as in `recipes.tuned_ensembles`. Trains and scores what is missing.
    """
    _, noise = _trained(setting)
    scores = setting.target.score([setting.ensemble], label="ensemble of continued models")
    return scores.assign(noise=noise.sigma, noise_dof=noise.dof)


def continued_probe(setting: Setting) -> pd.DataFrame:
    """Return every recipe's error on the probe of notebook 07, on held-out text of the target.

    Columns: recipe, D, K, metric, error (estimate; of seeds their mean), chance_error (of
    guessing), evaluation, run_ids. Trains and evaluates what is missing. Raises InputError where
    all runs of a recipe diverged.
    """
    setting.train()
    n_item = setting.target.scale.downstream.probe_items
    compared = [
        (name, continued, EvaluationSpec(models=models, task=PROBE, n_item=n_item))
        for name, continued, models in _compared(setting)
    ]
    frame = setting.target.evaluate([spec for _, _, spec in compared], label="probe")
    rows: list[dict[str, Any]] = []
    for name, continued, spec in compared:
        answers = frame[frame.evaluation == spec.run_id]
        k = answers.K.max() if name == ENSEMBLE else 1
        answers = answers[answers.k == k]
        require(len(answers) > 0, "continued runs", name, "have all diverged")
        rows += [
            {
                "recipe": name,
                "D": continued.seed_tokens,
                "K": int(k),
                "metric": metric,
                "error": error_of(part),
                "chance_error": 1 - part.chance.iloc[0],
                "evaluation": spec.run_id,
                "run_ids": tuple(model.run_id for model in spec.models.members),
            }
            for metric, part in answers.groupby("metric", sort=False)
        ]
    return pd.DataFrame(rows)


def check(study: Study, *, target: str = "", text_field: str = "") -> None:
    """Raise InputError for a target that cannot be read or is too short; packs both texts."""
    if study.source == "train":
        packed = continued_setting(study, target=target, text_field=text_field).target
        assert packed.corpus_folder is not None
        corpus = open_corpus(packed.corpus_folder)
        continuation_items(corpus, block_size=study.scale.training.block_size, n_item=1)


def continued_specs(study: Study) -> list[RunSpec]:
    """Return every run of the section, the base first."""
    return continued_setting(study).all_specs()


def continued_setting(study: Study, *, target: str = "", text_field: str = "") -> Setting:
    """Pack base and target text where needed; `target` replaces the scale's own source.

    It may have options ("files:a.txt --split line"), and is cut into the base's tokens. Raises
    InputError as `Study.open` does, and for a target that the base has seen.
    """
    scale, table = study.scale, study.scale.midtraining
    role = "target" if target else "midtraining.target"
    source, options = parse_corpus(role, target or table.target)
    base = None
    target_text = open_source(source, role=role)
    if study.source == "train":
        target_text.state()  # names what is missing before the base's text is packed
    if not table.pretrained:
        text = scale.corpus
        if table.base_corpus not in ("", text.source):
            text = replace(text, source=table.base_corpus, val_source="", credits="", label="")
        kinds = {name.partition(":")[0] for name in (source, text.source)}
        is_seen = source == text.source or ("stdlib" in (source, text.source) and len(kinds) == 1)
        allowed = f"shares text with the base's {text.source}; name another"
        require(not is_seen, role, source, allowed)
        base = study.beside(replace(scale, corpus=text, seed_tokens=(scale.base_tokens,)))
    text = replace(
        scale.corpus,
        source=source,
        val_source="",
        credits="" if target else scale.corpus.credits,
        label="" if target else table.target_label,
        split="document",
        text_field=text_field or table.text_field,
        tokenizer=_tokenizer(table, base),
        vocab_size=table.model.vocab_size if table.model else scale.corpus.vocab_size,
        max_tokens=max(table.ladder) if source.startswith("hub:") else 0,
    )
    text = text.changed(corpus_text("", options), field=role)
    target_scale = replace(
        scale, corpus=text, seed_tokens=table.ladder, base_tokens=table.seed_tokens
    )
    return Setting(table, study.beside(target_scale), base)


def _tokenizer(table: Midtraining, base: Study | None) -> str:
    """Return the base's tokenizer."""
    if base is None:
        return table.pretrained
    if base.corpus_folder is None:
        return "bpe"  # records alone: the text is found by its name
    return f"file:{base.corpus_folder / 'tokenizer.json'}"


def _trained(setting: Setting) -> tuple[pd.DataFrame, Noise]:
    """Return the continued runs, and the noise between their seeds."""
    runs = setting.train()
    return runs, replicate_noise(runs, setting.target.scale.assumed_noise)


def _compared(setting: Setting) -> list[tuple[str, Continued, EnsembleSpec]]:
    """Return the rows of Table 1: each recipe, the ensemble, the default recipe with more text."""
    recipes = setting.recipes()
    rows = [(name, r, EnsembleSpec(tuple(setting.specs(r)))) for name, r in recipes.items()]
    rows.append((ENSEMBLE, recipes["+ epoching"], setting.ensemble))
    more = list(setting.more_data().values())[1:]
    return rows + [("default", r, EnsembleSpec(tuple(setting.specs(r)))) for r in more]
