"""Local files of text and records, each with its place, by the ending of their names.

    .txt .md                         text; `split` says what a document of it is
    .jsonl .ndjson .json             a JSON object a line, or a list of them (or of texts)
    .csv .tsv .parquet               a record a row
    .gz .bz2 .xz .zst after these    compressed
    .zip                             files of one kind within
    a folder                         all of these below it, or what `datasets.save_to_disk` wrote

A record whose text is null, missing or blank counts as empty and is left out. Everything else that
is no text is refused with file and line. Only the fields of the text are read.

    for text in read_file(path, ["text"]): ...
"""

import bz2
import csv
import gzip
import io
import itertools
import json
import lzma
import re
import sys
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import IO, Any, cast

from ieee_lib.config.corpus import SPLITS

KINDS = {
    ".txt": "text", ".md": "text", ".jsonl": "JSON", ".ndjson": "JSON", ".json": "JSON",
    ".csv": "table", ".tsv": "table", ".parquet": "Parquet", ".zip": "zip",
}  # fmt: skip
"""File ending -> how it is read."""

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")

SAVED = ("dataset_dict.json", "state.json")
"""What a folder of `datasets.save_to_disk` holds: of several splits, of one."""

CHUNK = 2**20
"""Characters of a text file that are read at a time, at least."""

FIRST = 1000
"""Records without a field before the field is taken for a slip."""


class Fault(Exception):
    """What is wrong in a file, and where in it."""


class NoField(Fault):
    """A field that was asked for, and what the file has instead of text in it."""

    def __init__(self, field: str, instead: str) -> None:
        super().__init__(instead)
        self.field = field


class Cut:
    """Cuts texts into documents, as a corpus's `split` says; notes whether it ever did."""

    def __init__(self, split: str) -> None:
        named = {"paragraph": r"\n\s*\n", "line": r"\n"}
        literal = re.escape(split.replace("\\n", "\n"))
        self.pattern = None if split == "document" else re.compile(named.get(split, literal))
        self.occurs = split in SPLITS

    def split(self, text: str) -> list[str]:
        """Return the parts of a text, blank ones and the line ends around them too."""
        parts = self.pattern.split(text) if self.pattern else [text]
        self.occurs |= len(parts) > 1
        return parts

    def documents(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield the documents of each text, "" for one that is empty."""
        for text in texts:
            if not text.strip():
                yield ""
            elif self.pattern is None:
                yield text
            else:
                yield from (part.strip("\n") for part in self.split(text) if part.strip())


def ending_of(path: PurePath) -> str:
    """Return a name's ending, with that of a compressed file before it: .jsonl.zst."""
    ending = path.suffix.lower()
    return PurePath(path.stem).suffix.lower() + ending if ending in COMPRESSED else ending


def kind_of(path: PurePath) -> str:
    """Return how a file is read, by its name; empty: not at all."""
    ending = ending_of(path)
    kind = KINDS.get("." + ending.split(".")[1] if ending else "", "")
    return "" if kind in ("Parquet", "zip") and ending not in KINDS else kind


def is_saved(folder: Path) -> bool:
    """Say whether `datasets.save_to_disk` wrote a folder."""
    return any((folder / name).is_file() for name in SAVED)


def read_file(path: Path, fields: Sequence[str], cut: Cut) -> Iterator[str]:
    """Yield a file's documents, "" for each record without text.

    Raises Fault for what cannot be read.
    """
    try:
        if path.is_dir():
            yield from cut.documents(texts_of(_saved_records(path, fields), fields))
        else:
            with path.open("rb") as raw:
                yield from _read(path, raw, fields, cut)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise Fault(f"is damaged: {error}") from error


def _read(name: PurePath, raw: IO[bytes], fields: Sequence[str], cut: Cut) -> Iterator[str]:
    kind = kind_of(name)
    if kind == "zip":
        yield from _read_zip(raw, fields, cut)
    elif kind == "text":
        yield from cut.documents(_parts(_lines(name, raw), cut))
    else:
        records = {"JSON": _json_records, "table": _table_records, "Parquet": _parquet_records}
        yield from cut.documents(texts_of(records[kind](name, raw, fields), fields))


def _read_zip(raw: IO[bytes], fields: Sequence[str], cut: Cut) -> Iterator[str]:
    with zipfile.ZipFile(raw) as archive:
        names = [PurePath(info.filename) for info in archive.infolist() if not info.is_dir()]
        names = [n for n in names if n.parts[0] != "__MACOSX" and not n.name.startswith(".")]
        read = sorted(name for name in names if kind_of(name) not in ("", "zip"))
        if len({kind_of(name) for name in read}) != 1:
            held = ", ".join(sorted({ending_of(name) or name.name for name in names})) or "nothing"
            raise Fault(f"holds {held}; put files of one kind that is read into it")
        for name in read:
            try:
                with archive.open(name.as_posix()) as member:
                    yield from _read(name, member, fields, cut)
            except NoField as fault:
                raise NoField(fault.field, f"{fault} (in {name})") from fault
            except (Fault, RuntimeError) as fault:  # or it asks for a password
                raise Fault(f"{fault} (in {name})") from fault


def _decompressed(name: PurePath, raw: IO[bytes]) -> IO[bytes]:
    match name.suffix.lower():
        case ".gz":
            return cast(IO[bytes], gzip.open(raw))
        case ".bz2":
            return bz2.open(raw)
        case ".xz":
            return lzma.open(raw)
        case ".zst":
            import pyarrow  # reads several frames, and says where one is cut short

            stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, mode="r"), "zstd")
            return cast(IO[bytes], io.BufferedReader(stream, CHUNK))
    return raw


def _lines(name: PurePath, raw: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, without a byte order mark; every line end becomes \\n."""
    for number, line in enumerate(_decompressed(name, raw), start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise Fault(f"must be UTF-8 text; line {number} is not ({error.reason})") from error
        if "\0" in text:
            raise Fault(f"must be UTF-8 text; line {number} holds a NUL, as text in UTF-16 does")
        yield text.replace("\r\n", "\n").replace("\r", "\n")


def _parts(lines: Iterable[str], cut: Cut) -> Iterator[str]:
    """Yield a text in parts that end where it is cut; holds one document at a time, and a chunk."""
    kept, new, size = "", list[str](), 0
    for line in lines:
        new.append(line)
        size += len(line)
        if cut.pattern and size >= max(CHUNK, len(kept)):  # so that none is searched too often
            *parts, kept = cut.split(kept + "".join(new))
            yield from filter(str.strip, parts)
            new, size = [], 0
    if (last := kept + "".join(new)).strip() or not cut.pattern:
        yield last


Records = Iterator[tuple[str, Any]]
"""Each record, which should be a dictionary, after its place in the file."""


def _json_records(name: PurePath, raw: IO[bytes], fields: Sequence[str]) -> Records:
    """Yield the objects of JSON lines; a .json may also hold one, or a list of them or of texts."""
    lines: Iterable[str] = _lines(name, raw)
    if re.match(r"\.json\b", ending_of(name)):
        text = "".join(lines)
        try:
            rows = json.loads(text, object_pairs_hook=_Pairs)
        except (ValueError, RecursionError) as error:
            if getattr(error, "msg", "") != "Extra data":
                raise _no_json("JSON objects", 1, error) from error
            lines = text.splitlines()
        else:
            for number, row in enumerate(rows if isinstance(rows, list) else [rows], start=1):
                yield f"record {number}", {fields[0]: row} if isinstance(row, str) else row
            return
    for number, line in enumerate(lines, start=1):
        if line.strip():
            often = any(line.count(json.dumps(field)) > 1 for field in fields)
            try:
                record = json.loads(line.rstrip(), object_pairs_hook=_Pairs if often else None)
            except (ValueError, RecursionError) as error:
                raise _no_json("a JSON object a line", number, error) from error
            yield f"line {number}", record


class _Pairs(dict):
    """A JSON object that knows which of its names were given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs] if len(pairs) > len(self) else []
        self.twice = {name for name in names if names.count(name) > 1}


def _no_json(what: str, number: int, error: Exception) -> Fault:
    why = "is nested too deeply" if isinstance(error, RecursionError) else str(error)
    if isinstance(error, json.JSONDecodeError):
        number += error.lineno - 1
        why = f"{error.msg.removesuffix(' at')} at column {error.colno}"
    return Fault(f"must hold {what}; line {number} is none: {why}")


def _table_records(name: PurePath, raw: IO[bytes], fields: Sequence[str]) -> Records:
    csv.field_size_limit(sys.maxsize)  # a field is a document here
    delimiter = "\t" if ending_of(name).startswith(".tsv") else ","
    rows = csv.DictReader(_lines(name, raw), delimiter=delimiter, strict=True)
    try:
        for row in rows:
            if None in row:
                raise Fault(f"has more cells in line {rows.line_num} than names; quote its texts")
            yield f"line {rows.line_num}", row
    except csv.Error as error:
        raise Fault(f"is no table; line {rows.line_num}: {error}") from error


def _parquet_records(name: PurePath, raw: IO[bytes], fields: Sequence[str]) -> Records:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(pyarrow.PythonFile(raw, mode="r"))
        columns = _columns(file.schema_arrow.names, fields)
        batches = file.iter_batches(batch_size=1000, columns=columns)
        rows = itertools.chain.from_iterable(batch.to_pylist() for batch in batches)
        for number, row in enumerate(rows, start=1):
            yield f"row {number}", row
    except pyarrow.ArrowException as error:
        raise Fault(f"is damaged: {error}") from error


def _saved_records(folder: Path, fields: Sequence[str]) -> Records:
    """Yield the rows that `datasets.save_to_disk` wrote; of several splits, those of train."""
    import pyarrow
    from datasets import DatasetDict, load_from_disk

    try:
        saved = load_from_disk(str(folder))
    except (ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise Fault(f"is damaged: {one_line(error)}") from error
    if isinstance(saved, DatasetDict):
        if "train" not in saved:
            raise Fault(f"has the splits {', '.join(saved)}; name the folder of one of them")
        saved = saved["train"]
    for number, row in enumerate(saved.select_columns(_columns(saved.column_names, fields)), 1):
        yield f"row {number}", row


def _columns(names: list[str], fields: Sequence[str]) -> list[str]:
    """Return the columns to read; all where one that was asked for is missing, to name them."""
    return [name for name in names if name in fields or not set(fields) <= set(names)]


def one_line(error: BaseException) -> str:
    """Return an error's whole message on one line, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def texts_of(records: Iterable[tuple[str, Any]], fields: Sequence[str]) -> Iterator[str]:
    """Yield the text of each record, its fields joined by line ends; "" where it has none.

    Raises Fault for a record that is none, and for a field that is no text or that no record has.
    """
    lacking, names = set(fields), dict[str, None]()
    n_record = 0
    for n_record, (place, record) in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise Fault(f"must hold a JSON object a line; {place} is none: it is another value")
        if lacking:
            lacking -= record.keys()
            names |= dict.fromkeys(map(str, record))
            if n_record == FIRST:
                _check_fields(lacking, names)
        values = [record.get(field) for field in fields]
        for field, value in zip(fields, values, strict=True):
            if value is not None and not isinstance(value, str):
                raise NoField(field, f"holds {type(value).__name__}, not text ({place})")
            if field in getattr(record, "twice", ()):
                raise Fault(f"has {field!r} twice in {place}")
        text = "\n".join(value for value in values if value is not None)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Fault(f"is no Unicode text: {place} holds half a surrogate pair") from error
        yield text
    if n_record:
        _check_fields(lacking, names)


def _check_fields(lacking: Collection[str], names: Iterable[str]) -> None:
    for field in sorted(lacking):
        raise NoField(field, f"has the fields {', '.join(names)}")
