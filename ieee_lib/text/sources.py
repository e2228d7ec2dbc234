"""Sources of documents: a name in, a stream of texts out (`config.corpus` lists the names).

for text in open_source("files:books/*.txt").documents(): ...
"""

import ast
import glob
import hashlib
import itertools
import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ieee_lib import paths
from ieee_lib.config.corpus import parse_source
from ieee_lib.errors import InputError, check
from ieee_lib.text import files

WHOLE = files.Cut("document")

SKIPPED = {"__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3"}
"""Folders of the standard library left out: not in every installation, or not its own code."""

TOPICS = Path("pydoc_data", "topics.py")
"""The language reference as the standard library carries it: one long dictionary of texts."""


@dataclass(frozen=True)
class StdlibSource:
    """The standard library's own source files, in the order of their paths."""

    name: str = "stdlib"

    def paths(self) -> list[Path]:
        """Return the files that hold the documents."""
        base = Path(sysconfig.get_paths()["stdlib"])
        if self.name == "stdlib:prose":
            check((base / TOPICS).is_file(), "corpus", self.name, f"this Python has no {TOPICS}")
            return [base / TOPICS]
        skipped = {*SKIPPED, TOPICS.parts[0]} if self.name == "stdlib:code" else SKIPPED
        names = [path.relative_to(base) for path in base.rglob("*.py")]
        kept = [name for name in names if skipped.isdisjoint(name.parts)]
        return [base / name for name in sorted(kept, key=Path.as_posix)]

    def state(self) -> str:
        """Return a hash that changes when the documents may have changed."""
        version = ".".join(map(str, sys.version_info[:3]))
        return _digest([version, *(f"{p}:{p.stat().st_size}" for p in self.paths())])

    def documents(self, cut: files.Cut = WHOLE) -> Iterator[str]:
        """Yield the text of each file, or of each topic of the language reference."""
        return cut.documents(self._texts())

    def _texts(self) -> Iterator[str]:
        for path in self.paths():
            text = path.read_text(encoding="utf-8", errors="replace")
            if self.name == "stdlib:prose":
                yield from _topics(text)
            elif text.strip():
                yield text


@dataclass(frozen=True)
class FileSource:
    """Local files of one kind (`text.files`), named by a path or a glob."""

    pattern: str
    field: str = "text"
    role: str = "corpus"
    """What messages call it."""

    @property
    def name(self) -> str:
        """The source as it is given: files:PATH."""
        return f"files:{self.pattern}"

    def matches(self) -> list[Path]:
        """Return the files and folders of that name or, where there is none, that match it."""
        pattern, below = os.path.expanduser(self.pattern), paths.data()
        if os.path.exists(below / pattern):  # whatever signs of a glob it has
            return [below / pattern]
        return sorted(below / name for name in glob.glob(pattern, root_dir=below, recursive=True))

    def paths(self) -> list[Path]:
        """Return the files of that name, or below the folders of that name, sorted.

        A folder that `datasets` saved counts as a file. Raises InputError for none, and for files
        of several kinds, or of one that is not read.
        """
        matches = self.matches()
        matched = [path for path in matches if path.is_file() or files.is_saved(path)]
        if not matched:
            below = self._below(matches)
            matched = [path for path in below if files.kind_of(path)] or below
        self._check_kinds(matched)
        return matched

    def kind(self) -> str:
        """Return the kind of its files."""
        return files.kind_of(self.paths()[0])

    def not_read(self) -> list[str]:
        """Return the endings of files in a folder that are of no kind that is read."""
        below = set(self._below(self.matches()))
        read = below & set(self.paths())
        return sorted({files.ending_of(path) or path.name for path in below - read if read})

    def _below(self, folders: list[Path]) -> list[Path]:
        """Return the files below folders but those that a dot hides."""
        folders = [path for path in folders if path.is_dir() and not files.is_saved(path)]
        pairs = [(folder, path) for folder in folders for path in folder.rglob("*")]
        return sorted(
            path
            for folder, path in pairs
            if path.is_file() and "/." not in f"/{path.relative_to(folder).as_posix()}"
        )

    def _check_kinds(self, matched: list[Path]) -> None:
        allowed = "matches no file; name a glob that matches some, a file or a folder"
        if not os.path.isabs(os.path.expanduser(self.pattern)):
            allowed += f"; a relative one is below {paths.data()}"
        if "[" in self.pattern:
            allowed += "; [ begins a set of signs: write [[] for the sign itself"
        check(len(matched) > 0, self.role, self.name, allowed)
        kinds = {"saved" if path.is_dir() else files.kind_of(path) for path in matched}
        endings = ", ".join(sorted({files.ending_of(path) or path.name for path in matched}))
        allowed = f"matches {endings}; one kind of {', '.join(files.KINDS)} is read: "
        if "" in kinds:
            allowed += "unpack archives, take the text out of other files, call plain text .txt"
        else:
            allowed += "choose one by a glob such as files:**/*.txt"
        check(len(kinds) == 1 and "" not in kinds, self.role, self.name, allowed)

    def state(self) -> str:
        """Return a hash that changes when the documents may have changed."""
        groups = [[p] if p.is_file() else sorted(p.rglob("*.*")) for p in self.paths()]
        stats = [(p, p.stat()) for p in itertools.chain.from_iterable(groups)]
        return _digest(f"{p}:{s.st_size}:{s.st_mtime_ns}" for p, s in stats)

    def documents(self, cut: files.Cut = WHOLE) -> Iterator[str]:
        """Yield each document, "" for an empty record; raises InputError with file and line."""
        for path in self.paths():
            try:
                yield from files.read_file(path, self.field.split("+"), cut)
            except files.NoField as fault:
                raise InputError("text_field", fault.field, f"{path} {fault}") from fault
            except files.Fault as fault:
                raise InputError(self.role, str(path), f"{fault}") from fault


@dataclass(frozen=True)
class HubSource:
    """A data set of the Hugging Face hub at a pinned revision, streamed."""

    dataset: str
    revision: str
    field: str = "text"

    @property
    def name(self) -> str:
        """The source as it is given: hub:NAME@REVISION."""
        return f"hub:{self.dataset}@{self.revision}"

    def state(self) -> str:
        """Return a hash of the name: a revision does not change."""
        return _digest([self.name])

    def documents(self, cut: files.Cut = WHOLE) -> Iterator[str]:
        """Yield each document, "" for an empty record; raises InputError where none can be read."""
        from datasets import load_dataset, packaged_modules

        # `datasets` prefers a folder of that name, or its own reader of that name, which would
        # read any files in the working directory.
        here = os.path.exists(self.dataset) or hasattr(packaged_modules, self.dataset)
        allowed = "is not on the hub but here; give the absolute path of a local folder"
        check(os.path.isabs(self.dataset) or not here, "corpus", self.name, allowed)
        try:
            rows = load_dataset(self.dataset, revision=self.revision, split="train", streaming=True)
            records = ((f"row {number}", row) for number, row in enumerate(rows, start=1))
            yield from cut.documents(files.texts_of(records, self.field.split("+")))
        except files.NoField as fault:
            raise InputError("text_field", fault.field, f"{self.name} {fault}") from fault
        except Exception as error:  # no network, no such data set, no such revision
            cause = files.one_line(error)
            raise InputError("corpus", self.name, f"cannot be read: {cause}") from error


Source = StdlibSource | FileSource | HubSource


def open_source(name: str, text_field: str = "text", *, role: str = "corpus") -> Source:
    """Return the source of that name; raises InputError for a name of another form.

    `role` is what messages call it.
    """
    match parse_source(role, name):
        case "files", pattern:
            return FileSource(pattern, text_field, role)
        case "hub", dataset, revision:
            return HubSource(dataset, revision, text_field)
        case _:
            return StdlibSource(name)


def _topics(text: str) -> list[str]:
    """Return the texts of the one dictionary that a module assigns, without running it."""
    values = [node.value for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    return [topic for topic in ast.literal_eval(values[0]).values() if topic.strip()]


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:16]
