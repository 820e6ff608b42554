"""How long stages usually take, from those that ran before."""

from __future__ import annotations

import statistics
from datetime import datetime

from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.records import Feature

_MOST_RUNS = 500
_FEWEST_RUNS = 3
"""Of fewer, nobody can say what is usual."""


def usual_seconds(database: Database, feature: Feature) -> dict[str, float]:
    """Return the median time of each stage that passed in the feature's repository, in seconds.

    Stages are told apart by their names; one that ran less than three times is left out.
    """
    rows = database.execute(
        "SELECT s.name, s.started_at, s.ended_at FROM stages s"
        " JOIN attempts a ON a.token = s.attempt JOIN phases p ON p.id = a.phase_id"
        " JOIN features f ON f.id = p.feature_id"
        " WHERE f.repository = (SELECT repository FROM features WHERE id = ?)"
        " AND s.status = 'passed' ORDER BY s.ended_at DESC LIMIT ?",
        [feature.id, _MOST_RUNS],
    )
    found: dict[str, list[float]] = {}
    for name, begin, end in rows:
        times = [datetime.fromisoformat(str(one)) for one in (begin, end)]
        found.setdefault(str(name), []).append((times[1] - times[0]).total_seconds())
    return {
        name: statistics.median(seconds)
        for name, seconds in found.items()
        if len(seconds) >= _FEWEST_RUNS
    }
