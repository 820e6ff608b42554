"""File systems that are mounted inside a directory: their files are not the directory's own.

What holds here: a bind mount counts like any other, although its device number may be that of the
directory around it, so that Linux is asked for its mounts.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from adw_worktree.errors import MountInside
from adw_worktree.system.paths import is_dir

_MOUNTS = "/proc/self/mountinfo"


def mounts_in(directory: Path) -> list[Path]:
    """Return the mount points at or below `directory`. Raises OSError if nobody can tell."""
    if not is_dir(directory):
        return []
    real = Path(os.path.realpath(directory))
    try:
        with open(_MOUNTS, "rb") as file:
            points = [_unescaped(line.split(b" ")[4]) for line in file if line.count(b" ") > 4]
    except FileNotFoundError:
        return _crossings(real)
    inside = {Path(os.fsdecode(point)) for point in points}
    return sorted(point for point in inside if point.is_relative_to(real))


def require_unmounted(directory: Path) -> None:
    """Raise MountInside if deleting `directory` would delete files of another file system."""
    found = mounts_in(directory)
    if not found:
        return
    from shlex import quote

    where = f"is mounted in {directory}, and would be emptied with it"
    if found[0] == directory or found[0] == Path(os.path.realpath(directory)):
        where = "is a mount point itself"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    commands = "; ".join(f"umount {quote(str(point))}" for point in reversed(found))
    raise MountInside(f"{found[0]}{more} {where}", hint=f"{commands}; then repeat")


def _unescaped(name: bytes) -> bytes:
    """Return a name as it is where the kernel writes blanks as `\\040`."""
    return re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), name)


def _crossings(directory: Path) -> list[Path]:
    """Return the directories with another device number than the one around them."""
    found = [directory] if os.path.ismount(directory) else []
    for root, names, _ in os.walk(directory):
        crossed = [name for name in names if os.path.ismount(os.path.join(root, name))]
        found += [Path(root, name) for name in crossed]
        names[:] = [name for name in names if name not in crossed]
    return found
