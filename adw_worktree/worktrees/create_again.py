"""`create` of an ADW whose worktree is there already: which of its wishes came too late."""

from __future__ import annotations

from pathlib import Path

from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project
from adw_worktree.repo.refs import head_branch
from adw_worktree.worktrees.create_plan import Wish
from adw_worktree.worktrees.files.furnish import left_behind


def unheeded(project: Project, lease: Lease, wish: Wish, worktree: Path) -> list[str]:
    """Return notes on what was asked for, by flags or settings, and is otherwise in `worktree`.

    Raises GitFailed.
    """
    notes = []
    branch = head_branch(project.repo.admin_root / str(lease.admin_id))
    on = f"on branch {branch}" if branch else "detached"
    if wish.detach and branch is not None:
        notes.append(f"{lease.adw_id} is {on}, not detached: its worktree was there already")
    if wish.branch not in (None, branch):
        notes.append(
            f"{lease.adw_id} is {on}, not on {wish.branch}: its worktree was there already"
        )
    if wish.path is not None and wish.path.resolve() != Path(str(lease.path)).resolve():
        notes.append(f"{lease.adw_id} is at {lease.path}, not at {wish.path}: it was there already")
    flag = f"--from {wish.base}" if wish.base is not None else f"--pr {wish.pr}"
    if wish.base is not None or wish.pr is not None:
        notes.append(f"{flag} was not heeded: the worktree of {lease.adw_id} was there already")
    return notes + left_behind(project, worktree)
