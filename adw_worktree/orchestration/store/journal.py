"""Journals of attempts: what their entries change in the store.

What holds here: an entry that is taken in twice changes nothing the second time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from adw_worktree.orchestration.store.calls import insert_call
from adw_worktree.orchestration.store.checklists import judge_all
from adw_worktree.orchestration.store.database import Database, Value
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.records import Attempt, attempts, phases, stages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TOLD = {
    "agent.retry": "agent.retry",
    "agent.fallback": "agent.fallback",
    "issue": "phase.issue",
}
"""Entries of a journal that have no row of their own, and the kinds of their events."""


def note(database: Database, token: str, entries: list[dict[str, Any]]) -> None:
    """Take entries of an attempt's journal into the store; one that is there already is no news.

    What is noted of an attempt that has ended is kept: it tells how it went. After an outage of a
    server the whole journal is taken in again.
    """
    with database.transaction(lasting=False):
        take_entries(database, token, entries)


def take_entries(database: Database, token: str, entries: Sequence[dict[str, Any]]) -> None:
    """Take entries of an attempt's journal in, inside of a transaction."""
    [attempt] = attempts(database, "token = ?", [token])
    known = {stage.position: stage.ended_at is not None for stage in stages(database, token)}
    for entry in entries:
        if entry["kind"] == "worktree":
            database.execute(
                "UPDATE attempts SET worktree = ?, base_commit = ? WHERE token = ?",
                [entry["path"], entry["base_commit"], token],
            )
        elif entry["kind"] == "stage.started" and entry["position"] not in known:
            _begin_stage(database, attempt, entry)
        elif entry["kind"] == "stage.ended" and not known.get(entry["position"]):
            _end_stage(database, attempt, entry)
        elif entry["kind"] == "call":
            insert_call(database, attempt, entry)
        elif entry["kind"] == "checklist":
            judge_all(database, attempt.phase_id, entry["findings"], entry.get("commit"))
        elif entry["kind"] in _TOLD:
            _tell_once(database, attempt, entry)


def _begin_stage(database: Database, attempt: Attempt, entry: dict[str, Any]) -> None:
    database.execute(
        "INSERT INTO stages (attempt, position, name, kind, round, status, log, started_at)"
        " VALUES (?, ?, ?, ?, ?, 'running', ?, ?)",
        [
            attempt.token,
            entry["position"],
            entry["name"],
            entry["stage_kind"],
            entry.get("round", 1),
            entry["log"],
            entry["at"],
        ],
    )
    database.execute(
        "UPDATE attempts SET stage = ?, report = NULL, report_message = NULL WHERE token = ?",
        [entry["name"], attempt.token],
    )
    status = {"status": entry.get("status")}
    tell(database, attempt, entry["kind"], status, stage=entry["name"])


def _end_stage(database: Database, attempt: Attempt, entry: dict[str, Any]) -> None:
    database.execute(
        "UPDATE stages SET status = ?, exit_code = ?, ended_at = ?, tested_commit = ?"
        " WHERE attempt = ? AND position = ?",
        [
            entry["status"],
            entry["exit_code"],
            entry["at"],
            entry.get("tested_commit"),
            attempt.token,
            entry["position"],
        ],
    )
    status = {"status": entry.get("status")}
    tell(database, attempt, entry["kind"], status, stage=entry["name"])


def _tell_once(database: Database, attempt: Attempt, entry: dict[str, Any]) -> None:
    """Append an event for an entry that has no row of its own, unless it is there."""
    data = {key: value for key, value in entry.items() if key not in ("kind", "stage")}
    known = database.execute(
        "SELECT 1 FROM events WHERE attempt = ? AND kind = ? AND data = ?",
        [attempt.token, _TOLD[entry["kind"]], json.dumps(data)],
    )
    if not known:
        tell(database, attempt, _TOLD[entry["kind"]], data, stage=entry.get("stage"))


def tell(
    database: Database,
    attempt: Attempt,
    kind: str,
    data: Mapping[str, Value],
    *,
    stage: str | None = None,
) -> None:
    """Append an event of an attempt."""
    [phase] = phases(database, "id = ?", [attempt.phase_id])
    append(
        database,
        kind,
        feature_id=phase.feature_id,
        phase_id=phase.id,
        attempt=attempt.token,
        stage=stage,
        data=data,
    )
