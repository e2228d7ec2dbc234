"""Turn records into tidy frames: one row a run, one row a point of a curve.

    runs = runs_frame(store.records())
    seed_means(runs, ["N", "wd"])          # loss, se, n

Losses are in nats/token, D and `tokens` in tokens, N in parameters.
"""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ieee_lib.config import RunSpec
from ieee_lib.config.scale import Scale
from ieee_lib.errors import check_choice
from ieee_lib.runs.schema import Record
from ieee_lib.runs.store import Archive, RunStore

COLUMNS = [
    "run_id",
    "kind",
    "status",
    "corpus",
    "D",
    "N",
    "N_non_embedding",
    "n_layer",
    "n_embd",
    "epochs",
    "lr",
    "wd",
    "batch_size",
    "decay_mask",
    "optimizer",
    "dropout",
    "reshuffle",
    "precision",
    "init_seed",
    "data_seed",
    "synthetic",
    "synthetic_weight",
    "synthetic_only",
    "start",
    "options",
    "val_loss",
    "train_loss",
    "tokens",
    "flops",
    "seconds",
    "device",
]

OPTIONS = {
    each.name: each.default
    for each in dataclasses.fields(RunSpec)
    if each.name not in (*COLUMNS, "model", "seed_tokens", "val_sequences", "evals")
}
"""Fields of a run without a column of their own, with their defaults."""

MEMBER_COLUMNS = [
    "D",
    "N",
    "epochs",
    "lr",
    "wd",
    "decay_mask",
    "optimizer",
    "dropout",
    "reshuffle",
    "init_seed",
    "data_seed",
    "K",
    "k",
    "members",
    "n_diverged",
]
"""What a row says of a subset of members, whatever was done with it."""

SUBSET_COLUMNS = ["ensemble", *MEMBER_COLUMNS, "loss", "loss_probabilities"]

EVALUATION_COLUMNS = [
    "evaluation",
    "task",
    "split",
    *MEMBER_COLUMNS,
    "n_item",
    "chance",
    "metric",
    "accuracy",
    "correct",
    "groups",
    "truncated",
    "cut",
]


def load_runs(scale: str = "laptop", *, source: str = "records") -> pd.DataFrame:
    """Return every training run recorded here (`records`) or shipped (`archive`) at a scale.

    Raises InputError for another source, and for a scale without an archive.
    """
    check_choice("source", source, ("records", "archive"))
    store = Archive.of(scale) if source == "archive" else RunStore.of(scale)
    return runs_frame(store.records())


def runs_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row a training run: settings, N and D, losses (nats/token), cost."""
    rows = [_row(record) for record in records if record["kind"] == "train"]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype({"val_loss": float, "train_loss": float})


def curves_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row an evaluation: run_id, step, tokens, train_loss, val_loss (nats/token)."""
    points = [
        {"run_id": record["run_id"], **point}
        for record in records
        if record["kind"] == "train"
        for point in record["curve"]
    ]
    columns = ["run_id", "step", "tokens", "train_loss", "val_loss"]
    return pd.DataFrame(points, columns=columns).astype({"train_loss": float, "val_loss": float})


def mean_curve(points: pd.DataFrame) -> pd.DataFrame:
    """Return tokens, train_loss and val_loss: the mean over runs of what `curves_frame` gives."""
    return points.groupby("tokens")[["train_loss", "val_loss"]].mean().reset_index()


def subsets_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row a scored member subset of each ensemble.

    Settings are those that all members share (None where they differ). K: members of the ensemble,
    k: of the subset, `members`: the subset's run ids, in order. `loss` averages logits,
    `loss_probabilities` probabilities (nats/token).
    """
    rows = []
    for record in records:
        shared = {"ensemble": record["run_id"], **_shared(record)}
        losses = zip(record["losses"]["logits"], record["losses"]["probabilities"], strict=True)
        for subset, (logits, probabilities) in zip(record["subsets"], losses, strict=True):
            loss = {"loss": logits, "loss_probabilities": probabilities}
            rows.append({**shared, **_subset(record, subset), **loss})
    return pd.DataFrame(rows, columns=SUBSET_COLUMNS)


def evaluations_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row a metric and member subset of each evaluation: members alone, and prefixes.

    Settings, K, k and `members` as in `subsets_frame`. metric: acc, and acc_norm or, for the probe,
    acc_mutual_info; accuracy: share of n_item items answered correctly; chance: that of guessing;
    `correct`: bool (n_item,); groups (n_item,): items of equal value are alike; truncated: share of
    the requests too long for the context; cut: share that is an answer too long for it, of which
    only the end was scored.
    """
    rows = []
    for record in records:
        if record["status"] != "done":
            continue
        n_item = record["n_item"]
        shared = {
            "evaluation": record["run_id"],
            **_shared(record),
            "task": record["spec"]["task"],
            "split": record["split"],
            "n_item": n_item,
            "groups": np.array(record.get("groups", range(n_item))),
            "chance": sum(n / int(c) for c, n in record["n_choice"].items()) / n_item,
            "truncated": record["truncated"] / record["requests"],
            "cut": record["cut"] / record["requests"],
        }
        for metric, answered in record["correct"].items():
            for subset, marks in zip(record["subsets"], answered, strict=True):
                correct = np.frombuffer(marks.encode(), dtype=np.uint8) == ord("1")
                answers = {"metric": metric, "accuracy": correct.mean(), "correct": correct}
                rows.append({**shared, **_subset(record, subset), **answers})
    return pd.DataFrame(rows, columns=EVALUATION_COLUMNS)


def _shared(record: Record) -> dict[str, Any]:
    """Return what an ensemble's or evaluation's record says of all its members."""
    spec = record["spec"]
    return {
        **{name: spec.get(name) for name in MEMBER_COLUMNS},
        "D": spec.get("seed_tokens"),
        "N": record["N"],
        "K": len(record["members"]),
        "n_diverged": len(record["diverged"]),
    }


def _subset(record: Record, subset: list[int]) -> dict[str, Any]:
    """Return size and run ids of a subset of members."""
    return {"k": len(subset), "members": tuple(record["members"][i] for i in subset)}


def _row(record: Record) -> dict[str, Any]:
    """Return the row of a training run: columns of its spec and of its record."""
    spec = record["spec"]
    outcome = ("run_id", "kind", "status", "val_loss", "train_loss")
    expense = ("tokens", "flops", "seconds", "device")
    return {
        **{name: spec[name] for name in COLUMNS if name in spec},
        "options": options_of(spec),
        **{name: record[name] for name in (*outcome, *expense)},
        "D": spec["seed_tokens"],
        "N": record["parameters"]["total"],
        "N_non_embedding": record["parameters"]["non_embedding"],
        "n_layer": spec["model"]["n_layer"],
        "n_embd": spec["model"]["n_embd"],
    }


def options_of(spec: Record) -> str:
    """Name the fields of `OPTIONS` that a run has changed, with their values; empty for most."""
    changed = [name for name in OPTIONS if spec.get(name, OPTIONS[name]) != OPTIONS[name]]
    return ", ".join(f"{name} {spec[name]}" for name in changed)


def label_models(frame: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """Return a frame with a column `model`: the scale's name for N, empty for a foreign one."""
    names = {model.count().total: name for name, model in scale.models.items()}
    return frame.assign(model=[names.get(n, "") for n in frame.N])


class Noise(NamedTuple):
    """The standard deviation between seeds, and how well it is known."""

    sigma: float
    """Nats/token; NaN where nothing is replicated."""
    dof: float
    """Degrees of freedom behind it; infinite where it is assumed."""


def seed_means(
    runs: pd.DataFrame, by: list[str], *, value: str = "val_loss", noise: Noise | None = None
) -> pd.DataFrame:
    """Return mean over seeds, its standard error and count per group; diverged runs left out.

    The standard error uses `noise`, shared by all groups, or the pooled one of this frame (NaN
    where nothing is replicated). Columns: *by, loss, se, dof (of se), n, n_diverged.
    """
    done = runs[runs.status == "done"]
    groups = done.groupby(by, sort=True)[value]
    noise = pooled_noise(done, by, value=value) if noise is None else noise
    means = groups.agg(loss="mean", n="count")
    diverged = (runs.status == "diverged").groupby([runs[column] for column in by]).sum()
    means = means.join(diverged.rename("n_diverged"), how="outer").fillna({"n": 0})
    means["se"] = noise.sigma / np.sqrt(means.n.where(means.n > 0))
    means["dof"] = noise.dof
    return means.reset_index().astype({"n": int})


def pooled_noise(runs: pd.DataFrame, by: list[str], *, value: str = "val_loss") -> Noise:
    """Return the standard deviation over seeds, pooled over groups, with its degrees of freedom.

    sigma^2 = sum over runs of (loss - mean of its group)^2 / dof,    dof = runs - groups
    """
    groups = runs[runs.status == "done"].groupby(by)[value]
    dof = groups.count() - 1
    squares = groups.var(ddof=1).mul(dof)
    total_dof = dof[dof > 0].sum()
    sigma = math.sqrt(squares.sum() / total_dof) if total_dof else math.nan
    return Noise(sigma, float(total_dof))
