"""Whether a branch's work is elsewhere, so that deleting it loses nothing."""

from __future__ import annotations

from adw_worktree.repo.git import run_git
from adw_worktree.repo.refs import (
    branch_commit,
    head_branch,
    is_ancestor,
    resolve_base,
    resolve_commit,
)
from adw_worktree.repo.repository import Repository


def is_on_a_ref(repo: Repository, commit: str, *, but: str | None = None) -> bool:
    """Whether some branch or tag other than `but` (a full ref name) has `commit`."""
    command = ["for-each-ref", "--format=%(refname)", f"--contains={commit}"]
    kinds = ["refs/heads", "refs/remotes", "refs/tags"]
    told = run_git([*command, *kinds], repo.home, check=False).stdout
    # Not splitlines(): a branch may have U+2028 in its name, and be taken for two.
    return any(holder not in ("", but) for holder in told.split("\n"))


def is_integrated(repo: Repository, branch: str, base: str) -> bool:
    """Whether the work of `branch` is elsewhere, so that deleting the branch loses nothing.

    It is if another ref has its commits; or if merging it into one of `_targets` would change
    nothing (squash merge), or every commit of it is there as an equal patch (rebase, cherry-pick).
    """
    commit = branch_commit(repo.home, branch)
    if commit is None or is_on_a_ref(repo, commit, but=f"refs/heads/{branch}"):
        return True
    targets = _targets(repo, base)
    return any(target != commit and is_contained(repo, commit, target) for target in targets)


def is_begun(repo: Repository, branch: str, base: str) -> bool:
    """Whether somebody has worked on `branch` since it was made.

    Its log tells, which has a commit for each step, and the one before the first. Without a log,
    one whose commit is a step of a target's own was perhaps only made.
    """
    log = ["rev-list", "--walk-reflogs", f"refs/heads/{branch}", "--"]
    steps = set(run_git(log, repo.home, check=False).stdout.split())
    if steps:
        return len(steps) > 1
    commit = branch_commit(repo.home, branch)
    return commit is not None and not any(
        _is_step(repo, commit, target) for target in _targets(repo, base)
    )


def _is_step(repo: Repository, commit: str, target: str) -> bool:
    """Whether `target` was at `commit` on its own way, not by what was merged into it."""
    command = ["rev-list", "--first-parent", "--parents", f"{commit}..{target}"]
    later = run_git(command, repo.home, check=False).stdout.split("\n")[:-1]
    if not later:
        return is_ancestor(repo.home, target, commit) and is_ancestor(repo.home, commit, target)
    return commit in later[-1].split()[1:2]


def _targets(repo: Repository, base: str) -> set[str]:
    """Return the commits of what work goes into: `base`, the branch of the main worktree, and each
    remote's default branch and branches of those names."""
    main = head_branch(repo.common_dir)
    names = {"HEAD", base, *([main] if main else [])}
    patterns = [f"refs/remotes/**/{name}" for name in sorted(names)]
    listed = run_git(["for-each-ref", "--format=%(objectname)", "--", *patterns], repo.home,
                     check=False).stdout  # fmt: skip
    here = (resolve_base(repo.home, base), resolve_commit(repo.home, "HEAD"))
    return {*listed.split(), *(commit for commit in here if commit is not None)}


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
