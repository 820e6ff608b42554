"""Changes of a phase's status, and what each of them changes in the phases that depend on it.

All of it inside the caller's transaction.
"""

from __future__ import annotations

from adw_worktree.orchestration.phases.states import (
    BROKEN,
    require_change,
    waiting_status,
)
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.records import Phase, phases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.orchestration.phases.states import Status


def change_status(
    database: Database, phase: Phase, status: Status, *, why: str | None = None
) -> None:
    """Give the phase another status, and its dependents those that follow from it.

    `why` is the message of a failure, or the phase that blocks this one. Raises PhaseNotInState.
    """
    require_change(phase.status, status, f"{phase.feature_id}.{phase.phase_number}")
    at = database.now()
    over = status in BROKEN or status == "completed"
    database.execute(
        "UPDATE phases SET status = ?, error_message = ?, blocked_by = ?, awaits_slot = 0,"
        " resume_at = NULL, ready_at = ?, started_at = ?, ended_at = ? WHERE id = ?",
        [
            status,
            None if status == "blocked" else why,
            why if status == "blocked" else None,
            at if status == "ready" else phase.ready_at,
            at if status == "running" else phase.started_at,
            at if over else None,
            phase.id,
        ],
    )
    if status == "running" or over:
        database.execute("DELETE FROM slotless WHERE phase_id = ?", [phase.id])
    append(
        database,
        f"phase.{status}",
        feature_id=phase.feature_id,
        phase_id=phase.id,
        data={"before": phase.status, "why": why},
    )
    if status == "completed":
        _release(database, phase)
    elif status in BROKEN and phase.status not in BROKEN:
        _block(database, phase)


def _release(database: Database, phase: Phase) -> None:
    """Let the phases start that waited for this one alone; complete its feature with the last."""
    for waiting in _dependents(database, phase):
        if waiting.status == "queued":
            wait_for_needs(database, waiting)
    left = database.execute(
        "SELECT count(*) FROM phases WHERE feature_id = ? AND status <> 'completed'",
        [phase.feature_id],
    )
    if left[0][0] == 0:
        end_feature(database, phase.feature_id, "completed")


def _block(database: Database, phase: Phase) -> None:
    """Block what waits for a phase that will not complete, and what waits for that."""
    for waiting in _dependents(database, phase):
        if waiting.status == "queued":  # what a person holds stays held until it is resumed
            change_status(database, waiting, "blocked", why=f"phase {phase.phase_number}")


def unblock(database: Database, phase: Phase) -> None:
    """Let what a phase blocked wait for it again, unless another phase blocks it as well."""
    for waiting in _dependents(database, phase):
        if waiting.status == "blocked":
            wait_for_needs(database, waiting)
            unblock(database, waiting)


def wait_for_needs(database: Database, phase: Phase) -> None:
    """Give the phase the status that its dependencies call for."""
    needs = needs_of(database, phase)
    status = waiting_status(one.status for one in needs)
    broken = [one.phase_number for one in needs if one.status in BROKEN]
    why = f"phase {broken[0]}" if broken else None
    if status != phase.status:
        change_status(database, phase, status, why=why)


def needs_of(database: Database, phase: Phase) -> list[Phase]:
    """Return the phases that `phase` depends on."""
    where = "id IN (SELECT needs_id FROM dependencies WHERE phase_id = ?)"
    return phases(database, where, [phase.id])


def end_feature(database: Database, feature_id: int, status: str) -> None:
    """Give a feature the status of its end."""
    database.execute(
        "UPDATE features SET status = ?, ended_at = ?,"
        " drafting = CASE WHEN drafting = 'running' THEN ? ELSE drafting END WHERE id = ?",
        [status, database.now(), f"failed: the feature was {status}", feature_id],
    )
    append(database, f"feature.{status}", feature_id=feature_id)


def _dependents(database: Database, phase: Phase) -> list[Phase]:
    where = "id IN (SELECT phase_id FROM dependencies WHERE needs_id = ?)"
    return phases(database, where, [phase.id])
