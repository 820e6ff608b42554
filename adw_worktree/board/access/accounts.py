"""Users of a board: their passwords and their sessions.

What holds here: neither the answer to a log-in nor its time tells whether an address has an
account. A session is a JWT of twelve hours; the store says whether its epoch is still its user's,
so that a log-out ends all of a user's sessions at once, on every host.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from adw_worktree.board.access.tokens import read_token, sign
from adw_worktree.board.access.visitor import Visitor
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.times import as_text
from adw_worktree.orchestration.store.users import (
    Invitation,
    Role,
    User,
    invite,
    rehash,
    user_by_address,
    user_by_id,
)

SESSION_SECONDS = 12 * 3600
RENEWED_SECONDS = 3600
"""A session that is used gets a new one after this time."""
INVITATION_SECONDS = 7 * 24 * 3600
RESET_SECONDS = 24 * 3600
_AUDIENCE = "user"
# Each takes 64 MiB while it is computed, which is the point of it.
_hashing = threading.BoundedSemaphore(2)
_hasher = PasswordHasher()


class Session(NamedTuple):
    """What a user shows from now on."""

    token: str
    expires: float
    """In seconds since 1970."""


class Accounts(NamedTuple):
    """What signs and reads the sessions of users."""

    key: str
    """See `Keys.user_key`."""
    is_open: bool = False
    """Whether anybody who reaches the board may register."""
    clock: Callable[[], float] = time.time

    def session(self, user: User) -> Session:
        """Return a new session of a user."""
        now = int(self.clock())
        claims = {
            "aud": _AUDIENCE,
            "sub": str(user.id),
            "epoch": user.epoch,
            "iat": now,
            "exp": now + SESSION_SECONDS,
        }
        return Session(sign(claims, self.key), now + SESSION_SECONDS)

    def visitor(self, database: Database, token: str) -> Visitor | None:
        """Return whose session that is; None if it is forged, over or revoked."""
        needed = ("sub", "iat", "epoch")
        claims = read_token(token, self.key, _AUDIENCE, needed, self.clock())
        if claims is None:
            return None
        number = claims["sub"]
        if not (number.isascii() and number.isdigit() and len(number) < 16):
            return None
        user = user_by_id(database, int(number))
        if user is None or user.role == "closed" or user.epoch != claims["epoch"]:
            return None
        return Visitor(user, claims["exp"])


class MadeInvitation(NamedTuple):
    """The text of an invitation, and when it is over."""

    text: str
    expires_at: str


def invitation(
    database: Database, role: Role, user: User | None = None, inviter: User | None = None
) -> MadeInvitation:
    """Return a new invitation, which is good for one account within a week.

    One for a `user` lets them have another password; it is good for a day. It is good as long as
    the `inviter` is an admin; None is whoever the machine belongs to.
    """
    text = secrets.token_urlsafe(24)
    seconds = INVITATION_SECONDS if user is None else RESET_SECONDS
    until = as_text(datetime.fromtimestamp(time.time() + seconds, UTC))
    ids = (user and user.id, inviter and inviter.id)
    invite(database, Invitation(digest_of(text), role, *ids, until))
    return MadeInvitation(text, until)


def digest_of(text: str) -> str:
    """Return what the store keeps of an invitation: it does not make one of it."""
    return sha256(text.encode()).hexdigest()


def hashed(password: str) -> str:
    """Return what is kept of a password."""
    with _hashing:
        return _hasher.hash(password)


def is_password(kept: str, password: str) -> bool:
    """Return whether that is the password of which `kept` is the hash."""
    with _hashing:
        try:
            return _hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False


def logged_in(database: Database, address: str, password: str) -> User | None:
    """Return the user who knows the password; None, after the same time, if there is none."""
    user = user_by_address(database, address)
    kept = user.password if user is not None else _password_of_nobody()
    is_right = is_password(kept, password)
    if user is None or not is_right or user.role == "closed":
        return None
    if _hasher.check_needs_rehash(kept):
        rehash(database, user, hashed(password))
    return user


@cache
def _password_of_nobody() -> str:
    return hashed(secrets.token_hex(16))
