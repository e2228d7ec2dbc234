"""Which records and which text a study stands on, and what they say.

reader = open_reader(Scale.load("laptop"), corpus="", source="archive")
reader.fingerprint, reader.runs()
"""

import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import pandas as pd

from ieee_lib import paths
from ieee_lib.config.scale import Scale
from ieee_lib.errors import check, check_choice
from ieee_lib.runs.frames import curves_frame, label_models, mean_curve, runs_frame
from ieee_lib.runs.stages import PREPARE, stage
from ieee_lib.runs.store import Archive, Record, RunStore
from ieee_lib.runs.trace import Trace
from ieee_lib.text.corpus import folder_of, is_packed, open_corpus

T = TypeVar("T")

SOURCES = ("auto", "train", "records", "archive")

UNPREPARED = "0" * 16
"""Stands for the fingerprint of a text that was never packed here, so none of its runs is done."""


@dataclass(repr=False)
class Reader:
    """A scale's text and its records; every record that is read is noted in `trace`."""

    scale: Scale
    source: str
    """Where runs come from: train, records or archive."""
    store: RunStore | Archive
    """The records."""
    fingerprint: str
    """Fingerprint of the text; part of every run's spec."""
    corpus_folder: Path | None = None
    """Where the packed text lies; None where only records are read."""
    trace: Trace = field(default_factory=Trace.begin)
    """The records read so far, and what was worked out from them."""

    def records(self, run_ids: Iterable[str]) -> list[Record]:
        """Return the records of runs, without those that have none."""
        records = [record for record in map(self.store.get, run_ids) if record is not None]
        self.trace.read(records)
        return records

    def curves(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Return the loss curves of the runs of a frame (`run_id` or `run_ids`), a row a point."""
        ids = runs["run_id"] if "run_id" in runs else [i for ids in runs["run_ids"] for i in ids]
        return curves_frame(self.records(ids))

    def mean_curves(self, runs: pd.DataFrame, by: str) -> dict[Any, pd.DataFrame]:
        """Return the loss curve of each value of a setting, mean over seeds."""
        return {value: mean_curve(self.curves(part)) for value, part in runs.groupby(by)}

    def runs(self) -> pd.DataFrame:
        """Return every recorded training run of this scale and corpus."""
        runs = runs_frame(self.store.records())
        return label_models(runs[runs.corpus == self.fingerprint], self.scale)

    @cached_property
    def text(self) -> dict[str, Any]:
        """What the packed corpus says of itself or, where it is not here, a record says of it."""
        if self.corpus_folder is not None:
            manifest = open_corpus(self.corpus_folder).manifest
            return {**manifest["config"], **manifest}
        texts = {text["fingerprint"]: text for text in _texts(self.store)}
        return texts.get(self.fingerprint, {})

    def held_out(self) -> list[str]:
        """Return what a caption says of validation text that is no documents of its own."""
        has_cut = self.text.get("documents", {}).get("cut", 0) > 0
        return ["validation: the end of each text"] if has_cut else []

    def corpus_table(self) -> pd.DataFrame:
        """Return what the packed corpus holds: documents and tokens by split, vocabulary."""
        text, documents = self.text, self.text["documents"]
        rows = {
            "source": text["source"],
            "credits": text.get("credits", ""),
            "training documents": documents["train"],
            "validation documents": documents["val"],
            "exact duplicates dropped": documents["duplicates"],
            "training tokens": text["tokens"]["train"],
            "validation tokens": text["tokens"]["val"],
            "vocabulary": text["vocab_size"],
            "fingerprint": text["fingerprint"],
        }
        rare = {"cut": "texts whose end is validation text", "empty": "empty records left out"}
        rows |= {says: documents[name] for name, says in rare.items() if name in documents}
        return pd.DataFrame({"corpus": rows})

    @property
    def allow_unsearched(self) -> bool:
        """Say whether a search counts without its neighbours, which a plan trains last."""
        return self.scale.search.optional

    def cached(self, question: Hashable, answer: Callable[[Self], T]) -> T:
        """Return an answer that rests on records, worked out once: records never change.

        Where an unsearched point may stand for a searched one, only an archive never changes.
        """
        if self.allow_unsearched and self.source != "archive":
            return answer(self)
        key = (self.scale.name, self.source, self.fingerprint, question)
        return self.trace.cached(key, lambda: answer(self))

    def __repr__(self) -> str:
        n_record = sum(1 for _ in self.store.records())
        where = "shipped" if self.source == "archive" else "trained here"
        text = f"{self.scale.name} scale on {self.scale.corpus.words} ({self.fingerprint})"
        text += f": {n_record} records, {where}"
        return text if self.source == "train" else f"{text}; source = 'train' trains more"

    def missing(self, specs: Iterable[Any], *, weights: bool = False) -> list[Any]:
        """Return the specs that have no record yet, each once; also those without weights."""
        unique = {spec.run_id: spec for spec in specs}
        return [s for run_id, s in unique.items() if not self.store.has(run_id, weights=weights)]


def source_of(scale: Scale, corpus: str, source: str) -> str:
    """Return where runs come from: `auto` is the archive where it can be, else train."""
    check_choice("source", source, SOURCES)
    if source != "auto":
        return source
    return "archive" if paths.recorded(scale.name).is_file() and not corpus else "train"


def open_reader(scale: Scale, *, corpus: str, source: str) -> Reader:
    """Open the records of a scale; `corpus` replaces its own text.

    auto: the archive, where the scale has one and the text is its own; else train. Raises
    InputError for an unknown source, for an archive or records that are not there, and as
    `open_text` does.
    """
    source = source_of(scale, corpus, source)
    if corpus:
        scale = scale.on(corpus)
    if source == "archive":
        check(not corpus, "corpus", corpus, "recorded runs have their own; leave it empty")
        archive = Archive.of(scale.name)
        fingerprint = recorded_text(archive, scale) or recorded_text(archive)
        return Reader(scale, source, archive, fingerprint)
    store = RunStore.of(scale.name)
    if source == "records" and not is_packed(scale.corpus):  # records may come from elsewhere
        fingerprint = recorded_text(store, scale)
        if corpus and not fingerprint:
            folder_of(scale.corpus)  # a name that matches no file is the nearer fault
        allowed = (
            f"nothing was trained here at scale {scale.name}; run "
            f"`python -m ieee_lib reproduce --scale {scale.name}` first"
        )
        check(bool(fingerprint), "source", source, allowed)
        return Reader(scale, source, store, fingerprint)
    reader = open_text(scale, Reader(scale, source, store, UNPREPARED))
    return replace(reader, trace=Trace.begin())


def open_text(scale: Scale, beside: Reader) -> Reader:
    """Open another text or D on the same records and source.

    Where its text was never packed here, or is not here, and nothing is to be trained, none of
    its runs are recorded. Raises InputError for a text shorter than the scale's largest D.
    """
    source, store, trace = beside.source, beside.store, beside.trace.beside()
    if source == "archive":
        texts = {text["source"]: text["fingerprint"] for text in _texts(store)}
        # A text that no record names may be the scale's own: cut short, two can be one.
        fingerprint = texts.get(scale.corpus.source, beside.fingerprint)
        return Reader(scale, source, store, fingerprint, beside.corpus_folder, trace)
    if source != "train" and not is_packed(scale.corpus):
        return Reader(scale, source, store, UNPREPARED, None, trace)
    folder = folder_of(scale.corpus)
    if source != "train":
        return Reader(scale, source, store, open_corpus(folder).fingerprint, folder, trace)
    from ieee_lib.text.packing import prepare

    with stage(PREPARE):
        packed = prepare(scale.corpus, _report)
    packed.check_length(
        seed_tokens=max(scale.seed_tokens),
        val_sequences=scale.training.val_sequences,
        block_size=scale.training.block_size,
    )
    return Reader(scale, source, store, packed.fingerprint, folder, trace)


def recorded_text(store: RunStore | Archive, scale: Scale | None = None) -> str:
    """Return the text of most records (those of the scale's source), empty without any."""
    counts = Counter(
        text["fingerprint"]
        for text in _texts(store)
        if scale is None or text["source"] == scale.corpus.source
    )
    return counts.most_common(1)[0][0] if counts else ""


def _texts(store: RunStore | Archive) -> list[dict[str, Any]]:
    return [record["corpus"] for record in store.records()]


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
