"""The store in one file on this machine: SQLite, in WAL mode.

What holds here: a writer waits at a lock beside the file before it begins, so that SQLite itself
never has to refuse; a commit is on the disk before it returns (`synchronous=FULL`), so that no
power cut takes back the end of a phase. A file that is damaged or of another kind is left as it is.
After each commit the bells beside the file ring, so that whoever shows the store misses nothing.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote

from adw_worktree.errors import FileUnusable, StoreError
from adw_worktree.orchestration.store.database import Row, Value
from adw_worktree.orchestration.store.times import now
from adw_worktree.system.bells import ring_all
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held

_LOCK_SECONDS = 30.0
_REASONS = {
    sqlite3.SQLITE_FULL: "free some space, then repeat",
    sqlite3.SQLITE_READONLY: "make {directory} and the files in it writable for you, then repeat",
    sqlite3.SQLITE_CANTOPEN: "make {directory} and the files in it writable for you, then repeat",
    sqlite3.SQLITE_BUSY: "end the program that has the file open, then repeat",
    sqlite3.SQLITE_LOCKED: "end the program that has the file open, then repeat",
    sqlite3.SQLITE_IOERR: "see what the kernel says of the disk (dmesg)",
}
_DAMAGED = "save what it holds: sqlite3 {file} .recover; or begin anew: mv {file} {file}.damaged"


class SqliteDatabase:
    """The database in a file; see `Database`."""

    serial_key = "INTEGER PRIMARY KEY AUTOINCREMENT"
    is_shared = False
    here: str | None = None

    def __init__(self, file: Path) -> None:
        """Open the file; it is made if it is missing. Raises StoreError."""
        self.place = str(file)
        self._file = file
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        except OSError as exc:
            raise FileUnusable.because(f"the store {file} cannot be made", exc) from exc
        try:
            self._opened = _identity(file)
        except OSError as exc:
            raise FileUnusable.because(f"the store {file} cannot be looked at", exc) from exc
        try:
            self._connection = sqlite3.connect(file, isolation_level=None, timeout=_LOCK_SECONDS)
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.execute("PRAGMA synchronous = FULL")
            if is_missing(file):
                # Of several that turn a new file to WAL at once, SQLite refuses all but one.
                with locked(self._file):
                    self._turn_to_wal()
            else:
                self._turn_to_wal()
        except sqlite3.Error as exc:
            raise self._error(exc) from exc

    def _turn_to_wal(self) -> None:
        if self._connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise StoreError(
                f"{self.place} is on a file system on which SQLite cannot be shared by processes",
                hint="choose a state directory on a local disk with ADW_STATE_HOME",
            )

    def execute(self, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as exc:
            raise self._error(exc) from exc

    @contextmanager
    def transaction(self, *, lasting: bool = True) -> Iterator[None]:
        with locked(self._file):
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                reached("store.commit")
                self.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite may have taken it back by itself
                    with suppress(StoreError):
                        self.execute("ROLLBACK")
                raise
            reached("store.committed")
        ring_all(onlookers(self._file))

    def now(self) -> str:
        return now()

    def is_current(self) -> bool:
        """Return whether the file is still the one that was opened."""
        try:
            return _identity(self._file) == self._opened
        except OSError:
            return False

    def close(self) -> None:
        self._connection.close()

    def _error(self, exc: sqlite3.Error) -> StoreError:
        """Return the error for what SQLite says. Raises programming errors of ours as they are."""
        code = getattr(exc, "sqlite_errorcode", None)
        kind = code & 0xFF if isinstance(code, int) else None
        if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            hint = _DAMAGED.format(file=quote(self.place))
            return StoreError(f"the store {self.place} is damaged: {exc}", hint=hint)
        if kind not in _REASONS:
            raise exc
        hint = _REASONS[kind].format(directory=quote(str(self._file.parent)))
        return StoreError(f"the store {self.place} cannot be used: {exc}", hint=hint)


def _identity(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_dev, found.st_ino


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Be the only one who writes the store in `file`, for the block. Raises LockTimeout."""
    with held(file.with_name(f"{file.name}.lock"), _LOCK_SECONDS, f"the store {file}"):
        yield


def onlookers(file: Path) -> Path:
    """Return the directory of the bells of whoever follows what happens in the store."""
    return file.with_name("onlookers")


def is_missing(file: Path) -> bool:
    """Return whether there is no store in `file`: then nothing was ever started."""
    try:
        return file.stat().st_size == 0
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ENOTDIR):
            return True
        raise FileUnusable.because(f"the store {file} cannot be looked at", exc) from exc
