"""Waking the coordinator, or starting one: by whoever has changed what it looks at."""

from __future__ import annotations

from pathlib import Path

from adw_worktree.orchestration.store.attempts import has_news
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.deliveries import has_undelivered
from adw_worktree.pool.wakeups import coordinator_bell, start_coordinator
from adw_worktree.system.bells import ring, ring_all


def onlookers(state_dir: Path) -> Path:
    """Return the directory of the bells of whoever follows what happens."""
    return state_dir / "phases" / "onlookers"


def attend(database: Database, state_dir: Path) -> None:
    """Start a coordinator if there is something to do and none lives: it may have been killed."""
    pending = has_news(database) or has_undelivered(database)
    if pending and not ring(coordinator_bell(state_dir)):
        start_coordinator(state_dir)


def summon(state_dir: Path) -> None:
    """Have a coordinator look at the store now; start one if none lives."""
    if not ring(coordinator_bell(state_dir)):
        start_coordinator(state_dir)
    ring_all(onlookers(state_dir))
