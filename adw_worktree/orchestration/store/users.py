"""The people who use a board together: users, the invitations that make them, and their limits.

What holds here: a session is of one epoch of its user. Whatever should end a user's sessions (a
log-out, another password, another role) counts the epoch up, in the transaction that does it.
"""

from __future__ import annotations

from typing import Literal, get_args

from adw_worktree.orchestration.store.database import Database, Row
from adw_worktree.system.named_tuple import NamedTuple

Role = Literal["admin", "member", "viewer", "closed"]
"""An admin sees and does all; a viewer changes nothing; a closed account does not come in."""
ROLES: tuple[Role, ...] = get_args(Role)


class User(NamedTuple):
    """Somebody who can log in."""

    id: int
    address: str
    """A mail address, in lower case."""
    role: Role
    password: str
    """Its hash."""
    epoch: int
    created_at: str


def find_users(
    database: Database, where: str = "1 = 1", values: tuple[str | int, ...] = ()
) -> list[User]:
    """Return the users that `where` selects, the oldest first."""
    columns = ", ".join(User._fields)
    rows = database.execute(f"SELECT {columns} FROM users WHERE {where} ORDER BY id", values)
    return [
        User(
            int(str(row[0])), str(row[1]), _role(row[2]), str(row[3]), int(str(row[4])), str(row[5])
        )
        for row in rows
    ]


def user_by_id(database: Database, user_id: int) -> User | None:
    """Return a user; None if there is none."""
    return next(iter(find_users(database, "id = ?", (user_id,))), None)


def user_by_address(database: Database, address: str) -> User | None:
    """Return the user of a mail address, however it is written; None if there is none."""
    return next(iter(find_users(database, "address = ?", (address.lower(),))), None)


def has_admin(database: Database) -> bool:
    """Return whether anybody could invite others."""
    return bool(find_users(database, "role = 'admin'"))


class Invitation(NamedTuple):
    """What lets somebody make an account, or give theirs another password."""

    digest: str
    """Of its text, which is not kept."""
    role: Role
    user_id: int | None
    """Whose password it changes; None for a new account."""
    inviter_id: int | None
    """Who has made it; None for whoever the machine belongs to."""
    expires_at: str


def invite(database: Database, invitation: Invitation) -> None:
    """Keep an invitation until it is used or over."""
    with database.transaction():
        database.execute("DELETE FROM invitations WHERE expires_at < ?", [database.now()])
        database.execute(
            "INSERT INTO invitations (digest, role, user_id, inviter_id, expires_at)"
            " VALUES (?, ?, ?, ?, ?)",
            invitation,
        )


def is_invitation(database: Database, digest: str) -> bool:
    """Return whether there is such an invitation, and who made it may still do so."""
    return bool(_invitations(database, digest))


def _invitations(database: Database, digest: str) -> list[Row]:
    return database.execute(
        "SELECT i.role, i.user_id FROM invitations i LEFT JOIN users u ON u.id = i.inviter_id"
        " WHERE i.digest = ? AND i.expires_at >= ?"
        " AND (i.inviter_id IS NULL OR u.role = 'admin')",
        [digest, database.now()],
    )


def forget_first_invitations(database: Database) -> None:
    """Take back what was made to register the first admin: another one is made."""
    with database.transaction():
        database.execute("DELETE FROM invitations WHERE inviter_id IS NULL AND role = 'admin'")


def register(database: Database, address: str, password: str, digest: str | None) -> User | None:
    """Make an account, of the role that the invitation with that digest is for.

    Without an invitation, for those who may do so, it is a member's. One that was made for a user
    gives that user's account the password. Returns None if the invitation is none, was used or is
    over, or if the address has an account that it is not for.
    """
    with database.transaction():
        role: Role = "member"
        known, invited_id = user_by_address(database, address), None
        if digest is not None:
            rows = _invitations(database, digest)
            if not rows:
                return None
            role, invited_id = _role(rows[0][0]), rows[0][1]
        if (known.id if known is not None else None) != invited_id:
            return None
        database.execute("DELETE FROM invitations WHERE digest = ?", [digest])
        if known is not None:
            return _changed(database, known, None, password)
        database.execute(
            "INSERT INTO users (address, role, password, epoch, created_at) VALUES (?, ?, ?, 1, ?)",
            [address.lower(), role, password, database.now()],
        )
        return user_by_address(database, address)


def change_user(
    database: Database, user: User, *, role: Role | None = None, password: str | None = None
) -> User:
    """Give a user another role or password; end all of the user's sessions and reset links."""
    with database.transaction():
        return _changed(database, user, role, password)


def _changed(database: Database, user: User, role: Role | None, password: str | None) -> User:
    database.execute(
        "UPDATE users SET role = COALESCE(?, role), password = COALESCE(?, password),"
        " epoch = epoch + 1 WHERE id = ?",
        [role, password, user.id],
    )
    database.execute("DELETE FROM invitations WHERE user_id = ?", [user.id])
    [present] = find_users(database, "id = ?", (user.id,))
    return present


def rehash(database: Database, user: User, password: str) -> None:
    """Keep another hash of the same password, unless that was changed meanwhile."""
    with database.transaction():
        database.execute(
            "UPDATE users SET password = ? WHERE id = ? AND password = ?",
            [password, user.id, user.password],
        )


def _role(value: object) -> Role:
    return next(one for one in ROLES if one == value)


# ---- limits ------------------------------------------------------------------------------------


def count_up(database: Database, name: str, expires: float, amount: int, at: float) -> int:
    """Count something up that is forgotten at a time, and return how often it was by then.

    Both times are in seconds since 1970. A counter that is over begins anew.
    """
    with database.transaction():
        database.execute("DELETE FROM counters WHERE expires <= ?", [at])
        [[count]] = database.execute(
            "INSERT INTO counters (name, expires, count) VALUES (?, ?, ?) ON CONFLICT (name)"
            " DO UPDATE SET count = counters.count + excluded.count RETURNING count",
            [name, expires, amount],
        )
        return int(str(count))


def counter(database: Database, name: str, at: float) -> tuple[int, float]:
    """Return how far a counter is, and when it is forgotten; of one that is over, 0 and `at`."""
    found = database.execute(
        "SELECT count, expires FROM counters WHERE name = ? AND expires > ?", [name, at]
    )
    return (int(str(found[0][0])), float(str(found[0][1]))) if found else (0, at)


def forget_counter(database: Database, name: str) -> None:
    """Begin a counter anew."""
    with database.transaction():
        database.execute("DELETE FROM counters WHERE name = ?", [name])


def note_generation(database: Database, user_id: int, feature_id: int) -> None:
    """Note which feature's plan a user has an agent draft."""
    with database.transaction():
        database.execute(
            "INSERT INTO generations (user_id, feature_id) VALUES (?, ?)"
            " ON CONFLICT (user_id) DO UPDATE SET feature_id = excluded.feature_id",
            [user_id, feature_id],
        )


def last_generation(database: Database, user_id: int) -> int | None:
    """Return the feature whose plan a user had drafted last; None if there is none."""
    found = database.execute("SELECT feature_id FROM generations WHERE user_id = ?", [user_id])
    return int(str(found[0][0])) if found else None
