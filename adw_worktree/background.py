"""Starting what goes on after a command has ended: deleting files, filling spares, services."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .faults import reached
from .gitrepo import clean_environment

_ANSWER_SECONDS = 30.0


def start(command: Sequence[str], directory: Path, *, keeping: int | None = None) -> bool:
    """Start `command` in `directory` and come back at once; return whether that was possible.

    It has no terminal, prints nothing, and is no child of this process, which may live on for long
    and would have to wait for it. It keeps the file descriptor `keeping`, with the lock on it.
    """
    import subprocess

    null = subprocess.DEVNULL
    try:
        done = subprocess.run(
            ["sh", "-c", '("$@" &)', "sh", *command],
            cwd=directory,
            env=clean_environment(),
            stdin=null,
            stdout=null,
            stderr=null,
            start_new_session=True,
            check=False,
            pass_fds=() if keeping is None else (keeping,),
        )
    except OSError:
        return False
    reached("background.started")
    return done.returncode == 0


def succeeds(command: Sequence[str]) -> bool:
    """Run what a service manager's `command` asks of it; return whether it is there and did."""
    import subprocess

    null = subprocess.DEVNULL
    try:
        done = subprocess.run(
            command,
            env=clean_environment(),
            stdin=null,
            stdout=null,
            stderr=null,
            check=False,
            timeout=_ANSWER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
