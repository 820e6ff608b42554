"""The commands: their names and aliases, what each does, and its module."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# name: (what it does, aliases). The module is `commands/<name>.py`, with `_` for `-`.
COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "create": ("make a worktree with a slot of ports", ("add", "new")),
    "adopt": ("give a worktree that git made a slot of ports", ()),
    "remove": ("take back a worktree and its slot", ("rm", "delete")),
    "rename": ("give an ADW another id, with the same slot", ()),
    "finish": ("merge a worktree's branch back, and remove the worktree", ()),
    "restore": ("bring back a worktree that was removed with work in it", ()),
    "list": ("show the repository's worktrees", ("ls",)),
    "status": ("show the pool of this machine", ()),
    "lock": ("keep a worktree from being removed", ()),
    "unlock": ("let a worktree be removed again", ()),
    "reserve": ("lease a slot without a worktree", ()),
    "release": ("give back a slot that was reserved", ()),
    "reconcile": ("compare leases with worktrees, and mend", ("gc", "prune")),
    "watch": ("free slots as soon as their worktrees are gone", ()),
    "plan": ("write, check and show the plan of a feature", ()),
    "feature": ("start the phases of a feature, and say how far they are", ()),
    "phase": ("show, stop and repeat single phases", ()),
    "agents": ("say which agents there are, and whether they can be used", ()),
    "store": ("copy what is known of features and phases, and put it back", ()),
    "worker": ("show the hosts that share a store, and let one start nothing more", ()),
    "board": ("serve a page that shows and steers all of it", ()),
    "import-queue": ("take in an export of the older queue of phases", ()),
    "work": ("start phases here until nothing is left to do", ()),
    "env": ("print an ADW's variables", ()),
    "run": ("run a command in a worktree, with its variables", ()),
    "cd": ("go into a worktree", ()),
    "path": ("print a worktree's path", ()),
    "spares": ("keep worktrees ready, so that create is quick", ()),
    "claude-hook": ("make and remove the worktrees of Claude Code's sessions", ()),
    "hooks": ("put git's hooks in place, or take them out", ()),
    "shell-init": ("print what a shell needs for `adw` and completion", ()),
    "trust": ("approve the commands that a repository's settings ask for", ()),
    "doctor": ("say what is wrong, and what mends it", ()),
    "help": ("explain a command, or a topic such as exit-codes", ()),
}


def command_called(word: str) -> str | None:
    """Return the command that has the name or the alias `word`, or None."""
    names = (name for name, (_, aliases) in COMMANDS.items() if word == name or word in aliases)
    return next(names, None)


def require_command(word: str) -> str:
    """Return the command that has the name or the alias `word`. Raises UsageError."""
    name = command_called(word)
    if name is not None:
        return name
    from adw_worktree.cli.mistyped import unknown_command

    raise unknown_command(word, command_names())


def command_names() -> list[str]:
    """Return every name of every command."""
    return [name for key, (_, aliases) in COMMANDS.items() for name in (key, *aliases)]


def command_module(name: str) -> Any:
    """Return the module of a command, imported now if it was not."""
    # Not by importlib, which takes as long to load as the module of a small command.
    path = f"adw_worktree.cli.commands.{name.replace('-', '_')}"
    __import__(path)
    return sys.modules[path]
