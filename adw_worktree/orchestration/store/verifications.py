"""Features that are verified some time after they have landed, and what follows from it.

What holds here: a failure reverts nothing. It makes a follow-up phase, with which the feature goes
on and lands once more; there are as many of those as its verification allows.
"""

from __future__ import annotations

from adw_worktree.orchestration.store.changes import change_status
from adw_worktree.orchestration.store.database import Database, placeholders
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.records import OPEN, Feature, features, phases
from adw_worktree.system.named_tuple import NamedTuple

TITLE = "Follow up what verify has found"


class FollowUp(NamedTuple):
    """A phase that follows from a failure."""

    phase_number: int
    title: str


def to_verify(database: Database, host: str) -> list[Feature]:
    """Return the features that `host` is to verify, and whose time has come."""
    return features(database, "verify_at <= ? AND host = ?", [database.now(), host])


def next_verification(database: Database, host: str) -> str | None:
    """Return the earliest time at which `host` is to verify a feature."""
    [[at]] = database.execute(
        "SELECT min(verify_at) FROM features WHERE verify_at IS NOT NULL AND host = ?", [host]
    )
    return None if at is None else str(at)


def note_verification(database: Database, feature: Feature, why: str | None) -> None:
    """Note what came of a verification: it has passed, or `why` it has not."""
    with database.transaction():
        _note(database, feature, why)


def follow_up(
    database: Database, feature: Feature, why: str, prompt: str, most: int
) -> FollowUp | None:
    """Note that a verification has failed, and add the phase that follows.

    None if there were `most` of them already, if no phase of the feature has agents, or if another
    feature has its name by now: then nothing is added.
    """
    with database.transaction():
        _note(database, feature, why)
        [present] = features(database, "id = ?", [feature.id])
        found = phases(database, "feature_id = ?", [feature.id], order="phase_number")
        before = sum(phase.title == TITLE for phase in found)
        if present.status != "completed" or before >= most or _has_rival(database, present):
            return None
        return _add(database, present, prompt)


def _note(database: Database, feature: Feature, why: str | None) -> None:
    how = "passed" if why is None else f"failed: {why}"
    database.execute(
        "UPDATE features SET verified = ?, verify_at = NULL WHERE id = ?", [how, feature.id]
    )
    kind = "feature.verified" if why is None else "feature.verify-failed"
    append(database, kind, feature_id=feature.id, data={"message": why})


def _has_rival(database: Database, feature: Feature) -> bool:
    return bool(
        features(
            database,
            f"slug = ? AND repository = ? AND id <> ? AND status IN ({placeholders(OPEN)})",
            [feature.slug, feature.repository, feature.id, *OPEN],
        )
    )


def _add(database: Database, feature: Feature, prompt: str) -> FollowUp | None:
    """Add the phase, as the last one with agents was, and let the feature go on."""
    rows = database.execute(
        "SELECT id, phase_number FROM phases WHERE feature_id = ? AND prompt IS NOT NULL"
        " ORDER BY phase_number DESC LIMIT 1",
        [feature.id],
    )
    if not rows:
        return None
    [[last]] = database.execute(
        "SELECT max(phase_number) FROM phases WHERE feature_id = ?", [feature.id]
    )
    number, at = int(str(last)) + 1, database.now()
    [[added]] = database.execute(
        "INSERT INTO phases (feature_id, phase_number, title, commands, changes, timeout_seconds,"
        " attempts_allowed, priority, queue_position, status, adw_id, created_at, prompt,"
        " workflow, workflow_digest, agents)"
        " SELECT feature_id, ?, ?, '[]', 'commits', timeout_seconds, attempts_allowed, priority,"
        " ?, 'queued', ?, ?, ?, workflow, workflow_digest, agents FROM phases WHERE id = ?"
        " RETURNING id",
        [number, TITLE, number, f"{feature.slug}-p{number}", at, prompt, rows[0][0]],
    )
    database.execute(
        "UPDATE features SET status = 'running', ended_at = NULL, landing = NULL WHERE id = ?",
        [feature.id],
    )
    append(database, "feature.running", feature_id=feature.id)
    [phase] = phases(database, "id = ?", [int(str(added))])
    append(database, "phase.queued", feature_id=feature.id, phase_id=phase.id)
    change_status(database, phase, "ready")
    return FollowUp(number, TITLE)
