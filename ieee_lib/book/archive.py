"""Recorded runs that ship with the project: packed, verified, compared with one's own.

pack(Study.open("laptop", source="records"))
verify("laptop").to_markdown()           # raises InputError for what is damaged
compare(study, judged).lines             # losses within seed noise? verdicts flipped?
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ieee_lib import paths
from ieee_lib.book.costs import made_of
from ieee_lib.book.run import all_saved_names, run_book
from ieee_lib.book.verdicts import judged, run_records
from ieee_lib.claims.verdicts import NOT_RUN, Claim
from ieee_lib.config import RunSpec
from ieee_lib.config.derived import ensemble_id
from ieee_lib.errors import check
from ieee_lib.laws.estimates import SETTINGS
from ieee_lib.plots.saving import Table, output, write_table
from ieee_lib.runs.comparison import DIGITS, compare_losses, losses_line
from ieee_lib.runs.frames import pooled_noise, runs_frame
from ieee_lib.runs.store import Archive, Record, pack_archive
from ieee_lib.study import Study


def pack(study: Study) -> int:
    """Pack what the book reads of a study into data/archive/; returns the number of records."""
    reader, name = study.reading(), study.scale.name
    with output(write=False):
        ran = run_book(reader)
    run_ids = set().union(*(notebook.study.trace.accessed for notebook in ran.values()))
    records = [record for i in sorted(run_ids) if (record := reader.store.get(i)) is not None]
    n_record = pack_archive(records, paths.archive(name))
    recorded = paths.figures(f"recorded/{name}")
    recorded.mkdir(parents=True, exist_ok=True)
    for file in paths.figures(name).glob("tab_stages.*"):
        shutil.copyfile(file, recorded / file.name)  # times are of the machine that recorded
    return n_record


def verify(scale: str) -> Table:
    """Return what an archive holds, one row a kind of record, once all of it has been checked.

    Every record's checksum, schema, form and name; every member of an ensemble; every run that the
    book needs. Raises InputError, or MissingRuns, for the first that fails.
    """
    study = Study.open(scale, source="archive")
    archive = study.store
    assert isinstance(archive, Archive)
    records = list(archive.records())
    for record in records:
        for run_id in made_of(record):
            has_run = archive.has(run_id)
            check(has_run, "archive", str(archive.path), f"needs run {run_id}, and lacks it")
        same = _name_of(record) == record["run_id"]
        check(same, "archive", str(archive.path), f"{record['run_id']} is not its spec's name")
    with output(write=False):
        ran = run_book(study)
    drawn = {name for notebook in ran.values() for name in notebook.saved}
    shown = {path.stem for path in paths.figures(f"recorded/{scale}").glob("*.json")}
    lost = sorted((shown & all_saved_names()) - drawn)
    allowed = f"draws no {', '.join(lost)}, which figures/recorded/{scale}/ shows: it lacks a run"
    check(not lost, "archive", str(archive.path), allowed)
    frame = pd.DataFrame(records)
    rows = frame.groupby("kind").agg(
        records=("run_id", "count"), tokens=("tokens", "sum"), seconds=("seconds", "sum")
    )
    texts = {record["corpus"]["source"]: record["corpus"]["fingerprint"] for record in records}
    caption = [f"{study.scale.name} scale", *(f"{text} ({i})" for text, i in texts.items())]
    caption.append(f"{', '.join(sorted(set(frame.device)))}, {min(frame.created)[:10]}")
    caption.append(f"intact; draws {len(ran)} notebooks")
    return Table(rows.reset_index(), " · ".join(caption), {"seconds": 0})


def _name_of(record: Record) -> str:
    """Return the id that follows from what a record says it is; its own where that is not all."""
    if record["kind"] == "train":
        return RunSpec.from_dict(record["spec"]).run_id
    if record["kind"] == "ensemble":
        return ensemble_id(record["members"], record["spec"].get("average", "outputs"))
    return record["run_id"]


@dataclass(frozen=True)
class Comparison:
    """The book trained here beside the recorded one."""

    losses: Table
    """One row a D and weight decay: how far the same runs are apart, beside the seeds' noise."""
    verdicts: Table
    """One row a claim: both verdicts and measures."""

    @property
    def lines(self) -> list[str]:
        """Return what both tables say, in words."""
        return [losses_line(self.losses.frame), verdicts_line(self.verdicts.frame)]

    def write(self, folder: Path) -> None:
        """Write both tables to a folder of figures."""
        write_table(self.losses, folder, "tab_against_recorded")
        write_table(self.verdicts, folder, "tab_verdicts_against_recorded")


def compare(study: Study, claims: Sequence[Claim]) -> Comparison:
    """Compare a study's records, and how its claims were judged, with the scale's recorded book.

    Losses are compared run by run where both were trained on the same text, verdicts always.
    Raises InputError where no book of the scale is recorded.
    """
    recorded = Study.open(study.scale, source="archive")
    records_here = (r for r in study.store.records() if recorded.store.has(r["run_id"]))
    losses = compare_losses(
        runs_frame(recorded.store.records()), runs_frame(records_here), _seed_noise
    )
    verdicts = compare_verdicts(judged(run_records(recorded)), claims)
    caption = f"{study.scale.name} scale · here and in the recorded book"
    return Comparison(
        Table(losses, f"{caption} · nats/token", DIGITS),
        Table(verdicts, caption, {"recorded measure": 3, "measure here": 3}),
    )


def _seed_noise(runs: pd.DataFrame) -> float:
    return pooled_noise(runs, SETTINGS).sigma


def compare_verdicts(recorded: Sequence[Claim], here: Sequence[Claim]) -> pd.DataFrame:
    """Return one row a claim: both verdicts and measures, and whether the verdict differs."""
    rows = [
        {
            "notebook": theirs.notebook,
            "statement": theirs.statement,
            "recorded": theirs.verdict,
            "here": ours.verdict,
            "recorded measure": theirs.measure,
            "measure here": ours.measure,
            "flipped": theirs.verdict != ours.verdict,
        }
        for theirs, ours in zip(recorded, here, strict=True)
    ]
    return pd.DataFrame(rows)


def verdicts_line(verdicts: pd.DataFrame) -> str:
    """Say which verdicts differ; a claim not run on one side says nothing."""
    run_on_both = (verdicts.here != NOT_RUN) & (verdicts.recorded != NOT_RUN)
    flipped = verdicts[verdicts.flipped & run_on_both]
    if flipped.empty:
        return "no verdict flipped"
    lines = [f"{len(flipped)} of {len(verdicts)} verdicts flipped:"]
    for row in flipped.to_dict("records"):
        lines.append(f"{row['statement']}: {row['recorded']} → {row['here']}")
    return "\n    ".join(lines)
