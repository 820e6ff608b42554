"""What could come next on a command line, for shells: as quick as can be, and never an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
    before, current, prefix = _value_apart(before, current)
    try:
        found = list(_candidates(before, current))
    except (AdwError, OSError):
        found = []
    fitting = ((word, about) for word, about in found if word.startswith(current))
    return "\n".join(f"{prefix}{word}\t{about}" for word, about in fitting)


def _value_apart(before: list[str], current: str) -> tuple[list[str], str, str]:
    """Return the words with `--flag=value` as two, and what the value is to be preceded by.

    bash gives the sign as a word of its own, and wants the value alone.
    """
    if current == "=" and before:
        return before, "", ""
    if len(before) > 1 and before[-1] == "=":
        return before[:-1], current, ""
    flag, sign, value = current.partition("=")
    if sign and flag.startswith("--"):
        return [*before, flag], value, f"{flag}="
    return before, current, ""


def _candidates(before: Sequence[str], current: str) -> Iterator[tuple[str, str]]:
    if before and before[-1] == "-C":
        return
    places, before = _leading(before)
    if not before:
        yield from _commands()
        return
    name = command_called(before[0])
    if name is None or "--" in before:
        return
    if before[-1] in _BRANCH_FLAGS:
        yield from _branches(places)
    elif before[-1] == "--slot":
        yield from _free_slots(places)
    else:
        yield from _arguments(name, before[1:], current, places)


def _commands() -> Iterator[tuple[str, str]]:
    yield from ((name, summary) for name, (summary, _) in COMMANDS.items())


def _arguments(
    name: str, before: Sequence[str], current: str, places: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield what the command `name` takes behind the words `before`, as its own parser has it."""
    from argparse import SUPPRESS

    from adw_worktree.cli.parser import parser_of

    actions = [one for one in parser_of(name)._actions if one.help != SUPPRESS]
    flags = {flag: one for one in actions for flag in one.option_strings if one.nargs != 0}
    if before and before[-1] in flags:
        yield from ((str(choice), "") for choice in flags[before[-1]].choices or ())
        return
    if current.startswith("-"):
        for action in actions:
            yield from ((flag, action.help or "") for flag in action.option_strings)
        return
    given = [word for last, word in zip(["", *before], before, strict=False)
             if not word.startswith("-") and last not in flags]  # fmt: skip
    for place, action in enumerate(one for one in actions if not one.option_strings):
        if action.nargs == "*" or place == len(given):
            found = _values(name, str(action.metavar), action.choices or (), places)
            yield from (one for one in found if one[0] not in given)
            return


def _values(
    name: str, metavar: str, choices: Iterable[object], places: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield what can stand for an argument without a flag."""
    yield from ((str(choice), "") for choice in choices)
    if name == "help":
        from adw_worktree.cli.topics import TOPICS

        yield from _commands()
        yield from ((key, topic.summary) for key, topic in TOPICS.items())
    elif name == "adopt":
        yield from _unmanaged(places)
    elif name == "restore":
        yield from _removed(places)
    elif name == "create":
        yield from _branches_without_worktree(places)
    elif "ADW_ID" in metavar and name != "reserve":
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


def _branches_without_worktree(places: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the branches, also of remotes, that `create` would take up under their own names."""
    from adw_worktree.adw_id import check_adw_id
    from adw_worktree.project import open_project
    from adw_worktree.repo.git import run_git

    shown = "%(refname)%00%(worktreepath)"
    asked = ["for-each-ref", f"--format={shown}", "refs/heads", "refs/remotes"]
    lines = run_git(asked, open_project(_directory(places)).repo.home).stdout.splitlines()
    refs = dict(line.split("\0", 1) for line in lines if "\0" in line)
    for ref, worktree in refs.items():
        _, kind, name = ref.split("/", 2)
        if kind == "remotes":
            name = name.partition("/")[2]
        taken = worktree or (kind == "remotes" and f"refs/heads/{name}" in refs)
        try:
            if not taken and name != "HEAD":
                yield check_adw_id(name), f"branch {ref.removeprefix(f'refs/{kind}/')}"
        except AdwError:
            continue


def _removed(places: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what `restore` brings back, the newest first."""
    from adw_worktree.project import open_project
    from adw_worktree.worktrees.trash import kept_entries

    for entry in kept_entries(open_project(_directory(places)).repo):
        yield entry.adw_id or entry.name, f"removed {entry.removed_at}, was {entry.path}"


def _free_slots(places: Sequence[str]) -> Iterator[tuple[str, str]]:
    from adw_worktree.pool.lease import ports_of
    from adw_worktree.project import open_project

    project = open_project(_directory(places))
    leases = list((project.pool.ledger.peek() or {}).values())
    taken = {one.slot for one in (*leases, *(held.lease for held in project.pool.elsewhere()))}
    for slot in sorted(set(range(project.settings.slots)) - taken):
        ports = ports_of(slot, project.settings.services)
        yield str(slot), ", ".join(f"{name} {port}" for name, port in ports.items())
