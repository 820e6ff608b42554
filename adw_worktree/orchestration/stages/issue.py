"""The issue of an attempt's phase, as its agents get it."""

from __future__ import annotations

from adw_worktree.orchestration.issues.document import Place, Subject, issue_text
from adw_worktree.orchestration.runs.assignment import Assignment
from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project


def issue_of(project: Project, lease: Lease, assignment: Assignment) -> str:
    """Return the issue of an attempt that is under way in the worktree of `lease`."""
    task, feature, phase = assignment.task, assignment.feature, assignment.phase
    part, count, before = (
        ("", 1, ()) if task is None else (task.prompt, task.phases, task.handovers)
    )
    subject = Subject(
        feature.title, feature.slug, phase.title, phase.phase_number, count, part, before
    )
    place = Place(str(lease.branch), {**lease.ports}, project.settings.env_file)
    return issue_text(subject, place)
