"""The documents of the pool, of reconciliation and of the watcher."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from adw_worktree.documents.document import (
    AdwId,
    Document,
    Done,
    Error,
    Partly,
    Port,
    Ports,
    Slot,
    Time,
)
from adw_worktree.documents.worktrees import Released


class Allocation(Document):
    """A lease. Further services have a key each, beside `backend` and `frontend`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Port]

    slot: Slot
    backend: Port
    frontend: Port
    allocated_at: Time
    state: Literal["active", "pending", "reserved", "unknown"]
    """As `list` has it."""
    locked: bool
    path: str | None
    branch: str | None


class Blocked(Document):
    """A slot that is not handed out, since somebody else holds its port."""

    slot: Slot
    port: Port
    pid: int | None
    command: str


class Status(Done):
    """`status`"""

    allocated: int
    available: int
    total: int
    utilization_percent: float
    allocations: dict[str, Allocation]
    """This repository's, by ADW id."""
    elsewhere: dict[str, dict[str, Allocation]]
    """The other repositories', by repository and ADW id."""
    blocked: list[Blocked]


class Reserve(Done):
    """`reserve`"""

    created: bool
    """False if it was reserved already."""
    adw_id: AdwId
    slot: Slot
    ports: Ports


class Release(Done):
    """`release`"""

    adw_id: AdwId
    released: Released


class Action(Document):
    """One step of a reconciliation."""

    adw_id: str
    slot: Slot | None
    action: str
    verdict: Literal["alive", "gone", "unknown"]
    reason: str
    path: str | None
    repository: str


class FailedAction(Action):
    """A step that could not be made."""

    error: Error


class Reconcile(Partly):
    """`reconcile`"""

    dry_run: bool
    released: list[Action]
    kept: list[Action]
    repaired: list[Action]
    adopted: list[Action]
    failed: list[FailedAction]


class Problem(Document):
    """Something wrong."""

    code: str
    message: str
    fix: str
    """The command, or what else a person does."""


class Doctor(Done):
    """`doctor`"""

    problems: list[Problem]


class Watching(Document):
    """a line of `watch`: `watching`"""

    schema_version: Literal[1]
    event: Literal["watching"]
    repositories: list[str]
    """All of them."""


class Freed(Document):
    """a line of `watch`: `released`"""

    schema_version: Literal[1]
    event: Literal["released"]
    adw_id: AdwId
    slot: Slot
    ports: Ports
    path: str | None
    repository: str
    reason: str


class Trouble(Document):
    """a line of `watch`: `trouble`"""

    schema_version: Literal[1]
    event: Literal["trouble"]
    repository: str | None
    """None: not of one repository."""
    error: Error
