"""Locks: one owner at a time, and none that has ended."""

import multiprocessing
import os
import signal
import time

import pytest

from ieee_lib import files
from ieee_lib.files import lock


@pytest.fixture(autouse=True)
def short_leases(monkeypatch):
    monkeypatch.setattr(files, "LEASE_SECONDS", 2.0)


def hold(path, pipe):
    files.LEASE_SECONDS = 2.0
    with lock(path):
        pipe.send("locked")
        time.sleep(60)


@pytest.fixture
def holder(tmp_path):
    """A process that holds a lock, and the lock."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=hold, args=(tmp_path / "a.lock", there), daemon=True
    )
    process.start()
    assert here.poll(60)
    yield process, tmp_path / "a.lock"
    process.kill()


def waited(path):
    files.LEASE_SECONDS = 2.0
    began = time.monotonic()
    with lock(path):
        return time.monotonic() - began


def test_a_dead_owner_is_followed_at_once(holder):
    process, path = holder
    process.kill()
    process.join()
    assert waited(path) < 1.0


def test_an_owner_that_gives_no_sign_is_followed_after_the_lease(holder):
    """Stopped, not dead: as a machine looks from another one that has lost it."""
    process, path = holder
    os.kill(process.pid, signal.SIGSTOP)
    assert 1.0 < waited(path) < 20.0


def test_an_owner_that_lives_is_waited_for(holder):
    process, path = holder
    waiter = multiprocessing.get_context("spawn").Process(target=waited, args=(path,), daemon=True)
    waiter.start()
    waiter.join(8.0)  # four leases
    assert waiter.is_alive() and process.is_alive()
    waiter.kill()


def test_a_lock_that_nobody_signed_is_dropped(tmp_path):
    path = tmp_path / "a.lock"
    path.touch()
    assert 1.0 < waited(path) < 20.0


def test_several_locks_are_taken_in_one_order_and_all_given_back(tmp_path):
    names = [tmp_path / name for name in "cab"]
    with lock(*names):
        assert all(path.is_file() for path in names)
    assert not any(path.exists() for path in names)
