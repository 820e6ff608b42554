"""What could come next on a command line, for shells: as quick as can be, and never an error."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adw_worktree.errors import AdwError

if TYPE_CHECKING:
    from adw_worktree.pool.ledger import Leases

Parsers = Callable[[str], argparse.ArgumentParser]

_BRANCH_FLAGS = ("--branch", "--from", "--into")


def complete(
    words: Sequence[str], commands: Mapping[str, tuple[str, tuple[str, ...]]], parsers: Parsers
) -> str:
    """Return what the last of `words` can become, a line each: the word, a tab, what it is.

    `commands` are the command line's, `parsers` makes the parser of one of them.
    """
    *before, current = words or [""]
    try:
        found = list(_candidates(before, current, commands, parsers))
    except (AdwError, OSError):
        found = []
    return "\n".join(f"{word}\t{about}" for word, about in found if word.startswith(current))


def _candidates(
    before: Sequence[str],
    current: str,
    commands: Mapping[str, tuple[str, tuple[str, ...]]],
    parsers: Parsers,
) -> Iterator[tuple[str, str]]:
    directory, before = _directory(before)
    if not before:
        yield from ((name, summary) for name, (summary, _) in commands.items())
        return
    name = next((key for key, (_, also) in commands.items() if before[0] in (key, *also)), None)
    if name is None or "--" in before:
        return
    if before[-1] in _BRANCH_FLAGS:
        yield from _branches(directory)
        return
    if name == "help":
        from adw_worktree.cli.topics import TOPICS

        yield from ((key, summary) for key, (summary, _) in commands.items())
        yield from ((key, topic.summary) for key, topic in TOPICS.items())
    actions = [one for one in parsers(name)._actions if one.help != argparse.SUPPRESS]
    if current.startswith("-"):
        for action in actions:
            yield from ((flag, action.help or "") for flag in action.option_strings)
        return
    for action in actions:
        if not action.option_strings and action.choices is not None:
            yield from ((str(choice), "") for choice in action.choices)
        elif name == "adopt" and not action.option_strings:
            yield from _unmanaged(directory)
        elif "ADW_ID" in str(action.metavar) and name not in ("create", "reserve"):
            yield from _adw_ids(directory)


def _directory(before: Sequence[str]) -> tuple[Path, list[str]]:
    """Return where the command is to work, and the words without what says so."""
    rest = list(before)
    directory = Path.cwd()
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        if flag == "-C" and rest:
            directory = directory / rest.pop(0)
    return directory, rest


def _adw_ids(directory: Path) -> Iterator[tuple[str, str]]:
    from adw_worktree.project import open_project

    leases: Leases = open_project(directory).pool.ledger.peek() or {}
    for lease in leases.values():
        yield lease.adw_id, f"slot {lease.slot}" + (f", {lease.branch}" if lease.branch else "")


def _unmanaged(directory: Path) -> Iterator[tuple[str, str]]:
    from adw_worktree.project import open_project
    from adw_worktree.repo.repository import list_worktrees

    project = open_project(directory)
    leases = project.pool.ledger.peek() or {}
    held = {lease.path for lease in leases.values()}
    for entry in list_worktrees(project.repo.home)[1:]:
        if str(entry.path) not in held and not project.repo.is_spare(entry.path):
            yield entry.path.name, f"{entry.path}" + (f", {entry.branch}" if entry.branch else "")


def _branches(directory: Path) -> Iterator[tuple[str, str]]:
    from adw_worktree.project import open_project
    from adw_worktree.repo.git import run_git

    asked = ["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes"]
    for name in run_git(asked, open_project(directory).repo.home).stdout.split("\n"):
        if name and not name.endswith("/HEAD"):
            yield name, "branch"
