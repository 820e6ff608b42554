"""Who asks something of the board."""

from __future__ import annotations

from typing import NamedTuple

from adw_worktree.orchestration.store.sharing import OWNER, Viewer
from adw_worktree.orchestration.store.users import User


class Visitor(NamedTuple):
    """Whoever got past the door."""

    user: User | None = None
    """None is whoever the machine belongs to, and programs with its token."""
    expires: float | None = None
    """When the session is over, in seconds since 1970; None if never."""
    is_stranger: bool = False
    """Whether a route that is open to all has been asked by somebody without a key."""

    @property
    def viewer(self) -> Viewer:
        """What the store shows."""
        if self.user is None:
            return OWNER
        return Viewer(self.user.id, sees_all=self.user.role == "admin")

    @property
    def user_id(self) -> int | None:
        """Whose a feature is that is added now."""
        return self.user.id if self.user is not None else None

    @property
    def is_admin(self) -> bool:
        """Whether all is shown to them."""
        return not self.is_stranger and self.viewer.sees_all

    @property
    def may_change(self) -> bool:
        """Whether they may change anything at all."""
        return self.user is None or self.user.role in ("admin", "member")
