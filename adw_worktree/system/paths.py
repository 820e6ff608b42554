"""What is at a path, and an error where that cannot be known.

What holds here: unknown is not gone. Since Python 3.14 the methods of these names that a path has
say no to whatever fails, a directory that may not be read as well as one that is not there.
"""

from __future__ import annotations

import os
import stat
from errno import EBADF, ELOOP, ENOENT, ENOTDIR

_ABSENT = (ENOENT, ENOTDIR, EBADF, ELOOP)


def stored(path: str | os.PathLike[str]) -> str:
    """Return the text of a path as files have it: its bytes as UTF-8, whatever the locale."""
    if isinstance(path, str) and path.isascii():
        return path
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def from_stored(text: str) -> str:
    """Return the path that `stored` gave the text of."""
    return text if text.isascii() else os.fsdecode(text.encode("utf-8", "surrogateescape"))


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is something at `path`, links followed. Raises OSError if nobody can tell."""
    return _mode(path, follow=True) is not None


def is_dir(path: str | os.PathLike[str]) -> bool:
    """Whether there is a directory, links followed. Raises OSError if nobody can tell."""
    return stat.S_ISDIR(_mode(path, follow=True) or 0)


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a plain file, links followed. Raises OSError if nobody can tell."""
    return stat.S_ISREG(_mode(path, follow=True) or 0)


def is_symlink(path: str | os.PathLike[str]) -> bool:
    """Whether there is a symbolic link. Raises OSError if nobody can tell."""
    return stat.S_ISLNK(_mode(path, follow=False) or 0)


def _mode(path: str | os.PathLike[str], *, follow: bool) -> int | None:
    try:
        return os.stat(path, follow_symlinks=follow).st_mode
    except OSError as exc:
        if exc.errno in _ABSENT:
            return None
        raise
    except ValueError:  # a name that no file can have
        return None
