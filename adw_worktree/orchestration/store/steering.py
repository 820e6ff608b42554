"""What a person changes: pause, resume, cancel, retry, the limit. Each is one transaction.

What holds here: a running phase that is paused or cancelled gets its new status at once; its
attempt is asked to stop, and holds its place until it has ended.
"""

from __future__ import annotations

from adw_worktree.errors import PhaseNotInState
from adw_worktree.orchestration.store.calls import agents_of_phase, forget_limits
from adw_worktree.orchestration.store.changes import (
    change_status,
    end_feature,
    needs_of,
    unblock,
    wait_for_needs,
)
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.features import (
    find_feature,
    find_phase,
    require_free_slug,
    require_running,
)
from adw_worktree.orchestration.store.records import (
    Attempt,
    Phase,
    attempts,
    name_of,
    phases,
    stages,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from adw_worktree.orchestration.phases.states import Status


def pause_phase(database: Database, name: str) -> Phase:
    """Hold a phase; a running one is stopped, and goes on in its worktree after `resume_phase`.

    Raises UnknownPhase, PhaseNotInState.
    """
    return _stop(database, name, "paused", "pause")


def resume_phase(database: Database, name: str) -> Phase:
    """Let a paused phase go on. Raises UnknownPhase, PhaseNotInState."""
    with database.transaction():
        _, phase = find_phase(database, name)
        if phase.status != "paused":
            raise PhaseNotInState(
                f"{name} is {phase.status}, not paused", hint=f"adw-worktree phase show {name}"
            )
        if phase.resume_at is not None:
            forget_limits(database, phase)
        wait_for_needs(database, phase)
        return _again(database, phase)


def cancel_phase(database: Database, name: str) -> Phase:
    """End a phase for good; those that depend on it are blocked.

    Raises UnknownPhase, PhaseNotInState.
    """
    return _stop(database, name, "cancelled", "cancel")


def _stop(database: Database, name: str, status: Status, how: str) -> Phase:
    """Give a phase a status in which it does not run, once, and ask its attempt to stop."""
    with database.transaction():
        _, phase = find_phase(database, name)
        if phase.status != status:
            change_status(database, phase, status)
            _ask_to_stop(database, phase, how)
        elif phase.resume_at is not None:  # held by a limit so far, by a person from now on
            database.execute("UPDATE phases SET resume_at = NULL WHERE id = ?", [phase.id])
            append(database, "phase.held", feature_id=phase.feature_id, phase_id=phase.id)
        return _again(database, phase)


def retry_phase(database: Database, name: str, budget_usd: float | None = None) -> Phase:
    """Let a phase that failed, was cancelled, or waits for a person run again.

    Those that it blocked wait for it again. `budget_usd` is its budget from now on, with what it
    has cost so far. Raises UnknownPhase, PhaseNotInState.
    """
    with database.transaction():
        feature, phase = find_phase(database, name)
        if budget_usd is not None:
            database.execute(
                "UPDATE phases SET budget_usd = ? WHERE id = ?", [budget_usd, phase.id]
            )
        require_running(feature)
        called = name_of(feature, phase)
        if phase.status == "blocked":
            broken = [one for one in needs_of(database, phase) if one.status != "completed"]
            hints = [f"adw-worktree phase retry {name_of(feature, one)}" for one in broken[:1]]
            raise PhaseNotInState(f"{called} is blocked by {phase.blocked_by}", hint=hints[0])
        if phase.status not in ("failed", "cancelled", "review"):
            raise PhaseNotInState(
                f"{called} is {phase.status}: there is nothing to repeat",
                hint=f"adw-worktree phase show {called}",
            )
        if attempts(database, "phase_id = ? AND ended_at IS NULL", [phase.id]):
            _raise_alive(called)
        _repeat(database, phase)
        return _again(database, phase)


def approve_phase(database: Database, name: str) -> Phase:
    """Let a phase go on that waits for an approval. Raises UnknownPhase, PhaseNotInState."""
    with database.transaction():
        _, phase = find_phase(database, name)
        attempt = _in_review(database, phase, name)
        if attempt.stage is None or not _awaits_approval(database, attempt):
            raise PhaseNotInState(
                f"{name} waits for a person, but not for an approval: {phase.error_message}",
                hint=f"adw-worktree phase retry {name}, or phase reject {name} -m ANSWER",
            )
        _judge(database, phase, attempt, "approved", None)
        return _again(database, phase)


def reject_phase(database: Database, name: str, message: str) -> Phase:
    """Send a phase that waits for a person back to its agent, with a comment or an answer.

    Raises UnknownPhase, PhaseNotInState.
    """
    with database.transaction():
        _, phase = find_phase(database, name)
        attempt = _in_review(database, phase, name)
        if not agents_of_phase(database, phase):
            raise PhaseNotInState(
                f"{name} has no agent that could take the comment",
                hint=f"adw-worktree phase retry {name}",
            )
        _judge(database, phase, attempt, "rejected", message)
        return _again(database, phase)


def _in_review(database: Database, phase: Phase, name: str) -> Attempt:
    """Return the last attempt of a phase that waits for a person. Raises PhaseNotInState."""
    found = attempts(database, "phase_id = ?", [phase.id])
    if phase.status != "review" or not found:
        raise PhaseNotInState(
            f"{name} is {phase.status}: it waits for nobody", hint=f"adw-worktree phase show {name}"
        )
    return found[-1]


def _awaits_approval(database: Database, attempt: Attempt) -> bool:
    found = stages(database, attempt.token)
    return bool(found) and found[-1].kind == "approve" and found[-1].status == "waiting"


def _judge(
    database: Database, phase: Phase, attempt: Attempt, verdict: str, message: str | None
) -> None:
    database.execute(
        "UPDATE attempts SET verdict = ?, verdict_message = ? WHERE token = ?",
        [verdict, message, attempt.token],
    )
    data = {"verdict": verdict, "message": message}
    append(database, "phase.judged", feature_id=phase.feature_id, phase_id=phase.id,
           attempt=attempt.token, data=data)  # fmt: skip
    wait_for_needs(database, phase)


def retry_feature(database: Database, name: str, budget_usd: float | None = None) -> None:
    """Let every phase of a feature that failed, was cancelled, or waits for a person run again.

    A cancelled feature goes on. `budget_usd` is its budget from now on, with what it has cost so
    far. Raises UnknownPhase, PhaseNotInState, FeatureExists.
    """
    with database.transaction():
        feature = find_feature(database, name)
        if budget_usd is not None:
            database.execute(
                "UPDATE features SET budget_usd = ? WHERE id = ?", [budget_usd, feature.id]
            )
        ended = phases(
            database,
            "feature_id = ? AND status IN ('failed', 'cancelled', 'review')",
            [feature.id],
            order="phase_number",
        )
        if not ended:
            raise PhaseNotInState(
                f"no phase of feature {feature.slug} has failed: there is nothing to repeat",
                hint=f"adw-worktree feature show {feature.slug}",
            )
        stopping = "ended_at IS NULL AND phase_id IN (SELECT id FROM phases WHERE feature_id = ?)"
        alive = {one.phase_id for one in attempts(database, stopping, [feature.id])}
        for phase in ended:
            if phase.id in alive:
                _raise_alive(name_of(feature, phase))
        if feature.status == "cancelled":
            require_free_slug(database, feature.slug, feature.repository)
            database.execute(
                "UPDATE features SET status = 'running', ended_at = NULL WHERE id = ?", [feature.id]
            )
            append(database, "feature.running", feature_id=feature.id)
        for phase in ended:
            _repeat(database, _again(database, phase))


def _repeat(database: Database, phase: Phase) -> None:
    """Let a phase run again, and those that it blocked wait for it."""
    database.execute("UPDATE phases SET losses = 0 WHERE id = ?", [phase.id])
    wait_for_needs(database, phase)
    unblock(database, phase)


def _raise_alive(called: str) -> NoReturn:
    raise PhaseNotInState(
        f"the last attempt of {called} has not ended yet",
        hint=f"repeat in a moment; adw-worktree phase show {called}",
    )


def pause_feature(database: Database, name: str) -> None:
    """Start nothing more of a feature; what runs goes on. Raises UnknownPhase, PhaseNotInState."""
    _set_feature(database, name, "paused")


def resume_feature(database: Database, name: str) -> None:
    """Let a paused feature go on. Raises UnknownPhase, PhaseNotInState."""
    _set_feature(database, name, "running")


def _set_feature(database: Database, name: str, status: str) -> None:
    with database.transaction():
        feature = find_feature(database, name)
        require_running(feature)
        if feature.status != status:
            database.execute("UPDATE features SET status = ? WHERE id = ?", [status, feature.id])
            append(database, f"feature.{status}", feature_id=feature.id)


def cancel_feature(database: Database, name: str) -> list[Phase]:
    """End a feature: cancel every phase that is not completed; return those phases.

    Raises UnknownPhase, PhaseNotInState.
    """
    with database.transaction():
        feature = find_feature(database, name)
        if feature.status != "added":
            require_running(feature)
        doomed = phases(database, "feature_id = ? AND status <> 'completed'", [feature.id])
        for phase in doomed:
            present = _again(database, phase)  # the one before may have blocked it
            if present.status != "cancelled":
                change_status(database, present, "cancelled")
                _ask_to_stop(database, phase, "cancel")
        end_feature(database, feature.id, "cancelled")
        return doomed


def set_feature_priority(database: Database, name: str, priority: int) -> None:
    """Give a feature, and its phases that wait, another priority. Raises UnknownPhase."""
    with database.transaction():
        feature = find_feature(database, name)
        database.execute("UPDATE features SET priority = ? WHERE id = ?", [priority, feature.id])
        database.execute(
            "UPDATE phases SET priority = ? WHERE feature_id = ? AND status <> 'completed'",
            [priority, feature.id],
        )
        append(database, "feature.priority", feature_id=feature.id, data={"priority": priority})


def set_limit(database: Database, most: int) -> None:
    """Let at most `most` phases run at once; what runs is not stopped."""
    with database.transaction():
        if database.execute("SELECT 1 FROM gate WHERE id = 1 AND max_running = ?", [most]):
            return
        database.execute("UPDATE gate SET max_running = ? WHERE id = 1", [most])
        append(database, "limit", data={"max_running": most})


def asked_to_stop(database: Database, host: str) -> list[Attempt]:
    """Return the attempts on `host` that were asked to stop and have not ended."""
    return attempts(database, "host = ? AND ended_at IS NULL AND stop IS NOT NULL", [host])


def _ask_to_stop(database: Database, phase: Phase, how: str) -> None:
    database.execute(
        "UPDATE attempts SET stop = ? WHERE phase_id = ? AND ended_at IS NULL", [how, phase.id]
    )


def _again(database: Database, phase: Phase) -> Phase:
    [present] = phases(database, "id = ?", [phase.id])
    return present
