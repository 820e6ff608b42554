"""Who is making a worktree: locks that tell a `create` at work from one that died half-way.

What holds here: a creator holds `creating/<token>.lock` until its lease is no longer pending. A
second lock, `<token>.git`, is shared with the git commands that it starts, which may outlive it: a
half-made worktree is touched only when both are free.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adw_worktree.errors import LockTimeout
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.pool import Pool
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held, held_with_children, try_lock
from adw_worktree.system.paths import exists


@contextmanager
def creating(pool: Pool, token: str, cleared: Callable[[], bool]) -> Iterator[None]:
    """Hold the locks that say that the `create` with this token is at work.

    `cleared` takes away what has to go in any case, and returns whether it went.
    """
    path, timeout = _lock(pool, token), pool.settings.lock_timeout
    clear = True
    try:
        with held(path, timeout, "a creation"), held_with_children(_git_lock(path), timeout):
            reached("creator.locked")
            try:
                yield
            finally:
                clear = cleared()
    finally:
        # What could not be undone is undone by the next command, which needs the note.
        if clear and token not in _pending(pool):
            _drop(path)


def wait_for_creator(pool: Pool, lease: Lease) -> None:
    """Wait until the process that is making this worktree is done, or dead. Raises LockTimeout."""
    path = _lock(pool, lease.token)
    what = f"the worktree of {lease.adw_id}, which another process is making,"
    with held(path, pool.settings.lock_timeout, what):
        if lease.token not in _pending(pool):
            with suppress(OSError):  # it may be a file that waiting made anew; else it is swept
                path.unlink()


def is_noted(pool: Pool, lease: Lease) -> bool:
    """Whether a `create` of this repository said that it is behind `lease`.

    Nothing that a ledger says can stand for that: a repository may bring one with it.
    """
    return exists(_lock(pool, lease.token))


@contextmanager
def taken_over(pool: Pool, lease: Lease) -> Iterator[bool]:
    """Hold the locks of the `create` behind `lease` and say whether it died half-way.

    False if it lives, or if another process has finished or undone it: what is read inside the
    lock is final. Raises LockTimeout if git commands that it started go on for longer than that.
    """
    path = _lock(pool, lease.token)
    noted = exists(path)
    lock = try_lock(path) if lease.state == "pending" else None
    if lock is None:
        yield False
        return
    try:
        with held_with_children(_git_lock(path), pool.settings.lock_timeout) as alone:
            if not alone:
                raise LockTimeout(
                    "the git that it started still runs",
                    hint="wait until it has ended, and repeat",
                )
            try:
                yield lease.token in _pending(pool)
            finally:
                if not noted or lease.token not in _pending(pool):
                    _drop(path)  # or a look alone would lose the note
    finally:
        lock.release()


def mark_filled(pool: Pool, token: str) -> None:
    """Note that all files are there: what changes from now on is somebody's work."""
    _filled(_lock(pool, token)).touch()
    reached("creator.filled")


def is_filled(pool: Pool, lease: Lease) -> bool:
    """Whether the `create` behind `lease` got as far as `mark_filled`."""
    return exists(_filled(_lock(pool, lease.token)))


def abandoned(pool: Pool) -> list[Lease]:
    """Return the pending leases whose `create` is dead."""
    found = []
    pending = [lease for lease in pool.leases().values() if lease.state == "pending"]
    for lease in pending:
        with suppress(LockTimeout), taken_over(pool, lease) as dead:
            if dead:
                found.append(lease)
    return found


def clear_leftovers(pool: Pool, cleared: Callable[[str], bool]) -> None:
    """Forget each `create` that died before it had a lease, or after, once it is `cleared`.

    Its locks are held while that is called with its token.
    """
    for path in _locks(pool):
        lock = try_lock(path)
        if lock is None:
            continue
        try:
            with held_with_children(_git_lock(path), pool.settings.lock_timeout) as alone:
                if alone and path.stem not in _pending(pool) and cleared(path.stem):
                    _drop(path)
        finally:
            lock.release()


def _pending(pool: Pool) -> set[str]:
    return {lease.token for lease in pool.leases().values() if lease.state == "pending"}


def _locks(pool: Pool) -> list[Path]:
    """Return the lock of every `create` that runs or died, none where that cannot be seen."""
    folder = _lock(pool, "any").parent
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [folder / name for name in sorted(names) if name.endswith(".lock")]


def _lock(pool: Pool, token: str) -> Path:
    assert pool.common_dir is not None
    return pool.common_dir / "adw-worktree" / "creating" / f"{token}.lock"


def _git_lock(path: Path) -> Path:
    return path.with_suffix(".git")


def _filled(path: Path) -> Path:
    return path.with_suffix(".filled")


def _drop(path: Path) -> None:
    """Remove both lock files, which are held, and the note beside them; one that stays is swept."""
    for leftover in (_filled(path), _git_lock(path), path):
        with suppress(OSError):
            leftover.unlink()
    reached("creator.dropped")
