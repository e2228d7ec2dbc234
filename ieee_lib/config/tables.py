"""The tables of a scale file, one class each: what may be set, and what is allowed.

Settings(model="0.14M", seed_tokens=32768, wd=1.6, lr=3e-3, epochs=16)
"""

import re
from dataclasses import dataclass, field
from typing import Any

from ieee_lib.config import (
    PRECISIONS,
    SAMPLE_KINDS,
    ModelConfig,
    check_integer,
    check_number,
    check_text,
)
from ieee_lib.errors import check, check_choice
from ieee_lib.paths import below_data, hub_name
from ieee_lib.text.sources import open_source

WD_GRID = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
LR_GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
EPOCHS_GRID = (1, 2, 4, 8, 16, 32, 64, 128)
"""The paper's search grid (Sec. 3; utils.py of its code). 128 epochs are in Fig 2 only: a search
never tries them (`recipes.search.GRIDS`)."""

MANY = 10_000
"""Most seeds, members, moves or workers: each is a loop somewhere."""
ADDRESS = r"|auto|[^/\s]+:\d+"
"""Of a Ray cluster."""


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
        check_integer("seed_tokens", self.seed_tokens, 1)
        check_choice("wd", self.wd, WD_GRID)
        check_choice("lr", self.lr, LR_GRID)
        check_choice("epochs", self.epochs, EPOCHS_GRID)


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How runs are executed; nothing here changes a result beyond rounding."""

    executor: str = "inline"
    """inline (this process), local (worker processes) or ray (a Ray cluster)."""
    workers: int = 0
    """Jobs at once; 0: one per `devices` GPUs, or per `devices` times `threads` cores, of this
    machine or of the cluster as it is. A cluster that grows on demand grows up to them."""
    threads: int = 0
    """CPU threads of a worker; 0: torch's default, which is 1 on a Ray cluster."""
    devices: int = 1
    """GPUs of a node that train one stack together, or processes where it runs on CPUs."""
    gpu_share: float = 1.0
    """Share of a GPU that a job takes, in (0, 1]: at 0.5 two of them sit on each GPU."""
    ray_address: str = ""
    """Ray cluster that this machine is a node of: auto or host:port; empty: one of its own."""
    stack: int = 8
    """Most members of a stack."""
    micro_batch: int = 0
    """Sequences of one forward pass; gradients add up to the whole batch. 0: the whole batch."""
    keep_weights: bool = False
    """Keep the final weights of every run, not only of those asked for: ensembles of tuned runs
    then need no second training."""
    compile: str = "auto"
    """auto (where a compiler exists) or never."""
    checkpoint_minutes: float = 10.0
    """Between two checkpoints of a stack that trains; 0: none."""
    accelerator: str = "auto"
    """Lightning's accelerator: auto, cpu, gpu."""
    logger: str = "csv"
    """Lightning logger: csv, tensorboard, wandb or none."""
    flops_per_second: float = 5e10
    """Rate assumed by `plan` for a worker until runs have been measured."""

    def __post_init__(self) -> None:
        check_choice("execution.executor", self.executor, ("inline", "local", "ray"))
        check_choice("execution.keep_weights", self.keep_weights, (True, False))
        check_choice("execution.compile", self.compile, ("auto", "never"))
        check_choice("execution.accelerator", self.accelerator, ("auto", "cpu", "gpu"))
        check_choice("execution.logger", self.logger, ("csv", "tensorboard", "wandb", "none"))
        for name in ("workers", "threads", "micro_batch"):
            check_integer(f"execution.{name}", getattr(self, name), 0, MANY)
        for name in ("stack", "devices"):
            check_integer(f"execution.{name}", getattr(self, name), 1, MANY)
        check_number("execution.gpu_share", self.gpu_share, above=0.0)
        whole = self.gpu_share == 1 or (self.gpu_share < 1 and self.devices == 1)
        check(whole, "execution.gpu_share", self.gpu_share, "must be 1, or less with devices = 1")
        known = isinstance(self.ray_address, str) and re.fullmatch(ADDRESS, self.ray_address)
        allowed = "must be empty, auto or host:port (from outside a cluster: ray job submit)"
        check(bool(known), "execution.ray_address", self.ray_address, allowed)
        check_number("execution.checkpoint_minutes", self.checkpoint_minutes, least=0.0)
        check_number("execution.flops_per_second", self.flops_per_second, above=0.0)

    def sequences_at_once(self, batch_size: int) -> int:
        """Return the sequences of one forward pass on one device.

        Raises InputError where the devices cannot share a batch evenly.
        """
        share, left_over = divmod(batch_size, self.devices)
        allowed = f"must divide batch_size = {batch_size}"
        check(not left_over, "execution.devices", self.devices, allowed)
        size = self.micro_batch or share
        allowed = f"must divide a device's {share} sequences"
        check(share % size == 0, "execution.micro_batch", size, allowed)
        return size

    def jobs_on(self, n_device: int) -> int:
        """Return how many jobs fit at once on the devices of one node; none is split over two."""
        return n_device // self.devices * int(1 / self.gpu_share + 1e-9)


@dataclass(frozen=True, kw_only=True)
class Training:
    """What all runs of a scale share; see RunSpec."""

    block_size: int
    batch_size: int
    val_sequences: int
    evals: int
    precision: str = "32-true"

    def __post_init__(self) -> None:
        for name, least in (
            ("block_size", 2), ("batch_size", 1), ("val_sequences", 1), ("evals", 1),
        ):  # fmt: skip
            check_integer(f"training.{name}", getattr(self, name), least)
        check_choice("training.precision", self.precision, PRECISIONS)


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
    optional: bool = False
    """Neighbours are looked at where they are recorded (`run-plan` trains them last); without them
    a point counts, as not searched."""

    def __post_init__(self) -> None:
        check_integer("search.seeds", self.seeds, 1, MANY)
        check_integer("search.max_moves", self.max_moves, 0, MANY)
        check_choice("search.ladder", self.ladder, (True, False))
        check_choice("search.optional", self.optional, (True, False))
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
    """K at every other D; the seed ablation has at least the seeds of a point."""
    alone: tuple[str, ...] = ()
    """Models without members: the law of single ones is tested there (the paper's 1.5B, 3.2B)."""

    def __post_init__(self) -> None:
        check_integer("ensembles.members", self.members, 2, MANY)
        check_integer("ensembles.ladder_members", self.ladder_members, 2, MANY)
        listed = isinstance(self.alone, tuple)
        check(listed, "ensembles.alone", self.alone, "must be a list of models")


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
        check_integer("distillation.teachers", self.teachers, 2, MANY)
        check_integer("distillation.n_token", self.n_token, 1)
        check_choice("distillation.epochs", self.epochs, EPOCHS_GRID)
        check_choice("distillation.lr", self.lr, LR_GRID)
        for name in ("kinds", "weights", "decays"):
            _check_listed(f"distillation.{name}", getattr(self, name))
        for kind in self.kinds:
            check_choice("distillation.kinds", kind, SAMPLE_KINDS)
        for name in ("ensemble_wd", "self_wd", "decays"):
            for wd in _several(getattr(self, name)):
                check_choice(f"distillation.{name}", wd, WD_GRID)
        for name in ("ensemble_weight", "self_weight", "ablation_weight", "weights"):
            for weight in _several(getattr(self, name)):
                check_number(f"distillation.{name}", weight, above=0.0, below=1.0)


@dataclass(frozen=True, kw_only=True)
class Downstream:
    """Which questions the models are asked (Sec. 7.1)."""

    probe_items: int
    """Items of the probe on held-out text."""
    tasks: tuple[str, ...] = ()
    """Multiple-choice tasks of lm-eval."""
    files: str = ""
    """Folder of their local items, below data/ or absolute; empty: from the hub."""
    items: int = 0
    """Items of each of them, the first ones; 0: all."""

    def __post_init__(self) -> None:
        check_integer("downstream.probe_items", self.probe_items, 1)
        check_integer("downstream.items", self.items, 0)
        listed = isinstance(self.tasks, tuple) and all(isinstance(t, str) for t in self.tasks)
        check(listed, "downstream.tasks", self.tasks, "must be a list of names of tasks")
        if self.files != "":
            below_data("downstream.files", self.files)


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
        if self.pretrained != "":
            hub_name("midtraining.pretrained", self.pretrained)
        check(
            (self.base is None) == bool(self.pretrained) == (self.model is not None),
            "midtraining.base",
            self.base,
            "must be given exactly when no pretrained model and its shape are",
        )
        check_text("midtraining.text_field", self.text_field)
        open_source(self.target, role="midtraining.target")
        if self.base_corpus != "":
            open_source(self.base_corpus, role="midtraining.base_corpus")
        for name in ("seed_tokens", "batch_size", "small_batch", "epochs"):
            check_integer(f"midtraining.{name}", getattr(self, name), 1)
        check_integer("midtraining.members", self.members, 1, MANY)
        _check_listed("midtraining.multiples", self.multiples)
        for multiple in self.multiples:
            check_number("midtraining.multiples", multiple, above=1.0, below=1e6)
        rising = sorted(set(self.multiples)) == list(self.multiples)
        check(rising, "midtraining.multiples", self.multiples, "must rise")
        for name in ("lr", "small_lr"):
            check_number(f"midtraining.{name}", getattr(self, name), above=0.0)
        check_number("midtraining.wd", self.wd, least=0.0)

    @property
    def ladder(self) -> tuple[int, ...]:
        """D of the target, and the larger ones of the default recipe."""
        return tuple(int(m * self.seed_tokens) for m in (1, *self.multiples))


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """What others found to help, tried on the members of `ensembles` (notebook 10)."""

    members: int = 3
    """K of every row."""
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name -> fields of a run (`RunSpec`) that differ from the members' tuned for many."""

    def __post_init__(self) -> None:
        check_integer("beyond.members", self.members, 2, MANY)
        tables = isinstance(self.recipes, dict) and all(
            isinstance(changes, dict) and changes for changes in self.recipes.values()
        )
        check(tables, "beyond.recipes", self.recipes, "must be a table of tables of fields")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A line or a plane of the grid around one model, for the ablation figures."""

    model: str
    epochs: tuple[int, ...]
    wd: tuple[float, ...]
    lr: float

    def __post_init__(self) -> None:
        check_choice("lr", self.lr, LR_GRID)
        for name, grid in (("epochs", EPOCHS_GRID), ("wd", WD_GRID)):
            _check_listed(name, getattr(self, name))
            for value in getattr(self, name):
                check_choice(name, value, grid)


def _several(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def _check_listed(name: str, values: Any) -> None:
    listed = isinstance(values, tuple) and len(values) > 0
    check(listed, name, values, "must be a list of at least one value")
