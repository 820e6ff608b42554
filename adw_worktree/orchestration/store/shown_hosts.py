"""The hosts that work on a store, as they are shown."""

from __future__ import annotations

from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.hosts import Host, hosts, labels_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def host_rows(database: Database) -> list[dict[str, Any]]:
    """Return each host, with what it runs, its labels and its pool, by name."""
    at, labels, running = database.now(), labels_of(database), _running(database)
    return [
        {
            "name": host.name,
            "status": _status(host, at),
            "drained": bool(host.drained),
            "phases": running.get(host.name, []),
            "labels": labels.get(host.name, []),
            "slots": host.slots,
            "slots_leased": host.slots_leased,
            "max_running_here": host.most_here,
            "heard_at": host.heard_at,
            "lease_until": host.lease_until,
            "version": host.version,
        }
        for host in hosts(database)
    ]


def _status(host: Host, at: str) -> str:
    if host.lease_until is not None and host.lease_until <= at:
        return "gone"
    if host.drained:
        return "drained"
    return "working" if host.serving else "stopped"


def _running(database: Database) -> dict[str, list[str]]:
    """Return the phases that run on each host, by their names."""
    found: dict[str, list[str]] = {}
    for host, slug, number in database.execute(
        "SELECT a.host, f.slug, p.phase_number FROM attempts a JOIN phases p ON p.id = a.phase_id"
        " JOIN features f ON f.id = p.feature_id WHERE a.ended_at IS NULL"
        " ORDER BY f.slug, p.phase_number"
    ):
        found.setdefault(str(host), []).append(f"{slug}.{number}")
    return found
