"""Records to tidy frames: one row a run, one row a point of a curve.

runs = runs_frame(store.records())
seed_means(runs, ["N", "wd"])          # loss, se, n
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ieee_lib.config.scale import Scale
from ieee_lib.errors import check_choice
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
    "val_loss",
    "train_loss",
    "tokens",
    "flops",
    "seconds",
    "device",
]


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
"""What is said of a subset of members, whatever was done with it."""

SUBSET_COLUMNS = [
    "ensemble",
    *MEMBER_COLUMNS,
    "loss",
    "loss_probabilities",
]

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
    """Return every training run recorded here (`records`) or shipped (`archive`) at a scale."""
    check_choice("source", source, ("records", "archive"))
    store = Archive.of(scale) if source == "archive" else RunStore.of(scale)
    return runs_frame(store.records())


def runs_frame(records: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Return one row a training run: settings, N and D, losses (nats/token), cost."""
    rows = [_row(record) for record in records if record["kind"] == "train"]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype({"val_loss": float, "train_loss": float})


def curves_frame(records: Iterable[dict[str, Any]]) -> pd.DataFrame:
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


def subsets_frame(records: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Return one row a scored member subset of each ensemble.

    Settings are those all members share (None where they differ). K: members of the ensemble,
    k: of the subset, `members`: the subset's run ids, in order. `loss` averages logits,
    `loss_probabilities` probabilities (nats/token).
    """
    rows = []
    for record in records:
        shared, losses = {"ensemble": record["run_id"], **_members(record)}, record["losses"]
        scored = zip(record["subsets"], losses["logits"], losses["probabilities"], strict=True)
        for subset, logits, probabilities in scored:
            members = tuple(record["members"][i] for i in subset)
            row = {"k": len(subset), "members": members, "loss": logits}
            rows.append({**shared, **row, "loss_probabilities": probabilities})
    return pd.DataFrame(rows, columns=SUBSET_COLUMNS)


def evaluations_frame(records: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Return one row a metric and member subset of each evaluation: members alone, and prefixes.

    Settings, K, k and `members` as in `subsets_frame`. metric: acc, and acc_norm or, for the probe,
    acc_mutual_info; accuracy: share of n_item items answered rightly; chance: that of guessing;
    `correct`: bool (n_item,); groups (n_item,): items of equal value are alike; truncated: share of
    the requests too long for the context; cut: share that is an answer too long for it, of which
    only the end was scored.
    """
    rows = []
    for record in records:
        if record["status"] != "done":
            continue
        n_item = record["n_item"]
        shared = {"evaluation": record["run_id"], **_members(record)}
        shared |= {"task": record["spec"]["task"], "split": record["split"], "n_item": n_item}
        shared["groups"] = np.array(record.get("groups", range(n_item)))
        shared["chance"] = sum(n / int(c) for c, n in record["n_choice"].items()) / n_item
        shared |= {name: record[name] / record["requests"] for name in ("truncated", "cut")}
        for metric, answered in record["correct"].items():
            for subset, marks in zip(record["subsets"], answered, strict=True):
                members = tuple(record["members"][i] for i in subset)
                row = {"metric": metric, "k": len(subset), "members": members}
                correct = np.frombuffer(marks.encode(), dtype=np.uint8) == ord("1")
                rows.append({**shared, **row, "accuracy": correct.mean(), "correct": correct})
    return pd.DataFrame(rows, columns=EVALUATION_COLUMNS)


def _members(record: dict[str, Any]) -> dict[str, Any]:
    """Return what an ensemble's or evaluation's record says of all its members."""
    spec = record["spec"]
    return {
        **{name: spec.get(name) for name in MEMBER_COLUMNS},
        **{"D": spec.get("seed_tokens"), "N": record["N"]},
        **{"K": len(record["members"]), "n_diverged": len(record["diverged"])},
    }


def _row(record: dict[str, Any]) -> dict[str, Any]:
    spec = record["spec"]
    known = {name: v for name, v in spec.items() if name in COLUMNS}
    return {
        **known,
        **{k: record[k] for k in ("run_id", "kind", "status", "val_loss", "train_loss")},
        **{k: record[k] for k in ("tokens", "flops", "seconds", "device")},
        "D": spec["seed_tokens"],
        "N": record["parameters"]["total"],
        "N_non_embedding": record["parameters"]["non_embedding"],
        "n_layer": spec["model"]["n_layer"],
        "n_embd": spec["model"]["n_embd"],
    }


def label_models(frame: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """Return a frame with a column `model`: the scale's name for N, empty for a foreign one."""
    names = {model.count().total: name for name, model in scale.models.items()}
    return frame.assign(model=[names.get(n, "") for n in frame.N])


def seed_means(
    runs: pd.DataFrame, by: list[str], *, value: str = "val_loss", noise: float | None = None
) -> pd.DataFrame:
    """Return mean over seeds, its standard error and count per group; diverged runs left out.

    The standard error uses `noise`, a standard deviation shared by all groups, or the pooled one
    of this frame (NaN where nothing is replicated). Columns: *by, loss, se, n, n_diverged.
    """
    done = runs[runs.status == "done"]
    groups = done.groupby(by, sort=True)[value]
    noise = pooled_noise(done, by, value=value) if noise is None else noise
    means = groups.agg(loss="mean", n="count")
    lost = (runs.status == "diverged").groupby([runs[b] for b in by]).sum()
    means = means.join(lost.rename("n_diverged"), how="outer").fillna({"n": 0})
    means["se"] = noise / np.sqrt(means.n.where(means.n > 0))
    return means.reset_index().astype({"n": int})


def pooled_noise(runs: pd.DataFrame, by: list[str], *, value: str = "val_loss") -> float:
    """Return the standard deviation over seeds, pooled over groups; NaN without replicates."""
    groups = runs[runs.status == "done"].groupby(by)[value]
    freedom = groups.count() - 1
    squares = groups.var(ddof=1).mul(freedom)
    total = freedom[freedom > 0].sum()
    return float(np.sqrt(squares.sum() / total)) if total else float("nan")
