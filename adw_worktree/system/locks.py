"""File locks: between processes and threads, dropped by the kernel when their holder dies.

What holds here: a lock guards a sidecar file, never the data; a file system without `flock` is an
error, not a weaker lock. Short commands ask the kernel themselves: loading filelock would cost each
of them more than all that it does inside the lock. Whatever runs long takes the same locks with
filelock (`system.long_locks`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path

from adw_worktree.errors import LedgerError, LockTimeout, remedy
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import is_dir
from adw_worktree.system.sharing import make_directories, share

# A hundred that wait must leave the processor to the one that works.
_FIRST_PAUSE_SECONDS = 0.002
_LONGEST_PAUSE_SECONDS = 0.02

_LOOK_SECONDS = 0.2

_handed_down: ContextVar[tuple[int, ...]] = ContextVar("_handed_down", default=())
_kept: ContextVar[tuple[Path, ...]] = ContextVar("_kept", default=())
"""The locks that are held here, while another one is waited for."""


class Lock(NamedTuple):
    """A lock that is held."""

    path: Path
    release: Callable[[], None]
    """Lets it go; the file stays."""


@contextmanager
def held(path: Path, timeout: float, what: str, *, way_out: str = "") -> Iterator[None]:
    """Hold the lock at `path` for the block, waiting up to `timeout` seconds for it.

    The wait begins anew when the lock changed hands: a long queue is no reason to give up, only a
    holder that does not let go. The file's time tells that; each holder sets it, and sets it again
    while it stands in the queue for another lock.

    `what` names the guarded thing in the error, `way_out` what helps if no lock can be had in that
    directory. Raises LockTimeout if somebody else keeps it,
    LedgerError if the lock file cannot be made or locked.
    """
    try:
        lock = _wait(path, timeout, what)
    except LedgerError as exc:
        exc.hint = f"{exc.hint}{way_out}"
        raise
    with taken(lock.release, path):
        yield


@contextmanager
def taken(release: Callable[[], None], path: Path) -> Iterator[None]:
    """Keep the lock at `path`, which is acquired, for the block; `release` lets it go."""
    before = _kept.set((*_kept.get(), path))
    try:
        _set_time(path)
        reached("lock.taken")
        yield
    finally:
        _kept.reset(before)
        release()
        reached("lock.released")


@contextmanager
def held_with_children(path: Path, timeout: float) -> Iterator[bool]:
    """Hold the lock at `path` for the block; git commands started in it hold it, too.

    So it outlives a holder that was killed until the last of its git commands has ended. Yields
    False, the lock not held, if somebody else's go on for more than `timeout` seconds. Raises
    LedgerError if the file cannot be made or locked.
    """
    try:
        descriptor = open_lock(path)
        acquired = _acquired_within(descriptor, timeout)
    except OSError as exc:
        raise unusable(path, exc) from exc
    if not acquired:
        os.close(descriptor)
        yield False
        return
    before = _handed_down.set((*_handed_down.get(), descriptor))
    try:
        yield True
    finally:
        _handed_down.reset(before)
        # Not by closing alone: a daemon that git started may have the descriptor for good.
        _release(descriptor)


def handed_down() -> tuple[int, ...]:
    """Return the descriptors of the locks that a git command has to share with us."""
    return _handed_down.get()


def try_lock(path: Path) -> Lock | None:
    """Return the lock at `path`, acquired, or None if somebody holds it.

    The caller releases it. Raises LedgerError if the lock file cannot be made or locked.
    """
    lock = _take(path)
    if lock is not None:
        reached("lock.taken")
    return lock


def discard(lock: Lock) -> None:
    """Remove the file of a lock that is held, and release it; a file that stays does no harm."""
    with suppress(OSError):
        lock.path.unlink()
    lock.release()


def _wait(path: Path, timeout: float, what: str) -> Lock:
    """Return the lock at `path`, acquired in its turn. Raises LockTimeout, LedgerError."""
    pauses, turn, deadline = _pauses(), turn_of(path), time.monotonic() + timeout
    look = min(_LOOK_SECONDS, timeout / 4)
    look_at = time.monotonic() + look
    while (lock := _take(path)) is None:
        now = time.monotonic()
        if now >= min(look_at, deadline):
            if turn_of(path) != turn:
                turn, deadline = turn_of(path), now + timeout
                for outer in _kept.get():
                    _set_time(outer)
            elif now >= deadline:
                raise timed_out(path, timeout, what)
            look_at = now + look
        time.sleep(next(pauses))
    return lock


def _set_time(path: Path) -> None:
    """Let those who wait for a lock that we hold see that we go on."""
    with suppress(OSError):
        os.utime(path)


def _take(path: Path) -> Lock | None:
    """Return the lock at `path`, acquired; None if somebody holds it. Raises LedgerError.

    Each call opens the file anew, so that threads exclude each other as processes do.
    """
    try:
        make_directory(path)
        while True:
            descriptor = open_lock(path)
            if not _acquired(descriptor):
                os.close(descriptor)
                return None
            if os.fstat(descriptor).st_nlink > 0:
                return Lock(path, partial(_release, descriptor))
            os.close(descriptor)  # it was removed meanwhile, and guards nothing
    except OSError as exc:
        raise unusable(path, exc) from exc


def make_directory(path: Path) -> None:
    """Make the directory of the lock at `path`, if it is missing. Raises OSError."""
    if not is_dir(path.parent):
        make_directories(path.parent)
        reached("lock.directory")


def open_lock(path: Path) -> int:
    """Return a descriptor of the lock file, which is made if it is missing. Raises OSError."""
    # Never through a link; and what lies there may be a pipe, which would block.
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        descriptor = os.open(path, flags | os.O_CREAT, 0o666)
        share(descriptor, path)
        return descriptor


def _acquired(descriptor: int) -> bool:
    """Whether the lock could be had at once. Raises OSError, the file closed, without `flock`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # some file systems say EACCES
        return False
    except OSError:
        os.close(descriptor)
        raise
    return True


def _acquired_within(descriptor: int, timeout: float) -> bool:
    """Whether the lock could be had within `timeout` seconds. Raises OSError, as `_acquired`."""
    pauses, deadline = _pauses(), time.monotonic() + timeout
    while not _acquired(descriptor):
        if time.monotonic() >= deadline:
            return False
        time.sleep(next(pauses))
    return True


def _release(descriptor: int) -> None:
    # Not by closing alone: a process that was forked meanwhile has it, too.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def turn_of(path: Path) -> int:
    """Return the time of a lock file, which each holder sets: another time is another holder."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def timed_out(path: Path, timeout: float, what: str) -> LockTimeout:
    """Return the error of a lock that another process did not release in time."""
    return LockTimeout(
        f"{what} is locked by another process ({path}) for more than {timeout:g} seconds",
        hint="wait and repeat, or raise the setting lock_timeout (ADW_LOCK_TIMEOUT)",
    )


def unusable(path: Path, exc: OSError) -> LedgerError:
    """Return the error of a lock file that cannot be made or locked."""
    without_flock = exc.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
    return LedgerError(
        f"the lock {path} cannot be used: {exc.strerror}",
        hint=f"{path.parent} has to be on a file system with flock"
        if without_flock
        else remedy(exc, path.parent),
    )
