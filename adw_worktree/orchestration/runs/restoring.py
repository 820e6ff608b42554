"""Putting a copy of the store back: only while nobody works with it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from adw_worktree.errors import StoreError
from adw_worktree.orchestration.runs.summon import coordinator_lock
from adw_worktree.orchestration.store.backup import put_back
from adw_worktree.orchestration.store.opening import store_file
from adw_worktree.system.locks import Lock, try_lock

_ENDING_SECONDS = 2.0


def restore_store(state_dir: Path, source: Path, others: Mapping[str, Path]) -> Path | None:
    """Have the copy `source` be the store; return where the present one is kept, if any.

    `others` are locks of whoever else has the store open, by what they are called. What the copy
    has as running is found to be lost by the next command, and goes on. Raises StoreError,
    FileUnusable.
    """
    with nobody_works(state_dir, others):
        return put_back(source, store_file(state_dir))


@contextmanager
def nobody_works(state_dir: Path, others: Mapping[str, Path]) -> Iterator[None]:
    """Keep the coordinator of this machine, and `others`, from the store, for the block.

    Raises StoreError if one of them works with it.
    """
    locks = {"a coordinator": coordinator_lock(state_dir), **others}
    with ExitStack() as held:
        for who, path in locks.items():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _lock(path)
            if lock is None:
                raise StoreError(
                    f"{who} works with the store; nothing was changed",
                    hint="pause what runs, end the board, and repeat",
                )
            held.callback(lock.release)
        yield


def _lock(path: Path) -> Lock | None:
    """Return a lock, None if somebody holds it: one who has nothing to do any more lets go soon."""
    deadline = time.monotonic() + _ENDING_SECONDS
    while (lock := try_lock(path)) is None and time.monotonic() < deadline:
        time.sleep(_ENDING_SECONDS / 40)
    return lock
