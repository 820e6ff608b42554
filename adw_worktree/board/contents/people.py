"""What the API takes and gives of users, invitations and sharing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from adw_worktree.board.access.visitor import Visitor
from adw_worktree.documents.document import Document
from adw_worktree.orchestration.store.times import as_text
from adw_worktree.orchestration.store.users import Role, User

Address = Annotated[
    str,
    Field(min_length=3, max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$"),
    AfterValidator(str.lower),
]
Password = Annotated[str, Field(min_length=12, max_length=256)]
"""NIST SP 800-63B asks for a length, and for nothing else."""
GivenPassword = Annotated[str, Field(max_length=256)]
Invitation = Annotated[str, Field(min_length=1, max_length=64)]
Sharing = Literal["see", "steer"]
InvitedRole = Literal["admin", "member", "viewer"]


class Registration(Document):
    """A new account."""

    address: Address
    password: Password
    invitation: Invitation | None = None
    """Needed unless anybody may register."""


class Credentials(Document):
    """Who wants to log in."""

    address: Address
    password: GivenPassword


class NewPassword(Document):
    """A change of password."""

    old: GivenPassword
    new: Password


class Me(Document):
    """Who asks."""

    address: str | None
    """None for the token of the machine."""
    role: Role
    expires_at: str | None
    """When the session is over; None if it never is."""


class LoggedIn(Me):
    """A session."""

    token: str


class Person(Document):
    """A user, as admins see them."""

    user_id: int
    address: str
    role: Role
    created_at: str


class Invited(Document):
    """A new invitation."""

    link: str
    """To be sent to whoever is invited; good for one account."""
    expires_at: str


class Invite(Document):
    """An invitation to make."""

    role: InvitedRole = "member"


class NewRole(Document):
    """Another role of a user; `closed` ends the account."""

    role: Role


class ShareRow(Document):
    """Somebody with whom a feature is shared."""

    user_id: int
    address: str
    may: Sharing


class NewShare(Document):
    """Somebody with whom a feature is to be shared."""

    address: Address
    may: Sharing = "see"


def me(visitor: Visitor) -> Me:
    """Return who asks."""
    user, expires = visitor.user, None
    if visitor.expires is not None:
        expires = as_text(datetime.fromtimestamp(visitor.expires, UTC))
    return Me(
        address=user.address if user is not None else None,
        role=user.role if user is not None else "admin",
        expires_at=expires,
    )


def person(user: User) -> dict[str, object]:
    """Return a user as admins see them."""
    return Person(
        user_id=user.id, address=user.address, role=user.role, created_at=user.created_at
    ).model_dump()
