"""Tokens: jobs of procrastinate that have a host look at the store.

What holds here: a token is sent in the transaction that makes a phase ready, to each host that
could start it, so that it is there with the commit or not at all. It says "look", and nothing else:
what a host finds when it looks is decided by `claim`. So one too many does no harm, no host needs
two at once, and procrastinate's idea of a job that has stalled never runs anything again.

A token is deferred by procrastinate's own function in SQL: its package takes longer to load than a
command to change a phase.
"""

from __future__ import annotations

from collections.abc import Sequence

from adw_worktree.orchestration.store.database import Database

TASK = "adw_worktree.look"
_DEFER = (
    "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW(?, ?, 0, NULL, ?, '{}'::jsonb, NULL)"
    "::procrastinate_job_to_defer_v1]) WHERE NOT EXISTS (SELECT 1 FROM procrastinate_jobs"
    " WHERE queueing_lock = ? AND status = 'todo')"
)
"""Not if one waits already. Who takes that one at this moment looks after our commit: it needs the
gate that we have."""


def queue_of(host: str) -> str:
    """Return the queue of a host's tokens."""
    return f"host:{host}"


def send_tokens(database: Database, hosts: Sequence[str]) -> None:
    """Have hosts look at the store after the commit; inside of a transaction."""
    for host in hosts:
        lock = f"look:{host}"
        database.execute(_DEFER, [queue_of(host), TASK, lock, lock])
