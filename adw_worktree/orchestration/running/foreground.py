"""A coordinator with its nursery, as `work` runs it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from adw_worktree.errors import StoreError
from adw_worktree.orchestration.running.coordinating import Manner, coordinate
from adw_worktree.orchestration.running.nursery import Nursery, with_nursery
from adw_worktree.orchestration.running.runner import rehearse
from adw_worktree.orchestration.store.opening import open_store


def work(state_dir: Path, manner: Manner) -> None:
    """Start phases on this host, and wait for their ends.

    Where a coordinator lives already, a `patient` one waits until that has nothing left to do.
    Raises StoreError.
    """
    open_store(state_dir).close()  # what is wrong with it is said here, not in a process of its own
    code = with_nursery(partial(_coordinate, state_dir, manner), rehearse)
    if code != 0:
        raise StoreError(
            "the coordinator ended before its time",
            hint="adw-worktree doctor; what runs goes on, and the next command starts another",
        )


def _coordinate(state_dir: Path, manner: Manner, nursery: Nursery) -> int:
    coordinate(state_dir, nursery, manner)
    return 0
