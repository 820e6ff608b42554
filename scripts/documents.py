"""The documents that `--json` prints, one model for each command.

What holds here: a model has exactly the keys of its document; `tests/test_reference.py` holds what
commands really print against it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from .document import AdwId, Document, Done, Error, Failed, Partly, Port, Ports, Slot, Time
from .worktree_documents import (
    Create,
    Discarded,
    Env,
    Finish,
    List,
    Lock,
    Path,
    Released,
    Remove,
    RemoveSeveral,
    Rename,
    Restored,
    RestoreList,
)

# ---- the pool ------------------------------------------------------------------------------------


class Allocation(Document):
    """A lease. Further services have a key each, beside `backend` and `frontend`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Port]

    slot: Slot
    backend: Port
    frontend: Port
    allocated_at: Time
    state: Literal["active", "pending", "reserved"]
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


# ---- mending -------------------------------------------------------------------------------------


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


# ---- the watcher: one document a line -----------------------------------------------------------


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


# ---- around them ---------------------------------------------------------------------------------


class Hook(Document):
    """One hook, or one file of an agent's."""

    event: str
    state: str
    how: str | None
    path: str | None
    note: str | None


class Hooks(Done):
    """`hooks`"""

    action: Literal["install", "uninstall", "status"]
    hooks: list[Hook]


class Trust(Done):
    """`trust`"""

    trusted: bool
    commands: dict[str, list[str | list[str]]]
    """By moment."""
    variables: list[str]


class Spare(Document):
    """A worktree kept ready."""

    name: str
    commit: str
    fresh: bool
    """Whether it is at the commit of the setting `base`."""


class SparesStatus(Done):
    """`spares status`"""

    wanted: int
    ready: int
    filling: bool
    spares: list[Spare]


class SparesFilled(Done):
    """`spares fill --wait`"""

    made: int
    refreshed: int
    dropped: int
    ready: int


class SparesStarted(Done):
    """`spares fill`"""

    started: bool
    """False if the setting `spares` is 0 and there are none."""


class SparesDropped(Done):
    """`spares drop`"""

    dropped: int


class ClaudeCreated(Done):
    """`claude-hook create`"""

    path: str
    adw_id: AdwId


class ClaudeRemoved(Done):
    """`claude-hook remove`"""

    path: str


class Help(Done):
    """`help TOPIC`"""

    topic: str | None
    text: str


class ShellInit(Done):
    """`shell-init`"""

    shell: str
    text: str


DOCUMENTS: tuple[type[Document], ...] = (
    Create, Remove, RemoveSeveral, Finish, Rename, RestoreList, Restored, Discarded, List, Status,
    Lock, Path, Env, Reserve, Release, Reconcile, Doctor, Hooks, Trust, SparesStatus, SparesFilled,
    SparesStarted, SparesDropped, ClaudeCreated, ClaudeRemoved, ShellInit, Help, Watching, Freed,
    Trouble, Failed,
)  # fmt: skip
"""All, in the order of the reference. `run` has its command's output."""


def schema() -> dict[str, Any]:
    """Return one JSON Schema for all: the documents are in `$defs`, by name."""
    from pydantic import TypeAdapter

    union: Any = DOCUMENTS[0]
    for one in DOCUMENTS[1:]:
        union = union | one
    return dict(TypeAdapter(union).json_schema())
