"""Specs of what follows trained runs: ensembles, samples, evaluations (Sec. 4, 6 and 7.1).

EnsembleSpec((spec, spec.replace(init_seed=1, data_seed=1))).run_id
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from ieee_lib.config.fields import Checked, Count, content_id, whole
from ieee_lib.config.run import RunSpec
from ieee_lib.errors import check, check_choice

AverageOf = Literal["outputs", "weights"]


@dataclass(frozen=True)
class EnsembleSpec:
    """An ensemble: trained runs of one shape, averaged on the validation set (Sec. 4).

    The order of members matters for prefixes only; K is their number.
    """

    members: tuple[RunSpec, ...]
    average: AverageOf = "outputs"
    """outputs: what the members predict; weights: the members themselves, one model of their mean
    weights (a soup, ICLR Table 7)."""

    def __post_init__(self) -> None:
        check_choice("ensemble.average", self.average, get_args(AverageOf))
        check(len(self.members) > 0, "ensemble", self.members, "needs at least one member")
        ids = [m.run_id for m in self.members]
        check(len(set(ids)) == len(ids), "ensemble", ids, "must not hold a member twice")
        first = self.members[0]
        for name in ("model", "corpus", "val_sequences"):
            for member in self.members:
                same = getattr(member, name) == getattr(first, name)
                check(same, "ensemble", member.run_id, f"must have the {name} of the first member")

    @cached_property
    def run_id(self) -> str:
        """16 hexadecimal digits: the hash of the members in their order."""
        return ensemble_id([member.run_id for member in self.members], self.average)

    @property
    def tokens(self) -> int:
        """Tokens scored, over all members."""
        first = self.members[0]
        return len(self.members) * first.val_sequences * first.model.block_size

    @property
    def flops(self) -> float:
        """Forward FLOPs of the evaluation: a third of training's."""
        return self.members[0].model.flops_per_token() * self.tokens / 3

    def to_dict(self) -> dict[str, Any]:
        """Return the members' ids and the fields that they share, ready for JSON."""
        fields = [member.to_dict() for member in self.members]
        shared = {k: v for k, v in fields[0].items() if all(f[k] == v for f in fields)}
        return {
            **shared,
            **_other_than_outputs(self.average),
            "members": [member.run_id for member in self.members],
        }


def ensemble_id(run_ids: Sequence[str], average: str = "outputs") -> str:
    """Return the id of an ensemble of runs; what is averaged is part of it where not outputs."""
    return content_id("ensemble", {"members": list(run_ids), **_other_than_outputs(average)})


def _other_than_outputs(average: str) -> dict[str, str]:
    """Return the field that says what is averaged; records of outputs have none."""
    return {} if average == "outputs" else {"average": average}


SampleKind = Literal["mixture", "average"]


@dataclass(frozen=True, kw_only=True)
class SampleSpec(Checked, prefix="sample."):
    """Unconditional samples of trained models: the synthetic data D' (Sec. 6)."""

    teachers: EnsembleSpec
    """The models that generate."""
    kind: SampleKind
    """mixture: each teacher generates an equal part of the sequences (the paper's data set, by its
    name). average: all generate each sequence together, from their averaged logits."""
    n_token: Count
    """Tokens to generate; rounded up to whole sequences of every teacher."""
    seed: Annotated[int, whole(0)] = 0
    """Seed of the draws."""

    @cached_property
    def run_id(self) -> str:
        """16 hexadecimal digits: the hash of teachers, kind, length and seed."""
        return content_id("sample", {**self._settings, "teachers": self.teachers.run_id})

    @property
    def flops(self) -> float:
        """Forward FLOPs: every teacher reads every token that it helps to generate."""
        n_reader = len(self.teachers.members) if self.kind == "average" else 1
        return self.teachers.members[0].model.flops_per_token() * self.n_token * n_reader / 3

    def to_dict(self) -> dict[str, Any]:
        """Return what is sampled, with the members' shared fields, ready for JSON."""
        return {**self.teachers.to_dict(), **self._settings}

    @property
    def _settings(self) -> dict[str, Any]:
        return {"kind": self.kind, "n_token": self.n_token, "seed": self.seed}


ASSUMED_ITEMS = 1000
"""Items that a task without a limit is assumed to have, for its cost."""

ASSUMED_CHOICES = 4
"""Choices that an item is assumed to have, for its cost."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec(Checked):
    """Accuracy of trained models, and of their ensembles, on a multiple-choice task (Sec. 7.1)."""

    models: EnsembleSpec
    """Each is evaluated alone, and each prefix as an ensemble that averages logits."""
    task: str
    """continuation (the probe on held-out text), or the name of a task of lm-eval."""
    n_item: Annotated[int, whole(0)] = 0
    """Items, the task's first ones; 0: all."""
    files: str = ""
    """Fingerprint of local files with the items (`tasks.fingerprint`); empty: from the hub."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(isinstance(self.task, str) and self.task != "", "task", self.task, "must be a name")

    @cached_property
    def run_id(self) -> str:
        """16 hexadecimal digits: the hash of models, task, number of items and files."""
        return content_id("evaluation", {**self._settings, "models": self.models.run_id})

    @property
    def tokens(self) -> int:
        """Tokens read, over all models, if every choice filled the context: for progress only."""
        first, n_item = self.models.members[0], self.n_item or ASSUMED_ITEMS
        return len(self.models.members) * n_item * ASSUMED_CHOICES * first.model.block_size

    @property
    def flops(self) -> float:
        """Forward FLOPs of `tokens`, for progress only: a record has the exact count."""
        return self.models.members[0].model.flops_per_token() * self.tokens / 3

    def to_dict(self) -> dict[str, Any]:
        """Return what is evaluated, with the models' shared fields, ready for JSON."""
        return {**self.models.to_dict(), **self._settings}

    @property
    def _settings(self) -> dict[str, Any]:
        return {"task": self.task, "n_item": self.n_item, "files": self.files}
