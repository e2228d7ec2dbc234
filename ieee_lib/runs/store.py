"""The run store: one JSON record a run, safetensors beside it, both named by content.

A record is written to a temporary name, synced and renamed, so it is whole or absent. An `Archive`
offers the same reading from one recorded file, and never writes. Nothing here imports torch.

    store = RunStore.of("laptop")
    record = store.get(spec.run_id)          # None while it is missing
"""

import contextlib
import gzip
import hashlib
import json
import socket
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from ieee_lib import paths
from ieee_lib.config import RunSpec
from ieee_lib.errors import InputError, check
from ieee_lib.files import (
    is_intact,
    lock,
    parse_json,
    quarantine,
    read_checked,
    verify_checksum,
    with_checksum,
    write_atomically,
    write_checked,
)
from ieee_lib.runs.schema import FAILURE, SCHEMA, WHEN, Record, current, fits, schema_of, sealed

LINE_BYTES, ARCHIVE_BYTES = 2**24, 2**30
"""What a line of an archive, and all of them, unpack to at most; the book's have 1 MB."""


@dataclass(frozen=True)
class RunStore:
    """Records and weights of one scale, trained here."""

    records_folder: Path
    weights_folder: Path
    samples_folder: Path

    @classmethod
    def of(cls, scale: str) -> "RunStore":
        """Return the store of a scale."""
        return cls(paths.runs(scale), paths.checkpoints(scale), paths.samples(scale))

    def get(self, run_id: str) -> Record | None:
        """Return a record, or None; a damaged one is quarantined as `*.damaged` and is missing.

        Raises InputError for a record of a newer schema.
        """
        path = self.records_folder / f"{run_id}.json"
        content = None
        try:
            content = parse_json(path.read_bytes())
            record = current(content, str(path))
            check(record["run_id"] == run_id, "record", str(path), f"is of {record['run_id']}")
            return record
        except FileNotFoundError:
            return None
        except (ValueError, IsADirectoryError):  # an InputError is a ValueError
            schema = schema_of(content)
            if isinstance(schema, int) and schema > SCHEMA:
                raise
            quarantine(path)
            return None

    def has(self, run_id: str, *, weights: bool = False) -> bool:
        """Say whether a run is done: with its weights too, where asked (not if it diverged).

        A sample's weights are its shards. Both count only as they were recorded.
        """
        record = self.get(run_id)
        if record is None or not weights or record["status"] != "done":
            return record is not None
        if record["kind"] == "sample":
            shards = enumerate(record["shards"])
            return all([is_intact(self.shard_path(run_id, i), digest) for i, digest in shards])
        kept = record.get("weights")
        return kept is not None and is_intact(self.weights_path(run_id), kept["sha256"])

    def records(self) -> Iterator[Record]:
        """Yield every record, in the order of run ids."""
        for path in sorted(self.records_folder.glob("*.json")):
            record = self.get(path.stem)
            if record is not None:
                yield record

    def put(self, record: Record) -> None:
        """Write a record; weights named in it must be written before.

        A run that is trained again, for its weights, keeps the times of the first record.
        """
        earlier = self.get(record["run_id"])
        if earlier is not None:
            record = {name: value for name, value in record.items() if name not in WHEN}
            record |= {name: earlier[name] for name in WHEN if name in earlier}
        text = json.dumps(sealed(record), indent=1, sort_keys=True) + "\n"
        write_atomically(self.records_folder / f"{record['run_id']}.json", text.encode())
        self._failure_path(record["run_id"]).unlink(missing_ok=True)

    def put_failure(self, spec: Any, why: str) -> None:
        """Write that a run failed, and why; `put` removes that when the run is done."""
        failure = {
            "run_id": spec.run_id,
            "spec": spec.to_dict(),
            "why": why,
            "host": socket.gethostname(),
            "when": datetime.now(UTC).isoformat("T", "seconds"),
        }
        text = json.dumps(with_checksum(failure), indent=1, sort_keys=True) + "\n"
        write_atomically(self._failure_path(spec.run_id), text.encode())

    def failures(self) -> list[Record]:
        """Return the runs that failed when last tried: run_id, spec, why, host, when."""
        failures = []
        for path in sorted(self._failure_path("*").parent.glob("*.json")):
            try:
                failure = verify_checksum(parse_json(path.read_bytes()), str(path))
                check(fits(failure, FAILURE), "failure", str(path), "is damaged")
                failures.append(failure)
            except ValueError:  # no JSON, or damaged
                quarantine(path)
        return failures

    def _failure_path(self, run_id: str) -> Path:
        return self.records_folder / "failed" / f"{run_id}.json"

    def weights_path(self, run_id: str) -> Path:
        """Return where a run's final parameters are, or will be."""
        return self.weights_folder / f"{run_id}.safetensors"

    def put_weights(self, run_id: str, data: bytes) -> dict[str, Any]:
        """Write a run's safetensors; return their size in bytes and sha256, for its record."""
        write_atomically(self.weights_path(run_id), data)
        return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def unfinished_path(self, run_ids: Iterable[str]) -> Path:
        """Return where the checkpoint of a stack is while it trains."""
        name = hashlib.sha256(" ".join(run_ids).encode()).hexdigest()[:16]
        return self.weights_folder / "unfinished" / f"{name}.checkpoint"

    def begin(self, stack: Sequence[RunSpec]) -> None:
        """Note which runs train together, until `end`.

        After a kill the same stacks continue: in other stacks sums round differently.
        """
        specs = [spec.to_dict() for spec in stack]
        write_checked(self._begun_path(stack), json.dumps(specs).encode())

    def begun(self) -> list[tuple[RunSpec, ...]]:
        """Return the stacks that were begun and not ended."""
        stacks = []
        for path in sorted((self.weights_folder / "unfinished").glob("*.stack")):
            body = read_checked(path)
            if body is not None:
                stacks.append(tuple(RunSpec.from_dict(spec) for spec in json.loads(body)))
        return stacks

    def end(self, stack: Sequence[RunSpec]) -> None:
        """Note that a stack has trained."""
        self._begun_path(stack).unlink(missing_ok=True)

    def _begun_path(self, stack: Sequence[RunSpec]) -> Path:
        return self.unfinished_path(spec.run_id for spec in stack).with_suffix(".stack")

    def shard_path(self, run_id: str, shard: int) -> Path:
        """Return where one shard of a sample is, or will be."""
        return self.samples_folder / run_id / f"{shard:05d}.shard"

    def put_shard(self, run_id: str, shard: int, ids: bytes) -> None:
        """Write the ids of one shard of a sample, with their sha256."""
        write_checked(self.shard_path(run_id, shard), ids)

    def get_shard(self, run_id: str, shard: int) -> bytes | None:
        """Return the ids of one shard of a sample, or None; a damaged one is quarantined."""
        return read_checked(self.shard_path(run_id, shard))

    @contextlib.contextmanager
    def locked(self, run_ids: Iterable[str]) -> Iterator[None]:
        """Lock these runs in a block, so that two processes never train the same one."""
        with lock(*(self.records_folder / ".locks" / f"{run_id}.lock" for run_id in run_ids)):
            yield


@dataclass(frozen=True)
class Archive:
    """Recorded runs shipped with the project: read-only, weights not included."""

    path: Path

    @classmethod
    def of(cls, scale: str) -> "Archive":
        """Return the archive of a scale; raises InputError where none is shipped."""
        path = paths.recorded(scale)
        shipped = sorted(p.name.split(".")[0] for p in path.parent.glob("*.jsonl.gz"))
        allowed = f"there is no recorded book of scale {scale}; recorded are: {', '.join(shipped)}"
        check(path.is_file(), "source", "archive", allowed)
        return cls(path)

    def get(self, run_id: str) -> Record | None:
        """Return a record, or None; raises InputError for a damaged archive."""
        return self._by_id().get(run_id)

    def has(self, run_id: str, *, weights: bool = False) -> bool:
        """Say whether a run is recorded; its weights are not asked for, since none are shipped."""
        return run_id in self._by_id()

    def records(self) -> Iterator[Record]:
        """Yield every record, in the order of the file."""
        yield from self._by_id().values()

    def _by_id(self) -> dict[str, Record]:
        return _read_archive(self.path, self.path.stat().st_mtime_ns)


@cache
def _read_archive(path: Path, changed: int) -> dict[str, Record]:
    """Return an archive's records by run id; `changed` tells apart what the file held when."""
    records: dict[str, Record] = {}
    try:
        for line in _lines(path):
            record = current(parse_json(line), str(path))
            twice = record["run_id"] in records
            check(not twice, "archive", str(path), f"holds run {record['run_id']} twice")
            records[record["run_id"]] = record
    except InputError:
        raise
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError("archive", str(path), f"cannot be read: {error}") from error
    check(bool(records), "archive", str(path), "holds no record")
    return records


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a compressed file, up to a size: a few bytes can unpack to any number."""
    left = ARCHIVE_BYTES
    with gzip.open(path) as file:
        while line := file.readline(LINE_BYTES + 1):
            left -= len(line)
            allowed = f"must unpack to lines of {LINE_BYTES:,} bytes and {ARCHIVE_BYTES:,} in all"
            check(len(line) <= LINE_BYTES and left >= 0, "archive", str(path), allowed)
            yield line


def pack_archive(records: Iterable[Record], path: Path) -> int:
    """Write records into one archive, equal bytes for equal records; return their number."""
    lines = [json.dumps(record, sort_keys=True) + "\n" for record in records]
    check(bool(lines), "archive", str(path), "there is no record to pack")
    write_atomically(path, gzip.compress("".join(lines).encode(), mtime=0))
    return len(lines)
