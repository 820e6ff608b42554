"""Whether a branch's work is elsewhere, so that deleting it loses nothing."""

from __future__ import annotations

from adw_worktree.repo.git import run_git
from adw_worktree.repo.refs import branch_commit, resolve_commit
from adw_worktree.repo.repository import (
    Repository,
)


def is_on_a_ref(repo: Repository, commit: str, *, but: str | None = None) -> bool:
    """Whether some branch or tag other than `but` (a full ref name) has `commit`."""
    command = ["for-each-ref", "--format=%(refname)", f"--contains={commit}"]
    kinds = ["refs/heads", "refs/remotes", "refs/tags"]
    told = run_git([*command, *kinds], repo.home, check=False).stdout
    # Not splitlines(): a branch may have U+2028 in its name, and be taken for two.
    return any(holder not in ("", but) for holder in told.split("\n"))


def is_integrated(repo: Repository, branch: str, base: str) -> bool:
    """Whether the work of `branch` is elsewhere, so that deleting the branch loses nothing.

    It is if another ref has its commits; or if merging it into `base`, or into what HEAD of the
    main worktree is on, would change nothing (squash merge), or every commit of it is there as an
    equal patch (rebase, cherry-pick).
    """
    commit = branch_commit(repo.home, branch)
    if commit is None or is_on_a_ref(repo, commit, but=f"refs/heads/{branch}"):
        return True
    targets = {resolve_commit(repo.home, name) for name in (base, "HEAD", "origin/HEAD")}
    return any(
        target != commit and is_contained(repo, commit, target)
        for target in targets
        if target is not None
    )


def is_contained(repo: Repository, commit: str, target: str) -> bool:
    """Whether merging `commit` into `target` would bring nothing that is not there."""
    return _adds_nothing(repo, target, commit) or _is_picked(repo, target, commit)


def _adds_nothing(repo: Repository, target: str, commit: str) -> bool:
    """Whether merging `commit` into `target` gives the tree of `target` (git ≥ 2.38)."""
    merged = run_git(["merge-tree", "--write-tree", target, commit], repo.checkout, check=False)
    tree = run_git(["rev-parse", f"{target}^{{tree}}"], repo.home, check=False)
    return merged.returncode == 0 and merged.stdout.strip() == tree.stdout.strip()


def _is_picked(repo: Repository, target: str, commit: str) -> bool:
    """Whether `target` has an equal patch for every commit it lacks (git-cherry(1))."""
    answer = run_git(["cherry", target, commit], repo.home, check=False)
    lines = answer.stdout.splitlines()
    merges = run_git(["rev-list", "--merges", "--max-count=1", f"{target}..{commit}"], repo.home)
    picked = all(line.startswith("-") for line in lines)
    return answer.returncode == 0 and picked and not merges.stdout.strip()
