"""Moving all that a store has into another one: from a file to a server, and back.

What holds here: the target is empty before, and has all or nothing after; what was written is read
again and compared. Nothing may run meanwhile: an attempt ends in the store in which it began.
"""

from __future__ import annotations

from adw_worktree.errors import Refused, StoreError
from adw_worktree.orchestration.store.database import (
    Database,
    Row,
    in_parts,
    placeholders,
    storable,
)
from adw_worktree.orchestration.store.features import root_of
from adw_worktree.orchestration.store.records import attempts, features

TABLES = (
    "gate", "users", "invitations", "features", "phases", "dependencies", "attempts", "stages",
    "events", "deliveries", "workflows", "calls", "limits", "checklist", "shares", "counters",
    "generations", "phase_needs", "slotless", "logs",
)  # fmt: skip
"""What is copied, each after the tables that it names rows of."""
OF_HOSTS = ("hosts", "host_labels", "host_repositories", "wanted_logs")
"""What is not: hosts say it again when they begin to work on a store."""


def copy_store(source: Database, target: Database) -> dict[str, int]:
    """Copy all from one store to the other; return how many rows of each table.

    Raises Refused if something runs, or if the target has features or users, StoreError.
    """
    with source.transaction():
        if attempts(source, "ended_at IS NULL"):
            raise Refused(
                f"phases run by the store {source.place}; nothing was copied",
                hint="adw-worktree feature pause FEATURE, and repeat when they have ended",
            )
        with target.transaction():
            if features(target) or target.execute("SELECT 1 FROM users LIMIT 1"):
                raise Refused(
                    f"the store {target.place} is not empty; nothing was copied",
                    hint="name one without features and users",
                )
            target.execute("DELETE FROM gate")
            copied = {table: _copy(source, target, table) for table in TABLES}
            if target.is_shared:
                _count_on(target)
    return copied


def _copy(source: Database, target: Database, table: str) -> int:
    columns = _columns(source, target, table)
    names = ", ".join(columns)
    rows = source.execute(f"SELECT {names} FROM {table}")
    marks = f"({placeholders(columns)})"
    for few in in_parts(rows, len(columns)):
        target.execute(
            f"INSERT INTO {table} ({names}) VALUES {', '.join([marks] * len(few))}",
            [value for row in few for value in row],
        )
    if sorted(map(repr, target.execute(f"SELECT {names} FROM {table}"))) != _as_written(rows):
        raise StoreError(
            f"the table {table} could not be copied as it is; nothing was changed",
            hint="adw-worktree doctor; see the store's log",
        )
    return len(rows)


def _as_written(rows: list[Row]) -> list[str]:
    """Return rows as they are to be read again: a server keeps no NUL."""
    return sorted(repr(tuple(map(storable, row))) for row in rows)


def _columns(source: Database, target: Database, table: str) -> list[str]:
    """Return the columns of a table, which both have, since both are of one version."""
    database = source if not source.is_shared else target
    return [str(row[1]) for row in database.execute(f"PRAGMA table_info({table})")]


def _count_on(target: Database) -> None:
    """Have the keys that a server counts up go on after the last one."""
    for table in ("users", "features", "phases", "events"):
        target.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'),"
            f" (SELECT coalesce(max(id), 0) + 1 FROM {table}), false)"
        )


def adapt_to_server(database: Database, host: str, known: dict[str, str]) -> None:
    """Have features that came from a file of `host` be known on all hosts.

    `known` has, by the place of a repository, what it is known by on every host.
    """
    with database.transaction():
        database.execute("UPDATE features SET added_on = ?, host = NULL", [host])
        for place, repository in known.items():
            database.execute(
                "UPDATE features SET repository = ? WHERE place = ?", [repository, place]
            )


def adapt_to_file(database: Database, places: dict[str, str]) -> None:
    """Have features that came from a server be those of this one host.

    `places` has, by what a repository is known by on every host, where it is here.
    """
    with database.transaction():
        for feature in features(database):
            place = places.get(feature.repository, feature.place)
            database.execute(
                "UPDATE features SET added_on = NULL, host = NULL, place = ?, repository = ?"
                " WHERE id = ?",
                [place, root_of(feature.repository), feature.id],
            )
