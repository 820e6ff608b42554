"""The documents of the board and of copies of the store."""

from __future__ import annotations

from adw_worktree.documents.document import Done


class BoardLink(Done):
    """`board`"""

    link: str
    """Opens the board in one browser, within ten minutes; where users log in, its address."""
    port: int | None = None
    """What it listens on, if it was started now."""


class BoardInvitation(Done):
    """`board invite`"""

    link: str
    """With it, one person can register."""
    expires_at: str


class BoardToken(Done):
    """`board token`"""

    token: str
    """What programs send: `Authorization: Bearer TOKEN`."""


class StoreBackup(Done):
    """`store backup`"""

    path: str
    """The copy."""


class StoreRestore(Done):
    """`store restore`"""

    path: str
    """The copy."""
    before: str | None
    """Where the store is kept that was there; None if there was none."""


class BoardHookSecret(Done):
    """`board hook-secret`"""

    secret: str
    """`whsec_` and base64, as https://www.standardwebhooks.com has it."""
