"""What a pass of `reconcile` finds, and what it does about it: plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from .envfile import Header
from .errors import AdwError
from .model import Lease

Kind = Literal[
    "undo",
    "finish",
    "release",
    "prune",
    "move",
    "refresh",
    "receipt",
    "env",
    "reassign",
    "adopt",
    "drop",
    "keep",
]


class Seen(NamedTuple):
    """A linked worktree as it was found."""

    path: Path
    admin: Path
    branch: str | None
    header: Header | None
    """What its env file says of itself."""
    told: Lease | None = None
    """The lease that its receipt or, failing that, its env file tells of."""
    has_receipt: bool = True


class Action(NamedTuple):
    """One thing to do, or to leave as it is, and why."""

    kind: Kind
    adw_id: str
    slot: int | None
    reason: str
    path: Path | None = None
    lease: Lease | None = None
    seen: Seen | None = None


class Reconciled(NamedTuple):
    """What a pass did, or with `check` would do."""

    released: list[Action]
    kept: list[Action]
    repaired: list[Action]
    adopted: list[Action]
    failed: list[tuple[Action, AdwError]]

    @property
    def found_something(self) -> bool:
        """Whether there was anything to do."""
        return bool(self.released or self.repaired or self.adopted or self.failed)

    def file(self, action: Action) -> None:
        """Put an action where reports have its kind."""
        headings = {"release": self.released, "keep": self.kept, "adopt": self.adopted}
        headings.get(action.kind, self.repaired).append(action)
