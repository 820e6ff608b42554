"""`lock` and `unlock`: keep a worktree from being removed, and let it go again."""

from __future__ import annotations

from pathlib import Path

from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project
from adw_worktree.repo.git import git_failure, run_git
from adw_worktree.repo.repository import list_worktrees
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.worktrees.lookup import require_path


class Locked(NamedTuple):
    """A worktree that was locked or unlocked."""

    lease: Lease
    path: Path
    locked: bool
    """Whether it is locked now."""
    changed: bool
    """Whether it was not so before."""
    reason: str | None
    """Of a lock that was there before."""


def lock(project: Project, lease: Lease, reason: str = "") -> Locked:
    """Have git keep the worktree of `lease` until it is unlocked; once is enough.

    `reason` is shown to whoever wants to remove it. Raises UnknownAdw, WorktreeUnavailable,
    GitFailed.
    """
    return _set(project, lease, ["lock", *(["--reason", reason] if reason else [])], locked=True)


def unlock(project: Project, lease: Lease) -> Locked:
    """Let the worktree of `lease` be removed again; once is enough. Raises as `lock` does."""
    return _set(project, lease, ["unlock"], locked=False)


def _set(project: Project, lease: Lease, words: list[str], *, locked: bool) -> Locked:
    path, home = require_path(project, lease), project.repo.home
    command = ["worktree", *words, "--", str(path)]
    done = run_git(command, project.repo.checkout, check=False)
    if done.returncode == 0:
        return Locked(lease, path, locked, True, None)
    entry = next((one for one in list_worktrees(home) if one.path == path), None)
    if entry is None or (entry.locked is not None) != locked:
        raise git_failure(["git", *command], home, done.returncode, done.stderr)
    return Locked(lease, path, locked, False, entry.locked or None)
