"""What could come next on a command line, for shells: as quick as can be, and never an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adw_worktree.cli.command_table import COMMANDS, command_called
from adw_worktree.errors import AdwError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from adw_worktree.pool.ledger import Leases

_BRANCH_FLAGS = ("--branch", "--from", "--into")


def complete(words: Sequence[str]) -> str:
    """Return what the last of `words` can become, a line each: the word, a tab, what it is."""
    *before, current = words or [""]
    try:
        found = list(_candidates(before, current))
    except (AdwError, OSError):
        found = []
    return "\n".join(f"{word}\t{about}" for word, about in found if word.startswith(current))


def _candidates(before: Sequence[str], current: str) -> Iterator[tuple[str, str]]:
    places, before = _leading(before)
    if not before:
        yield from _commands()
        return
    name = command_called(before[0])
    if name is None or "--" in before:
        return
    if before[-1] in _BRANCH_FLAGS:
        yield from _branches(places)
        return
    yield from _arguments(name, current, places)


def _commands() -> Iterator[tuple[str, str]]:
    yield from ((name, summary) for name, (summary, _) in COMMANDS.items())


def _arguments(name: str, current: str, places: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what the command `name` takes, as its own parser has it."""
    from argparse import SUPPRESS

    from adw_worktree.cli.parser import parser_of

    if name == "help":
        from adw_worktree.cli.topics import TOPICS

        yield from _commands()
        yield from ((key, topic.summary) for key, topic in TOPICS.items())
    actions = [one for one in parser_of(name)._actions if one.help != SUPPRESS]
    if current.startswith("-"):
        for action in actions:
            yield from ((flag, action.help or "") for flag in action.option_strings)
        return
    for action in actions:
        if not action.option_strings and action.choices is not None:
            yield from ((str(choice), "") for choice in action.choices)
        elif name == "adopt" and not action.option_strings:
            yield from _unmanaged(places)
        elif "ADW_ID" in str(action.metavar) and name not in ("create", "reserve"):
            yield from _adw_ids(places)


def _leading(before: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the directories of -C, and the words from the command on."""
    rest = list(before)
    places = []
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        if flag == "-C" and rest:
            places.append(rest.pop(0))
    return places, rest


def _directory(places: Sequence[str]) -> Path:
    """Return where the command is to work."""
    from pathlib import Path

    return Path.cwd().joinpath(*places)


def _adw_ids(places: Sequence[str]) -> Iterator[tuple[str, str]]:
    from adw_worktree.project import open_project

    leases: Leases = open_project(_directory(places)).pool.ledger.peek() or {}
    for lease in leases.values():
        yield lease.adw_id, f"slot {lease.slot}" + (f", {lease.branch}" if lease.branch else "")


def _unmanaged(places: Sequence[str]) -> Iterator[tuple[str, str]]:
    from adw_worktree.project import open_project
    from adw_worktree.repo.repository import list_worktrees

    project = open_project(_directory(places))
    leases = project.pool.ledger.peek() or {}
    held = {lease.path for lease in leases.values()}
    for entry in list_worktrees(project.repo.home)[1:]:
        if str(entry.path) not in held and not project.repo.is_spare(entry.path):
            yield entry.path.name, f"{entry.path}" + (f", {entry.branch}" if entry.branch else "")


def _branches(places: Sequence[str]) -> Iterator[tuple[str, str]]:
    from adw_worktree.project import open_project
    from adw_worktree.repo.git import run_git

    asked = ["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes"]
    for name in run_git(asked, open_project(_directory(places)).repo.home).stdout.split("\n"):
        if name and not name.endswith("/HEAD"):
            yield name, "branch"
