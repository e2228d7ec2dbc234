"""Continued pre-training: a trained base model goes on with a small target text (Sec. 7.2).

The base is trained here on other text, or given (Llama-3.2-3B at the paper's scale). Members of
an ensemble continue from the same weights and differ in the order of their data alone.

    setting = open_setting(study)                # packs both texts where that is to be done
    setting.specs(setting.recipes()["+ epoching"])
"""

from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from ieee_lib.config import EnsembleSpec, RunSpec
from ieee_lib.config.scale_tables import Midtraining
from ieee_lib.errors import check
from ieee_lib.study import Study
from ieee_lib.text.corpus import open_corpus
from ieee_lib.text.sources import open_source


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

    wanted: Midtraining
    target: Study
    """Records of the same scale, text of the target."""
    base: Study | None
    """Where the base is trained; None where it is given."""

    @cached_property
    def base_spec(self) -> RunSpec | None:
        """The run of the base model; None where it is given."""
        if self.base is None:
            return None
        base = self.wanted.base
        return self.base.spec(
            base.model,
            seed_tokens=min(base.seed_tokens, self._available()),
            wd=base.wd,
            lr=base.lr,
            epochs=base.epochs,
        )

    def _available(self) -> int:
        """Return the tokens of the base's text, in whole steps; its D is at most that."""
        training = self.base.scale.training
        step = training.batch_size * training.block_size
        if self.base.corpus_folder is None:  # records alone: they had enough
            return self.wanted.base.seed_tokens
        packed = open_corpus(self.base.corpus_folder).manifest["tokens"]["train"]
        return packed // step * step

    def recipes(self) -> dict[str, Continued]:
        """Return the recipes at the target's D, in the order in which they add up (Table 1)."""
        w = self.wanted
        default = Continued(seed_tokens=w.seed_tokens, batch_size=w.batch_size, lr=w.lr, epochs=1)
        small = replace(default, batch_size=w.small_batch, lr=w.small_lr)
        return {
            "default": default,
            "smaller batch": small,
            "+ epoching": replace(small, epochs=w.epochs),
        }

    def more_data(self) -> dict[int, Continued]:
        """Return D -> the default recipe with that much target text."""
        default = self.recipes()["default"]
        return {d: replace(default, seed_tokens=d) for d in self.wanted.ladder}

    def specs(self, continued: Continued, n_seed: int | None = None) -> list[RunSpec]:
        """Return a recipe's runs, one an order of the data."""
        w = self.wanted
        base = self.base_spec
        model = w.model or base.model
        wanted = RunSpec(
            model=model,
            corpus=self.target.fingerprint,
            start=w.pretrained or base.run_id,
            seed_tokens=continued.seed_tokens,
            batch_size=continued.batch_size,
            epochs=continued.epochs,
            lr=continued.lr,
            wd=w.wd,
            val_sequences=self.target.scale.training.val_sequences,
            evals=self.target.scale.training.evals,
            precision=self.target.scale.training.precision,
        )
        n_seed = n_seed or self.target.scale.seeds
        return [wanted.replace(data_seed=seed) for seed in range(n_seed)]

    def ensemble(self, continued: Continued) -> EnsembleSpec:
        """Return the ensemble of a recipe."""
        return EnsembleSpec(tuple(self.specs(continued, self.wanted.members)))

    def all_specs(self) -> list[RunSpec]:
        """Return every run, the base first."""
        base = [self.base_spec] if self.base else []
        recipes = [*self.recipes().values(), *self.more_data().values()]
        runs = [spec for recipe in recipes for spec in self.specs(recipe)]
        return [*base, *runs, *self.ensemble(self.recipes()["+ epoching"]).members]

    def train(self) -> pd.DataFrame:
        """Train what is missing; return the continued runs, one row each."""
        if self.base is not None:
            self.base.ensure([self.base_spec], weights=True, label="base model")
        specs = [spec for spec in self.all_specs() if spec.start]
        return self.target.ensure(specs, label="continued pre-training").drop_duplicates("run_id")


def open_setting(study: Study, *, target: str = "", text_field: str = "") -> Setting:
    """Pack base and target text where needed; `target` replaces the scale's own source.

    The target is cut into the base's tokens. Raises InputError as `Study.open` does, and for a
    target that the base has seen.
    """
    scale, wanted = study.scale, study.scale.midtraining
    source, base = target or wanted.target, None
    role = "target" if target else "midtraining.target"
    wanted_text = open_source(source, role=role)
    if study.source == "train":
        wanted_text.state()  # names what is missing before the base's text is packed
    if not wanted.pretrained:
        text = scale.corpus
        if wanted.base_corpus not in ("", text.source):
            text = replace(text, source=wanted.base_corpus, val_source="", credits="")
        kinds = {name.partition(":")[0] for name in (source, text.source)}
        seen = source == text.source or ("stdlib" in (source, text.source) and len(kinds) == 1)
        allowed = f"shares text with the base's {text.source}; name another"
        check(not seen, role, source, allowed)
        base = study.beside(replace(scale, corpus=text, seed_tokens=(scale.base_tokens,)))
    text = replace(
        scale.corpus,
        source=source,
        val_source="",
        credits="" if target else scale.corpus.credits,
        text_field=text_field or wanted.text_field,
        tokenizer=_tokenizer(wanted, base),
        vocab_size=wanted.model.vocab_size if wanted.model else scale.corpus.vocab_size,
        max_tokens=max(wanted.ladder) if source.startswith("hub:") else 0,
    )
    ladder = {"seed_tokens": wanted.ladder, "base_tokens": wanted.seed_tokens}
    return Setting(wanted, study.beside(replace(scale, corpus=text, **ladder)), base)


def _tokenizer(wanted: Midtraining, base: Study | None) -> str:
    if base is None:
        return wanted.pretrained
    if base.corpus_folder is None:
        return "bpe"  # records alone: the text is found by its name
    return f"file:{base.corpus_folder / 'tokenizer.json'}"
