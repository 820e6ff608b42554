"""The tables of a store on a server: ours, and those of procrastinate, which carries the tokens.

What holds here: `store migrate` alone makes and changes them. Which of procrastinate's migrations
have run is kept in a table of ours, since it keeps no note of that itself.
"""

from __future__ import annotations

from pathlib import Path

from adw_worktree.orchestration.store.libraries import require_library
from adw_worktree.orchestration.store.schema import MIGRATIONS, migrate, version_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.orchestration.store.postgres import PostgresDatabase

_NOTED = "CREATE TABLE IF NOT EXISTS procrastinate_migrations (name TEXT PRIMARY KEY)"


def migrate_server(database: PostgresDatabase) -> list[str]:
    """Bring the tables of a server to this version; return what was done, nothing if it was there.

    Raises StoreError, StoreTooNew, LibraryMissing.
    """
    require_library("procrastinate")
    from procrastinate.schema import SchemaManager

    before = version_of(database)
    migrate(database)
    done = [f"tables of version {len(MIGRATIONS)}"] if before < len(MIGRATIONS) else []
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    with database.transaction(scripts=True):
        database.execute(_NOTED)
        known = {str(name) for [name] in database.execute("SELECT * FROM procrastinate_migrations")}
        [[has_tables]] = database.execute("SELECT to_regclass('procrastinate_jobs')")
        if has_tables is None:
            database.execute(SchemaManager.get_schema())
            done.append("procrastinate's tables")
        else:
            # One that was there before we noted anything has what its own version had.
            for file in files if known else ():
                if file.name not in known:
                    database.execute(file.read_text(encoding="utf-8"))
                    done.append(f"procrastinate's {file.name}")
        for file in files:
            database.execute(
                "INSERT INTO procrastinate_migrations VALUES (?) ON CONFLICT DO NOTHING",
                [file.name],
            )
    return done
