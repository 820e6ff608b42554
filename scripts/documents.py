"""The documents that `--json` prints, one model for each command.

What holds here: a model has exactly the keys of its document; `tests/test_schemas.py` holds what
commands really print against it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

AdwId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Slot = Annotated[int, Field(ge=0, le=9999)]
Port = Annotated[int, Field(ge=1, le=65535)]
Ports = dict[str, Port]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
State = Literal["active", "pending", "reserved", "unknown", "unmanaged"]


class Document(BaseModel):
    """What all have in common."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Done(Document):
    """A document of a command that did what it was asked to."""

    schema_version: Literal[1]
    ok: Literal[True]


class Error(Document):
    """A failure."""

    code: str
    """For programs; it never changes its meaning. See docs/exit-codes.md."""
    message: str
    """For people: one fact, with the names in it."""
    hint: str | None
    """What to do next."""


class Failed(Document):
    """The document of any command that failed."""

    schema_version: Literal[1]
    ok: Literal[False]
    error: Error


# ---- worktrees -----------------------------------------------------------------------------------


class Create(Done):
    """`create`"""

    created: bool
    """False if the worktree was there already."""
    adw_id: AdwId
    slot: Slot
    ports: Ports
    """By service: `backend`, `frontend`, and further ones of the settings."""
    path: str
    branch: str | None
    """None: detached."""
    env_file: str
    database: str | None
    """None: the setting `postgres` asks for none."""


class Restored(Done):
    """`restore ADW_ID`"""

    restored: Literal[True]
    adw_id: AdwId
    slot: Slot
    ports: Ports
    path: str
    branch: str | None
    env_file: str
    database: str | None


class Rename(Done):
    """`rename`"""

    renamed: bool
    """False if it was called that already."""
    old: AdwId = Field(alias="from")
    adw_id: AdwId
    slot: Slot
    ports: Ports
    path: str | None
    branch: str | None


class Released(Document):
    """A slot that was given back."""

    slot: Slot
    ports: Ports


class Server(Document):
    """A process that listens on a port."""

    port: Port
    pid: int | None
    """None if it is another user's and cannot be seen."""
    command: str


class Removal(Document):
    """What became of one worktree."""

    removed: bool
    """False if the worktree was gone already."""
    adw_id: AdwId | None
    path: str | None
    released: Released | None
    branch_deleted: str | None
    database_dropped: str | None
    kept_until: str | None
    """Until when `restore` has what was in it; None if nothing had to be kept."""
    stopped: list[Server]
    """What `--stop` ended."""
    listening: list[Server]
    """What still listens on its ports."""


class Remove(Done, Removal):
    """`remove` of one worktree"""


class Finish(Done):
    """`finish`"""

    adw_id: AdwId
    merged: bool
    """False if the target had all of it already."""
    into: str
    way: Literal["fast-forward", "merge", "squash", "rebase"] | None
    commit: str
    """Of the target, when it was done."""
    removed: Removal | None
    """None: `--keep`."""


class Reason(Document):
    """Why something was not done."""

    code: str
    message: str


class Refusal(Document):
    """A worktree that was not removed."""

    target: str
    error: Reason


class RemoveSeveral(Done):
    """`remove` of several, `remove --merged`"""

    removals: list[Removal]
    refused: list[Refusal]


class Listening(Server):
    """A server of a worktree."""

    service: str


class Worktree(Document):
    """One worktree, or a reservation without one."""

    adw_id: AdwId | None
    """None: no lease."""
    slot: Slot | None
    ports: Ports | None
    path: str | None
    branch: str | None
    state: State
    main: bool
    """Whether it is the main worktree."""
    locked: bool
    reason: str | None
    """Of a lease: what was found of its worktree."""
    allocated_at: Time | None
    repository: str
    listening: list[Listening]


class List(Done):
    """`list`"""

    worktrees: list[Worktree]


class Kept(Document):
    """A removed worktree that can be had back."""

    name: str
    adw_id: AdwId | None
    branch: str | None
    commit: str
    path: str
    removed_at: Time
    kept_until: Time


class RestoreList(Done):
    """`restore`"""

    kept: list[Kept]


class Discarded(Done):
    """`restore ADW_ID --discard`"""

    discarded: str


class Lock(Done):
    """`lock`, `unlock`"""

    adw_id: AdwId
    path: str
    locked: bool


class Path(Done):
    """`path`"""

    adw_id: AdwId
    path: str


class Env(Done):
    """`env`"""

    adw_id: AdwId
    variables: dict[str, str]


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

    error: Reason


class Reconcile(Done):
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

    started: Literal[True]


class SparesDropped(Done):
    """`spares drop`"""

    dropped: int


class ClaudeHook(Done):
    """`claude-hook`"""

    path: str
    adw_id: AdwId | None = None
    """Of `create` alone."""


class ShellInit(Done):
    """`shell-init`"""

    shell: str
    text: str


DOCUMENTS: tuple[type[Document], ...] = (
    Create, Remove, RemoveSeveral, Finish, Rename, RestoreList, Restored, Discarded, List, Status,
    Lock, Path, Env, Reserve, Release, Reconcile, Doctor, Hooks, Trust, SparesStatus, SparesFilled,
    SparesStarted, SparesDropped, ClaudeHook, ShellInit, Watching, Freed, Trouble, Failed,
)  # fmt: skip
"""All, in the order of the reference. `run` has its command's output."""


def schema() -> dict[str, Any]:
    """Return one JSON Schema for all: the documents are in `$defs`, by name."""
    from pydantic import TypeAdapter

    union: Any = DOCUMENTS[0]
    for one in DOCUMENTS[1:]:
        union = union | one
    return dict(TypeAdapter(union).json_schema())
