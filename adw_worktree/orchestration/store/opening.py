"""Opening the store, wherever it is."""

from __future__ import annotations

import threading
from pathlib import Path

from adw_worktree.orchestration.store.schema import migrate
from adw_worktree.orchestration.store.sqlite import SqliteDatabase, is_missing


def store_file(state_dir: Path) -> Path:
    """Return the file of the store on this machine."""
    return state_dir / "phases" / "phases.db"


def open_store(state_dir: Path) -> SqliteDatabase:
    """Return the store of this machine, made if there is none. Raises StoreError, FileUnusable."""
    database = SqliteDatabase(store_file(state_dir))
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database


_of_this_thread = threading.local()


def kept_store(state_dir: Path) -> SqliteDatabase:
    """Return the store of this machine, opened once for each thread that asks often.

    It is opened anew if another file has come in its place. Raises StoreError, FileUnusable.
    """
    database: SqliteDatabase | None = getattr(_of_this_thread, "database", None)
    if database is not None and database.place == str(store_file(state_dir)):
        if database.is_current():
            migrate(database)  # or a later version may have brought it up to date meanwhile
            return database
        database.close()
    _of_this_thread.database = database = None
    database = open_store(state_dir)
    _of_this_thread.database = database
    return database


def has_store(state_dir: Path) -> bool:
    """Return whether anything was ever started here."""
    return not is_missing(store_file(state_dir))
