"""Opening the store, wherever it is."""

from __future__ import annotations

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


def has_store(state_dir: Path) -> bool:
    """Return whether anything was ever started here."""
    return not is_missing(store_file(state_dir))
