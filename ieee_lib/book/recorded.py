"""Recorded runs that ship with the project: packed, verified, compared with one's own.

pack(Study.open("laptop", source="records"))
verify("laptop").to_markdown()                  # raises InputError for what is damaged
compare(study, claims).lines                    # losses within seed noise? verdicts flipped?
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ieee_lib import paths
from ieee_lib.book import chapters as book
from ieee_lib.claims.verdicts import NOT_RUN, Claim
from ieee_lib.config import RunSpec, content_id
from ieee_lib.errors import check
from ieee_lib.laws.estimates import SETTINGS
from ieee_lib.plots.saving import Table, save
from ieee_lib.runs.frames import pooled_noise, runs_frame
from ieee_lib.runs.store import Archive, pack_archive
from ieee_lib.sections import verdicts
from ieee_lib.study import Study

CELL = ["D", "wd"]
"""Runs that share them have seed noise of about one size."""

FAR = 3.0
"""Standard deviations between seeds beyond which a single run stands out."""


def pack(study: Study) -> int:
    """Pack what the book reads of a study into data/archive/; returns the number of records."""
    study = study.reading()
    for _ in book.recorded(study):  # notes what it reads
        pass
    path, name = paths.archive(study.scale.name), study.scale.name
    n = pack_archive((study.store.get(run_id) for run_id in sorted(study.touched)), path)
    recorded = paths.figures(f"recorded/{name}")
    recorded.mkdir(parents=True, exist_ok=True)
    for file in paths.figures(name).glob("tab_stages.*"):
        shutil.copyfile(file, recorded / file.name)  # times are of the machine that recorded
    return n


def verify(scale: str) -> Table:
    """Return what an archive holds, one row a kind of record, once all of it has been checked.

    Every record's seal, schema, form and name; every member of an ensemble; every run that the
    book needs. Raises InputError, or MissingRuns, for the first that fails.
    """
    study = Study.open(scale, source="archive")
    archive = study.store
    assert isinstance(archive, Archive)
    for record in archive.records():
        for run_id in _named(record):
            found = archive.has(run_id)
            check(found, "archive", str(archive.path), f"needs run {run_id}, and lacks it")
        same = _name_of(record) == record["run_id"]
        check(same, "archive", str(archive.path), f"{record['run_id']} is not its spec's name")
    chapters = list(book.recorded(study))
    drawn = {name for chapter in chapters for name in chapter.section.items}
    every = {name for section in book.SECTIONS.values() for name in section.items}
    shown = {path.stem for path in paths.figures(f"recorded/{scale}").glob("*.json")}
    lost = sorted(shown & every - drawn)
    allowed = f"draws no {', '.join(lost)}, which figures/recorded/{scale}/ shows: it lacks a run"
    check(not lost, "archive", str(archive.path), allowed)
    frame = pd.DataFrame(archive.records())
    rows = frame.groupby("kind").agg(
        records=("run_id", "count"), tokens=("tokens", "sum"), seconds=("seconds", "sum")
    )
    texts = {r["corpus"]["source"]: r["corpus"]["fingerprint"] for r in archive.records()}
    caption = [f"{study.scale.name} scale", *(f"{text} ({i})" for text, i in texts.items())]
    caption += [f"{', '.join(sorted(set(frame.device)))}, {min(frame.created)[:10]}"]
    return Table(
        rows.reset_index(),
        " · ".join([*caption, f"intact; draws {len(chapters)} notebooks"]),
        {"seconds": 0},
    )


def _named(record: dict[str, Any]) -> Iterator[str]:
    """Return the ids of what a record is made of."""
    yield from record.get("members", ())
    if synthetic := record["spec"].get("synthetic"):
        yield synthetic


def _name_of(record: dict[str, Any]) -> str:
    """Return the id that follows from what a record says it is; its own where that is not all."""
    if record["kind"] == "train":
        return RunSpec.from_dict(record["spec"]).run_id
    if record["kind"] == "ensemble":
        return content_id("ensemble", {"members": record["members"]})
    return record["run_id"]


@dataclass(frozen=True)
class Comparison:
    """One's own book beside the recorded one."""

    losses: Table
    """One row a D and weight decay: how far the same runs are apart, beside the seeds' noise."""
    verdicts: Table
    """One row a claim: both verdicts and measures."""
    lines: list[str]
    """What both say, in words."""

    def save(self, folder: Path) -> None:
        save(self.losses, folder, "tab_against_recorded")
        save(self.verdicts, folder, "tab_verdicts_against_recorded")


def compare(study: Study, claims: Sequence[Claim]) -> Comparison:
    """Compare a study's records, and how its claims were judged, with the scale's recorded book.

    Losses are compared run by run where both were trained on the same text, verdicts always.
    Raises InputError where no book of the scale is recorded.
    """
    recorded = Study.open(study.scale, source="archive")
    losses = _losses(study, recorded)
    judged = _verdicts(claims, verdicts.gather(recorded).claims)
    lines = [_about_losses(losses), about_verdicts(judged)]
    caption = f"{study.scale.name} scale · here and in the recorded book"
    return Comparison(
        Table(losses, f"{caption} · nats/token", dict.fromkeys(losses.columns[-3:], 4)),
        Table(judged, caption, {"recorded measure": 3, "measure here": 3}),
        lines,
    )


def _losses(study: Study, recorded: Study) -> pd.DataFrame:
    theirs = runs_frame(recorded.store.records())
    theirs = theirs[theirs.status == "done"]
    mine = runs_frame(r for r in study.store.records() if recorded.store.has(r["run_id"]))
    both = theirs.merge(mine[["run_id", "val_loss", "status"]], on="run_id", suffixes=("", "_here"))
    rows = []
    for cell, group in both.groupby(CELL):
        done = group.status_here == "done"
        apart = (group.val_loss_here - group.val_loss).abs().where(done)
        own = theirs[(theirs[CELL] == list(cell)).all(axis=1)]
        noise = pooled_noise(own, SETTINGS)
        rows.append(
            {**dict(zip(CELL, cell, strict=True)), "runs": len(group)}
            | {"diverged here": int((~done).sum())}
            | {"equal": int((apart == 0).sum()), "rms apart": float(np.sqrt((apart**2).mean()))}
            | {"most apart": float(apart.max()), "noise between seeds": noise}
        )
    columns = [
        *CELL,
        "runs",
        "diverged here",
        "equal",
        "rms apart",
        "most apart",
        "noise between seeds",
    ]
    return pd.DataFrame(rows, columns=columns)


def _verdicts(claims: Sequence[Claim], recorded: Sequence[Claim]) -> pd.DataFrame:
    rows = [
        {"notebook": theirs.notebook, "statement": theirs.statement, "recorded": theirs.verdict}
        | {"here": mine.verdict, "recorded measure": theirs.measure, "measure here": mine.measure}
        | {"flipped": theirs.verdict != mine.verdict}
        for theirs, mine in zip(recorded, claims, strict=True)
    ]
    return pd.DataFrame(rows)


def _about_losses(losses: pd.DataFrame) -> str:
    n, equal, lost = (int(losses[name].sum()) for name in ("runs", "equal", "diverged here"))
    if not n:
        return "none of the same runs: the text is another one, so only verdicts are compared"
    if equal == n:
        return f"{n} runs, all equal to the last digit"
    far = losses[losses["most apart"] > FAR * losses["noise between seeds"]]
    about = f"{n} runs, {equal} of them equal"
    about += f", {lost} diverged here alone" * bool(lost)
    about += f"; apart by {_rms(losses):.4f} nats rms" * (lost < n)
    unknown = int(losses["noise between seeds"].isna().sum())
    note = f" ({unknown} of {len(losses)} rows have no noise to compare with)" * bool(unknown)
    if far.empty:
        return f"{about}, nowhere by more than {FAR:g} times the noise between seeds{note}"
    where = "; ".join(f"D = {row.D:,} at wd {row.wd:g}" for row in far.itertuples())
    return f"{about}, somewhere by more than {FAR:g} times the noise between seeds: {where}{note}"


def _rms(losses: pd.DataFrame) -> float:
    """Return the root mean square over all runs that ended in both books."""
    kept = losses.dropna(subset="rms apart")
    return float(np.sqrt(np.average(kept["rms apart"] ** 2, weights=kept.runs)))


def about_verdicts(judged: pd.DataFrame) -> str:
    """Say which verdicts differ; a claim not run on one side says nothing."""
    flipped = judged[judged.flipped & (judged.here != NOT_RUN) & (judged.recorded != NOT_RUN)]
    if flipped.empty:
        return "no verdict flipped"
    told = (f"{row.statement}: {row.recorded} → {row.here}" for row in flipped.itertuples())
    return f"{len(flipped)} of {len(judged)} verdicts flipped:\n    " + "\n    ".join(told)
