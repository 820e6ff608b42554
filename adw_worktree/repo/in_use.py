"""Which worktree uses a branch: it is checked out there, or something in progress comes back to it.

Git lets no other worktree have it meanwhile.
"""

from __future__ import annotations

import os
from pathlib import Path

from adw_worktree.repo.refs import head_branch
from adw_worktree.repo.repository import (
    Repository,
    admin_directories,
    list_worktrees,
    worktree_of_admin,
)
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists

_HEADS = "refs/heads/"


class BranchUse(NamedTuple):
    """A worktree that uses a branch."""

    git_directory: Path
    worktree: Path
    checked_out: bool
    """Whether HEAD is on it; else a rebase or bisection has taken HEAD off it."""


def use_of(repo: Repository, branch: str) -> BranchUse | None:
    """Return what uses the branch, or None. Reads files, as a rule.

    A HEAD can be on a branch that is not born yet, and whose first commit would be made there.
    """
    places = {admin: worktree_of_admin(admin) for admin in admin_directories(repo.admin_root)}
    heads: dict[Path, str | None] | None = None
    if exists(repo.common_dir / "reftable"):  # there HEAD is no file; git tells of all at once
        heads = {entry.path: entry.branch for entry in list_worktrees(repo.home)}
    for directory, worktree in {repo.common_dir: repo.main, **places}.items():
        if worktree is None:
            continue  # bare, or half-made: nobody works there
        head = head_branch(directory) if heads is None else heads.get(worktree)
        if head == branch:
            return BranchUse(directory, worktree, checked_out=True)
        if is_worked_on(directory, branch):
            return BranchUse(directory, worktree, checked_out=False)
    return None


def is_worked_on(git_directory: Path, branch: str) -> bool:
    """Whether a rebase or bisection has taken the branch off HEAD, or moves it at its end."""
    ref = f"{_HEADS}{branch}"
    for name, wanted in (
        ("rebase-merge/head-name", ref),
        ("rebase-apply/head-name", ref),
        ("BISECT_START", branch),
    ):
        if _text(git_directory / name).rstrip("\n") == wanted:
            return True
    # Three lines for each branch that `git rebase --update-refs` moves along.
    return ref in _text(git_directory / "rebase-merge" / "update-refs").split("\n")[::3]


def _text(file: Path) -> str:
    try:
        return os.fsdecode(file.read_bytes())
    except OSError:
        return ""
