"""What a phase changed: the commits of its last attempt, landed or not."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from adw_worktree.errors import UnknownPhase
from adw_worktree.orchestration.runs.run_directory import run_directory
from adw_worktree.orchestration.store.records import Attempt, Feature, Phase, name_of
from adw_worktree.project import Project, open_project
from adw_worktree.repo.git import run_git
from adw_worktree.repo.refs import branch_commit
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
    project = open_project(Path(feature.place))
    for attempt in reversed(tried):
        head = _head(project, phase, attempt)
        if attempt.base_commit is not None and head is not None:
            command = ["diff", "--no-ext-diff", "--no-textconv", attempt.base_commit, head, "--"]
            patch = run_git(command, project.repo.checkout).stdout
            return Difference(attempt.base_commit, head, patch)
    called = name_of(feature, phase)
    raise UnknownPhase(
        f"{called} has changed nothing that is still there",
        hint=f"adw-worktree phase show {called}",
    )


def _head(project: Project, phase: Phase, attempt: Attempt) -> str | None:
    """Return the last commit of an attempt: what was to land, or where its branch is."""
    heads = run_directory(project.state_dir, attempt.token).noted("shipping", "head")
    return (
        heads[-1]
        if heads
        else branch_commit(project.repo.home, branch_name(project.settings, phase.adw_id))
    )
