"""The linked worktrees whose directories are there, and the lease that each tells of."""

from __future__ import annotations

from pathlib import Path

from adw_worktree.pool.env_header import load_header
from adw_worktree.pool.ledger import lease_of_env_file
from adw_worktree.pool.receipts import load_receipt
from adw_worktree.project import Project
from adw_worktree.repo.repository import (
    WorktreeEntry,
    admin_directory,
    list_worktrees,
    worktree_of_admin,
)
from adw_worktree.system.paths import is_dir
from adw_worktree.worktrees.reconcile_plan import Seen


def look(project: Project) -> list[Seen]:
    """Return the linked worktrees whose directories are there, without spares."""
    found = (seen_at(project, entry) for entry in list_worktrees(project.repo.home))
    return [seen for seen in found if seen is not None]


def seen_at(project: Project, entry: WorktreeEntry) -> Seen | None:
    """Return the linked worktree that git lists; None if it is not there, another's, or a spare."""
    admin = admin_directory(entry.path)
    # A copy of a repository lists the worktrees of the original.
    if admin is None or not is_dir(admin) or not _is_in(admin, project.repo.admin_root):
        return None
    if worktree_of_admin(admin) != entry.path:
        return None  # its `.git` file is a copy of another worktree's
    if project.repo.is_spare(entry.path):
        return None
    receipt = load_receipt(admin)
    told = receipt or lease_of_env_file(admin, project.settings)
    header = load_header(entry.path / project.settings.env_file)
    return Seen(entry.path, admin, entry.branch, header, told, receipt is not None)


def _is_in(admin: Path, admin_root: Path) -> bool:
    try:
        return admin.parent.samefile(admin_root)
    except FileNotFoundError:  # git removes the directory with the last worktree
        return False
