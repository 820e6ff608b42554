"""Remotes and the branches that they have, by names that may hold a slash."""

from __future__ import annotations

import os
from collections.abc import Sequence

from adw_worktree.repo.git import run_git
from adw_worktree.repo.repository import Repository
from adw_worktree.system.paths import exists

_PREFIX = "refs/remotes/"


def remotes(repo: Repository) -> list[str]:
    """Return the names of the remotes."""
    return run_git(["remote"], repo.checkout).stdout.split("\n")[:-1]


def may_have_branches(repo: Repository) -> bool:
    """Whether some remote may have been fetched from, without asking git."""
    refs = repo.common_dir / "refs" / "remotes"
    packed = ("packed-refs", "reftable")
    return any(exists(repo.common_dir / name) for name in packed) or (
        exists(refs) and bool(os.listdir(refs))
    )


def preferred_remote(repo: Repository, setting: str | None) -> str:
    """Return the remote that is meant where more than one could be."""
    if setting is not None:
        return setting
    told = run_git(["config", "--get", "checkout.defaultRemote"], repo.checkout, check=False).stdout
    return told.removesuffix("\n") or "origin"


def remote_ref(remote: str, branch: str) -> str:
    """Return the ref that has the branch as it was when the remote was last fetched from."""
    return f"{_PREFIX}{remote}/{branch}"


def branch_on_remote(ref: str, names: Sequence[str]) -> str | None:
    """Return the branch of one of the remotes `names` that the ref stands for, or None."""
    owners = [name for name in names if ref.startswith(f"{_PREFIX}{name}/")]
    if not ref.startswith(_PREFIX):
        return None
    # A remote that is gone has left its refs: its name had no slash, most likely.
    owner = max(owners, key=len, default=ref.removeprefix(_PREFIX).partition("/")[0])
    return ref.removeprefix(f"{_PREFIX}{owner}/")
