"""The documents that `--json` prints of worktrees, one model for each command."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from adw_worktree.documents.document import (
    AdwId,
    Document,
    Done,
    Error,
    Partly,
    Port,
    Ports,
    Slot,
    State,
    Time,
)


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
    base: str | None
    """The branch, tag or commit, or `#12`, that it started from; None: what is checked out was
    there already."""
    base_commit: str | None
    env_file: str
    database: str | None
    """None: the setting `postgres` asks for none."""


class Adopt(Done):
    """`adopt`"""

    adopted: bool
    """False if it had its slot already."""
    adw_id: AdwId
    slot: Slot
    ports: Ports
    path: str
    branch: str | None
    env_file: str
    database: str | None


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
    commits: int
    """How many of the branch's commits the target got."""
    removed: Removal | None
    """None: `--keep`."""


class Refusal(Document):
    """A worktree that was not removed."""

    target: str
    error: Error


class RemoveSeveral(Partly):
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
    """`path`, `cd`"""

    adw_id: AdwId
    path: str


class Env(Done):
    """`env`"""

    adw_id: AdwId
    variables: dict[str, str]
