"""Which phases a host may start: the rules, written once, for claims and for wake-ups.

What holds here: a phase runs where its repository and what it needs are, and goes on where its
worktree is, unless that host is gone or drained. The conditions are of a phase `p`, its feature
`f` and a host `h`.
"""

from __future__ import annotations

from adw_worktree.orchestration.store.database import Database, placeholders

IS_AT_WORK = "(h.serving = 1 AND h.drained = 0)"
"""Whether a host starts anything."""
SUITS = """
    (f.added_on IS NULL OR f.added_on = h.name
        OR EXISTS (SELECT 1 FROM host_repositories r
                   WHERE r.host = h.name AND r.repository = f.repository))
    AND NOT EXISTS (SELECT 1 FROM phase_needs n WHERE n.phase_id = p.id AND n.label NOT IN
                    (SELECT l.label FROM host_labels l WHERE l.host = h.name))
    AND (p.host IS NULL OR p.host = h.name OR NOT EXISTS
         (SELECT 1 FROM hosts o WHERE o.name = p.host AND o.serving = 1 AND o.drained = 0
          AND o.lease_until > ?))
"""
"""Whether a phase is one for a host. Takes the time."""
_IS_DUE = """
    p.status = 'ready' AND f.status = 'running' AND (p.not_before IS NULL OR p.not_before <= ?)
    AND NOT EXISTS (SELECT 1 FROM slotless s WHERE s.phase_id = p.id AND s.host = h.name)
    AND p.id NOT IN (SELECT a.phase_id FROM attempts a WHERE a.ended_at IS NULL)
"""
"""Whether a phase may start now. Takes the time."""
_ORDER = "priority, ready_at, id"
_AT_ONCE = 50
PHASES = "phases p JOIN features f ON f.id = p.feature_id"


def claimable(database: Database, host: str, most: int) -> list[int]:
    """Return the ids of the phases that are next on `host`, at most so many, the first one first.

    Inside a transaction.
    """
    found: list[int] = []
    at, start = database.now(), 0
    # A few at once, in their order: to look at thousands for one takes a planner that knows them.
    while len(found) < most:
        rows = database.execute(
            f"SELECT id FROM phases WHERE status = 'ready' ORDER BY {_ORDER}"
            f" LIMIT {_AT_ONCE} OFFSET {start}"
        )
        if not rows:
            break
        ids = [number for [number] in rows]
        suitable = database.execute(
            f"SELECT p.id FROM {PHASES} JOIN hosts h ON h.name = ?"
            f" WHERE p.id IN ({placeholders(ids)}) AND {IS_AT_WORK} AND {_IS_DUE} AND {SUITS}",
            [host, *ids, at, at],
        )
        here = {number for [number] in suitable}
        found += [int(str(number)) for number in ids if number in here]
        start += len(ids)
    return found[:most]


def runs_or_may_start(database: Database, host: str) -> bool:
    """Return whether an attempt runs on `host`, or a phase waits that it may start some time."""
    waits = "(p.status = 'ready' OR p.resume_at IS NOT NULL) AND f.status = 'running'"
    # One statement: between two, a phase that waits may have begun to run.
    either = "SELECT 1 FROM attempts WHERE ended_at IS NULL{} UNION ALL SELECT 1 FROM " + PHASES
    if not database.is_shared and not database.execute("SELECT 1 FROM hosts LIMIT 1"):
        # No coordinator has worked with this file since it may have several hosts.
        return bool(database.execute(f"{either.format('')} WHERE {waits} LIMIT 1"))
    of_host = either.format(" AND host = ?")
    return bool(
        database.execute(
            f"{of_host} JOIN hosts h ON h.name = ? WHERE {IS_AT_WORK} AND {waits} AND {SUITS}"
            " LIMIT 1",
            [host, host, database.now()],
        )
    )


_COULD_START = (
    "SELECT h.name FROM hosts h, gate g WHERE g.id = 1 AND h.name <> ? AND h.lease_until > ?"
    f" AND {IS_AT_WORK}"
    " AND (SELECT count(*) FROM attempts WHERE ended_at IS NULL) < g.max_running"
    " AND (h.most_here IS NULL OR (SELECT count(*) FROM attempts WHERE ended_at IS NULL"
    " AND host = h.name) < h.most_here)"
    f" AND EXISTS (SELECT 1 FROM {PHASES} WHERE {_IS_DUE} AND {SUITS})"
)
"""The hosts besides one that could start something. Takes that one, and the time three times."""


def unserved(database: Database) -> list[str]:
    """Return the phases that are ready and that no host at work may start, by their names."""
    if not database.is_shared and not database.execute("SELECT 1 FROM hosts LIMIT 1"):
        return []  # none has worked with this file since it may have several
    at = database.now()
    rows = database.execute(
        f"SELECT f.slug, p.phase_number FROM {PHASES} WHERE p.status = 'ready'"
        " AND f.status = 'running' AND NOT EXISTS"
        f" (SELECT 1 FROM hosts h WHERE {IS_AT_WORK} AND {SUITS}"
        " AND (h.lease_until IS NULL OR h.lease_until > ?)) ORDER BY p.id",
        [at, at],
    )
    return [f"{slug}.{number}" for slug, number in rows]


def fair_share(database: Database, most: int) -> int:
    """Return how many of `most` phases each host at work has, if all have as many."""
    [[count]] = database.execute(
        f"SELECT count(*) FROM hosts h WHERE {IS_AT_WORK} AND h.lease_until > ?", [database.now()]
    )
    return -(-most // max(int(str(count)), 1))


def others_could_start(database: Database, host: str) -> bool:
    """Return whether another host than `host` could start something now. In a transaction."""
    at = database.now()
    return bool(database.execute(_COULD_START, [host, at, at, at]))


def hosts_to_wake(database: Database, besides: str | None) -> list[str]:
    """Return the hosts, besides one, that have something to look at: what they could start, or what
    is asked of attempts that run there. In a transaction."""
    at = database.now()
    rows = database.execute(
        f"{_COULD_START}"
        " UNION SELECT a.host FROM attempts a WHERE a.ended_at IS NULL AND a.host <> ?"
        " AND (a.stop IS NOT NULL OR a.report IS NOT NULL)"
        " UNION SELECT a.host FROM attempts a JOIN wanted_logs w ON w.attempt = a.token"
        " WHERE a.host <> ?",
        [besides or "", at, at, at, besides or "", besides or ""],
    )
    return [str(name) for [name] in rows]
