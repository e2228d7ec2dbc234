"""A scale: one TOML file with everything that differs between a CI run and the paper.

scale = Scale.load("laptop")
scale.spec("0.14M", corpus="9f86d081884c7d65", wd=1.6, lr=3e-3, epochs=16)
"""

import os
import tomllib
from dataclasses import dataclass, fields, replace
from typing import Any

from ieee_lib import paths
from ieee_lib.config import (
    ModelConfig,
    RunSpec,
    build,
    check_integer,
    check_number,
    check_text,
)
from ieee_lib.config.tables import (
    EPOCHS_GRID,
    MANY,
    Beyond,
    Distillation,
    Downstream,
    Ensembles,
    Execution,
    Midtraining,
    Search,
    Settings,
    Sweep,
    Training,
)
from ieee_lib.errors import InputError, check, check_choice
from ieee_lib.text.corpus import CorpusConfig

FOLDER = paths.PACKAGE / "config" / "scales"

NEEDED = {"wd": 0.1, "lr": 1e-3, "epochs": 1}
SHARED = {"model", "corpus", "seed_tokens", "init_seed", "data_seed", "val_sequences", "evals"}
SHARED |= {"synthetic", "synthetic_weight", "synthetic_only", "start"}
"""Fields of a run in which all rows of notebook 10 agree."""
"""Fields without a default, where a spec is only built to be checked."""

UNITS = {"M": 1e6, "B": 1e9}
"""What one unit of N is in fits."""


@dataclass(frozen=True)
class Scale:
    """A loaded scale file; raises InputError for anything unknown, missing or out of range."""

    name: str
    about: str
    """What it is for, and what it can prove."""
    unit: str
    """Unit of N in fits: M or B (millions or billions of parameters)."""
    assumed_noise: float
    """Standard deviation between seeds where nothing is replicated, nats/token."""
    corpus: CorpusConfig
    training: Training
    execution: Execution
    search: Search
    models: dict[str, ModelConfig]
    """The ladder in N, smallest first."""
    seed_tokens: tuple[int, ...]
    """The ladder in D, rising."""
    base_tokens: int
    """The D that most figures are drawn at."""
    seeds: int
    """Seeds of every point that a figure shows at the base D."""
    ladder_seeds: int
    """Seeds of a tuned single model at every other D."""
    overfitting: Sweep
    """Loss against epochs at the standard weight decay (Fig 2, left)."""
    wd_sweep: Sweep
    """Loss against weight decay (v1 Fig 13, right)."""
    heatmap: Sweep
    """Loss over epochs and weight decay, for one member and for infinitely many."""
    ensembles: Ensembles
    distillation: Distillation
    downstream: Downstream
    midtraining: Midtraining
    beyond: Beyond
    standard: tuple[Settings, ...]
    """Where the search of the standard recipe (wd 0.1) starts."""
    regularized: tuple[Settings, ...]
    """Where the search of the regularized recipe starts."""
    evidence: bool = True
    """False where the scale is too small to say anything; figures then say so."""

    @classmethod
    def names(cls) -> list[str]:
        return sorted(path.stem for path in FOLDER.glob("*.toml"))

    @classmethod
    def load(cls, name: str) -> "Scale":
        """Load a shipped scale by name, or a file of your own by a path that ends in .toml.

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
        table = dict(table)
        corpus = build(CorpusConfig, table.pop("corpus", None), "corpus")
        training = build(Training, table.pop("training", None), "training")
        shared = {"vocab_size": corpus.vocab_size, "block_size": training.block_size}
        models = table.pop("models", None)
        check(isinstance(models, dict) and models, "models", models, "must be a table of models")
        ladder = {}
        for key, shape in models.items():
            check(isinstance(shape, dict), f"models.{key}", shape, "must be a table of fields")
            twice = sorted(shared.keys() & shape.keys())
            allowed = "is set for all models, under [corpus] or [training]"
            check(not twice, f"models.{key}", twice, allowed)
            ladder[key] = build(ModelConfig, {**shared, **shape}, f"models.{key}")
        parts = {
            "name": name,
            "corpus": corpus,
            "training": training,
            "models": ladder,
            "execution": build(Execution, table.pop("execution", {}), "execution"),
            "search": build(Search, table.pop("search", None), "search"),
            "ensembles": build(Ensembles, _tuples(table.pop("ensembles", None)), "ensembles"),
            "distillation": build(
                Distillation, _tuples(table.pop("distillation", None)), "distillation"
            ),
            "downstream": build(Downstream, _tuples(table.pop("downstream", None)), "downstream"),
            "midtraining": _midtraining(table.pop("midtraining", None), training),
            "beyond": build(Beyond, table.pop("beyond", {}), "beyond"),
            "seed_tokens": _listed("seed_tokens", table.pop("seed_tokens", None)),
        }
        for sweep in ("overfitting", "wd_sweep", "heatmap"):
            value = table.pop(sweep, None)
            parts[sweep] = build(Sweep, _tuples(value), sweep)
        for recipe in ("standard", "regularized"):
            rows = _listed(recipe, table.pop(recipe, None))
            parts[recipe] = tuple(
                build(Settings, row, f"{recipe}[{i}]") for i, row in enumerate(rows)
            )
        scale = build(cls, {**table, **parts}, f"scale {name}")
        scale._check()
        return scale

    def _check(self) -> None:
        check_text("about", self.about)
        check_choice("evidence", self.evidence, (True, False))
        check_choice("unit", self.unit, UNITS)
        for seed_tokens in self.seed_tokens:
            check_integer("seed_tokens", seed_tokens, 1)
        rising = sorted(set(self.seed_tokens)) == list(self.seed_tokens)
        check(rising, "seed_tokens", self.seed_tokens, "must rise")
        check_choice("base_tokens", self.base_tokens, self.seed_tokens)
        check_integer("seeds", self.seeds, 1, MANY)
        check_integer("ladder_seeds", self.ladder_seeds, 1, MANY)
        check_number("assumed_noise", self.assumed_noise, above=0.0)
        for name in ("overfitting", "wd_sweep", "heatmap", "ensembles"):
            check_choice(f"{name}.model", getattr(self, name).model, self.models)
        self._check_batches()
        self._check_beyond()
        self._check_recipes()

    def _check_batches(self) -> None:
        """Check that every D fits every batch, and every batch what passes at a time."""
        training, wanted = self.training, self.midtraining
        sizes = {"training.batch_size": training.batch_size}
        sizes |= {f"midtraining.{n}": getattr(wanted, n) for n in ("batch_size", "small_batch")}
        for name, size in sizes.items():
            self._check_batch(name, size)
        shape = next(iter(self.models))
        asked = [(d, training.batch_size) for d in self.seed_tokens]
        asked += [(d, wanted.batch_size) for d in wanted.ladder]
        asked += [(wanted.seed_tokens, wanted.small_batch)]
        if wanted.base is not None:
            check_choice("midtraining.base.model", wanted.base.model, self.models)
            asked += [(wanted.base.seed_tokens, training.batch_size)]
        for seed_tokens, batch_size in asked:
            sizes = {"seed_tokens": seed_tokens, "batch_size": batch_size}
            self.spec(shape, corpus="0" * 16, **NEEDED, **sizes)

    def _check_batch(self, name: str, size: int) -> None:
        self.execution.sequences_at_once(size)
        n = self.training.val_sequences
        check(n % size == 0, name, size, f"must divide val_sequences = {n}")

    def _check_beyond(self) -> None:
        """Check that a recipe of 10 is a run that may stand beside the members it is judged by."""
        own = [each.name for each in fields(RunSpec) if each.name not in SHARED]
        for name, changes in self.beyond.recipes.items():
            where = f"beyond.recipes.{name}"
            for option in changes:
                check_choice(where, option, own)
            if "epochs" in changes:
                check_choice(f"{where}.epochs", changes["epochs"], EPOCHS_GRID)
            spec = self.spec(self.ensembles.model, corpus="0" * 16, **{**NEEDED, **changes})
            self._check_batch(f"{where}.batch_size", spec.batch_size)

    def _check_recipes(self) -> None:
        """Check that a recipe names every cell once, and what the sections compare has a cell."""
        cells = {}
        for recipe in ("standard", "regularized"):
            cells[recipe] = [(row.model, row.seed_tokens) for row in getattr(self, recipe)]
            for i, (model, seed_tokens) in enumerate(cells[recipe]):
                check_choice(f"{recipe}[{i}].model", model, self.models)
                check_choice(f"{recipe}[{i}].seed_tokens", seed_tokens, self.seed_tokens)
                again = (model, seed_tokens) in cells[recipe][:i]
                check(not again, recipe, model, f"must be listed once at D = {seed_tokens}")
            at_base = self.base_tokens in self.ladder(recipe)
            check(at_base, recipe, self.ladder(recipe), f"must list D = {self.base_tokens}")
        missing = sorted(set(self.ladder()) - set(self.ladder("standard")))
        check(not missing, "regularized", missing, "must be a D of the standard recipe too")
        check_choice("ensembles.model", self.ensembles.model, self.members())
        for name in self.ensembles.alone:
            check_choice("ensembles.alone", name, self.models)
        enough = len(self.members()) >= min(3, len(self.models))
        allowed = "must leave three models: a law needs as many"
        check(enough, "ensembles.alone", list(self.ensembles.alone), allowed)
        for seed_tokens in self.ladder():
            known = (self.ensembles.model, seed_tokens) in cells["regularized"]
            allowed = f"must be listed under regularized at D = {seed_tokens}"
            check(known, "ensembles.model", self.ensembles.model, allowed)

    def spec(self, model: str, *, corpus: str, seed: int = 0, **fields: Any) -> RunSpec:
        """Return the run of a named model; `seed` sets both the weights' and the order's seed."""
        check_choice("model", model, self.models)
        training = self.training
        return RunSpec(
            model=self.models[model],
            corpus=corpus,
            **{
                "seed_tokens": self.base_tokens,
                "batch_size": training.batch_size,
                "val_sequences": training.val_sequences,
                "evals": training.evals,
                "precision": training.precision,
                "init_seed": seed,
                "data_seed": seed,
                **fields,
            },
        )

    def on(self, corpus: str) -> "Scale":
        """Return the same scale with another text; continued pre-training starts from it too."""
        if corpus == self.corpus.source:
            return self
        return replace(
            self,
            corpus=replace(self.corpus, source=corpus, val_source="", credits=""),
            midtraining=replace(self.midtraining, base_corpus=""),
        )

    def seeds_at(self, seed_tokens: int) -> int:
        """Return how many seeds a tuned single model has at one D."""
        return self.seeds if seed_tokens == self.base_tokens else self.ladder_seeds

    def ladder(self, recipe: str = "regularized") -> list[int]:
        """Return the D at which a recipe has settings, rising."""
        return sorted({row.seed_tokens for row in getattr(self, recipe)})

    def members(self) -> list[str]:
        """Return the models that ensembles have as members, in the order of the ladder in N."""
        return [name for name in self.models if name not in self.ensembles.alone]

    def settings(self, recipe: str, seed_tokens: int) -> list[Settings]:
        """Return a recipe's starting points at one D, in the order of the ladder in N."""
        rows = [row for row in getattr(self, recipe) if row.seed_tokens == seed_tokens]
        return sorted(rows, key=lambda row: list(self.models).index(row.model))


def _midtraining(table: Any, training: Training) -> Midtraining:
    check(isinstance(table, dict), "midtraining", table, "must be a table of fields")
    fields = _tuples(table)
    if "base" in fields:
        fields["base"] = build(Settings, fields["base"], "midtraining.base")
    if "model" in fields:
        shape = fields["model"]
        check(isinstance(shape, dict), "midtraining.model", shape, "must be a table of fields")
        shape = {"block_size": training.block_size, **shape}
        fields["model"] = build(ModelConfig, shape, "midtraining.model")
    return build(Midtraining, fields, "midtraining")


def _listed(name: str, value: Any) -> tuple:
    listed = isinstance(value, list) and len(value) > 0
    check(listed, name, value, "must be a list of at least one")
    return tuple(value)


def _tuples(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
