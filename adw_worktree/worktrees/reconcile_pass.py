"""The two passes of `reconcile`: the full one, and the one that a managed hook starts.

Both stamp what they saw, so that managed hooks start no further pass until something changes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from adw_worktree.integrations.stamp import observe, stamp_file, write_stamp
from adw_worktree.project import Project
from adw_worktree.system.paths import exists, is_dir
from adw_worktree.worktrees.heal import heal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.worktrees.reconcile_plan import Reconciled

_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.05


def full_pass(
    project: Project, *, dry_run: bool = False, max_age: timedelta | None = None
) -> Reconciled:
    """Compare leases with worktrees, and repair. Arguments and errors are those of `reconcile`."""
    from adw_worktree.worktrees.reconcile import reconcile

    if dry_run:
        return reconcile(project, dry_run=True, max_age=max_age)
    with _stamped(project):
        return reconcile(project, max_age=max_age)


def background_pass(project: Project, *, until_gone: str | None = None) -> None:
    """Make the pass that a managed hook asks for: the cheap one, unless all are to be adopted.

    `until_gone` names git's admin directory of a worktree whose removal is under way; it is waited
    for, 30 seconds at most. Raises AdwError, OSError.
    """
    if until_gone:
        _wait_until_gone(project, until_gone)
    with _stamped(project):
        if project.settings.adopt:
            from adw_worktree.worktrees.reconcile import reconcile

            reconcile(project)
        else:
            heal(project)


@contextmanager
def _stamped(project: Project) -> Iterator[None]:
    """Tell the managed hooks, if there are any, that everything before the block is seen."""
    observed = observe(project.repo, project.trees)
    yield
    if exists(stamp_file(project.repo)):
        write_stamp(project.repo, list(project.pool.leases().values()), observed)


def _wait_until_gone(project: Project, admin_id: str) -> None:
    """Wait for `git worktree remove`, which is under way, to delete its admin directory."""
    admin = project.repo.admin_root / admin_id
    deadline = time.monotonic() + _WAIT_SECONDS
    while admin.parent == project.repo.admin_root and is_dir(admin):
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL_SECONDS)
