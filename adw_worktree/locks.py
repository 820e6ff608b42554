"""File locks: between processes and threads, dropped by the kernel when their holder dies.

What holds here: a lock guards a sidecar file, never the data; a file system without `flock` is an
error, not a weaker lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .errors import LedgerError, LockTimeout
from .faults import reached

if TYPE_CHECKING:
    from filelock import BaseFileLock

# A hundred that wait must leave the processor to the one that works.
_POLL_SECONDS = 0.02

_handed_down: ContextVar[tuple[int, ...]] = ContextVar("_handed_down", default=())


class Lock(NamedTuple):
    """A lock that is held."""

    path: Path
    release: Callable[[], None]
    """Lets it go; the file stays."""


@contextmanager
def held(path: Path, timeout: float, what: str) -> Iterator[None]:
    """Hold the lock at `path` for the block, waiting up to `timeout` seconds for it.

    The wait begins anew when the lock changed hands: a long queue is no reason to give up, only a
    holder that does not let go. The file's time tells that; each holder sets it.

    `what` names the guarded thing in the error. Raises LockTimeout if somebody else keeps it,
    LedgerError if the lock file cannot be made or locked.
    """
    lock = _take_free(path) or _wait(path, timeout, what)
    try:
        with suppress(OSError):
            os.utime(path)
        reached("lock.taken")
        yield
    finally:
        lock.release()
        reached("lock.released")


@contextmanager
def held_with_children(path: Path, timeout: float) -> Iterator[bool]:
    """Hold the lock at `path` for the block; git commands started in it hold it, too.

    So it outlives a holder that was killed until the last of its git commands has ended. Yields
    False, the lock not held, if somebody else's go on for more than `timeout` seconds. Raises
    LedgerError if the file cannot be made or locked.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise _unusable(path, exc) from exc
    try:
        if not _wait_for(descriptor, path, timeout):
            yield False
            return
        before = _handed_down.set((*_handed_down.get(), descriptor))
        try:
            yield True
        finally:
            _handed_down.reset(before)
            # Not by closing alone: a daemon that git started may have the descriptor for good.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def handed_down() -> tuple[int, ...]:
    """Return the descriptors of the locks that a git command has to share with us."""
    return _handed_down.get()


def _wait_for(descriptor: int, path: Path, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        except OSError as exc:
            raise _unusable(path, exc) from exc
        else:
            return True


def try_lock(path: Path) -> Lock | None:
    """Return the lock at `path`, acquired, or None if somebody holds it.

    The caller releases it. Raises LedgerError if the lock file cannot be made or locked.
    """
    lock = _take_free(path)
    if lock is None:
        from filelock import Timeout

        waiting = _file_lock(path)
        try:
            waiting.acquire(timeout=0)
        except Timeout:
            return None
        except (OSError, NotImplementedError) as exc:
            raise _unusable(path, exc) from exc
        lock = Lock(path, waiting.release)
    reached("lock.taken")
    return lock


def discard(lock: Lock) -> None:
    """Remove the file of a lock that is held, and release it; a file that stays does no harm."""
    with suppress(OSError):
        lock.path.unlink()
    lock.release()


def _take_free(path: Path) -> Lock | None:
    """Return the lock at `path`, acquired; None if it takes more than asking for it once.

    As filelock does it, on the same file. Loading filelock takes as long as starting Python three
    times: it is left what is not everyday, to wait for a lock and to say why one is not to be had.
    """
    _make_directory(path)
    try:
        # O_NONBLOCK: what lies there may be a pipe.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o666)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink > 0:  # or it was removed meanwhile, and guards nothing
            return Lock(path, lambda: _release(descriptor))
    except OSError:
        pass
    os.close(descriptor)
    return None


def _release(descriptor: int) -> None:
    # Not by closing alone: a process that was forked meanwhile has it, too.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _wait(path: Path, timeout: float, what: str) -> Lock:
    """Return the lock at `path`, acquired in its turn. Raises LockTimeout, LedgerError."""
    from filelock import Timeout

    lock = _file_lock(path)
    try:
        while True:
            turn = _turn(path)
            try:
                lock.acquire(timeout=timeout, poll_interval=_POLL_SECONDS)
                return Lock(path, lock.release)
            except Timeout:
                if _turn(path) == turn:
                    raise
    except Timeout as exc:
        raise LockTimeout(
            f"{what} is locked by another process ({path}) for more than {timeout:g} seconds",
            hint="wait and repeat, or raise the setting lock_timeout (ADW_LOCK_TIMEOUT)",
        ) from exc
    except (OSError, NotImplementedError) as exc:
        raise _unusable(path, exc) from exc


def _turn(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _file_lock(path: Path) -> BaseFileLock:
    from filelock import FileLock

    # Each call opens the file anew, so that threads exclude each other as processes do.
    return FileLock(path, thread_local=False, fallback_to_soft=False)


def _make_directory(path: Path) -> None:
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            reached("lock.directory")
    except OSError as exc:
        raise _unusable(path, exc) from exc


def _unusable(path: Path, exc: Exception) -> LedgerError:
    reason = exc.strerror if isinstance(exc, OSError) else str(exc)
    return LedgerError(
        f"the lock {path} cannot be used: {reason}",
        hint=f"make {path.parent} writable, on a file system with flock, or set ADW_STATE_HOME",
    )
