"""A coordinator with its nursery, as `work` runs it."""

from __future__ import annotations

from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from adw_worktree.errors import StoreError
from adw_worktree.orchestration.running.coordinating import Manner, coordinate
from adw_worktree.orchestration.running.nursery import Nursery, with_nursery
from adw_worktree.orchestration.running.runner import rehearse
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.hosts import known_host
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.pool.wakeups import coordinator_bell


def work(state_dir: Path, manner: Manner) -> None:
    """Start phases on this host, and wait for their ends.

    Where a coordinator lives already, a `patient` one waits until that has nothing left to do.
    Raises StoreError.
    """
    with closing(open_store(state_dir)) as store:  # what is wrong with it is said here
        if not manner.serves and not _is_host(store, state_dir):
            with suppress(OSError):  # nobody is to hear it
                coordinator_bell(state_dir).unlink()
            return
    code = with_nursery(partial(_coordinate, state_dir, manner), rehearse)
    if code != 0:
        raise StoreError(
            "the coordinator ended before its time",
            hint="adw-worktree doctor; what runs goes on, and the next command starts another",
        )


def _is_host(store: Database, state_dir: Path) -> bool:
    """Return whether this machine works on the store: one that only steers others does not."""
    if not store.is_shared:
        return True
    return known_host(store, this_host(state_dir).name) is not None


def _coordinate(state_dir: Path, manner: Manner, nursery: Nursery) -> int:
    coordinate(state_dir, nursery, manner)
    return 0
