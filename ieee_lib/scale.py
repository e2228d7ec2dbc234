"""A scale: one TOML file with everything that differs between a CI run and the paper.

scale = Scale.load("laptop")
scale.spec("0.14M", corpus="9f86d081884c7d65", wd=1.6, lr=3e-3, epochs=16)
"""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ieee_lib import paths
from ieee_lib.errors import InputError, check, check_choice
from ieee_lib.spec import (
    SAMPLE_KINDS,
    ModelConfig,
    RunSpec,
    build,
    check_integer,
    check_number,
)
from ieee_lib.text.corpus import CorpusConfig

FOLDER = paths.PACKAGE / "scales"

WD_GRID = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
LR_GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
EPOCHS_GRID = (1, 2, 4, 8, 16, 32, 64, 128)
"""The paper's search grid (Sec. 3; utils.py of its code). 128 epochs are in Fig 2 only: a search
never tries them (`recipes.search.GRIDS`)."""

UNITS = {"M": 1e6, "B": 1e9}
"""What one unit of N is in fits."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Hyper-parameters of one (N, D) cell of a recipe."""

    model: str
    """Name of the model in the scale."""
    seed_tokens: int
    """D."""
    wd: float
    """Weight decay."""
    lr: float
    """Peak learning rate."""
    epochs: int
    """Passes over the D tokens."""

    def __post_init__(self) -> None:
        check_choice("settings.wd", self.wd, WD_GRID)
        check_choice("settings.lr", self.lr, LR_GRID)
        check_choice("settings.epochs", self.epochs, EPOCHS_GRID)


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How runs are executed; nothing here changes a result beyond rounding."""

    executor: str = "inline"
    """inline (this process) or local (worker processes)."""
    workers: int = 0
    """Worker processes; 0: one per GPU or per `threads` cores."""
    threads: int = 0
    """CPU threads of a worker; 0: torch's default."""
    stack: int = 8
    """Most members of a stack."""
    micro_batch: int = 0
    """Sequences of one forward pass; gradients add up to the whole batch. 0: the whole batch."""
    keep_weights: bool = False
    """Keep the final weights of every run, not only of those asked for: ensembles of tuned runs
    then need no second training."""
    compile: str = "auto"
    """auto (where a compiler exists) or never."""
    accelerator: str = "auto"
    """Lightning's accelerator: auto, cpu, gpu."""
    logger: str = "csv"
    """Lightning logger: csv, tensorboard, wandb or none."""
    flops_per_second: float = 5e10
    """Rate assumed by `plan` for a worker until runs have been measured."""

    def __post_init__(self) -> None:
        check_choice("execution.executor", self.executor, ("inline", "local"))
        check_choice("execution.keep_weights", self.keep_weights, (True, False))
        check_choice("execution.compile", self.compile, ("auto", "never"))
        check_choice("execution.accelerator", self.accelerator, ("auto", "cpu", "gpu"))
        check_choice("execution.logger", self.logger, ("csv", "tensorboard", "wandb", "none"))
        for name, least in (("workers", 0), ("threads", 0), ("stack", 1), ("micro_batch", 0)):
            check_integer(f"execution.{name}", getattr(self, name), least)
        check_number("execution.flops_per_second", self.flops_per_second, above=0.0)


@dataclass(frozen=True, kw_only=True)
class Training:
    """What all runs of a scale share; see RunSpec."""

    block_size: int
    batch_size: int
    val_sequences: int
    evals: int
    precision: str = "32-true"


@dataclass(frozen=True, kw_only=True)
class Search:
    """How far the tuning goes (Sec. 3; `recipes.search`)."""

    seeds: int
    """Seeds of a neighbour that is not clearly worse; the centre has the scale's."""
    tolerance: float
    """A neighbour is better when it is lower by this many standard errors; the paper: 0."""
    max_moves: int
    """Moves of the centre before the search gives up uncertified."""
    screen: float = 5.0
    """Standard errors above the centre at which one seed of a neighbour is enough."""
    ladder: bool = True
    """Search at every D; false: at the base only, other D take the scale's settings as given."""

    def __post_init__(self) -> None:
        check_integer("search.seeds", self.seeds, 1)
        check_integer("search.max_moves", self.max_moves, 0)
        check_number("search.tolerance", self.tolerance, least=0.0)
        check_number("search.screen", self.screen, least=0.0)


@dataclass(frozen=True, kw_only=True)
class Ensembles:
    """How many members, and which model the figures of one size show (Sec. 4)."""

    model: str
    """Model of the figures of one size."""
    members: int
    """K at the base D."""
    ladder_members: int
    """K at every other D, and of the seed ablation."""

    def __post_init__(self) -> None:
        check_integer("ensembles.members", self.members, 2)
        check_integer("ensembles.ladder_members", self.ladder_members, 2)


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """Students of the model of `ensembles`, taught by its members (Sec. 6)."""

    teachers: int
    """K: members tuned for many, as in the ensembles."""
    n_token: int
    """Synthetic tokens of each sample."""
    kinds: tuple[str, ...]
    """How an ensemble writes: the first is the recipe, others are compared with it."""
    epochs: int
    """Passes over the real data."""
    lr: float
    ensemble_weight: float
    """w of the student of an ensemble."""
    ensemble_wd: float
    self_weight: float
    """w of the student of one model."""
    self_wd: float
    ablation_weight: float
    """w that sets the length of the run without real data; one with them is as long (Table 4)."""
    weights: tuple[float, ...]
    """w of the sweep."""
    decays: tuple[float, ...]
    """Weight decays of the sweep."""

    def __post_init__(self) -> None:
        check_integer("distillation.teachers", self.teachers, 2)
        check_integer("distillation.n_token", self.n_token, 1)
        check_choice("distillation.epochs", self.epochs, EPOCHS_GRID)
        check_choice("distillation.lr", self.lr, LR_GRID)
        for name in ("kinds", "weights", "decays"):
            values = getattr(self, name)
            listed = isinstance(values, tuple) and len(values) > 0
            check(listed, f"distillation.{name}", values, "must be a list of at least one value")
        for kind in self.kinds:
            check_choice("distillation.kinds", kind, SAMPLE_KINDS)
        for wd in (self.ensemble_wd, self.self_wd, *self.decays):
            check_choice("distillation.wd", wd, WD_GRID)
        for weight in (
            self.ensemble_weight, self.self_weight, self.ablation_weight, *self.weights,
        ):  # fmt: skip
            check_number("distillation: a weight", weight, above=0.0, below=1.0)


@dataclass(frozen=True, kw_only=True)
class Downstream:
    """Which questions the models are asked (Sec. 7.1)."""

    probe_items: int
    """Items of the probe on held-out text."""
    tasks: tuple[str, ...] = ()
    """Multiple-choice tasks of lm-eval."""
    files: str = ""
    """Folder of their local items; empty: from the hub."""
    items: int = 0
    """Items of each of them, the first ones; 0: all."""

    def __post_init__(self) -> None:
        check_integer("downstream.probe_items", self.probe_items, 1)
        check_integer("downstream.items", self.items, 0)


@dataclass(frozen=True, kw_only=True)
class Midtraining:
    """Continued pre-training of one base model on a small target text (Sec. 7.2, Table 1)."""

    target: str
    """Source of the target text."""
    base: Settings | None = None
    """The base model, where it is trained here, on `base_corpus`."""
    base_corpus: str = ""
    """Its text; empty: the scale's."""
    pretrained: str = ""
    """The base model, where it is given: hub:NAME@REVISION of a Llama checkpoint."""
    model: ModelConfig | None = None
    """Shape of the given one."""
    text_field: str = "text"
    """Field of a target's record that holds its text."""
    seed_tokens: int
    """D of the target."""
    multiples: tuple[float, ...]
    """Times D that the default recipe gets for comparison."""
    wd: float
    batch_size: int
    """Sequences a step of the default recipe."""
    lr: float
    small_batch: int
    small_lr: float
    """Learning rate at the small batch."""
    epochs: int
    """Passes of the recipes that repeat."""
    members: int
    """K of the ensemble."""

    def __post_init__(self) -> None:
        check(
            (self.base is None) == bool(self.pretrained) == (self.model is not None),
            "midtraining.base",
            self.base,
            "must be given exactly when no pretrained model and its shape are",
        )
        hub = self.pretrained.startswith("hub:") and "@" in self.pretrained
        allowed = "must be hub:NAME@REVISION of a Llama checkpoint"
        check(hub or not self.pretrained, "midtraining.pretrained", self.pretrained, allowed)
        for name in ("seed_tokens", "batch_size", "small_batch", "epochs", "members"):
            check_integer(f"midtraining.{name}", getattr(self, name), 1)
        rising = isinstance(self.multiples, tuple) and sorted({1, *self.multiples}) == [
            1,
            *self.multiples,
        ]
        check(rising, "midtraining.multiples", self.multiples, "must rise from above 1")
        for name in ("lr", "small_lr"):
            check_number(f"midtraining.{name}", getattr(self, name), above=0.0)
        check_number("midtraining.wd", self.wd, least=0.0)

    @property
    def ladder(self) -> tuple[int, ...]:
        """D of the target, and the larger ones of the default recipe."""
        return tuple(int(m * self.seed_tokens) for m in (1, *self.multiples))


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A line or a plane of the grid around one model, for the ablation figures."""

    model: str
    epochs: tuple[int, ...]
    wd: tuple[float, ...]
    lr: float

    def __post_init__(self) -> None:
        check_choice("sweep.lr", self.lr, LR_GRID)
        for name, grid in (("epochs", EPOCHS_GRID), ("wd", WD_GRID)):
            values = getattr(self, name)
            listed = isinstance(values, tuple) and len(values) > 0
            check(listed, f"sweep.{name}", values, "must be a list of at least one value")
            for value in values:
                check_choice(f"sweep.{name}", value, grid)


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
        """Load a shipped scale by name, or a file of your own by a path that ends in .toml."""
        path = Path(name) if str(name).endswith(".toml") else FOLDER / f"{name}.toml"
        if path.parent == FOLDER:
            check_choice("scale", name, cls.names())
        check(path.is_file(), "scale", name, "names no file")
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError("scale", name, f"is not valid TOML: {error}") from error
        return cls._parse(path.stem, table)

    @classmethod
    def _parse(cls, name: str, table: dict[str, Any]) -> "Scale":
        corpus = build(CorpusConfig, table.pop("corpus", None), "corpus")
        training = build(Training, table.pop("training", None), "training")
        shared = {"vocab_size": corpus.vocab_size, "block_size": training.block_size}
        models = table.pop("models", None)
        check(isinstance(models, dict) and models, "models", models, "must be a table of models")
        ladder = {}
        for key, shape in models.items():
            check(isinstance(shape, dict), f"models.{key}", shape, "must be a table of fields")
            ladder[key] = build(ModelConfig, {**shared, **shape}, f"models.{key}")
        fields = {
            "name": name,
            "corpus": corpus,
            "training": training,
            "models": ladder,
            "execution": build(Execution, table.pop("execution", {}), "execution"),
            "search": build(Search, table.pop("search", None), "search"),
            "ensembles": build(Ensembles, table.pop("ensembles", None), "ensembles"),
            "distillation": build(
                Distillation, _tuples(table.pop("distillation", None)), "distillation"
            ),
            "downstream": build(Downstream, _tuples(table.pop("downstream", None)), "downstream"),
            "midtraining": _midtraining(table.pop("midtraining", None), training),
            "seed_tokens": tuple(table.pop("seed_tokens", ())),
        }
        for sweep in ("overfitting", "wd_sweep", "heatmap"):
            value = table.pop(sweep, None)
            fields[sweep] = build(Sweep, _tuples(value), sweep)
        for recipe in ("standard", "regularized"):
            rows = table.pop(recipe, [])
            fields[recipe] = tuple(build(Settings, row, recipe) for row in rows)
        scale = build(cls, {**table, **fields}, f"scale {name}")
        scale._check()
        return scale

    def _check(self) -> None:
        check_choice("unit", self.unit, UNITS)
        rising = sorted(set(self.seed_tokens)) == list(self.seed_tokens)
        check(bool(self.seed_tokens), "seed_tokens", self.seed_tokens, "must list at least one D")
        check(rising, "seed_tokens", self.seed_tokens, "must rise")
        check_choice("base_tokens", self.base_tokens, self.seed_tokens)
        check_integer("seeds", self.seeds, 1)
        check_integer("ladder_seeds", self.ladder_seeds, 1)
        check_number("assumed_noise", self.assumed_noise, above=0.0)
        for part in (self.overfitting, self.wd_sweep, self.heatmap, self.ensembles):
            check_choice("model", part.model, self.models)
        for name in ("batch_size", "small_batch"):
            size = getattr(self.midtraining, name)
            allowed = f"must divide val_sequences = {self.training.val_sequences} and be a "
            allowed += f"multiple of micro_batch = {self.execution.micro_batch}"
            fits = self.training.val_sequences % size == 0
            fits = fits and size % (self.execution.micro_batch or 1) == 0
            check(fits, f"midtraining.{name}", size, allowed)
        if self.midtraining.base is not None:
            check_choice("midtraining.base.model", self.midtraining.base.model, self.models)
        for row in (*self.standard, *self.regularized):
            check_choice("model", row.model, self.models)
            check_choice("seed_tokens", row.seed_tokens, self.seed_tokens)
        for model in self.models:  # every D of the ladder must fit the batch, for every shape
            for seed_tokens in self.seed_tokens:
                self.spec(
                    model, corpus="0" * 16, seed_tokens=seed_tokens, wd=0.1, lr=1e-3, epochs=1
                )

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
            corpus=replace(self.corpus, source=corpus, val_source=""),
            midtraining=replace(self.midtraining, base_corpus=""),
        )

    def seeds_at(self, seed_tokens: int) -> int:
        """Return how many seeds a tuned single model has at one D."""
        return self.seeds if seed_tokens == self.base_tokens else self.ladder_seeds

    def ladder(self, recipe: str = "regularized") -> list[int]:
        """Return the D at which a recipe has settings, rising."""
        return sorted({row.seed_tokens for row in getattr(self, recipe)})

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
        shape = {"block_size": training.block_size, **fields["model"]}
        fields["model"] = build(ModelConfig, shape, "midtraining.model")
    return build(Midtraining, fields, "midtraining")


def _tuples(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
