"""Sources of documents: a name in, a stream of texts out (`config.corpus` lists the names).

for text in open_source("files:books/*.txt").documents(): ...
"""

import ast
import glob
import gzip
import hashlib
import json
import os
import sys
import sysconfig
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ieee_lib import paths
from ieee_lib.config.corpus import parse_source
from ieee_lib.errors import InputError, check, first_line
from ieee_lib.files import parse_json

BUILDERS = {".txt": "text", ".jsonl": "json", ".jsonl.gz": "json", ".parquet": "parquet"}
"""File ending -> builder of `datasets`."""

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
        files = {path.relative_to(base): path for path in base.rglob("*.py")}
        kept = [name for name in files if skipped.isdisjoint(name.parts)]
        return [files[name] for name in sorted(kept, key=Path.as_posix)]

    def state(self) -> str:
        """Return a hash that changes when the documents may have changed."""
        version = ".".join(map(str, sys.version_info[:3]))
        return _digest([version, *(f"{p}:{p.stat().st_size}" for p in self.paths())])

    def documents(self) -> Iterator[str]:
        """Yield the text of each file, or of each topic of the language reference."""
        for path in self.paths():
            text = path.read_text(encoding="utf-8", errors="replace")
            if self.name == "stdlib:prose":
                yield from _topics(text)
            elif text.strip():
                yield text


@dataclass(frozen=True)
class FileSource:
    """Local files of one kind. Raises InputError for an empty glob or a foreign ending."""

    pattern: str
    field: str = "text"
    role: str = "corpus"
    """What messages call it."""

    @property
    def name(self) -> str:
        """The source as it is given: files:GLOB."""
        return f"files:{self.pattern}"

    def paths(self) -> list[Path]:
        """Return the files that match, sorted."""
        pattern, below = os.path.expanduser(self.pattern), paths.data()
        matches = glob.glob(pattern, root_dir=below, recursive=True)
        return sorted(below / name for name in matches if os.path.isfile(below / name))

    def builder(self) -> str:
        """Return the builder of `datasets` that reads the files."""
        files = self.paths()
        allowed = "matches no file; name a glob that matches some"
        if not os.path.isabs(os.path.expanduser(self.pattern)):
            allowed += f"; a relative one is below {paths.data()}"
        check(len(files) > 0, self.role, self.name, allowed)
        endings = {next((e for e in BUILDERS if p.name.endswith(e)), p.suffix) for p in files}
        builders = {BUILDERS.get(ending, "") for ending in endings}
        one_kind = len(builders) == 1 and "" not in builders
        matched = f"matches {', '.join(sorted(endings))}"
        allowed = f"{matched}; one kind of {', '.join(BUILDERS)} is allowed"
        check(one_kind, self.role, self.name, allowed)
        return builders.pop()

    def state(self) -> str:
        """Return a hash that changes when the documents may have changed."""
        self.builder()
        stats = [(p, p.stat()) for p in self.paths()]
        return _digest(f"{p}:{s.st_size}:{s.st_mtime_ns}" for p, s in stats)

    def documents(self) -> Iterator[str]:
        """Yield the text of each document; raises InputError that names a damaged file."""
        from datasets import load_dataset

        builder = self.builder()
        options = {"sample_by": "document"} if builder == "text" else {}
        files = [glob.escape(str(p)) for p in self.paths()]
        try:
            rows = load_dataset(builder, data_files=files, split="train", streaming=True, **options)
            yield from _texts(rows, self.field, self.name)
        except InputError:
            raise
        except Exception as error:  # `datasets` wraps decoding errors in several types
            for path in self.paths():
                if fault := _fault(path):
                    raise InputError(self.role, str(path), fault) from error
            cause = first_line(error.__cause__ or error)
            raise InputError(self.role, self.name, f"cannot be read: {cause}") from error


def _fault(path: Path) -> str:
    """Return what is wrong with a file that `datasets` cannot read, and where; empty: nothing."""
    import pyarrow
    from pyarrow import parquet

    if path.stat().st_size == 0:
        return "is empty; leave it out, or put text in it"
    number = 0
    try:
        if path.suffix == ".parquet":
            parquet.read_metadata(path)
            return ""
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):  # noqa: B007, for the message
                text = line.decode()
                if path.suffix == ".txt" or not text.strip():
                    continue
                if not isinstance(parse_json(text), dict):
                    raise ValueError("it is another value")
    except UnicodeDecodeError as error:
        return f"must be UTF-8 text; line {number} is not ({error.reason})"
    except (OSError, EOFError, zlib.error, pyarrow.ArrowException) as error:
        return f"is damaged: {error}"
    except ValueError as error:
        return f"must hold a JSON object a line; line {number} is none: {error}"
    return ""


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

    def documents(self) -> Iterator[str]:
        """Yield the text of each document; raises InputError where the hub cannot be reached."""
        from datasets import load_dataset, packaged_modules

        # `datasets` prefers a folder of that name, or its own reader of that name, which would
        # read any files in the working directory.
        here = os.path.exists(self.dataset) or hasattr(packaged_modules, self.dataset)
        allowed = "is not on the hub but here; give the absolute path of a local folder"
        check(os.path.isabs(self.dataset) or not here, "corpus", self.name, allowed)
        try:
            rows = load_dataset(self.dataset, revision=self.revision, split="train", streaming=True)
            yield from _texts(rows, self.field, self.name)
        except InputError:
            raise
        except Exception as error:  # no network, no such data set, no such revision
            raise InputError("corpus", self.name, f"cannot be read: {first_line(error)}") from error


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


def _texts(rows: Iterable[dict[str, Any]], field: str, name: str) -> Iterator[str]:
    parts = field.split("+")
    for row in rows:
        for part in parts:
            if part not in row:
                raise InputError("text_field", part, f"{name} has the fields {', '.join(row)}")
            if not isinstance(row[part], str):
                kind = type(row[part]).__name__
                raise InputError("text_field", part, f"{name} holds {kind}, not text")
        text = "\n".join(row[part] for part in parts)
        if text.strip():
            yield text


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:16]
