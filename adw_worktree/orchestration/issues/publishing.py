"""Publishing: what each event of a feature does to the issues of its phases on GitHub.

What holds here: an event may come again after a crash, at any step, and nothing is there twice by
it: issues and comments are looked for by their marks before they are made.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from adw_worktree.orchestration.issues.github import GitHub
from adw_worktree.orchestration.issues.repository import github_repository
from adw_worktree.orchestration.issues.text import (
    begun,
    body_of,
    ended_from_outside,
    labels_of,
    mark_of,
    over,
    title_of,
)
from adw_worktree.orchestration.issues.token import require_token
from adw_worktree.orchestration.store.calls import last_answer
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.deliveries import Undeliverable
from adw_worktree.orchestration.store.issues import (
    attempt_until,
    has_made_issue,
    note_issue,
)
from adw_worktree.orchestration.store.records import Event, Feature, Phase, phases
from adw_worktree.project import open_project
from adw_worktree.system.faults import reached

_BEGUN = "phase.issue"
_OVER = ("phase.completed", "phase.failed", "phase.cancelled", "phase.blocked")


def publish(database: Database, feature: Feature, event: Event) -> None:
    """Do on GitHub what an event asks for. Raises NotDelivered, AdwError."""
    if event.kind not in (_BEGUN, *_OVER):
        return
    [phase] = phases(database, "id = ?", [event.phase_id])
    if event.kind in _OVER and phase.issue_number is None:
        return
    repository = github_repository(open_project(Path(feature.place)))
    with GitHub(repository, require_token(repository)) as github:
        if event.kind in _OVER:
            _end(database, github, feature, phase, event)
        elif phase.issue_number is None:
            _create(database, github, feature, phase, event)
        elif not has_made_issue(database, event):
            _begin_again(database, github, feature, phase, event)


def _create(
    database: Database, github: GitHub, feature: Feature, phase: Phase, event: Event
) -> None:
    """Create the phase's issue, unless it is there."""
    mark, labels = mark_of(feature, phase), labels_of(feature, phase)
    text = _text(event)
    issue = github.find(datetime.fromisoformat(event.at), mark)
    if issue is None:
        issue = github.create(title_of(feature, phase), body_of(mark, text), labels)
        reached("issue.created")
    note_issue(database, event, issue.number, issue.html_url)


def _text(event: Event) -> str:
    """Return the text that was written when the phase started. Raises Undeliverable."""
    data = json.loads(event.data)
    if data["error"] is not None:
        raise Undeliverable(data["error"])
    try:
        return Path(data["path"]).read_text(errors="replace")
    except OSError as exc:
        raise Undeliverable(f"{data['path']} cannot be read: {exc.strerror}") from exc


def _begin_again(
    database: Database, github: GitHub, feature: Feature, phase: Phase, event: Event
) -> None:
    mark, number = mark_of(feature, phase, event), int(str(phase.issue_number))
    _comment(github, number, mark, begun(mark, attempt_until(database, event)))
    github.reopen(number)


def _end(database: Database, github: GitHub, feature: Feature, phase: Phase, event: Event) -> None:
    """Say how the phase ended, and close its issue if that is for good."""
    mark, number = mark_of(feature, phase, event), int(str(phase.issue_number))
    how, why = event.kind.removeprefix("phase."), json.loads(event.data)["why"] or ""
    if how in ("completed", "failed"):
        attempt = attempt_until(database, event)
        answer = "" if attempt is None else last_answer(database, attempt.token)
        text = over(mark, how, attempt, why, answer)
    else:  # by a person, or by another phase, whatever its own last attempt did
        text = ended_from_outside(mark, how, why)
    _comment(github, number, mark, text)
    if how == "completed":
        github.close(number, "completed")
    elif how == "cancelled":
        github.close(number, "not_planned")


def _comment(github: GitHub, number: int, mark: str, text: str) -> None:
    if not github.has_comment(number, mark):
        github.comment(number, text)
        reached("issue.commented")
