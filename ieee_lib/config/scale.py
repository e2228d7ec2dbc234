"""A scale: one TOML file with everything that differs between a CI run and the paper.

scale = Scale.load("laptop")
scale.spec("0.14M", corpus="9f86d081884c7d65", wd=1.6, lr=3e-3, epochs=16)
"""

import os
import tomllib
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from ieee_lib import paths
from ieee_lib.config.corpus import CorpusConfig
from ieee_lib.config.execution import Execution
from ieee_lib.config.fields import Checked, Count, OneOrMore, Positive, Text, ZeroOrMore, build
from ieee_lib.config.model import ModelConfig
from ieee_lib.config.run import RunSpec
from ieee_lib.config.scale_tables import (
    EPOCHS_GRID,
    Appendix,
    Beyond,
    Distillation,
    Downstream,
    Ensembles,
    Midtraining,
    Search,
    Settings,
    Sweep,
    Training,
)
from ieee_lib.errors import InputError, check, check_choice

FOLDER = paths.PACKAGE / "config" / "scales"

UNITS = {"M": 1e6, "B": 1e9}
"""What one unit of N is in fits."""

PLACEHOLDERS: dict[str, Any] = {"wd": 0.1, "lr": 1e-3, "epochs": 1}
"""Fields of a run without a default, for a spec that is only built to be checked."""

COMMON = (
    "model", "corpus", "seed_tokens", "init_seed", "data_seed", "val_sequences", "evals",
    "synthetic", "synthetic_weight", "synthetic_only", "start", "teacher",
)  # fmt: skip
"""Fields of a run in which all rows of notebook 10 agree."""

CHAINED = ("start", "teacher")
"""Fields through which a member of a chain comes from the one before."""


@dataclass(frozen=True, kw_only=True)
class Scale(Checked):
    """A loaded scale file; raises InputError for anything unknown, missing or out of range."""

    name: str
    about: Text
    """Purpose of the scale, and what its results can show."""
    unit: Literal["M", "B"]
    """Unit of N in fits: M or B (millions or billions of parameters)."""
    assumed_noise: Positive
    """Standard deviation between seeds where nothing is replicated, nats/token."""
    corpus: CorpusConfig
    training: Training
    execution: Execution = field(default_factory=Execution)
    search: Search
    models: dict[str, ModelConfig]
    """The ladder in N, smallest first."""
    seed_tokens: tuple[Count, ...]
    """The ladder in D, rising, tokens."""
    base_tokens: int
    """The D of most figures, tokens."""
    seeds: OneOrMore
    """Seeds of every point that a figure shows at the base D."""
    tuned_seeds: ZeroOrMore = 0
    """Seeds of a tuned single model at the base D, where that is to have more than `seeds`."""
    ladder_seeds: OneOrMore
    """Seeds of a tuned single model at every other D."""
    overfitting: Sweep
    """Loss against epochs at the standard weight decay (Fig 2, left)."""
    wd_sweep: Sweep
    """Loss against weight decay (v1 Fig 13, right)."""
    heatmap: Sweep
    """Loss over epochs and weight decay, for one member and for K → ∞."""
    ensembles: Ensembles
    distillation: Distillation
    downstream: Downstream
    midtraining: Midtraining
    beyond: Beyond = field(default_factory=Beyond)
    appendix: Appendix = field(default_factory=Appendix)
    standard: tuple[Settings, ...]
    """Where the search of the standard recipe (wd 0.1) starts."""
    regularized: tuple[Settings, ...]
    """Where the search of the regularized recipe starts."""
    evidence: bool = True
    """False where the scale is too small to be evidence; figures then say so."""

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the shipped scales."""
        return sorted(path.stem for path in FOLDER.glob("*.toml"))

    @classmethod
    def load(cls, name: str) -> "Scale":
        """Load a shipped scale by its name, or another file by a path that ends in .toml.

        A relative path is below data/.
        """
        if isinstance(name, str) and name.endswith(".toml"):
            path = paths.below_data("scale", name)
            paths.check_scale_name(path.stem)
        else:
            check_choice("scale", name, cls.names())
            path = FOLDER / f"{name}.toml"
        allowed = f"names no file; allowed are a .toml file, and {', '.join(cls.names())}"
        check(os.path.isfile(path), "scale", str(path), allowed)
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise InputError("scale", name, f"is not valid TOML: {error}") from error
        return cls.from_dict(path.stem, table)

    @classmethod
    def from_dict(cls, name: str, table: dict[str, Any]) -> "Scale":
        """Build from what a scale file holds; raises InputError for anything wrong in it."""
        check(isinstance(table, dict), "scale", table, "must be a table of fields")
        corpus = build(CorpusConfig, table.get("corpus"), "corpus")
        training = build(Training, table.get("training"), "training")
        shared = {"block_size": training.block_size, "vocab_size": corpus.vocab_size}
        models = table.get("models")
        if not isinstance(models, dict) or not models:
            raise InputError("models", models, "must be a table of models")
        shapes = {}
        for key, shape in models.items():
            check(isinstance(shape, dict), f"models.{key}", shape, "must be a table of fields")
            twice = [name for name in shared if name in shape]
            allowed = "is set for all models, under [corpus] or [training]"
            check(not twice, f"models.{key}", twice, allowed)
            shapes[key] = {**shared, **shape}
        parts = {"name": name, "corpus": corpus, "training": training, "models": shapes}
        midtraining = table.get("midtraining")
        if isinstance(midtraining, dict) and isinstance(midtraining.get("model"), dict):
            shape = {"block_size": training.block_size, **midtraining["model"]}
            parts["midtraining"] = {**midtraining, "model": shape}
        scale = build(cls, {**table, **parts}, f"scale {name}", prefix="")
        scale._check_ladders()
        scale._check_batches()
        scale._check_beyond()
        scale._check_recipes()
        return scale

    def _check_ladders(self) -> None:
        """Check that D rises and holds the base, and that named models exist."""
        rising = sorted(set(self.seed_tokens)) == list(self.seed_tokens)
        check(rising, "seed_tokens", self.seed_tokens, "must rise")
        check_choice("base_tokens", self.base_tokens, self.seed_tokens)
        for name in ("overfitting", "wd_sweep", "heatmap", "ensembles"):
            check_choice(f"{name}.model", getattr(self, name).model, self.models)

    def _check_batches(self) -> None:
        """Check that every D is a multiple of its step, and every batch divides evenly."""
        training, continued = self.training, self.midtraining
        self._check_batch("training.batch_size", training.batch_size)
        self._check_batch("midtraining.batch_size", continued.batch_size)
        self._check_batch("midtraining.small_batch", continued.small_batch)
        runs = [(seed_tokens, training.batch_size) for seed_tokens in self.seed_tokens]
        runs += [(seed_tokens, continued.batch_size) for seed_tokens in continued.ladder]
        runs += [(continued.seed_tokens, continued.small_batch)]
        for size in self.appendix.batch_sizes:
            self._check_batch("appendix.batch_sizes", size)
            runs.append((self.base_tokens, size))
        if continued.base is not None:
            check_choice("midtraining.base.model", continued.base.model, self.models)
            runs += [(continued.base.seed_tokens, training.batch_size)]
        model = next(iter(self.models))
        for seed_tokens, batch_size in runs:
            sizes = {"seed_tokens": seed_tokens, "batch_size": batch_size}
            self.spec(model, corpus="0" * 16, **sizes, **PLACEHOLDERS)

    def _check_batch(self, name: str, size: int) -> None:
        self.execution.sequences_at_once(size)
        n = self.training.val_sequences
        check(n % size == 0, name, size, f"must divide val_sequences = {n}")

    def _check_beyond(self) -> None:
        """Check that a recipe of notebook 10 is a run comparable with the ensemble's members."""
        options = [each.name for each in fields(RunSpec) if each.name not in COMMON]
        longest = {**PLACEHOLDERS, "epochs": EPOCHS_GRID[-1]}
        for name, changes in self.beyond.recipes.items():
            where = f"beyond.recipes.{name}"
            for option in changes:
                check_choice(where, option, options)
            if "epochs" in changes:
                check_choice(f"{where}.epochs", changes["epochs"], EPOCHS_GRID)
            model = self.ensembles.model
            spec = self.spec(model, corpus="0" * 16, **{**longest, **changes})
            self._check_batch(f"{where}.batch_size", spec.batch_size)
        for name, changes in self.beyond.chains.items():
            where = f"beyond.chains.{name}"
            fields_of_run = {**changes}
            previous = fields_of_run.pop("previous", None)
            check_choice(f"{where}.previous", previous, CHAINED)
            for option in fields_of_run:
                check_choice(where, option, options)
            linked = {**longest, **fields_of_run, previous: "0" * 16}
            self.spec(self.ensembles.model, corpus="0" * 16, **linked)

    def _check_recipes(self) -> None:
        """Check that a recipe lists every cell (N, D) once, and all that sections compare."""
        cells: list[tuple[str, int]] = []
        for recipe in ("standard", "regularized"):
            cells = []
            for i, row in enumerate(getattr(self, recipe)):
                check_choice(f"{recipe}[{i}].model", row.model, self.models)
                check_choice(f"{recipe}[{i}].seed_tokens", row.seed_tokens, self.seed_tokens)
                cell = (row.model, row.seed_tokens)
                allowed = f"must be listed once at D = {row.seed_tokens}"
                check(cell not in cells, recipe, row.model, allowed)
                cells.append(cell)
            has_base = self.base_tokens in self.ladder(recipe)
            check(has_base, recipe, self.ladder(recipe), f"must list D = {self.base_tokens}")
        missing = [tokens for tokens in self.ladder() if tokens not in self.ladder("standard")]
        check(not missing, "regularized", missing, "must be a D of the standard recipe too")
        check_choice("ensembles.model", self.ensembles.model, self.members())
        for name in self.ensembles.alone:
            check_choice("ensembles.alone", name, self.models)
        self._check_member_settings(cells)
        enough = len(self.members()) >= min(3, len(self.models))
        allowed = "must leave three models: a law needs as many"
        check(enough, "ensembles.alone", list(self.ensembles.alone), allowed)
        for i, row in enumerate(self.appendix.larger):
            check_choice(f"appendix.larger[{i}].model", row.model, self.models)
            check_choice(f"appendix.larger[{i}].seed_tokens", row.seed_tokens, [self.base_tokens])
            is_new = (row.model, row.seed_tokens) not in cells
            check(is_new, "appendix.larger", row.model, "must not be listed under regularized")
        for seed_tokens in self.ladder():
            is_listed = (self.ensembles.model, seed_tokens) in cells
            allowed = f"must be listed under regularized at D = {seed_tokens}"
            check(is_listed, "ensembles.model", self.ensembles.model, allowed)

    def _check_member_settings(self, cells: list[tuple[str, int]]) -> None:
        """Check that members' settings belong to ensembles that exist, once each."""
        listed = []
        for i, row in enumerate(self.ensembles.settings):
            where = f"ensembles.settings[{i}]"
            check_choice(f"{where}.model", row.model, self.members())
            cell = (row.model, row.seed_tokens)
            allowed = f"must be listed under regularized at D = {row.seed_tokens}"
            check(cell in cells, where, row.model, allowed)
            allowed = f"must be listed once at D = {row.seed_tokens}"
            check(cell not in listed, where, row.model, allowed)
            allowed = "must not be the ensembles' model at the base D: it tests the heuristic"
            check(cell != (self.ensembles.model, self.base_tokens), where, row.model, allowed)
            listed.append(cell)

    def spec(self, model: str, *, corpus: str, seed: int = 0, **fields: Any) -> RunSpec:
        """Return the run of a named model; `seed` sets both the weights' and the order's seed.

        Raises InputError for an unknown field, a required one that is missing, and a bad value.
        """
        check_choice("model", model, self.models)
        training = self.training
        table = {
            "model": self.models[model],
            "corpus": corpus,
            "seed_tokens": self.base_tokens,
            "batch_size": training.batch_size,
            "val_sequences": training.val_sequences,
            "evals": training.evals,
            "precision": training.precision,
            "init_seed": seed,
            "data_seed": seed,
            **fields,
        }
        return build(RunSpec, table, "spec", prefix="")

    def on(self, corpus: str) -> "Scale":
        """Return the scale with another text or options of it: "files:a.txt --split line".

        Another source is continued pre-training's base too. A vocabulary of another size changes
        N, and no model's name. Raises InputError as `CorpusConfig.changed` does.
        """
        text = self.corpus.changed(corpus)
        if text == self.corpus:
            return self
        models = {
            name: replace(model, vocab_size=text.vocab_size) for name, model in self.models.items()
        }
        base = "" if text.source != self.corpus.source else self.midtraining.base_corpus
        continued = replace(self.midtraining, base_corpus=base)
        return replace(self, corpus=text, models=models, midtraining=continued)

    def seeds_at(self, seed_tokens: int) -> int:
        """Return how many seeds a tuned single model has at one D."""
        at_base = seed_tokens == self.base_tokens
        return max(self.seeds, self.tuned_seeds) if at_base else self.ladder_seeds

    def members_at(self, seed_tokens: int) -> int:
        """Return how many members a tuned model's ensemble has at one D."""
        at_base = seed_tokens == self.base_tokens
        return self.ensembles.members if at_base else self.ensembles.ladder_members

    def ladder(self, recipe: str = "regularized") -> list[int]:
        """Return the D at which a recipe has settings, rising."""
        return sorted({row.seed_tokens for row in getattr(self, recipe)})

    def members(self) -> list[str]:
        """Return the models that ensembles have as members, in the order of the ladder in N."""
        return [name for name in self.ladder_models() if name not in self.ensembles.alone]

    def ladder_models(self) -> list[str]:
        """Return the models of the laws in N: all but those that only the appendix trains."""
        larger = {row.model for row in self.appendix.larger}
        return [name for name in self.models if name not in larger]

    def settings(self, recipe: str, seed_tokens: int) -> list[Settings]:
        """Return a recipe's starting points at one D, in the order of the ladder in N."""
        rows = [row for row in getattr(self, recipe) if row.seed_tokens == seed_tokens]
        return sorted(rows, key=lambda row: list(self.models).index(row.model))
