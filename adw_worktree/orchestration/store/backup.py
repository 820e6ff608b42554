"""Copies of the store in one file: made while all goes on, and put back.

What holds here: a copy is of one moment, and whole or not there. What was there before a copy is
put back stays beside it. The store's file is replaced in one step, while its lock is held.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from adw_worktree.errors import FileUnusable, StoreError, StoreTooNew
from adw_worktree.orchestration.store.schema import MIGRATIONS
from adw_worktree.orchestration.store.sqlite import SqliteDatabase, is_missing, locked
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import exists

_BESIDE = ("-wal", "-shm")


def back_up(database: SqliteDatabase, target: Path) -> None:
    """Write a copy of the store to `target`, which must not be there. Raises FileUnusable."""
    if exists(target):
        raise FileUnusable(f"{target} is there already", hint="name a file that is not there yet")
    made = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        made.unlink(missing_ok=True)
        os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        made.unlink()  # whether it can be made there was the question; SQLite makes its own
        with _private():
            database.execute("VACUUM INTO ?", [str(made)])
        _sync(made)
        reached("backup.written")
        os.link(made, target)  # as a rename, but over nothing that came meanwhile
    except OSError as exc:
        raise FileUnusable.because(f"the copy {target} cannot be written", exc) from exc
    finally:
        with suppress(OSError):
            made.unlink(missing_ok=True)


def put_back(source: Path, file: Path) -> Path | None:
    """Have the copy `source` be the store `file`; return where the present one is kept, if any.

    Nobody may have the store open. Raises StoreError if `source` is no copy of a store, or is
    damaged, StoreTooNew if a later version made it, FileUnusable.
    """
    _require_copy(source)
    made = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(file):
            made.unlink(missing_ok=True)
            with _private():
                _copy(source, made)
            _sync(made)
            kept = None if is_missing(file) else _keep(file)
            reached("restore.kept")
            os.replace(made, file)
            _sync(file.parent)
            return kept
    except OSError as exc:
        raise FileUnusable.because(f"the store {file} cannot be replaced", exc) from exc
    finally:
        with suppress(OSError):
            made.unlink(missing_ok=True)


def _require_copy(source: Path) -> None:
    """Raise StoreError unless `source` is a whole copy of a store."""
    hint = "name a copy that the command store backup has written"
    try:
        if is_missing(source):
            raise StoreError(f"{source} is no copy of a store: it is empty or not there", hint=hint)
        with closing(_reading(source)) as copy:
            [(version,)] = copy.execute("SELECT version FROM meta").fetchall()
            [(verdict,)] = copy.execute("PRAGMA integrity_check(1)").fetchall()
    except (sqlite3.Error, ValueError) as exc:
        raise StoreError(f"{source} is no copy of a store: {exc}", hint=hint) from exc
    if verdict != "ok":
        raise StoreError(f"{source} is damaged: {verdict}", hint="take an earlier copy")
    if version > len(MIGRATIONS):
        raise StoreTooNew(
            f"{source} is of a later version of adw-worktree", hint="upgrade adw-worktree"
        )


def _reading(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)


def _copy(source: Path, target: Path) -> None:
    with closing(_reading(source)) as copy, closing(sqlite3.connect(target)) as made:
        copy.backup(made)


def _keep(file: Path) -> Path:
    """Have the present store be at another place, too; return that. Raises StoreError, OSError."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    kept = file.with_name(f"{file.name}.before-{now}")
    try:
        with closing(sqlite3.connect(file)) as present:
            [(is_busy, *_)] = present.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.DatabaseError:
        is_busy = False  # it is damaged, and goes with what SQLite has kept beside it
        for end in _BESIDE:
            with suppress(FileNotFoundError):
                os.rename(file.with_name(file.name + end), kept.with_name(kept.name + end))
    if is_busy or any(exists(file.with_name(file.name + end)) for end in _BESIDE):
        raise StoreError(
            f"somebody has the store {file} open; nothing was changed",
            hint="end the commands that follow a phase, and repeat",
        )
    os.link(file, kept)
    return kept


@contextmanager
def _private() -> Iterator[None]:
    """Have files that SQLite makes be for their owner alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
