"""Calls of agents: a row each, what they cost, and the limits that they met.

What holds here: an unknown cost is NULL, and is never counted as 0; a call is in the store once,
however often its attempt's journal is read.
"""

from __future__ import annotations

import json

from adw_worktree.orchestration.store.changes import change_status, wait_for_needs
from adw_worktree.orchestration.store.database import Database, placeholders
from adw_worktree.orchestration.store.records import Attempt, Feature, Phase, phases
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from adw_worktree.orchestration.store.database import Value

_COLUMNS = (
    "stage", "agent", "model", "session_id", "turns", "prompt_length", "input_tokens",
    "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "cost_usd",
    "cost_source", "status", "error", "retry_count", "latency_ms", "started_at",
)  # fmt: skip


class Cost(NamedTuple):
    """What calls have cost."""

    usd: float
    """Of those whose cost is known."""
    calls: int
    unknown: int
    """Calls whose cost is not known."""


NO_COST = Cost(0.0, 0, 0)
"""Of what called no agent."""


def insert_call(database: Database, attempt: Attempt, entry: Mapping[str, Any]) -> None:
    """Take a call from an attempt's journal into the store, once, with the limit that it met."""
    known = database.execute(
        "SELECT 1 FROM calls WHERE attempt = ? AND number = ?", [attempt.token, entry["number"]]
    )
    if known:
        return
    values = [entry.get(name) for name in _COLUMNS]
    marks = ", ".join("?" * (len(_COLUMNS) + 5))
    answer = None if entry.get("is_aside") else entry.get("answer")
    database.execute(
        f"INSERT INTO calls (attempt, number, denied, ended_at, answer, {', '.join(_COLUMNS)})"
        f" VALUES ({marks})",
        [attempt.token, entry["number"], json.dumps(entry.get("denied") or []), entry["at"],
         answer, *values],
    )  # fmt: skip
    if entry["status"] == "limit":
        _note_limit(database, entry["agent"], entry["resume_at"])


def calls(database: Database, token: str) -> list[dict[str, Any]]:
    """Return the calls of an attempt, in their order."""
    columns = ("number", "denied", "ended_at", *_COLUMNS)
    rows = database.execute(
        f"SELECT {', '.join(columns)} FROM calls WHERE attempt = ? ORDER BY number", [token]
    )
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    return [{**row, "denied": json.loads(str(row["denied"]))} for row in found]


def last_answer(database: Database, token: str) -> str:
    """Return what the agents of an attempt said last; nothing if they said nothing."""
    found = database.execute(
        "SELECT answer FROM calls WHERE attempt = ? AND answer IS NOT NULL"
        " ORDER BY number DESC LIMIT 1",
        [token],
    )
    return str(found[0][0]).strip() if found else ""


def cost_of_phase(database: Database, phase_id: int) -> Cost:
    """Return what the agents of a phase have cost."""
    [figures] = database.execute(
        "SELECT sum(cost_usd), count(*), count(cost_usd) FROM calls"
        " WHERE attempt IN (SELECT token FROM attempts WHERE phase_id = ?)",
        [phase_id],
    )
    return _as_cost(*figures)


def cost_of_feature(database: Database, feature_id: int) -> Cost:
    """Return what the agents of a feature have cost."""
    return costs_of_features(database, [feature_id]).get(feature_id, NO_COST)


def costs_of_features(database: Database, ids: Sequence[int]) -> dict[int, Cost]:
    """Return what the agents of each of these features have cost; nothing for one without calls."""
    rows = database.execute(
        "SELECT p.feature_id, sum(c.cost_usd), count(*), count(c.cost_usd) FROM calls c"
        " JOIN attempts a ON a.token = c.attempt JOIN phases p ON p.id = a.phase_id"
        f" WHERE p.feature_id IN ({placeholders(ids)}) GROUP BY p.feature_id",
        ids,
    )
    return {int(str(feature)): _as_cost(*figures) for feature, *figures in rows}


def _as_cost(usd: Value, count: Value, known: Value) -> Cost:
    return Cost(float(str(usd or 0.0)), int(str(count)), int(str(count)) - int(str(known)))


# ---- budgets -----------------------------------------------------------------------------------


def allowance(database: Database, feature: Feature, phase: Phase) -> float | None:
    """Return how much the agents of an attempt that starts may cost; None without a budget.

    A feature's budget is shared out evenly among its phases that are left, so that those that run
    at once cannot spend it twice.
    """
    [[of_phase, of_feature]] = database.execute(
        "SELECT p.budget_usd, f.budget_usd FROM phases p JOIN features f ON f.id = p.feature_id"
        " WHERE p.id = ?",
        [phase.id],
    )
    bounds = []
    if of_phase is not None:
        bounds.append(float(str(of_phase)) - cost_of_phase(database, phase.id).usd)
    if of_feature is not None:
        bounds.append(_share(database, feature, phase, float(str(of_feature))))
    return min(bounds) if bounds else None


def _share(database: Database, feature: Feature, phase: Phase, budget: float) -> float:
    spent = cost_of_feature(database, feature.id).usd
    reserved, running = 0.0, 1
    for allowed, used in database.execute(
        "SELECT a.allowance_usd, (SELECT sum(cost_usd) FROM calls c WHERE c.attempt = a.token)"
        " FROM attempts a JOIN phases p ON p.id = a.phase_id"
        " WHERE p.feature_id = ? AND a.ended_at IS NULL AND p.id <> ? AND p.prompt IS NOT NULL",
        [feature.id, phase.id],
    ):
        running += 1
        reserved += max(0.0, float(str(allowed or 0.0)) - float(str(used or 0.0)))
    [[left]] = database.execute(
        "SELECT count(*) FROM phases WHERE feature_id = ? AND prompt IS NOT NULL"
        " AND status NOT IN ('completed', 'cancelled')",
        [feature.id],
    )
    waiting = max(1, int(str(left)) - running + 1)
    return (budget - spent - reserved) / waiting


# ---- limits ------------------------------------------------------------------------------------


def _note_limit(database: Database, agent: str, resume_at: str) -> None:
    database.execute(
        "INSERT INTO limits (agent, resume_at) VALUES (?, ?)"
        " ON CONFLICT (agent) DO UPDATE SET resume_at = excluded.resume_at",
        [agent, resume_at],
    )


def hold_limited(database: Database) -> None:
    """Pause the phases that are ready and whose agents have all met a limit; let those go on whose
    limit is over."""
    at = database.now()
    for phase in phases(database, "status = 'paused' AND resume_at <= ?", [at]):
        wait_for_needs(database, phase)
    known = database.execute("SELECT agent, resume_at FROM limits WHERE resume_at > ?", [at])
    limits = {str(agent): str(until) for agent, until in known}
    if not limits:
        return
    for phase in phases(database, "status = 'ready' AND agents IS NOT NULL"):
        wanted = agents_of_phase(database, phase)
        if wanted and all(agent in limits for agent in wanted):
            pause_until(database, phase, min(limits[agent] for agent in wanted), wanted)


def pause_until(
    database: Database, phase: Phase, resume_at: str, agents: list[str], why: str | None = None
) -> None:
    """Hold a phase until the limit of its agents ends."""
    change_status(database, phase, "paused", why=why or f"{', '.join(agents)} at its limit")
    database.execute("UPDATE phases SET resume_at = ? WHERE id = ?", [resume_at, phase.id])


def forget_limits(database: Database, phase: Phase) -> None:
    """Take it that the limits of a phase's agents are over: a person says so."""
    for agent in agents_of_phase(database, phase):
        database.execute("DELETE FROM limits WHERE agent = ?", [agent])


def agents_of_phase(database: Database, phase: Phase) -> list[str]:
    """Return the agents that a phase begins with, the first one first."""
    [[found]] = database.execute("SELECT agents FROM phases WHERE id = ?", [phase.id])
    agents: list[str] = json.loads(str(found)) if found is not None else []
    return agents
