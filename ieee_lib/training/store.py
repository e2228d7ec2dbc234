"""The run store: one JSON record a run, safetensors beside it, both named by content.

Written to a temporary name, synced and renamed, so a record is whole or absent. Nothing here
imports torch. An `Archive` offers the same reading from one recorded file, and never writes.

    store = RunStore.of("laptop")
    record = store.get(spec.run_id)          # None while it is missing
"""

import contextlib
import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ieee_lib import paths
from ieee_lib.errors import InputError, check

SCHEMA = 1
"""Version of a record's layout."""

Record = dict[str, Any]


def seal(record: Record) -> Record:
    """Return the record with its schema version and the sha256 of everything else."""
    body = {"schema": SCHEMA, **{k: v for k, v in record.items() if k != "sha256"}}
    return {**body, "sha256": _digest(body)}


def verify(record: Record, where: str) -> Record:
    """Return a record whose checksum holds; raises InputError for a newer schema or damage."""
    schema = record.get("schema") if isinstance(record, dict) else None
    check(
        isinstance(schema, int) and schema <= SCHEMA,
        "record",
        where,
        f"has schema {schema}; this version reads up to {SCHEMA}",
    )
    body = {k: v for k, v in record.items() if k != "sha256"}
    check(record.get("sha256") == _digest(body), "record", where, "is damaged: its sha256 differs")
    return record


def _digest(body: Record) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or none: temporary name, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}-{os.getpid()}"
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class RunStore:
    """Records and weights of one scale, trained here."""

    records_folder: Path
    weights_folder: Path
    samples_folder: Path

    @classmethod
    def of(cls, scale: str) -> "RunStore":
        return cls(paths.runs(scale), paths.checkpoints(scale), paths.samples(scale))

    def get(self, run_id: str) -> Record | None:
        """Return a record, or None; a damaged one is set aside as `*.damaged` and is missing."""
        path = self.records_folder / f"{run_id}.json"
        try:
            record = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            record = {"schema": SCHEMA}
        try:
            return verify(record, str(path))
        except InputError:
            if isinstance(record, dict) and record.get("schema", 0) > SCHEMA:
                raise
            path.replace(path.with_suffix(".damaged"))
            return None

    def has(self, run_id: str, *, weights: bool = False) -> bool:
        """Say whether a run is done: with its weights too, where asked (not if it diverged)."""
        record = self.get(run_id)
        if record is None or not weights or record["status"] != "done":
            return record is not None
        return record.get("weights") is not None and self.weights_path(run_id).is_file()

    def records(self) -> Iterator[Record]:
        """Yield every record, in the order of run ids."""
        for path in sorted(self.records_folder.glob("*.json")):
            record = self.get(path.stem)
            if record is not None:
                yield record

    def put(self, record: Record) -> None:
        """Write a record; weights named in it must be written before."""
        text = json.dumps(seal(record), indent=1, sort_keys=True) + "\n"
        write_atomically(self.records_folder / f"{record['run_id']}.json", text.encode())

    def weights_path(self, run_id: str) -> Path:
        return self.weights_folder / f"{run_id}.safetensors"

    def put_weights(self, run_id: str, data: bytes) -> dict[str, Any]:
        """Write a run's safetensors; returns what its record says of them."""
        write_atomically(self.weights_path(run_id), data)
        return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def unfinished_path(self, run_ids: Iterable[str]) -> Path:
        """Return where the checkpoint of a stack lies while it trains."""
        name = hashlib.sha256(" ".join(run_ids).encode()).hexdigest()[:16]
        return self.weights_folder / "unfinished" / f"{name}.checkpoint"

    def shard_path(self, run_id: str, shard: int) -> Path:
        return self.samples_folder / run_id / f"{shard:05d}.bin"

    def put_shard(self, run_id: str, shard: int, data: bytes) -> str:
        """Write one shard of a sample; returns its sha256."""
        write_atomically(self.shard_path(run_id, shard), data)
        return hashlib.sha256(data).hexdigest()

    @contextlib.contextmanager
    def locked(self, run_ids: Iterable[str]) -> Iterator[None]:
        """Hold these runs' locks, so that two processes never train the same one."""
        from filelock import FileLock

        folder = self.records_folder / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            for run_id in sorted(run_ids):  # one global order: no deadlock
                stack.enter_context(FileLock(folder / f"{run_id}.lock"))
            yield


@dataclass(frozen=True)
class Archive:
    """Recorded runs shipped with the project: read-only, weights not included."""

    path: Path

    @classmethod
    def of(cls, scale: str) -> "Archive":
        path = paths.archive(scale)
        shipped = sorted(p.name.split(".")[0] for p in path.parent.glob("*.jsonl.gz"))
        check(
            path.is_file(),
            "source",
            "archive",
            f"there is no recorded book of scale {scale}; recorded are: {', '.join(shipped)}",
        )
        return cls(path)

    def get(self, run_id: str) -> Record | None:
        return self._by_id().get(run_id)

    def has(self, run_id: str, *, weights: bool = False) -> bool:
        return run_id in self._by_id()

    def records(self) -> Iterator[Record]:
        yield from self._by_id().values()

    def _by_id(self) -> dict[str, Record]:
        return _read_archive(self.path, self.path.stat().st_mtime_ns)


_ARCHIVES: dict[tuple[Path, int], dict[str, Record]] = {}


def _read_archive(path: Path, changed: int) -> dict[str, Record]:
    if (path, changed) not in _ARCHIVES:
        try:
            with gzip.open(path, "rt") as lines:
                records = [verify(json.loads(line), f"{path}") for line in lines]
        except (OSError, EOFError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError("archive", str(path), f"cannot be read: {error}") from error
        _ARCHIVES[path, changed] = {record["run_id"]: record for record in records}
    return _ARCHIVES[path, changed]


def pack_archive(records: Iterable[Record], path: Path) -> int:
    """Write records into one archive, byte-identical for equal records; returns their number."""
    lines = [json.dumps(record, sort_keys=True) + "\n" for record in records]
    check(bool(lines), "archive", str(path), "there is no record to pack")
    write_atomically(path, gzip.compress("".join(lines).encode(), mtime=0))
    return len(lines)
