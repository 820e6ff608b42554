"""Sparse checkouts: which files of a commit a worktree has.

`git worktree add` gives a new worktree the patterns of the one that it is run in.
"""

from __future__ import annotations

from pathlib import Path

from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.repository import Repository, admin_directory
from adw_worktree.system.paths import exists

_SETTINGS = "^core\\.sparsecheckout(cone)?$"


def checkout_here(repo: Repository) -> Checkout:
    """Return the worktree that the command works in; outside of any, the main one."""
    admin = admin_directory(repo.worktree) if repo.worktree else None
    return repo.checkout if admin is None else Checkout(admin, repo.worktree)


def are_equally_sparse(one: Path, other: Path) -> bool:
    """Whether the worktrees of two git directories have the same files of a commit."""
    files = [_patterns(directory) for directory in (one, other)]
    if not any(exists(file) for file in files):
        return True
    return _sparseness(one) == _sparseness(other)


def _patterns(git_directory: Path) -> Path:
    return git_directory / "info" / "sparse-checkout"


def _sparseness(git_directory: Path) -> tuple[bytes, str] | None:
    """Return the patterns and how they are read; None if all files are there."""
    command = ["config", "--type=bool", "-z", "--get-regexp", _SETTINGS]
    told = run_git(command, Checkout(git_directory), check=False).stdout
    if "core.sparsecheckout\ntrue\0" not in told:
        return None
    file = _patterns(git_directory)
    return (file.read_bytes() if exists(file) else b"", told)
