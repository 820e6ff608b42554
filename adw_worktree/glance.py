"""What a person sees of a worktree at a glance: its changes, and how far it is from its base."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .errors import GitFailed
from .gitrepo import admin_directory, run_git
from .workstate import status_codes, unfinished

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


def glance(worktree: Path, base: str | None) -> Glance | None:
    """Return what there is in `worktree`, measured at the commit `base`; None if nobody can say."""
    try:
        codes = status_codes(worktree)
        ahead, behind = _distance(worktree, base) if base is not None else (0, 0)
        waiting = unfinished(admin_directory(worktree) or worktree / ".git")
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
    )


def _distance(worktree: Path, base: str) -> tuple[int, int]:
    """Return how many commits HEAD has that `base` has not, and the reverse."""
    command = ["rev-list", "--left-right", "--count", f"{base}...HEAD", "--"]
    answer = run_git(command, worktree, check=False)
    if answer.returncode != 0:  # on a branch without a commit
        return 0, 0
    behind, ahead = map(int, answer.stdout.split())
    return ahead, behind
