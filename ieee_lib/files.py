"""Files that are whole or absent, that carry a checksum, and that one process locks.

    write_atomically(path, data)                              # temporary name, fsync, rename
    record = verify_checksum(with_checksum(record), "x.json") # JSON with the sha256 of the rest
    write_checked(path, body); read_checked(path)             # bytes after their sha256
    with lock(path): ...                                      # one process, on any file system

A damaged file is renamed to `*.damaged`, with a warning. Nothing is ever unpickled.
"""

import contextlib
import errno
import functools
import hashlib
import json
import os
import shutil
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ieee_lib.errors import InputError

DIGEST = 64
"""Characters of the sha256 that a file of `write_checked` begins with."""

LEASE_SECONDS = 60.0
"""A lock expires when its owner has not renewed it for this long, and at once when the owner was a
process of this host that has ended. Owners renew every third of it."""


@contextlib.contextmanager
def writing_to(folder: Path, n_byte: int = 0) -> Iterator[None]:
    """Turn a full disk or a missing right below a folder into InputError.

    `n_byte` is what is to be written, for the message; 0: not known.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise _disk_full(folder, n_byte) from error
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(folder, n_byte) from error
        if error.errno in (errno.EACCES, errno.EROFS):
            allowed = f"cannot be used: {error.strerror}; nothing that was finished is lost"
            raise InputError("file", str(error.filename or folder), allowed) from error
        raise


def _disk_full(folder: Path, n_byte: int) -> InputError:
    needed = f"{n_byte / 1e6:.1f} MB are needed" if n_byte else "more is needed"
    allowed = (
        f"is full: {free_bytes(folder) / 1e6:.1f} MB are free and {needed}; make room and repeat "
        "the command, nothing that was finished is lost"
    )
    return InputError("disk", str(folder), allowed)


def free_bytes(folder: Path) -> int:
    """Return the free bytes where a folder is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_free_space(folder: Path, n_byte: int) -> None:
    """Raise InputError unless `n_byte` bytes are free where a folder is, or will be."""
    if free_bytes(folder) < n_byte:
        raise _disk_full(folder, n_byte)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or none; raises InputError for a full disk or a missing right."""
    with atomic_path(path, len(data)) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def atomic_path(path: Path, n_byte: int = 0) -> Iterator[Path]:
    """Give a temporary path to write to, which becomes `path` at the end, synced and renamed.

    Raises what `write_atomically` does.
    """
    temporary = path.parent / f".{path.name}-{os.getpid()}"
    with writing_to(path.parent, n_byte):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def quarantine(path: Path) -> None:
    """Rename a damaged file or folder to `*.damaged`, with a warning."""
    damaged = path.with_name(f"{path.name}.damaged")
    with contextlib.suppress(FileNotFoundError):  # another process was first
        if damaged.is_dir():
            shutil.rmtree(damaged)
        path.replace(damaged)
        warnings.warn(f"{path} is damaged: moved to {damaged.name}, to be made again", stacklevel=3)


def parse_json(data: str | bytes) -> Any:
    """Return what JSON holds; raises ValueError for anything else."""
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error


def with_checksum(body: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object with the sha256 of everything else in it."""
    return {**_without_checksum(body), "sha256": _json_sha256(body)}


def verify_checksum(body: Any, where: str) -> dict[str, Any]:
    """Return a JSON object of `with_checksum`; raises InputError where its sha256 differs."""
    if not isinstance(body, dict) or body.get("sha256") != _json_sha256(body):
        raise InputError("file", where, "is damaged: its sha256 differs")
    return body


def _without_checksum(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "sha256"}


def _json_sha256(body: dict[str, Any]) -> str:
    text = json.dumps(_without_checksum(body), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_checked(path: Path, body: bytes) -> None:
    """Write bytes after their own sha256, the whole file or none."""
    write_atomically(path, hashlib.sha256(body).hexdigest().encode() + body)


def read_checked(path: Path) -> bytes | None:
    """Return what `write_checked` wrote, or None; quarantines a damaged file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(data[DIGEST:]).hexdigest().encode() == data[:DIGEST]:
        return data[DIGEST:]
    quarantine(path)
    return None


def is_intact(path: Path, sha256: str) -> bool:
    """Say whether a file exists with that sha256; quarantines one whose sha256 differs."""
    if not path.is_file():
        return False
    if sha256_of(path) == sha256:
        return True
    quarantine(path)
    return False


def sha256_of(path: Path) -> str:
    """Return a file's sha256; caches it until the file changes."""
    stat = path.stat()
    return _sha256_of(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns))


@functools.cache
def _sha256_of(path: Path, state: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def lock(*files: Path) -> Iterator[None]:
    """Hold lock files while the block runs; waits for those that another process holds.

    The file system needs no locks of its own, only exclusive creation of files. Each lock names
    its owner, which renews it; a waiting process takes over one that expired (`LEASE_SECONDS`).
    """
    with contextlib.ExitStack() as stack:
        for path in sorted(files):  # one global order: no deadlock
            with writing_to(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_lease(path))
        yield


def is_locked(file: Path) -> bool:
    """Say whether a process that lives holds a lock file."""
    from filelock import SoftFileLease, Timeout

    try:
        with SoftFileLease(file, lease_duration=LEASE_SECONDS).acquire(timeout=0):
            return False
    except Timeout:
        return True


def _lease(path: Path) -> contextlib.AbstractContextManager:
    """Wait for a lock file; return the context that releases it."""
    from filelock import SoftFileLease, Timeout

    lease = SoftFileLease(path, lease_duration=LEASE_SECONDS)
    while True:
        with contextlib.suppress(Timeout):
            return lease.acquire(timeout=LEASE_SECONDS)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size == 0:  # its owner was killed before it wrote its name
                path.unlink()
