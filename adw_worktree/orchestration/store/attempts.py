"""Attempts: claimed, watched and ended. Each of these is one transaction.

What holds here: a phase has at most one attempt that has not ended; a place is taken by such an
attempt, not by the phase's status; whatever an attempt writes changes nothing once it has ended.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from adw_worktree.errors import StaleAttempt
from adw_worktree.orchestration.phases.states import status_after
from adw_worktree.orchestration.store.calls import (
    allowance,
    hold_limited,
    pause_until,
)
from adw_worktree.orchestration.store.changes import change_status
from adw_worktree.orchestration.store.checklists import ChecklistItem, checklist, concerns_before
from adw_worktree.orchestration.store.claimable import (
    claimable,
    fair_share,
    others_could_start,
    runs_or_may_start,
)
from adw_worktree.orchestration.store.database import Database, placeholders
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.handovers import Handover, handovers
from adw_worktree.orchestration.store.hosts import gone, place_on, running_on
from adw_worktree.orchestration.store.journal import take_entries, tell
from adw_worktree.orchestration.store.landings import to_land
from adw_worktree.orchestration.store.records import (
    Attempt,
    Feature,
    Phase,
    attempts,
    features,
    name_of,
    phase_of,
    phases,
)
from adw_worktree.orchestration.store.verifications import next_verification
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adw_worktree.orchestration.phases.states import EndReason


_MOST_FALSE_STARTS = 5


class Task(NamedTuple):
    """What agents are to do in a phase."""

    prompt: str
    workflow: str
    """As JSON."""
    phases: int
    """How many phases the feature has."""
    handovers: tuple[Handover, ...] = ()
    """What the phases before have handed over, the nearest first."""
    checklist: tuple[ChecklistItem, ...] = ()
    """What is to be true before it ships."""
    concerns: tuple[ChecklistItem, ...] = ()
    """What was found against phases that are completed, and may be different now."""


class Claimed(NamedTuple):
    """An attempt that is to start."""

    feature: Feature
    phase: Phase
    attempt: Attempt
    earlier: tuple[Attempt, ...]
    """The phase's attempts before it, the first one first."""
    task: Task | None
    """None for a phase of commands."""


class End(NamedTuple):
    """How an attempt ended."""

    reason: EndReason
    message: str | None = None
    exit_code: int | None = None
    head_commit: str | None = None
    resume_at: str | None = None
    """When the limit ends that it met."""


def most_running(database: Database) -> int:
    """Return how many phases may run at once, of all features on all hosts."""
    [[most]] = database.execute("SELECT max_running FROM gate WHERE id = 1")
    return int(str(most))


def claim(database: Database, host: str, most_here: int | None = None) -> list[Claimed]:
    """Start attempts of the phases that are next, as many as there are places, and return them.

    At most `most_here` run on `host`, if it is given, and no more than the store's limit anywhere.
    """
    with database.transaction():
        return _claim(database, host, most_here)


def _claim(database: Database, host: str, most_here: int | None) -> list[Claimed]:
    most, running = most_running(database), attempts(database, "ended_at IS NULL")
    here = sum(one.host == host for one in running)
    hold_limited(database)
    free = min(most - len(running), (most if most_here is None else most_here) - here)
    claimed: list[Claimed] = []
    while free > len(claimed):
        ids = _next_ones(database, host, most, here + len(claimed), free - len(claimed))
        if not ids:
            break
        found = {one.id: one for one in phases(database, f"id IN ({placeholders(ids)})", ids)}
        claimed += [_start(database, found[number], host) for number in ids]
    return claimed


def _next_ones(database: Database, host: str, most: int, here: int, free: int) -> list[int]:
    """Return the ids of the phases that are next on a host, at most `free`.

    Where hosts share the store, one that runs its fair share leaves what others could start.
    """
    if not database.is_shared:
        return claimable(database, host, free)
    of_share = min(free, fair_share(database, most) - here)
    if of_share > 0:
        return claimable(database, host, of_share)
    return [] if others_could_start(database, host) else claimable(database, host, 1)


def _start(database: Database, phase: Phase, host: str) -> Claimed:
    earlier = attempts(database, "phase_id = ?", [phase.id])
    token, number = os.urandom(16).hex(), len(earlier) + 1
    [feature] = features(database, "id = ?", [phase.feature_id])
    allowed = allowance(database, feature, phase)
    change_status(database, phase, "running")
    database.execute("UPDATE phases SET host = ? WHERE id = ?", [host, phase.id])
    if feature.host is None:
        database.execute("UPDATE features SET host = ? WHERE id = ?", [host, feature.id])
    database.execute(
        "INSERT INTO attempts (token, phase_id, number, host, allowance_usd, started_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [token, phase.id, number, host, allowed, database.now()],
    )
    [attempt] = attempts(database, "token = ?", [token])
    tell(database, attempt, "attempt.started", {"number": number, "host": host})
    task = _task(database, phase)
    feature, phase = phase_of(database, attempt)
    here = place_on(database, feature, host)
    return Claimed(here, phase, attempt, tuple(earlier), task)


def _task(database: Database, phase: Phase) -> Task | None:
    found = database.execute(
        "SELECT p.prompt, w.document, (SELECT count(*) FROM phases o"
        " WHERE o.feature_id = p.feature_id) FROM phases p JOIN workflows w"
        " ON w.feature_id = p.feature_id AND w.digest = p.workflow_digest WHERE p.id = ?",
        [phase.id],
    )
    if not found:
        return None
    prompt, workflow, count = found[0]
    return Task(
        str(prompt),
        str(workflow),
        int(str(count)),
        handovers(database, phase),
        checklist(database, phase.id),
        concerns_before(database, phase.feature_id),
    )


def end(
    database: Database,
    token: str,
    ended: End,
    *,
    entries: Sequence[dict[str, Any]] = (),
    host: str | None = None,
    most_here: int | None = None,
) -> list[Claimed]:
    """End an attempt, once; return the attempts on `host`, if it is given, that start in its place.

    Of `most_here` see `claim`.

    The phase gets the status that follows, unless a person gave it another one meanwhile.
    `entries` are those of its journal that are not in the store yet.
    """
    with database.transaction():
        take_entries(database, token, entries)
        [attempt] = attempts(database, "token = ?", [token])
        if attempt.ended_at is None:
            _end(database, attempt, ended)
        return [] if host is None else _claim(database, host, most_here)


def _end(database: Database, attempt: Attempt, ended: End) -> None:
    database.execute(
        "UPDATE attempts SET ended_at = ?, end_reason = ?, exit_code = ?,"
        " head_commit = coalesce(?, head_commit) WHERE token = ?",
        [database.now(), ended.reason, ended.exit_code, ended.head_commit, attempt.token],
    )
    database.execute(
        "UPDATE stages SET status = 'interrupted', ended_at = ? WHERE attempt = ?"
        " AND ended_at IS NULL",
        [database.now(), attempt.token],
    )
    if ended.reason == "completed" and ended.head_commit is not None:
        database.execute(
            "UPDATE features SET tip = ? WHERE added_on IS NOT NULL"
            " AND id = (SELECT feature_id FROM phases WHERE id = ?)",
            [ended.head_commit, attempt.phase_id],
        )
    how = {"reason": ended.reason, "exit_code": ended.exit_code, "message": ended.message}
    tell(database, attempt, "attempt.ended", how)
    if attempt.worktree is None:  # it may go on anywhere
        database.execute("UPDATE phases SET host = NULL WHERE id = ?", [attempt.phase_id])
    [phase] = phases(database, "id = ?", [attempt.phase_id])
    if phase.status != "running":
        return  # cancelled or paused meanwhile
    # One that was claimed and never began has used up nothing.
    losses = phase.losses + (ended.reason == "lost" and attempt.stage is not None)
    database.execute("UPDATE phases SET losses = ? WHERE id = ?", [losses, phase.id])
    if ended.reason == "limit" and ended.resume_at is not None:
        pause_until(database, phase, ended.resume_at, [], ended.message)
        return
    status = status_after(ended.reason, losses=losses, attempts=phase.attempts_allowed)
    change_status(database, phase, status, why=ended.message)
    if ended.reason == "no-slot" or _never_begins(database, attempt):
        database.execute("UPDATE phases SET awaits_slot = 1 WHERE id = ?", [phase.id])
        database.execute(
            "INSERT INTO slotless (phase_id, host) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [phase.id, attempt.host],
        )


def _never_begins(database: Database, attempt: Attempt) -> bool:
    """Return whether a phase was lost on a host again and again before its first stage.

    The disk may be full, and it would go on for ever. It is left to other hosts then, and tried
    again where it was once there is reason to.
    """
    tried = attempts(database, "phase_id = ?", [attempt.phase_id])[-_MOST_FALSE_STARTS:]
    return len(tried) == _MOST_FALSE_STARTS and all(
        (one.host, one.end_reason, one.stage) == (attempt.host, "lost", None) for one in tried
    )


def expire(database: Database) -> list[str]:
    """End what ran on hosts whose leases are over, as lost; return those hosts."""
    if not gone(database):
        return []
    with database.transaction():
        over = gone(database)
        for host in over:
            append(database, "host.gone", data={"host": host})
            for attempt in running_on(database, host):
                _end(database, attempt, End("lost", f"{host} was not heard of for its lease"))
        return over


def has_news(database: Database, host: str) -> bool:
    """Return whether `host` has something to do: a phase that it may start waits for a place, a
    slot or its time, an attempt runs there, or a feature is to land or to be verified by it."""
    return bool(
        runs_or_may_start(database, host)
        or to_land(database, host)
        or next_verification(database, host)
    )


def next_time(database: Database, host: str) -> str | None:
    """Return the earliest time at which a phase that waits for its time, or for the end of a
    limit, may start, or `host` is to verify a feature."""
    rows = database.execute(
        "SELECT min(not_before) FROM phases WHERE status = 'ready' AND not_before > ?"
        " UNION ALL SELECT min(resume_at) FROM phases WHERE resume_at IS NOT NULL",
        [database.now()],
    )
    times = [*(at for [at] in rows), next_verification(database, host)]
    return min((str(at) for at in times if at is not None), default=None)


def awaits_slot(database: Database, host: str) -> bool:
    """Return whether a phase has found no free slot on `host`."""
    return bool(database.execute("SELECT 1 FROM slotless WHERE host = ? LIMIT 1", [host]))


def slot_freed(database: Database, host: str) -> None:
    """Let the phases that found no free slot on `host` be tried again there."""
    with database.transaction():
        database.execute("DELETE FROM slotless WHERE host = ?", [host])
        database.execute(
            "UPDATE phases SET awaits_slot = 0 WHERE awaits_slot = 1"
            " AND id NOT IN (SELECT phase_id FROM slotless)"
        )


def require_current(database: Database, token: str) -> Attempt:
    """Return the attempt. Raises StaleAttempt, saying what is true now, if it has ended, is to
    end, or is none of this store's."""
    found = attempts(database, "token = ?", [token])
    if not found:
        raise StaleAttempt(
            f"no attempt has the token {token[:80]!r}", hint="adw-worktree phase list"
        )
    [attempt] = found
    feature, phase = phase_of(database, attempt)
    name = name_of(feature, phase)
    if attempt.ended_at is not None or attempt.stop is not None:
        how = attempt.end_reason or f"asked to {attempt.stop}"
        raise StaleAttempt(
            f"attempt {attempt.number} of {name} is over ({how}); {name} is {phase.status}",
            hint=f"adw-worktree phase show {name}",
        )
    return attempt


def report(database: Database, token: str, kind: str, message: str | None) -> bool:
    """Note what an attempt reports of itself: `done`, `fail` or `block`; return whether it is news.

    The same report twice is one. Raises StaleAttempt, also if it reported something else before.
    """
    with database.transaction():
        found = attempts(database, "token = ?", [token])
        if found and found[0].report == kind:
            return False
        attempt = require_current(database, token)
        # Of several stages each may report; the store hears of the next one a moment later.
        if attempt.report is not None and not _has_workflow(database, attempt):
            raise StaleAttempt(
                f"the attempt reported {attempt.report!r} before", hint="adw-worktree phase list"
            )
        database.execute(
            "UPDATE attempts SET report = ?, report_message = ? WHERE token = ?",
            [kind, message, token],
        )
        tell(database, attempt, f"report.{kind}", {"message": message})
        return True


def _has_workflow(database: Database, attempt: Attempt) -> bool:
    return bool(
        database.execute(
            "SELECT 1 FROM phases WHERE id = ? AND workflow_digest IS NOT NULL", [attempt.phase_id]
        )
    )


def remark(database: Database, token: str, message: str) -> None:
    """Note a remark of an attempt. Raises StaleAttempt."""
    with database.transaction():
        attempt = require_current(database, token)
        tell(database, attempt, "report.note", {"message": message})
