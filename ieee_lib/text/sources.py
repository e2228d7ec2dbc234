"""Sources of documents: a name in, a stream of texts out.

stdlib                  source files of the running Python's standard library
stdlib:code             the same without its documentation of the language
stdlib:prose            that documentation: the texts behind help("for"), one document a topic
files:GLOB              .txt, .jsonl, .jsonl.gz, .parquet through `datasets`; relative: below data/
hub:NAME@REVISION       a Hugging Face data set (or a local folder, by its absolute path), streamed

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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ieee_lib import paths
from ieee_lib.config.corpus import parse_source
from ieee_lib.errors import InputError, check
from ieee_lib.files import parsed

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
        base = Path(sysconfig.get_paths()["stdlib"])
        if self.name == "stdlib:prose":
            check((base / TOPICS).is_file(), "corpus", self.name, f"this Python has no {TOPICS}")
            return [base / TOPICS]
        skipped = SKIPPED | ({TOPICS.parts[0]} if self.name == "stdlib:code" else set())
        found = (p for p in base.rglob("*.py") if not skipped & set(p.relative_to(base).parts))
        return sorted(found, key=lambda p: p.relative_to(base).as_posix())

    def state(self) -> str:
        """Return a hash that changes when the documents may have changed."""
        version = ".".join(map(str, sys.version_info[:3]))
        return _digest([version, *(f"{p}:{p.stat().st_size}" for p in self.paths())])

    def documents(self) -> Iterator[str]:
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
        return f"files:{self.pattern}"

    def paths(self) -> list[Path]:
        pattern, below = os.path.expanduser(self.pattern), paths.data()
        found = glob.glob(pattern, root_dir=below, recursive=True)
        return sorted(below / name for name in found if os.path.isfile(below / name))

    def builder(self) -> str:
        found = self.paths()
        allowed = "matches no file; name a glob that matches some"
        if not os.path.isabs(os.path.expanduser(self.pattern)):
            allowed += f"; a relative one is below {paths.data()}"
        check(bool(found), self.role, self.name, allowed)
        endings = {next((e for e in BUILDERS if p.name.endswith(e)), p.suffix) for p in found}
        kinds = {BUILDERS.get(ending) for ending in endings}
        check(
            len(kinds) == 1 and None not in kinds,
            self.role,
            self.name,
            f"matches {', '.join(sorted(endings))}; one kind of {', '.join(BUILDERS)} is allowed",
        )
        return kinds.pop()

    def state(self) -> str:
        self.builder()
        stats = [(p, p.stat()) for p in self.paths()]
        return _digest(f"{p}:{s.st_size}:{s.st_mtime_ns}" for p, s in stats)

    def documents(self) -> Iterator[str]:
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
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> InputError:
        for path in self.paths():
            if wrong := _fault(path):
                return InputError(self.role, str(path), wrong)
        cause = (str(error.__cause__ or error).splitlines() or [type(error).__name__])[0]
        return InputError(self.role, self.name, f"cannot be read: {cause}")


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
                if path.suffix != ".txt" and text.strip() and not isinstance(parsed(text), dict):
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
        return f"hub:{self.dataset}@{self.revision}"

    def state(self) -> str:
        return _digest([self.name])

    def documents(self) -> Iterator[str]:
        from datasets import load_dataset, packaged_modules

        # `datasets` would take a folder of that name, or its own reader of that name, and with
        # them whatever lies in the working directory.
        here = os.path.exists(self.dataset) or hasattr(packaged_modules, self.dataset)
        allowed = "is not on the hub but here; give the absolute path of a local folder"
        check(os.path.isabs(self.dataset) or not here, "corpus", self.name, allowed)
        try:
            rows = load_dataset(self.dataset, revision=self.revision, split="train", streaming=True)
            yield from _texts(rows, self.field, self.name)
        except InputError:
            raise
        except Exception as error:  # no network, no such data set, no such revision
            cause = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError("corpus", self.name, f"cannot be read: {cause}") from error


Source = StdlibSource | FileSource | HubSource


def open_source(name: str, text_field: str = "text", *, role: str = "corpus") -> Source:
    """Return the source of that name; raises InputError for a form that is not known.

    `role` is what messages call it.
    """
    kind, *rest = parse_source(role, name)
    if kind == "stdlib":
        return StdlibSource(name)
    if kind == "files":
        return FileSource(*rest, text_field, role)
    return HubSource(*rest, text_field)


def _topics(text: str) -> list[str]:
    """Return the texts of the one dictionary that a module assigns, without running it."""
    values = [node.value for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    return [topic for topic in ast.literal_eval(values[0]).values() if topic.strip()]


def _texts(rows, field: str, name: str) -> Iterator[str]:
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


def _digest(parts) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:16]
