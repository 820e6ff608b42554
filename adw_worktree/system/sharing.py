"""Permissions of what is made in a directory that a group shares.

git, with `core.sharedRepository`, makes the directories of a repository writable for their group
and has them pass the group on (the set-group-ID bit), whatever the umask. What we make beside its
files follows the directory that it lies in: so it is as open as git's own files are, and no
configuration has to be read, which would take a process.

What holds here: where the directory is not shared in that way, nothing is more open than was meant;
where it is, its group gets what it has in the directory, and others get no more than was meant.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from adw_worktree.system.paths import exists, is_dir

_MOST_TRIES = 100


def mode_in(directory: int, wanted: int) -> int:
    """Return the permissions of what is made in a directory of mode `directory`."""
    if not (directory & stat.S_ISGID and directory & stat.S_IWGRP):
        return wanted
    group = directory & 0o060 | (0o010 if wanted & 0o100 else 0)
    return wanted & 0o7700 | group | wanted & directory & 0o007


def make_directories(path: Path, mode: int = 0o755, *, like: Path | None = None) -> None:
    """Make the directory at `path`, if it is missing, and those above it. Raises OSError.

    `mode` is that of `path`, if nobody shares it. The topmost is shared as `like` is, by default
    the directory that it lies in.
    """
    missing = []
    while not is_dir(path):
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        shared = (like or directory.parent).stat().st_mode
        like = None
        own = mode if directory == missing[0] else 0o755
        directory.mkdir(0o777 if own == 0o755 else own, exist_ok=True)
        wanted = mode_in(shared, own)
        if wanted != own:
            with suppress(PermissionError):  # somebody else was faster, who does the same
                directory.chmod(wanted | stat.S_ISGID)


def move_to(source: Path, target: Path, *, like: Path | None = None) -> None:
    """Rename a directory, and make the one that it goes to. Raises OSError.

    That one may be taken away meanwhile: by a command that removed the last worktree in it.
    `like` is as for `make_directories`.
    """
    for _ in range(_MOST_TRIES):
        try:
            make_directories(target.parent, like=like)
            os.rename(source, target)
            return
        except FileNotFoundError:
            if not exists(source):
                raise
    os.rename(source, target)


def share(descriptor: int, path: Path) -> None:
    """Open the file at `path`, which was just made, to the group that shares its directory."""
    directory = path.parent.stat().st_mode
    if mode_in(directory, 0o600) != 0o600:
        with suppress(PermissionError):
            os.fchmod(descriptor, mode_in(directory, 0o644))
