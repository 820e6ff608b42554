"""Moving a spare to where it becomes an ADW's worktree.

What holds here: at every moment git's entry and the worktree's `.git` lead to each other, or the
entry leads to where the worktree is to be: so whoever finds it half-way can undo it.
"""

from __future__ import annotations

from pathlib import Path

from adw_worktree.project import Project
from adw_worktree.repo.repository import has_relative_way, name_admin, name_worktree
from adw_worktree.repo.worktrees import git_lock
from adw_worktree.system.faults import reached
from adw_worktree.system.sharing import move_to


def place(project: Project, name: str, path: Path) -> Path:
    """Move a claimed spare to `path`; return its admin directory.

    Git is told first, so that whoever undoes a half-made worktree at `path` finds it in git's
    list. Raises OSError, with the spare where it was.
    """
    admin, tree = project.repo.admin_root / name, project.repo.spares_dir / name
    with git_lock(project.repo, project.settings):
        relative = has_relative_way(admin)
        if relative:
            name_admin(tree, admin)  # or it would lead elsewhere from its new place
        name_worktree(admin, path)
        try:
            move_to(tree, path, like=project.repo.common_dir)
            reached("spare.placed")
        except OSError:
            name_worktree(admin, tree)
            raise
        if relative:
            name_worktree(admin, path, relative=True)
            name_admin(path, admin, relative=True)
        (admin / "locked").unlink(missing_ok=True)
        reached("spare.unlocked")
    return admin
