"""What a phase changed: the commits of its last attempt, landed or not."""

from __future__ import annotations

from typing import NamedTuple

from adw_worktree.errors import UnknownPhase
from adw_worktree.orchestration.running.landing import project_of_feature
from adw_worktree.orchestration.runs.run_directory import run_directory
from adw_worktree.orchestration.store.records import Attempt, Feature, Phase, name_of
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.project import Project
from adw_worktree.repo.git import run_git
from adw_worktree.repo.refs import branch_commit
from adw_worktree.repo.shared_branch import shared_branch
from adw_worktree.settings.places import branch_name


class Difference(NamedTuple):
    """What changed between two commits."""

    base: str
    head: str
    patch: str


def difference(feature: Feature, phase: Phase, tried: list[Attempt]) -> Difference:
    """Return what the last attempt of a phase that had a worktree has committed.

    Raises UnknownPhase if none had one, or its commits are gone.
    """
    project = project_of_feature(feature)
    for attempt in reversed(tried):
        if _is_elsewhere(project, feature, attempt):
            landed = _landed(project, feature, attempt)
            if landed is not None:
                return landed
            continue
        head = _head(project, phase, attempt)
        if attempt.base_commit is not None and head is not None:
            return _between(project, attempt.base_commit, head)
    called = name_of(feature, phase)
    raise UnknownPhase(
        f"{called} has changed nothing that is still there",
        hint=f"adw-worktree phase show {called}",
    )


def _between(project: Project, base: str, head: str) -> Difference:
    command = ["diff", "--no-ext-diff", "--no-textconv", base, head, "--"]
    return Difference(base, head, run_git(command, project.repo.checkout).stdout)


def _is_elsewhere(project: Project, feature: Feature, attempt: Attempt) -> bool:
    """Return whether what an attempt has done was done on another host."""
    return feature.added_on is not None and attempt.host != this_host(project.state_dir).name


def _landed(project: Project, feature: Feature, attempt: Attempt) -> Difference | None:
    """Return what an attempt of another host has landed, from the remote; None if it has nothing.

    Raises GitFailed.
    """
    if attempt.head_commit is None or attempt.base_commit is None:
        return None
    branch = shared_branch(project.repo, project.settings.remote, feature.branch)
    if not branch.has(attempt.head_commit):
        branch.fetch(branch.ref)
    # Of a merge, what it brought to the branch.
    asked = ["rev-parse", "--verify", "--quiet", f"{attempt.head_commit}^2"]
    is_merge = run_git(asked, project.repo.home, check=False).returncode == 0
    base = f"{attempt.head_commit}^1" if is_merge else attempt.base_commit
    return _between(project, base, attempt.head_commit)


def _head(project: Project, phase: Phase, attempt: Attempt) -> str | None:
    """Return the last commit of an attempt: what was to land, or where its branch is."""
    heads = run_directory(project.state_dir, attempt.token).noted("shipping", "head")
    return (
        heads[-1]
        if heads
        else branch_commit(project.repo.home, branch_name(project.settings, phase.adw_id))
    )
