"""The documents of hosts that share a store, and of moving it."""

from __future__ import annotations

from typing import Literal

from adw_worktree.documents.document import Document, Done


class Host(Document):
    """A host that works on the store."""

    name: str
    status: Literal["working", "drained", "stopped", "gone"]
    drained: bool
    """Whether a person wants it to start nothing."""
    phases: list[str]
    """That run there, by their names."""
    labels: list[str]
    slots: int | None
    """Of its pool; None until it has said so."""
    slots_leased: int | None
    max_running_here: int | None
    heard_at: str
    lease_until: str | None
    """Until when its word holds; None if the store is in a file."""
    version: str


class Worker(Done):
    """`worker`"""

    hosts: list[Host]


class StoreMigrate(Done):
    """`store migrate`"""

    made: list[str]


class StoreCopy(Done):
    """`store copy`"""

    copied: dict[str, int]
    """How many rows of each table."""
