"""Giving back what a completed attempt held: its worktree, its branch, its slot.

What holds here: this comes after the attempt's end, so that nothing waits for it; a mark in the
state directory keeps it from being forgotten when the runner is killed.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adw_worktree.errors import AdwError
from adw_worktree.orchestration.runs.assignment import Assignment
from adw_worktree.project import open_project
from adw_worktree.repo.refs import branch_commit
from adw_worktree.worktrees.remove import remove
from adw_worktree.worktrees.remove_checks import Consent

_LONGEST_TURN_SECONDS = 0.5


def mark_untidy(state_dir: Path, token: str) -> None:
    """Note that an attempt holds a worktree that is to go. Raises OSError."""
    marks = _marks(state_dir)
    marks.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(marks / token, os.O_CREAT | os.O_WRONLY, 0o600))


def clear_mark(state_dir: Path, token: str) -> None:
    """Note that nothing is left to tidy."""
    with suppress(OSError):
        (_marks(state_dir) / token).unlink()


def untidy(state_dir: Path) -> list[str]:
    """Return the tokens of completed attempts whose worktrees may still be there."""
    try:
        return sorted(os.listdir(_marks(state_dir)))
    except FileNotFoundError:
        return []


def tidy(assignment: Assignment) -> None:
    """Remove the worktree of an attempt whose work has landed, with its branch and slot.

    Files that are not committed go to the trash. What cannot be removed stays, and is said in the
    runner's log: the work has landed.
    """
    try:
        project = open_project(Path(assignment.feature.place))
        lease = project.pool.leases().get(assignment.phase.adw_id)
        if lease is None:
            return
        landed = branch_commit(project.repo.home, str(lease.branch)) if lease.branch else None
        consent = Consent(force=True, delete_branch="integrated", stop=True, landed=landed)
        remove(project, lease.adw_id, consent, output=2)
    except AdwError as exc:
        print(f"the worktree stays: {exc.message}", file=sys.stderr)


@contextmanager
def in_turn(state_dir: Path) -> Iterator[None]:
    """Wait until no other runner tidies up, and keep others from it.

    Of a few that end at once, one works, so that the phases after them have the other processors.
    Nobody waits for long: else, where many short phases end, worktrees would heap up.
    """
    path = state_dir / "phases" / "tidying.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        yield  # without a turn it works as well
        return
    try:
        with suppress(_Late), _alarm(_LONGEST_TURN_SECONDS):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class _Late(Exception):
    """The time is up."""


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _Late in the block after a while; in the main thread of a process of its own."""

    def raise_late(_signum: int, _frame: object) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, raise_late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _marks(state_dir: Path) -> Path:
    return state_dir / "phases" / "untidy"
