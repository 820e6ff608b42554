"""What was probably meant by a command line that cannot be understood."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from adw_worktree.adw_id import with_id_characters
from adw_worktree.errors import InvalidAdwId, UsageError

OTHER_NAMES = {
    "clean": "reconcile",
    "checkout": "cd",
    "destroy": "remove",
    "exec": "run",
    "go": "cd",
    "info": "status",
    "init": "create",
    "land": "finish",
    "merge": "finish",
    "mv": "rename",
    "open": "cd",
    "ports": "status",
    "show": "list",
    "start": "create",
    "switch": "cd",
    "undo": "restore",
    "which": "path",
}
"""Commands by the names that git and other tools have for the same."""


def unknown_command(word: str, names: Iterable[str]) -> UsageError:
    """Return the error for a word that is none of the commands' names."""
    near = [OTHER_NAMES[word]] if word in OTHER_NAMES else get_close_matches(word, names, n=1)
    hint = f"adw-worktree {near[0]} --help" if near else "adw-worktree help"
    return UsageError(f"{word!r} is not a command", hint=hint)


def branch_as_id(name: str) -> InvalidAdwId:
    """Return the error for a branch's name, as in `feature/login`, in the place of an ADW id."""
    adw_id = with_id_characters(name).strip("-.")
    command = ["adw-worktree", "create", adw_id, "--branch", name]
    return InvalidAdwId(
        f"{name!a} is not a valid ADW id, but it can be the branch of one",
        hint=shlex.join(command),
    )


def left_over(
    parser: ArgumentParser,
    words: Sequence[str],
    trailing: Sequence[str] | None,
    rest: Sequence[str],
    adw_id: str | None,
) -> UsageError:
    """Return the error for the words in `rest`, which `parser`, a command's, cannot use.

    `words` are all of the command line but what stands behind `--`; `adw_id` is the one in it.
    """
    command = parser.prog.split()[-1]
    behind = [] if trailing is None else ["--", *trailing]
    said = f"unrecognized arguments: {' '.join(rest)}"
    if command == "run" and not behind and not rest[0].startswith("-"):
        at = words.index(adw_id or "", words.index(command) + 1) + 1
        said = "the command to run stands behind --"
        meant = [*words[:at], "--", *words[at:]]
    elif "-C" in rest:
        at = len(words) - 1 - [*reversed(words)].index("-C")
        said = "-C goes before the command"
        directory = words[at + 1 : at + 2] or ["DIR"]
        meant = ["-C", *directory, *words[:at], *words[at + 2 :], *behind]
    else:
        flags = {one: _near_flag(parser, one) for one in rest}
        if not all(flags.values()):
            return UsageError(said, hint=f"{parser.prog} --help")
        meant = [flags.get(one) or one for one in words] + behind
    return UsageError(said, hint=f"adw-worktree {shlex.join(meant)}")


def _near_flag(parser: ArgumentParser, word: str) -> str | None:
    """Return what `word` is with the flag that it resembles; None if it resembles none."""
    flag, is_given, value = word.partition("=")
    known = [name for action in parser._actions for name in action.option_strings]
    near = get_close_matches(flag, known, n=1) if flag.startswith("--") else []
    return near[0] + is_given + value if near else None
