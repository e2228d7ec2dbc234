"""Files that are whole or absent, that know when they are damaged, and that one process holds.

    write_atomically(path, data)                     # temporary name, fsync, rename
    record = verified(seal(record), "x.json")        # JSON with the sha256 of everything else
    write_sealed(path, body); read_sealed(path)      # bytes behind their sha256; None when damaged
    with held(path): ...                             # one process at a time, on any file system

Nothing here imports torch, and nothing is ever unpickled.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ieee_lib.errors import check

DIGEST = 64
"""Characters of the sha256 that a sealed file begins with."""

LEASE_SECONDS = 60.0
"""A lock whose owner gave no sign of life for as long is free; a dead owner of this host's at
once. The sign is given every third of it."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def writing_to(folder: Path, n_byte: int = 0) -> Iterator[None]:
    """Name what stands against writing below a folder: a full disk, a missing right."""
    try:
        yield
    except sqlite3.OperationalError as error:
        check("full" not in str(error), "disk", str(folder), _full(folder, n_byte))
        raise
    except OSError as error:
        check(error.errno not in _FULL, "disk", str(folder), _full(folder, n_byte))
        allowed = f"cannot be used: {error.strerror}; nothing that was finished is lost"
        denied = error.errno in (errno.EACCES, errno.EROFS)
        check(not denied, "file", str(error.filename or folder), allowed)
        raise


def _full(folder: Path, n_byte: int) -> str:
    needed = f"{n_byte / 1e6:.1f} MB are needed" if n_byte else "more is needed"
    return (
        f"is full: {free_bytes(folder) / 1e6:.1f} MB are free and {needed}; make room and repeat "
        "the command, nothing that was finished is lost"
    )


def free_bytes(folder: Path) -> int:
    """Return the free bytes where a folder is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_room(folder: Path, n_byte: int) -> None:
    """Raise InputError unless so many bytes are free where a folder is, or will be."""
    check(free_bytes(folder) >= n_byte, "disk", str(folder), _full(folder, n_byte))


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or none; raises InputError for a full disk or a missing right."""
    with whole_or_absent(path, len(data)) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def whole_or_absent(path: Path, n_byte: int = 0) -> Iterator[Path]:
    """Give a file to write in place of `path`: synced and renamed to it at the end.

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


def set_aside(path: Path) -> None:
    """Move a damaged file or folder to `*.damaged`, and say so."""
    aside = path.with_name(f"{path.name}.damaged")
    with contextlib.suppress(FileNotFoundError):  # somebody else was first
        if aside.is_dir():
            shutil.rmtree(aside)
        path.replace(aside)
        warnings.warn(f"{path} is damaged: moved to {aside.name}, to be made again", stacklevel=3)


def parsed(data: str | bytes) -> Any:
    """Return what JSON holds; raises ValueError for anything else."""
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error


def seal(body: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object with the sha256 of everything else in it."""
    body = {name: value for name, value in body.items() if name != "sha256"}
    return {**body, "sha256": _json_sha256(body)}


def verified(sealed: Any, where: str) -> dict[str, Any]:
    """Return a sealed JSON object; raises InputError where its sha256 differs."""
    body = {n: v for n, v in sealed.items() if n != "sha256"} if isinstance(sealed, dict) else None
    whole = body is not None and sealed.get("sha256") == _json_sha256(body)
    check(whole, "file", where, "is damaged: its sha256 differs")
    return sealed


def _json_sha256(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def write_sealed(path: Path, body: bytes) -> None:
    """Write bytes behind their own sha256, as a whole."""
    write_atomically(path, hashlib.sha256(body).hexdigest().encode() + body)


def read_sealed(path: Path) -> bytes | None:
    """Return what `write_sealed` wrote, or None; a damaged file is set aside."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(data[DIGEST:]).hexdigest().encode() == data[:DIGEST]:
        return data[DIGEST:]
    set_aside(path)
    return None


def is_whole(path: Path, sha256: str) -> bool:
    """Say whether a file is there as recorded; a damaged one is set aside."""
    if not path.is_file():
        return False
    if sha256_of(path) == sha256:
        return True
    set_aside(path)
    return False


def sha256_of(path: Path) -> str:
    """Return a file's sha256; a file that has not changed since is not read again."""
    stat = path.stat()
    key = (path, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if key not in _KNOWN:
        with path.open("rb") as file:
            _KNOWN[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _KNOWN[key]


_KNOWN: dict[tuple, str] = {}


@contextlib.contextmanager
def held(*files: Path) -> Iterator[None]:
    """Hold lock files, which need nothing of the file system but exclusive creation.

    Each names its owner and is touched by it while it lives; whoever waits takes over from a
    dead one (`LEASE_SECONDS`).
    """
    with contextlib.ExitStack() as stack:
        for path in sorted(files):  # one global order: no deadlock
            with writing_to(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_lease(path))
        yield


def _lease(path: Path):
    """Wait for a lock file; return what releases it."""
    from filelock import SoftFileLease, Timeout

    lease = SoftFileLease(path, lease_duration=LEASE_SECONDS)
    while True:
        with contextlib.suppress(Timeout):
            return lease.acquire(timeout=LEASE_SECONDS)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size == 0:  # who made it was killed before it could sign
                path.unlink()
