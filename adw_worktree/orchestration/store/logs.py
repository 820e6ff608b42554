"""Logs of phases in a store that hosts share: brought there by the host that has the files.

What holds here: a piece is known by its file and by where in that it begins, so that one that is
brought twice is one. Whoever wants the logs of an attempt leaves a word, which its host takes away
once all that was printed by then is in the store.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from adw_worktree.orchestration.store.database import Database
from adw_worktree.system.named_tuple import NamedTuple

WHOLE = ""
"""The name of the piece that says that nothing comes any more."""


class Piece(NamedTuple):
    """A part of a log."""

    name: str
    position: int
    """Where it begins, in bytes."""
    data: bytes


def held(database: Database, attempt: str) -> dict[str, int]:
    """Return up to where the store has each log of an attempt; `WHOLE` among them if it has all."""
    rows = database.execute(
        "SELECT name, position, text FROM logs WHERE attempt = ? AND (name, position) IN"
        " (SELECT name, max(position) FROM logs WHERE attempt = ? GROUP BY name)",
        [attempt, attempt],
    )
    return {str(name): int(str(at)) + len(b64decode(str(text))) for name, at, text in rows}


def pieces(database: Database, attempt: str, after: dict[str, int]) -> list[Piece]:
    """Return what the store has of the logs of an attempt beyond what is known of each."""
    rows = database.execute(
        "SELECT name, position, text FROM logs WHERE attempt = ? AND name <> ?"
        " ORDER BY name, position",
        [attempt, WHOLE],
    )
    found = [Piece(str(name), int(str(at)), b64decode(str(text))) for name, at, text in rows]
    return [one for one in found if one.position >= after.get(one.name, 0)]


def bring(database: Database, attempt: str, found: list[Piece], *, whole: bool) -> None:
    """Add pieces, and note that those who wanted them have them; `whole`: nothing comes any more.

    A store that cannot keep them after a power cut is asked again.
    """
    with database.transaction(lasting=False):
        for piece in [*found, *([Piece(WHOLE, 0, b"")] if whole else [])]:
            database.execute(
                "INSERT INTO logs (attempt, name, position, text) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                [attempt, piece.name, piece.position, b64encode(piece.data).decode()],
            )
        database.execute("DELETE FROM wanted_logs WHERE attempt = ?", [attempt])


def want(database: Database, attempt: str) -> None:
    """Ask the host of an attempt for its logs."""
    with database.transaction():
        database.execute(
            "INSERT INTO wanted_logs (attempt) VALUES (?) ON CONFLICT DO NOTHING", [attempt]
        )


def is_wanted(database: Database, attempt: str) -> bool:
    """Return whether the host of an attempt has not answered yet."""
    return bool(database.execute("SELECT 1 FROM wanted_logs WHERE attempt = ?", [attempt]))


def wanted_of(database: Database, host: str) -> list[str]:
    """Return the attempts of a host whose logs somebody wants."""
    rows = database.execute(
        "SELECT w.attempt FROM wanted_logs w JOIN attempts a ON a.token = w.attempt"
        " WHERE a.host = ?",
        [host],
    )
    return [str(token) for [token] in rows]
