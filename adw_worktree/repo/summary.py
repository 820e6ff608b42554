"""What a person sees of a worktree at a glance: its changes, and how far it is from its base."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from adw_worktree.errors import GitFailed
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.repository import admin_directory
from adw_worktree.repo.status import status_codes
from adw_worktree.repo.unfinished import unfinished

_CONFLICTS = frozenset({"DD", "AU", "UD", "UA", "DU", "AA", "UU"})


class Glance(NamedTuple):
    """How much there is of each; nothing at all in a worktree that is as its base."""

    conflicts: int = 0
    staged: int = 0
    changed: int = 0
    """Files that are not as they are staged or committed."""
    untracked: int = 0
    unfinished: str | None = None
    """The operation that waits for its user."""
    ahead: int = 0
    behind: int = 0
    rebased: str | None = None
    """The branch that is being rebased, from which HEAD is detached meanwhile."""


def glance(worktree: Path, base: str | None) -> Glance | None:
    """Return what there is in `worktree`, measured at the commit `base`; None if nobody can say."""
    try:
        git_directory = admin_directory(worktree) or worktree / ".git"
        codes = status_codes(Checkout(git_directory, worktree))
        ahead, behind = _distance(worktree, base) if base is not None else (0, 0)
        waiting, rebased = unfinished(git_directory), _rebased(git_directory)
    except (GitFailed, OSError):
        return None
    conflicts = sum(code in _CONFLICTS for code in codes)
    others = [code for code in codes if code not in _CONFLICTS and code != "??"]
    return Glance(
        conflicts,
        sum(code[:1] != " " for code in others),
        sum(code[1:] != " " for code in others),
        codes.count("??"),
        waiting,
        ahead,
        behind,
        rebased,
    )


def _rebased(git_directory: Path) -> str | None:
    for name in ("rebase-merge", "rebase-apply"):
        with suppress(FileNotFoundError):
            text = (
                (git_directory / name / "head-name").read_bytes().decode(errors="surrogateescape")
            )
            if text.startswith("refs/heads/"):  # and not `detached HEAD`
                return text.removeprefix("refs/heads/").rstrip("\n")
    return None


def _distance(worktree: Path, base: str) -> tuple[int, int]:
    """Return how many commits HEAD has that `base` has not, and the reverse."""
    command = ["rev-list", "--left-right", "--count", f"{base}...HEAD", "--"]
    answer = run_git(command, worktree, check=False)
    if answer.returncode != 0:  # on a branch without a commit
        return 0, 0
    behind, ahead = map(int, answer.stdout.split())
    return ahead, behind
