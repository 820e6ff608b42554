"""The issue of a phase, before it runs and after, and how large it is beside other ways."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from adw_worktree.errors import PhaseNotInState
from adw_worktree.orchestration.issues.document import Place, Subject, how_to_work, issue_text
from adw_worktree.orchestration.issues.size import Sizes, sizes
from adw_worktree.orchestration.running.landing import project_of_feature
from adw_worktree.orchestration.runs.issue_file import issue_file
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.features import plan_text
from adw_worktree.orchestration.store.handovers import handovers
from adw_worktree.orchestration.store.records import Feature, Phase, name_of
from adw_worktree.project import Project


class Preview(NamedTuple):
    """An issue."""

    text: str
    sizes: Sizes


def preview(database: Database, feature: Feature, phase: Phase) -> Preview:
    """Return what the agent of a phase got, or what it would get if it started now.

    Raises PhaseNotInState for a phase of commands, which has none.
    """
    rows = database.execute(
        "SELECT phase_number, prompt FROM phases WHERE feature_id = ? ORDER BY phase_number",
        [feature.id],
    )
    parts = {int(str(number)): prompt for number, prompt in rows}
    part = parts[phase.phase_number]
    if part is None:
        raise PhaseNotInState(
            f"{name_of(feature, phase)} runs commands: no agent gets an issue",
            hint=f"adw-worktree phase show {name_of(feature, phase)}",
        )
    subject = Subject(
        feature.title,
        feature.slug,
        phase.title,
        phase.phase_number,
        len(parts),
        str(part),
        handovers(database, phase),
    )
    project = project_of_feature(feature)
    place = _place(project, phase)
    text = _given(project.state_dir, feature, phase) or issue_text(subject, place)
    others = [str(one) for one in parts.values() if one is not None]
    return Preview(text, sizes(text, plan_text(database, feature), others, how_to_work(place)))


def _given(state_dir: Path, feature: Feature, phase: Phase) -> str | None:
    """Return the issue that the phase's agent got when it started last; None if it has not."""
    if phase.started_at is None:
        return None
    try:
        return issue_file(state_dir, feature.id, phase.phase_number).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _place(project: Project, phase: Phase) -> Place:
    lease = project.pool.leases().get(phase.adw_id)
    if lease is None:
        return Place(phase.adw_id, None, project.settings.env_file)
    return Place(str(lease.branch), {**lease.ports}, project.settings.env_file)
