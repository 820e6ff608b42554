"""What git said when it failed, in a line, and what helps: a newer git, its own remedy, a look."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from shlex import join

from adw_worktree.errors import GitFailed

OLDEST_GIT = (2, 36)
"""`worktree list -z`, `hook run` and `cat-file --batch-command` came with it."""

_TWO_WORDS = ("hook", "submodule", "worktree")
_ONLY_READ = ("diff", "ls-files", "rev-list", "rev-parse", "status", "worktree list")


def failure_of(
    argv: Sequence[str], cwd: Path, returncode: int, stderr: str, version: Sequence[int]
) -> GitFailed:
    """Return the error for a git command that exited non-zero."""
    what = command_of(argv)
    message, hint = f"git {what} failed: {_reason(returncode, stderr)}", "mend that, and repeat"
    trust = re.search(r"(?m)^\t(git config --global --add safe\.directory .+)$", stderr)
    if old := too_old(version):
        message, hint = f"{message}; {old}", "install git 2.36 or later and put it on PATH"
    elif trust:
        hint = trust[1]
    elif what in _ONLY_READ:
        hint += f"; git's own words: {join(['git', '-C', str(cwd), *argv[1:]])}"
    return GitFailed(message, hint=hint, argv=argv, returncode=returncode, stderr=stderr)


def too_old(version: Sequence[int]) -> str | None:
    """Return what is to be said of a git before OLDEST_GIT; None of any other."""
    if tuple(version) >= OLDEST_GIT:
        return None
    return f"git {'.'.join(map(str, version))} is older than {'.'.join(map(str, OLDEST_GIT))}"


def command_of(argv: Sequence[str]) -> str:
    """Return the subcommand of a git command, and its own where it has one."""
    words = list(argv[1:])
    while words and words[0].startswith("-"):
        words = words[2 if words[0] in ("-c", "-C") else 1 :]
    return " ".join(words[: 2 if words[0] in _TWO_WORDS else 1])


def _reason(returncode: int, stderr: str) -> str:
    """Return git's own last words, with the names that it puts on lines of their own."""
    told = re.findall(r"(?m)^(?:fatal|error): .*(?:\n\t.*){0,5}", stderr)
    said = told or [line for line in stderr.split("\n") if line.strip()]
    return said[-1].replace("\n\t", " ") if said else f"exit status {returncode}"
