"""Starting what goes on after a command has ended: deleting files, filling spares, services."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from adw_worktree.system.environment import clean_environment
from adw_worktree.system.faults import reached


def start(
    command: Sequence[str],
    directory: Path,
    *,
    keeping: int | None = None,
    without: Collection[str] = (),
) -> bool:
    """Start `command` in `directory` and come back at once; return whether that was possible.

    It has no terminal, prints nothing, and is no child of this process, which may live on for long
    and would have to wait for it. It keeps the file descriptor `keeping`, with the lock on it, and
    goes without the environment variables `without`.
    """
    import subprocess

    null = subprocess.DEVNULL
    try:
        done = subprocess.run(
            ["sh", "-c", '("$@" &)', "sh", *command],
            cwd=directory,
            env={key: text for key, text in clean_environment().items() if key not in without},
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
