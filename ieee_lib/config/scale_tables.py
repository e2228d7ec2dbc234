"""The tables of a scale file, one class each: what may be set, and what is allowed.

Settings(model="0.14M", seed_tokens=32768, wd=1.6, lr=3e-3, epochs=16)
"""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from ieee_lib.config.corpus import parse_source
from ieee_lib.config.derived import SampleKind
from ieee_lib.config.fields import (
    Checked,
    Count,
    NotNegative,
    Positive,
    Rule,
    Text,
    empty_or,
    number,
    one_of,
    whole,
)
from ieee_lib.config.model import ModelConfig
from ieee_lib.config.run import Precision
from ieee_lib.errors import check
from ieee_lib.paths import below_data, hub_name

WD_GRID = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
LR_GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
EPOCHS_GRID = (1, 2, 4, 8, 16, 32, 64, 128)
"""The paper's search grid (Sec. 3; utils.py of its code). 128 epochs are in Fig 2 only: a search
never tries them (`recipes.search.GRIDS`)."""

MANY = 10_000
"""Most seeds, members, moves or workers: each is a loop somewhere."""

WeightDecay = Annotated[float, one_of(WD_GRID)]
LearningRate = Annotated[float, one_of(LR_GRID)]
Epochs = Annotated[int, one_of(EPOCHS_GRID)]
ZeroOrMore = Annotated[int, whole(0, MANY)]
OneOrMore = Annotated[int, whole(1, MANY)]
Members = Annotated[int, whole(2, MANY)]
Weight = Annotated[float, number(above=0.0, below=1.0)]
Multiple = Annotated[float, number(above=1.0, below=1e6)]


def list_of(what: str) -> Rule:
    """Return the rule of a list of texts, which may be empty; `what` is what they are."""

    def rule(name: str, value: Any) -> None:
        listed = isinstance(value, tuple) and all(isinstance(item, str) for item in value)
        check(listed, name, value, f"must be a list of {what}")

    return rule


def check_ray_address(name: str, value: Any) -> None:
    """Raise InputError unless `value` is the address of a Ray cluster, or empty."""
    is_address = isinstance(value, str) and re.fullmatch(r"|auto|[^/\s]+:\d+", value) is not None
    allowed = "must be empty, auto or host:port (from outside a cluster: ray job submit)"
    check(is_address, name, value, allowed)


@dataclass(frozen=True, kw_only=True)
class Settings(Checked):
    """Hyper-parameters of one (N, D) cell of a recipe."""

    model: str
    """Name of the model in the scale."""
    seed_tokens: Count
    """D."""
    wd: WeightDecay
    """Weight decay."""
    lr: LearningRate
    """Peak learning rate."""
    epochs: Epochs
    """Passes over the D tokens."""


@dataclass(frozen=True, kw_only=True)
class Execution(Checked, prefix="execution."):
    """How runs are executed; nothing here changes a result beyond rounding."""

    executor: Literal["inline", "local", "ray"] = "inline"
    """inline (this process), local (worker processes) or ray (a Ray cluster)."""
    workers: ZeroOrMore = 0
    """Units at once; 0: one per `devices` GPUs, or per `devices` times `threads` cores, of this
    machine or of the cluster as it is. A cluster that grows on demand grows up to them."""
    threads: ZeroOrMore = 0
    """CPU threads of a worker; 0: torch's default, which is 1 on a Ray cluster."""
    devices: OneOrMore = 1
    """GPUs of a node that train one stack together, or processes where it runs on CPUs."""
    num_nodes: OneOrMore = 1
    """Nodes that train one stack together; more than one needs the executor ray."""
    gpu_share: Positive = 1.0
    """Share of a GPU that a unit takes, in (0, 1]: at 0.5 two of them sit on each GPU."""
    ray_address: Annotated[str, check_ray_address] = ""
    """Ray cluster that this machine is a node of: auto or host:port; empty: one of its own."""
    stack: OneOrMore = 8
    """Most members of a stack."""
    micro_batch: ZeroOrMore = 0
    """Sequences of one forward pass; gradients add up to the whole batch. 0: the whole batch."""
    keep_weights: bool = False
    """Keep the final weights of every run, not only of those asked for: ensembles of tuned runs
    then need no second training."""
    compile: Literal["auto", "never"] = "auto"
    """auto (where a compiler exists) or never."""
    checkpoint_minutes: NotNegative = 10.0
    """Between two checkpoints of a stack that trains; 0: none."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Lightning's accelerator: auto, cpu, gpu."""
    logger: Literal["csv", "tensorboard", "wandb", "none"] = "csv"
    """Lightning logger: csv, tensorboard, wandb or none."""
    flops_per_second: Positive = 5e10
    """Rate assumed by `plan` for a worker until runs have been measured."""

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_gpu = self.gpu_share == 1 or (self.gpu_share < 1 and self.devices == 1)
        allowed = "must be 1, or less with devices = 1"
        check(whole_gpu, "execution.gpu_share", self.gpu_share, allowed)
        one_node = self.num_nodes == 1 or self.executor == "ray"
        allowed = "needs executor = 'ray'; the others train on one node"
        check(one_node, "execution.num_nodes", self.num_nodes, allowed)

    @property
    def world_size(self) -> int:
        """Devices that train one stack together."""
        return self.devices * self.num_nodes

    def sequences_at_once(self, batch_size: int) -> int:
        """Return the sequences of one forward pass on one device.

        Raises InputError where the devices cannot share a batch evenly.
        """
        share, left_over = divmod(batch_size, self.world_size)
        allowed = f"times num_nodes = {self.num_nodes} must divide batch_size = {batch_size}"
        check(not left_over, "execution.devices", self.devices, allowed)
        size = self.micro_batch or share
        allowed = f"must divide a device's {share} sequences"
        check(share % size == 0, "execution.micro_batch", size, allowed)
        return size

    def units_on(self, n_device: int) -> int:
        """Return how many units fit at once on the devices of one node; none is split over two."""
        return n_device // self.devices * int(1 / self.gpu_share + 1e-9)


@dataclass(frozen=True, kw_only=True)
class Training(Checked, prefix="training."):
    """What all runs of a scale share; see RunSpec."""

    block_size: Annotated[int, whole(2)]
    """Context length, tokens."""
    batch_size: Count
    """Sequences a step."""
    val_sequences: Count
    """Held-out sequences of every evaluation."""
    evals: Count
    """Points of the loss curve."""
    precision: Precision = "32-true"


@dataclass(frozen=True, kw_only=True)
class Search(Checked, prefix="search."):
    """How far the tuning goes (Sec. 3; `recipes.search`)."""

    seeds: OneOrMore
    """Seeds of a neighbour that is not clearly worse; the centre has the scale's."""
    tolerance: NotNegative
    """A neighbour is better when it is lower by this many standard errors; the paper: 0."""
    max_moves: ZeroOrMore
    """Moves of the centre before the search gives up uncertified."""
    screen: NotNegative = 5.0
    """Standard errors above the centre at which one seed of a neighbour is enough."""
    ladder: bool = True
    """Search at every D; false: at the base only, other D take the scale's settings as given."""
    optional: bool = False
    """Neighbours are looked at where they are recorded (`run-plan` trains them last); without them
    a point counts, as not searched."""


@dataclass(frozen=True, kw_only=True)
class Ensembles(Checked, prefix="ensembles."):
    """How many members, and which model the figures of one size show (Sec. 4)."""

    model: str
    """Model of the figures of one size."""
    members: Members
    """K at the base D."""
    ladder_members: Members
    """K at every other D; the seed ablation has at least the seeds of a point."""
    alone: Annotated[tuple[str, ...], list_of("models")] = ()
    """Models without members: the law of single ones is tested there (the paper's 1.5B, 3.2B)."""


@dataclass(frozen=True, kw_only=True)
class Distillation(Checked, prefix="distillation."):
    """Students of the model of `ensembles`, taught by its members (Sec. 6)."""

    teachers: Members
    """K: members tuned for many, as in the ensembles."""
    n_token: Count
    """Synthetic tokens of each sample."""
    kinds: tuple[SampleKind, ...]
    """How an ensemble writes: the first is the recipe, others are compared with it."""
    epochs: Epochs
    """Passes over the real data."""
    lr: LearningRate
    ensemble_weight: Weight
    """w of the student of an ensemble."""
    ensemble_wd: WeightDecay
    self_weight: Weight
    """w of the student of one model."""
    self_wd: WeightDecay
    ablation_weight: Weight
    """w that sets the length of the run without real data; one with them is as long (Table 4)."""
    weights: tuple[Weight, ...]
    """w of the sweep."""
    decays: tuple[WeightDecay, ...]
    """Weight decays of the sweep."""


@dataclass(frozen=True, kw_only=True)
class Downstream(Checked, prefix="downstream."):
    """Which questions the models are asked (Sec. 7.1)."""

    probe_items: Count
    """Items of the probe on held-out text."""
    tasks: Annotated[tuple[str, ...], list_of("names of tasks")] = ()
    """Multiple-choice tasks of lm-eval."""
    files: Annotated[str, below_data] = ""
    """Folder of their local items, below data/ or absolute; empty: from the hub."""
    items: Annotated[int, whole(0)] = 0
    """Items of each of them, the first ones; 0: all."""


@dataclass(frozen=True, kw_only=True)
class Midtraining(Checked, prefix="midtraining."):
    """Continued pre-training of one base model on a small target text (Sec. 7.2, Table 1)."""

    target: Annotated[str, parse_source]
    """Source of the target text."""
    base: Settings | None = None
    """The base model, where it is trained here, on `base_corpus`."""
    base_corpus: Annotated[str, empty_or(parse_source)] = ""
    """Its text; empty: the scale's."""
    pretrained: Annotated[str, empty_or(hub_name)] = ""
    """The base model, where it is given: hub:NAME@REVISION of a Llama checkpoint."""
    model: ModelConfig | None = None
    """Shape of the given one."""
    text_field: Text = "text"
    """Field of a target's record that holds its text."""
    seed_tokens: Count
    """D of the target."""
    multiples: tuple[Multiple, ...]
    """Times D that the default recipe gets for comparison."""
    wd: NotNegative
    batch_size: Count
    """Sequences a step of the default recipe."""
    lr: Positive
    small_batch: Count
    small_lr: Positive
    """Learning rate at the small batch."""
    epochs: Count
    """Passes of the recipes that repeat."""
    members: OneOrMore
    """K of the ensemble."""

    def __post_init__(self) -> None:
        super().__post_init__()
        given = (self.pretrained != "", self.model is not None, self.base is None)
        allowed = "must be given exactly when no pretrained model and its shape are"
        check(len(set(given)) == 1, "midtraining.base", self.base, allowed)
        rising = sorted(set(self.multiples)) == list(self.multiples)
        check(rising, "midtraining.multiples", self.multiples, "must rise")

    @property
    def ladder(self) -> tuple[int, ...]:
        """D of the target, and the larger ones of the default recipe."""
        return tuple(int(m * self.seed_tokens) for m in (1, *self.multiples))


@dataclass(frozen=True, kw_only=True)
class Beyond(Checked, prefix="beyond."):
    """What others found to help, tried on the members of `ensembles` (notebook 10)."""

    members: Members = 3
    """K of every row."""
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name -> fields of a run (`RunSpec`) that differ from the members' tuned for many."""

    def __post_init__(self) -> None:
        super().__post_init__()
        tables = isinstance(self.recipes, dict) and all(
            isinstance(changes, dict) and changes for changes in self.recipes.values()
        )
        check(tables, "beyond.recipes", self.recipes, "must be a table of tables of fields")


@dataclass(frozen=True, kw_only=True)
class Sweep(Checked):
    """A line or a plane of the grid around one model, for the ablation figures."""

    model: str
    epochs: tuple[Epochs, ...]
    wd: tuple[WeightDecay, ...]
    lr: LearningRate
