"""The locks of what runs long (`watch`, `spares fill`), taken with filelock.

They are `flock` on the same files as those of `system.locks`, so the two exclude each other, and
they hold the same promises: never through a link, never a weaker lock, no file emptied. A short
command does not load filelock, which takes longer than starting Python does; beside a filling or a
watcher that is nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adw_worktree.system.faults import reached
from adw_worktree.system.locks import (
    Lock,
    make_directory,
    open_lock,
    taken,
    timed_out,
    turn_of,
    unusable,
)

if TYPE_CHECKING:
    from filelock import UnixFileLock


@contextmanager
def held(path: Path, timeout: float, what: str) -> Iterator[None]:
    """Hold the lock at `path` for the block, waiting as `system.locks.held` does.

    Raises LockTimeout if somebody else keeps it, LedgerError if the lock file cannot be made or
    locked.
    """
    lock, turn = _file_lock(path), turn_of(path)
    while not _acquired(lock, path, timeout):
        if turn_of(path) == turn:
            raise timed_out(path, timeout, what)
        turn = turn_of(path)
    with taken(lock.release, path):
        yield


def try_lock(path: Path) -> Lock | None:
    """Return the lock at `path`, acquired, or None if somebody holds it.

    The caller releases it. Raises LedgerError if the lock file cannot be made or locked.
    """
    lock = _file_lock(path)
    if not _acquired(lock, path, timeout=0):
        return None
    reached("lock.taken")
    return Lock(path, lock.release)


def _file_lock(path: Path) -> UnixFileLock:
    """Return a lock that is not acquired yet. Raises LedgerError if its directory cannot be made.

    Each is another, so that threads exclude each other as processes do; any thread may release it.
    """
    from filelock import UnixFileLock

    try:
        make_directory(path)
        os.close(open_lock(path))  # with the permissions that filelock would not give it
    except OSError as exc:
        raise unusable(path, exc) from exc
    return UnixFileLock(path, thread_local=False, fallback_to_soft=False)


def _acquired(lock: UnixFileLock, path: Path, timeout: float) -> bool:
    """Whether the lock could be had within `timeout` seconds. Raises LedgerError."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=timeout)
    except Timeout:
        return False
    except OSError as exc:
        raise unusable(path, exc) from exc
    return True
