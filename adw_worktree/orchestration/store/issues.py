"""Issues of phases on GitHub, as far as the store knows of them."""

from __future__ import annotations

from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.records import Attempt, Event, attempts, events

_CREATED = "issue.created"


def note_issue(database: Database, event: Event, number: int, url: str) -> None:
    """Note the issue of a phase, which an event has led to."""
    with database.transaction():
        database.execute(
            "UPDATE phases SET issue_number = ? WHERE id = ?", [number, event.phase_id]
        )
        append(
            database,
            _CREATED,
            feature_id=event.feature_id,
            phase_id=event.phase_id,
            attempt=event.attempt,
            data={"number": number, "url": url},
        )


def has_made_issue(database: Database, event: Event) -> bool:
    """Return whether the phase has its issue by this very event, or one of the same attempt."""
    return bool(events(database, "attempt = ? AND kind = ?", [event.attempt, _CREATED]))


def attempt_until(database: Database, event: Event) -> Attempt | None:
    """Return the phase's last attempt at the time of an event; it may have had more since."""
    found = attempts(database, "phase_id = ? AND started_at <= ?", [event.phase_id, event.at])
    return found[-1] if found else None
