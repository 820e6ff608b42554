"""The documents of the commands around worktrees: hooks, approvals, spares, agents, help."""

from __future__ import annotations

from typing import Literal

from adw_worktree.documents.document import AdwId, Document, Done


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
    approved: list[str]
    """The repositories of this machine for which something is approved."""


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
