"""File locks: between processes and threads, dropped by the kernel when their holder dies.

What holds here: a lock guards a sidecar file, never the data; a file system without `flock` is an
error, not a weaker lock.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import LedgerError, LockTimeout

if TYPE_CHECKING:
    from filelock import BaseFileLock

# A hundred that wait must leave the processor to the one that works.
_POLL_SECONDS = 0.02


@contextmanager
def held(path: Path, timeout: float, what: str) -> Iterator[None]:
    """Hold the lock at `path` for the block, waiting up to `timeout` seconds for it.

    The wait begins anew when the lock changed hands: a long queue is no reason to give up, only a
    holder that does not let go. The file's time tells that; each holder sets it.

    `what` names the guarded thing in the error. Raises LockTimeout if somebody else keeps it,
    LedgerError if the lock file cannot be made or locked.
    """
    from filelock import Timeout

    lock = _lock(path)
    try:
        while True:
            turn = _turn(path)
            try:
                lock.acquire(timeout=timeout, poll_interval=_POLL_SECONDS)
                break
            except Timeout:
                if _turn(path) == turn:
                    raise
        with suppress(OSError):
            os.utime(path)
    except Timeout as exc:
        raise LockTimeout(
            f"{what} is locked by another process ({path}) for more than {timeout:g} seconds",
            hint="wait and repeat, or raise the setting lock_timeout (ADW_LOCK_TIMEOUT)",
        ) from exc
    except (OSError, NotImplementedError) as exc:
        raise _unusable(path, exc) from exc
    try:
        yield
    finally:
        lock.release()


def try_lock(path: Path) -> BaseFileLock | None:
    """Return the lock at `path`, acquired, or None if somebody holds it.

    The caller releases it. Raises LedgerError if the lock file cannot be made or locked.
    """
    from filelock import Timeout

    lock = _lock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    except (OSError, NotImplementedError) as exc:
        raise _unusable(path, exc) from exc
    return lock


def _turn(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _lock(path: Path) -> BaseFileLock:
    from filelock import FileLock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise _unusable(path, exc) from exc
    # Each call opens the file anew, so that threads exclude each other as processes do.
    return FileLock(path, thread_local=False, fallback_to_soft=False)


def _unusable(path: Path, exc: Exception) -> LedgerError:
    reason = exc.strerror if isinstance(exc, OSError) else str(exc)
    return LedgerError(
        f"the lock {path} cannot be used: {reason}",
        hint=f"make {path.parent} writable, on a file system with flock, or set ADW_STATE_HOME",
    )
