"""Copies of SQLite databases that other programs may be writing to.

What holds here: a copy is one state of the database, with all that was committed to it, whatever of
it still lies in the journal beside the file (https://sqlite.org/backup.html,
https://sqlite.org/howtocorrupt.html, section 1.2).
"""

from __future__ import annotations

import os
import stat
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from adw_worktree.errors import FileUnusable
from adw_worktree.system.faults import reached

if TYPE_CHECKING:
    from sqlite3 import Connection

_MAGIC = b"SQLite format 3\0"
_COMPANIONS = ("-wal", "-shm", "-journal")
_LOCK_SECONDS = 10.0


def is_database(path: Path) -> bool:
    """Whether `path` is a regular file that says it is a SQLite database."""
    try:
        with open(path, "rb", opener=_unlinked) as file:
            return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(16) == _MAGIC
    except OSError:
        return False


def is_companion(path: Path) -> bool:
    """Whether `path` is the journal of a database beside it: a copy of that is whole without it."""
    ending = next((one for one in _COMPANIONS if path.name.endswith(one)), None)
    return ending is not None and is_database(path.with_name(path.name.removesuffix(ending)))


def copy_database(source: Path, target: Path) -> bool:
    """Copy a database with its permissions; False if something is in its place.

    Raises OSError; FileUnusable, with nothing copied, if it is locked for too long or damaged.
    """
    import sqlite3

    mode = stat.S_IMODE(source.stat().st_mode)
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode))
    except FileExistsError:
        return False
    try:
        with closing(_opened(source)) as read, closing(_opened(target)) as written:
            read.backup(written)
    except sqlite3.Error as exc:
        target.unlink()
        raise FileUnusable(
            f"the SQLite database {source} cannot be copied: {exc}",
            hint="end the program that holds it, or leave it out of what is included",
        ) from exc
    os.chmod(target, mode)
    reached("include.copied")
    return True


def _opened(path: Path) -> Connection:
    import sqlite3

    # Not read-only: what a program that died left in the journal can then be taken up.
    place = f"file:{quote(os.fsencode(path))}?mode=rw"
    return sqlite3.connect(place, uri=True, timeout=_LOCK_SECONDS, isolation_level=None)


def _unlinked(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
