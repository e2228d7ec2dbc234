"""The tables of a scale file, one class each; types say what is allowed (`fields.Checked`).

Settings(model="0.14M", seed_tokens=32768, wd=1.6, lr=3e-3, epochs=16)
"""

from dataclasses import dataclass, field
from typing import Annotated, Any

from ieee_lib.config.corpus import parse_source
from ieee_lib.config.derived import SampleKind
from ieee_lib.config.fields import (
    MANY,
    Checked,
    Count,
    NotNegative,
    OneOrMore,
    Positive,
    Rule,
    Text,
    ZeroOrMore,
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
never tries them."""
GRIDS: dict[str, tuple[float, ...]] = {
    "wd": WD_GRID,
    "lr": LR_GRID,
    "epochs": tuple(e for e in EPOCHS_GRID if e <= 64),
}
"""Values that a search tries on each axis (v1 App B.1)."""

WeightDecay = Annotated[float, one_of(WD_GRID)]
LearningRate = Annotated[float, one_of(LR_GRID)]
Epochs = Annotated[int, one_of(EPOCHS_GRID)]
Members = Annotated[int, whole(2, MANY)]
Weight = Annotated[float, number(above=0.0, below=1.0)]
Multiple = Annotated[float, number(above=1.0, below=1e6)]


def list_of(what: str, kind: type = str) -> Rule:
    """Return the rule of a list of one type, which may be empty; `what` is what they are."""

    def rule(name: str, value: Any) -> None:
        listed = isinstance(value, tuple) and all(isinstance(item, kind) for item in value)
        check(listed, name, value, f"must be a list of {what}")

    return rule


def each(rule: Rule) -> Rule:
    """Return the rule of a list, which may be empty, of values that each meet a rule."""

    def checked(name: str, value: Any) -> None:
        check(isinstance(value, tuple), name, value, "must be a list")
        for i, item in enumerate(value):
            rule(f"{name}[{i}]", item)

    return checked


@dataclass(frozen=True, kw_only=True)
class Settings(Checked):
    """Hyper-parameters of one (N, D) cell of a recipe."""

    model: str
    """Name of the model in the scale."""
    seed_tokens: Count
    """D, tokens."""
    wd: WeightDecay
    """Weight decay."""
    lr: LearningRate
    """Peak learning rate."""
    epochs: Epochs
    """Passes over the D tokens."""


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
    """Moves of the centre before the search ends without a certificate."""
    screen: NotNegative = 5.0
    """Standard errors above the centre at which one seed of a neighbour is enough."""
    ladder: bool = True
    """Search at every D; false: at the base only, other D take the scale's settings as given."""
    optional: bool = False
    """Use neighbours that are recorded (`run-plan` trains them last); a point without them is
    accepted and marked as not searched."""


@dataclass(frozen=True, kw_only=True)
class Ensembles(Checked, prefix="ensembles."):
    """Members of ensembles, and the model of figures that show one size (Sec. 4)."""

    model: str
    """Name of the model in figures that show one size."""
    members: Members
    """K at the base D."""
    ladder_members: Members
    """K at every other D; the seed ablation has at least the seeds of a point."""
    alone: Annotated[tuple[str, ...], list_of("models")] = ()
    """Models without ensembles: the law of single models is tested on them (the paper's 1.5B,
    3.2B)."""
    settings: Annotated[tuple[Settings, ...], list_of("settings", Settings)] = ()
    """Members' settings for K → ∞ where they were searched; others take the heuristic's."""


@dataclass(frozen=True, kw_only=True)
class Distillation(Checked, prefix="distillation."):
    """Students of the model of `ensembles`, distilled from its members (Sec. 6)."""

    teachers: Members
    """K: members at the ensemble optimum, as in the ensembles."""
    n_token: Count
    """Synthetic tokens of each sample."""
    kinds: tuple[SampleKind, ...]
    """How an ensemble generates: the first is the recipe's, others are compared with it."""
    epochs: Epochs
    """Passes over the real data."""
    lr: LearningRate
    """Peak learning rate of every student."""
    ensemble_weight: Weight
    """w: share of synthetic sequences, of the student of an ensemble."""
    ensemble_wd: WeightDecay
    """Weight decay of the student of an ensemble."""
    self_weight: Weight
    """w of the student of one model (self-distillation)."""
    self_wd: WeightDecay
    """Weight decay of the student of one model."""
    ablation_weight: Weight
    """w of the run that the run without real data is as long as (Table 4)."""
    weights: tuple[Weight, ...]
    """w of the sweep."""
    decays: tuple[WeightDecay, ...]
    """Weight decays of the sweep."""


@dataclass(frozen=True, kw_only=True)
class Downstream(Checked, prefix="downstream."):
    """The downstream tasks and the probe (Sec. 7.1)."""

    probe_items: Count
    """Items of the probe on held-out text."""
    tasks: Annotated[tuple[str, ...], list_of("names of tasks")] = ()
    """Multiple-choice tasks of lm-eval."""
    files: Annotated[str, below_data] = ""
    """Folder with the tasks' items, below data/ or absolute; empty: items from the hub."""
    items: Annotated[int, whole(0)] = 0
    """Items of each task, the first ones; 0: all."""


@dataclass(frozen=True, kw_only=True)
class Midtraining(Checked, prefix="midtraining."):
    """Continued pre-training of one base model on a small target text (Sec. 7.2, Table 1)."""

    target: Annotated[str, parse_source]
    """Source of the target text."""
    target_label: Text = ""
    """What captions call the target text; empty: as its source says."""
    base: Settings | None = None
    """Settings of a base model that is trained here, on `base_corpus`."""
    base_corpus: Annotated[str, empty_or(parse_source)] = ""
    """Source of the base model's text; empty: the scale's."""
    pretrained: Annotated[str, empty_or(hub_name)] = ""
    """Base model that is not trained here: hub:NAME@REVISION of a Llama checkpoint."""
    model: ModelConfig | None = None
    """Shape of the pretrained model."""
    text_field: Text = "text"
    """Field of the target's records that holds the text."""
    seed_tokens: Count
    """D of the target, tokens."""
    multiples: tuple[Multiple, ...]
    """Multiples of D on which the default recipe is run for comparison."""
    wd: NotNegative
    """Weight decay of every run."""
    batch_size: Count
    """Sequences a step of the default recipe."""
    lr: Positive
    """Peak learning rate of the default recipe."""
    small_batch: Count
    """Sequences a step of the recipes that repeat."""
    small_lr: Positive
    """Peak learning rate at the small batch."""
    epochs: Count
    """Passes of the recipes that repeat."""
    members: OneOrMore
    """K of the ensemble."""

    def __post_init__(self) -> None:
        super().__post_init__()
        is_pretrained = self.pretrained != ""
        has_shape = self.model is not None
        one_base = is_pretrained == has_shape == (self.base is None)
        allowed = "must be given exactly when no pretrained model and its shape are"
        check(one_base, "midtraining.base", self.base, allowed)
        rising = sorted(set(self.multiples)) == list(self.multiples)
        check(rising, "midtraining.multiples", self.multiples, "must rise")

    @property
    def ladder(self) -> tuple[int, ...]:
        """D of the target, and the larger ones of the default recipe."""
        return tuple(int(m * self.seed_tokens) for m in (1, *self.multiples))


@dataclass(frozen=True, kw_only=True)
class Beyond(Checked, prefix="beyond."):
    """Recipes from other papers, tried on the members of `ensembles` (notebook 10)."""

    members: Members = 3
    """K of every recipe."""
    decays: tuple[Positive, ...] = (1.0,)
    """Weight decays at which every recipe is tried, as multiples of the heuristic's."""
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name -> fields of a run (`RunSpec`) that differ from those at the ensemble optimum."""
    links: Members = 3
    """K of the chains, whose members share the epochs of `members`."""
    chains: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name -> fields as of `recipes`, and `previous`: the field that names the member before."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, table in {"recipes": self.recipes, "chains": self.chains}.items():
            are_tables = isinstance(table, dict) and all(
                isinstance(changes, dict) and changes for changes in table.values()
            )
            check(are_tables, f"beyond.{name}", table, "must be a table of tables of fields")
        rising = sorted(set(self.decays)) == list(self.decays)
        check(rising, "beyond.decays", self.decays, "must rise")
        check(1.0 in self.decays, "beyond.decays", self.decays, "must hold 1, the paper's recipe")


@dataclass(frozen=True, kw_only=True)
class Appendix(Checked, prefix="appendix."):
    """What notebook 13 trains beyond the records of the others; what is not set is not run."""

    held: Annotated[tuple[str, ...], each(one_of(("wd", "epochs")))] = ()
    """Settings held at the smallest model's optimum while the others are tuned (ICLR Fig 10)."""
    batch_sizes: Annotated[tuple[int, ...], each(whole(1))] = ()
    """Sequences a step, for one epoch of the model of `overfitting` (ICLR Fig 12, left)."""
    overfitting_wd: Annotated[tuple[float, ...], each(one_of(WD_GRID))] = ()
    """Weight decays at which the epochs of `overfitting` are evaluated downstream (ICLR Fig 19)."""
    lr: Annotated[float, one_of((0.0, *LR_GRID))] = 0.0
    """Peak learning rate of those two; 0: that of `overfitting`."""
    larger: Annotated[tuple[Settings, ...], list_of("settings", Settings)] = ()
    """Models beyond those of the regularized recipe, whose loss these predict (ICLR Fig 21)."""
    continued_wd: Annotated[tuple[float, ...], each(number(least=0.0))] = ()
    """Weight decays of "+ epoching" in continued pre-training (ICLR Table 6)."""
    weight_averages: bool = False
    """Score averages of the continued members' weights beside their ensemble (ICLR Table 7)."""


@dataclass(frozen=True, kw_only=True)
class Sweep(Checked):
    """Grid of epochs and weight decay for one model, for the ablation figures."""

    model: str
    """Name of the model in the scale."""
    epochs: tuple[Epochs, ...]
    """Passes over the D tokens."""
    wd: tuple[WeightDecay, ...]
    """Weight decays."""
    lr: LearningRate
    """Peak learning rate of every run."""
