"""Drafts of plans: who makes one, and what becomes of one whose maker was killed.

What holds here: whoever drafts the plan of a feature holds the feature's lock, which ends with the
process. A draft that the store has as running, and that nobody makes, is noted as interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adw_worktree.errors import LockTimeout, PhaseNotInState
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.features import set_drafting
from adw_worktree.orchestration.store.records import Feature, events, features
from adw_worktree.orchestration.store.times import later
from adw_worktree.system.locks import try_lock

_BEGINNING_SECONDS = 60.0
"""The time within which a draft that was asked for has a process."""
_INTERRUPTED = "failed: it was interrupted"


@contextmanager
def drafting(state_dir: Path, feature: Feature) -> Iterator[None]:
    """Be the only one who drafts the plan of a feature. Raises LockTimeout."""
    directory = state_dir / "phases" / "drafts"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = try_lock(directory / f"{feature.id}.lock")
    if lock is None:
        raise LockTimeout(
            f"the plan of feature {feature.slug} is being drafted",
            hint=f"adw-worktree feature show {feature.slug}",
        )
    try:
        yield
    finally:
        lock.release()


def is_drafting(state_dir: Path, feature: Feature) -> bool:
    """Return whether somebody drafts the plan of a feature at this moment."""
    try:
        with drafting(state_dir, feature):
            return False
    except LockTimeout:
        return True


def note_interrupted(database: Database, state_dir: Path) -> None:
    """Note of each draft that nobody makes any more that it was interrupted."""
    running = features(database, "drafting = 'running'")
    before = later(database.now(), -_BEGINNING_SECONDS) if running else ""
    for feature in running:
        [asked] = events(
            database,
            "feature_id = ? AND kind = 'feature.drafting'",
            [feature.id],
            order="id DESC LIMIT 1",
        )
        if asked.at < before:
            with suppress(LockTimeout, PhaseNotInState), drafting(state_dir, feature):
                set_drafting(database, feature, _INTERRUPTED)
