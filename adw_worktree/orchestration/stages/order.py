"""The order in which an agent leaves its worktree: on its branch, with all of its work committed.

What holds here: what lands is what is committed on the attempt's own branch; what an agent has
written elsewhere is found by what it says that it edited, and is told to a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from adw_worktree.errors import GitFailed
from adw_worktree.orchestration.stages.stage import Bench
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.refs import branch_commit, head_branch, is_ancestor
from adw_worktree.repo.unfinished import unfinished
from adw_worktree.worktrees.files.own_files import work_in


def disorder(bench: Bench, seconds: float) -> str | None:
    """Commit what the agent left uncommitted; return what is wrong with the rest, in a sentence.

    None if all is in order. The commit bears the phase's title; the repository's hooks judge it,
    within so many seconds.
    """
    admin = bench.admin
    waiting = unfinished(admin)
    if waiting is not None:
        return f"{waiting} is not finished in the worktree: finish or abort it"
    branch, own = head_branch(admin), str(bench.lease.branch)
    if branch != own:
        here = f"branch {branch}" if branch is not None else "no branch"
        return f"the worktree is on {here}: bring the work to {own}, and switch to it"
    if not work_in(bench.project, bench.worktree, admin):
        return None
    try:
        _commit(bench, seconds)
    except GitFailed as exc:
        return f"the work cannot be committed: {exc.message}"
    left = work_in(bench.project, bench.worktree, admin)
    return f"the worktree still has uncommitted work: {left}" if left else None


def _commit(bench: Bench, seconds: float) -> None:
    checkout = Checkout(bench.admin, bench.worktree)
    run_git(["add", "--all"], checkout)
    run_git(["commit", "--quiet", "-m", bench.assignment.phase.title], checkout, timeout=seconds)


def head_commit(bench: Bench) -> str | None:
    """Return the commit that the attempt's branch is at."""
    return branch_commit(bench.project.repo.home, str(bench.lease.branch))


def has_commits(bench: Bench) -> bool:
    """Return whether the attempt's branch has a commit that the feature's lacks."""
    home, head = bench.project.repo.home, head_commit(bench)
    tip = branch_commit(home, bench.assignment.feature.branch)
    return head is not None and (tip is None or not is_ancestor(home, head, tip))


def strayed(bench: Bench, edited: Iterable[str]) -> str | None:
    """Return a sentence on the first file of another worktree that the agent says it edited."""
    own = bench.worktree.resolve()
    others = {
        Path(str(lease.path)).resolve(): f"the worktree of {lease.adw_id}"
        for lease in bench.project.pool.leases().values()
        if lease.path is not None and lease.adw_id != bench.lease.adw_id
    }
    others[bench.project.repo.home.resolve()] = "the main worktree"
    for name in edited:
        path = (own / name).resolve()
        if path.is_relative_to(own):
            continue
        inside = [place for place in others if path.is_relative_to(place)]
        if inside:
            # A worktree lies in the main one, most often.
            place = max(inside, key=lambda one: len(one.parts))
            return f"its agent edited {path}, which is in {others[place]}"
    return None
