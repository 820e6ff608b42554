"""The reason that git gives when it fails, and what helps: a newer git, its own remedy, a look."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from shlex import join

from adw_worktree.errors import GitFailed

OLDEST_GIT = (2, 36)
"""`worktree list -z`, `hook run` and `cat-file --batch-command` came with it."""

_TWO_WORDS = ("hook", "submodule", "worktree")
_MOST_LINES = 12
_PROGRESS = r"(remote: )?[A-Z][\w ]+: +\d+% \(|(Preparing worktree|HEAD is now at|Cloning into) "
"""What says how far git got, or that all is well."""
_ONLY_READ = ("diff", "ls-files", "rev-list", "rev-parse", "status", "worktree list")


def failure_of(
    argv: Sequence[str], cwd: Path, returncode: int, stderr: str, version: Sequence[int]
) -> GitFailed:
    """Return the error for a git command that exited non-zero."""
    what = command_of(argv)
    reason, hint = _reason(returncode, stderr), "mend that, and repeat"
    first, _, _ = reason.partition("\n")
    trust = re.search(r"(?m)^\t(git config --global --add safe\.directory .+)$", stderr)
    if old := too_old(version):
        reason = f"{first}; {old}"
        hint = "install git 2.36 or later and put it on PATH"
    elif trust:
        reason, hint = first, trust[1]
    elif what in _ONLY_READ:
        hint += f"; git's own words: {join(['git', '-C', str(cwd), *argv[1:]])}"
    message = f"git {what} failed: {reason}"
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
    """Return the last error that git names, then on lines of their own the others that matter.

    The reason is often in one of those: a hook, a filter or a remote printed it.
    """
    lines = _lines(stderr)
    if not lines:
        return f"exit status {returncode}"
    errors = [line for line in lines if line.startswith(("fatal: ", "error: "))]
    chief = (errors or lines)[-1]
    others = list(dict.fromkeys(line for line in lines if line != chief))
    return "\n".join([chief, *_cut(others)])


def _lines(stderr: str) -> list[str]:
    """Return the lines of `stderr` with something to say; those indented by a tab belong to the
    one before."""
    lines: list[str] = []
    for line in stderr.split("\n"):
        shown = line.rstrip().rpartition("\r")[2]
        if shown.startswith("\t") and lines:
            lines[-1] += f" {shown.strip()}"
        elif shown.strip() and not re.match(_PROGRESS, shown):
            lines.append(shown)
    return lines


def _cut(lines: list[str]) -> list[str]:
    """Return the first and the last of too many lines."""
    if len(lines) <= _MOST_LINES:
        return lines
    half = _MOST_LINES // 2
    return [*lines[:half], f"({len(lines) - 2 * half} more lines)", *lines[-half:]]
