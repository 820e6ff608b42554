"""What is wrong with features and their phases, for `doctor`. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adw_worktree.errors import AdwError
from adw_worktree.orchestration.runs.run_directory import run_directory
from adw_worktree.orchestration.store.attempts import has_news
from adw_worktree.orchestration.store.claimable import unserved
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.hosts import running_on
from adw_worktree.orchestration.store.opening import has_store, open_store
from adw_worktree.orchestration.store.records import name_of, phase_of
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.pool.wakeups import coordinator_bell, start_coordinator
from adw_worktree.system.bells import ring
from adw_worktree.worktrees.doctor import Problem

_START = "adw-worktree work --until-idle"


def examine_phases(state_dir: Path) -> list[Problem]:
    """Return what is wrong with the store, the coordinator and the runners on this host."""
    try:
        if not has_store(state_dir):
            return []
        database = open_store(state_dir)
    except AdwError as exc:
        return [Problem("store-unusable", exc.message, exc.hint or "see the message")]
    try:
        return [
            *_coordinator(database, state_dir),
            *_runners(database, state_dir),
            *_unserved(database),
        ]
    except AdwError as exc:
        return [Problem("store-unusable", exc.message, exc.hint or "see the message")]
    finally:
        database.close()


def see_to_phases(state_dir: Path, *, dry_run: bool) -> list[str]:
    """Start a coordinator if attempts or phases have none; return what is to be said of it."""
    problems = examine_phases(state_dir)
    lacking = [one for one in problems if one.fix == _START]
    if lacking and not dry_run:
        start_coordinator(state_dir)
    then = "a coordinator would be started" if dry_run else "a coordinator was started"
    return [f"{one.message}; {then if one in lacking else one.fix}" for one in problems]


def _coordinator(database: Database, state_dir: Path) -> Iterator[Problem]:
    if has_news(database, this_host(state_dir).name) and not ring(coordinator_bell(state_dir)):
        message = "phases wait to be started, or run, and no coordinator lives that sees to them"
        yield Problem("coordinator-missing", message, _START)


def _unserved(database: Database) -> Iterator[Problem]:
    for name in unserved(database):
        message = f"{name} is ready, and no host that works has its repository and what it needs"
        yield Problem("phase-unserved", message, "adw-worktree worker list")


def _runners(database: Database, state_dir: Path) -> Iterator[Problem]:
    for attempt in running_on(database, this_host(state_dir).name):
        run = run_directory(state_dir, attempt.token)
        if run.is_locked("runner") or run.end() is not None:
            continue
        name = name_of(*phase_of(database, attempt))
        message = f"the runner of attempt {attempt.number} of {name} is gone"
        yield Problem("runner-gone", message, _START)
