from __future__ import annotations

from dataclasses import dataclass

from .gitrepo import Repository


@dataclass(frozen=True, slots=True)
class HookState:
    event: str
    path: str
    state: str
    how: str | None
    note: str | None


def install(repo: Repository, *, command, watched=None, use_config=None) -> list[HookState]:
    return []


def uninstall(repo):
    return []


def status(repo):
    return []
