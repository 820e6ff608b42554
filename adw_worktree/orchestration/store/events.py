"""Events: every change, appended in the transaction that makes it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from adw_worktree.orchestration.store.database import Database, Value


def append(
    database: Database,
    kind: str,
    *,
    feature_id: int | None = None,
    phase_id: int | None = None,
    attempt: str | None = None,
    stage: str | None = None,
    data: Mapping[str, Value] | None = None,
) -> None:
    """Append an event; inside the transaction of the change that it tells."""
    database.execute(
        "INSERT INTO events (at, feature_id, phase_id, attempt, stage, kind, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [database.now(), feature_id, phase_id, attempt, stage, kind, json.dumps(data or {})],
    )
    database.execute("UPDATE deliveries SET pending = 1 WHERE feature_id = ?", [feature_id])
