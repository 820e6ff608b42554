"""Opening the store, wherever it is: in a file of this machine, or on a server.

What holds here: a file is brought up to date by whoever opens it. A server's tables are made and
changed by `store migrate` alone, since programs of an earlier version may be at work on them.
"""

from __future__ import annotations

import threading
from pathlib import Path

from adw_worktree.errors import StoreError
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.schema import is_up_to_date, migrate
from adw_worktree.orchestration.store.sqlite import SqliteDatabase, is_missing
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.settings.load import load_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.orchestration.store.postgres import PostgresDatabase


def store_file(state_dir: Path) -> Path:
    """Return the file of the store on this machine."""
    return state_dir / "phases" / "phases.db"


def store_url() -> str | None:
    """Return the server that has the store; None if a file has it. Raises SettingsError."""
    return load_settings(None).store


def require_store_url() -> str:
    """Return the server that has the store. Raises StoreError if none is named."""
    url = store_url()
    if url is None:
        raise StoreError(
            "no server is named that has the store",
            hint='store = "postgresql://USER@HOST/NAME" in your settings, or ADW_STORE',
        )
    return url


def open_store(state_dir: Path, host: str | None = None) -> Database:
    """Return the store: that of the setting `store`, or this machine's, made if there is none.

    `host` is the one that looks for itself after what it changes, and needs no waking.

    Raises StoreError, StoreUnavailable, FileUnusable, LibraryMissing, SettingsError.
    """
    url = store_url()
    if url is None:
        return open_file_store(state_dir)
    database = open_server_store(url, host)
    database.here = this_host(state_dir).name
    return database


def open_file_store(state_dir: Path) -> SqliteDatabase:
    """Return the store of this machine, made if there is none. Raises StoreError, FileUnusable."""
    database = SqliteDatabase(store_file(state_dir))
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def open_server_store(url: str, host: str | None = None) -> Database:
    """Return the store on a server. Raises StoreError, StoreUnavailable, LibraryMissing."""
    database = connect_to_server(url, host)
    try:
        if is_up_to_date(database):
            return database
        raise StoreError(
            f"the store {database.place} has no tables of this version yet",
            hint="adw-worktree store migrate",
        )
    except BaseException:
        database.close()
        raise


def connect_to_server(url: str, host: str | None = None) -> PostgresDatabase:
    """Return the database of a server, whatever is in it. Raises as `open_server_store` does."""
    from adw_worktree.orchestration.store.libraries import require_library

    require_library("psycopg")
    from adw_worktree.orchestration.store.postgres import PostgresDatabase

    return PostgresDatabase(url, host)


_of_this_thread = threading.local()


def kept_store(state_dir: Path) -> Database:
    """Return the store, opened once for each thread that asks often.

    It is opened anew if another file has come in its place, or the connection broke. Raises as
    `open_store` does.
    """
    key, database = getattr(_of_this_thread, "kept", (None, None))
    if database is not None:
        if key == state_dir and database.is_current():
            if not database.is_shared:
                migrate(database)  # or a later version may have brought it up to date meanwhile
            return database  # type: ignore[no-any-return]
        database.close()
    _of_this_thread.kept = (None, None)
    database = open_store(state_dir)
    _of_this_thread.kept = (state_dir, database)
    return database


def has_store(state_dir: Path) -> bool:
    """Return whether anything was ever started here, or on the server that has the store."""
    return store_url() is not None or not is_missing(store_file(state_dir))
