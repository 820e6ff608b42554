"""Putting a copy of the store back: only while nobody works with it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from adw_worktree.errors import StoreError
from adw_worktree.orchestration.runs.summon import coordinator_lock
from adw_worktree.orchestration.store.backup import put_back
from adw_worktree.orchestration.store.opening import store_file
from adw_worktree.system.locks import try_lock


def restore_store(state_dir: Path, source: Path, others: Mapping[str, Path]) -> Path | None:
    """Have the copy `source` be the store; return where the present one is kept, if any.

    `others` are locks of whoever else has the store open, by what they are called. What the copy
    has as running is found to be lost by the next command, and goes on. Raises StoreError,
    FileUnusable.
    """
    locks = {"a coordinator": coordinator_lock(state_dir), **others}
    with ExitStack() as held:
        for who, path in locks.items():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = try_lock(path)
            if lock is None:
                raise StoreError(
                    f"{who} works with the store; nothing was changed",
                    hint="pause what runs, end the board, and repeat",
                )
            held.callback(lock.release)
        return put_back(source, store_file(state_dir))
