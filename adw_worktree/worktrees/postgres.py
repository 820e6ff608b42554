"""The PostgreSQL server: databases made from a template, marked as ours, set aside and dropped.

What holds here: only a database that says whose it is, in its comment or by its resting name, is
ever renamed or dropped, and it is looked at again in the same transaction; the resting name says as
much as the comment, so that there is no moment at which a database of ours is without a mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, LiteralString, NamedTuple

from adw_worktree.errors import AdwError, DatabaseFailed, LibraryMissing
from adw_worktree.settings.database_url import named_in, server_url
from adw_worktree.system.faults import reached

if TYPE_CHECKING:
    from psycopg import Connection

_CONNECT_SECONDS = 5
_OLDEST = 130000
_LOCK_TIMEOUT = "15s"
_MARK = r"(?m)^adw-worktree: token=([0-9a-f]{32}) repo=([0-9a-f]{16}) adw_id=([A-Za-z0-9._-]+)$"
_RESTING = r"adw_worktree_([0-9a-f]{16})_([0-9a-f]{32})"
_MAX_SHOWN = 200


class Mark(NamedTuple):
    """Whose a database is."""

    token: str
    """The token of its ADW's lease."""
    repo: str
    """Digest of the repository and its machine."""
    adw_id: str
    """For people."""

    @property
    def comment(self) -> str:
        return f"adw-worktree: token={self.token} repo={self.repo} adw_id={self.adw_id}"

    @property
    def resting_name(self) -> str:
        """What it is called while no worktree uses it: being made, in the trash, to be dropped."""
        return f"adw_worktree_{self.repo}_{self.token}"


class Marked(NamedTuple):
    """A database with our mark, as it was when it was looked at."""

    name: str
    mark: Mark
    comment: str | None
    version: tuple[int, str] | None
    """Number of the database, and of the last change of its name or rights."""
    closed: bool = False
    """Whether it lets nobody in: a `rest` that was interrupted leaves it so."""

    @property
    def rests(self) -> bool:
        return self.name == self.mark.resting_name


class Changed(AdwError):
    """Another process renamed, dropped or made a database anew since it was looked at."""


class Server(NamedTuple):
    """A connection to a server, to a database that is nobody's template or worktree."""

    connection: Connection

    def marked(self) -> list[Marked]:
        """Return every database with our mark, of whatever repository and machine."""
        rows = self.connection.execute(
            "SELECT datname::text, shobj_description(oid, 'pg_database'), oid::int8, xmin::text,"
            " NOT datallowconn FROM pg_database ORDER BY datname"
        ).fetchall()
        return [
            Marked(name, mark, comment, (number, change), closed)
            for name, comment, number, change, closed in rows
            if (mark := _mark(name, comment)) is not None
        ]

    def has(self, name: str) -> bool:
        """Whether there is a database called `name`, whosever it is."""
        row = self.connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
        return row.fetchone() is not None

    def make(self, template: str, name: str, mark: Mark) -> None:
        """Make the database `name` from `template`.

        Raises DatabaseFailed, with nothing left, if the template cannot be copied; Changed if
        another process makes it, too, or there is one of that name by now.
        """
        try:
            self._copy(template, mark.resting_name)
            reached("database.copied")
            self.put_to_use(self._found(mark.resting_name), name, mark)
        except Changed:
            raise  # another process may be at it, for the same worktree
        except BaseException:
            with suppress(Exception):  # it is swept later, if it cannot be dropped now
                self._give_up_command()
                self._drop_resting(mark)
            raise

    def put_to_use(self, found: Marked, name: str, mark: Mark) -> None:
        """Have a database of ours be called `name` and bear `mark`. Raises Changed."""
        with self._unchanged(found):
            self._run("COMMENT ON DATABASE {} IS {}", found.name, text=mark.comment)
            self._run("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", found.name)
            if found.name != name:
                self._rename(found.name, name)
        reached("database.named")

    def rest(self, found: Marked) -> None:
        """Take a database out of use, under its resting name; end what is connected to it.

        Raises Changed.
        """
        if found.rests:
            return
        with self._unchanged(found):
            self._run("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", found.name)
            closed = found._replace(version=self._version(found.name))
        reached("database.closed")
        resting = found.mark.resting_name
        with self._unchanged(closed):
            # The server waits until those are gone before it renames.
            self.connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [found.name],
            )
            self._rename(found.name, resting)
            self._run("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", resting)
        reached("database.resting")

    def drop(self, found: Marked) -> None:
        """Drop a database of ours. Raises Changed; that another process dropped it is no error."""
        self.rest(found)  # no other ever has that name, however late the server gets to it
        self._drop_resting(found.mark)

    def _give_up_command(self) -> None:
        """Have the server end a command that a signal kept us from waiting for."""
        from psycopg.pq import TransactionStatus

        if self.connection.info.transaction_status == TransactionStatus.ACTIVE:
            self.connection.cancel()
            while self.connection.pgconn.get_result() is not None:
                pass

    def _found(self, name: str) -> Marked:
        for one in self.marked():
            if one.name == name:
                return one
        raise Changed(f"the database {name} was dropped by somebody else")

    def _drop_resting(self, mark: Mark) -> None:
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", mark.resting_name)
        reached("database.dropped")

    @contextmanager
    def _unchanged(self, found: Marked) -> Iterator[None]:
        """Change a database in one transaction, and only if it is still what was found."""
        from psycopg import errors

        try:
            with self.connection.transaction():
                # Says nothing new, but from here on nobody else renames or drops it.
                self._run("COMMENT ON DATABASE {} IS {}", found.name, text=found.comment)
                if self._version(found.name) != found.version:
                    raise Changed(f"the database {found.name} is another by now")
                yield
        except errors.InvalidCatalogName as exc:
            raise Changed(f"the database {found.name} is gone") from exc

    def _version(self, name: str) -> tuple[int, str] | None:
        return self.connection.execute(
            "SELECT oid::int8, xmin::text FROM pg_database WHERE datname = %s", [name]
        ).fetchone()

    def _copy(self, template: str, name: str) -> None:
        from psycopg import errors

        if not self.has(template):
            raise DatabaseFailed(
                f"there is no database {template!r} to make others from",
                hint="make it, or name another one with template in [postgres]",
            )
        reached("database-copy.before")
        try:
            # The server itself waits five seconds for those who are connected to the template.
            self._run("CREATE DATABASE {} TEMPLATE {}", name, template)
        except (errors.DuplicateDatabase, errors.UniqueViolation) as exc:
            raise Changed(f"the database {name} is being made by another process") from exc
        except errors.ObjectInUse as exc:
            raise DatabaseFailed(
                f"the database {template} cannot be copied while somebody is connected to it: "
                f"{', '.join(self._users(template)) or 'who has left by now'}",
                hint="disconnect them, or name a database that nobody uses with template in "
                "[postgres]",
            ) from exc

    def _users(self, name: str) -> Sequence[str]:
        rows = self.connection.execute(
            "SELECT coalesce(nullif(application_name, ''), usename, 'somebody'), pid"
            " FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() ORDER BY pid",
            [name],
        )
        return [f"{_line(who)} (pid {pid})" for who, pid in rows]

    def _rename(self, old: str, new: str) -> None:
        from psycopg import errors

        try:
            self._run("ALTER DATABASE {} RENAME TO {}", old, new)
        except errors.DuplicateDatabase as exc:
            raise Changed(f"there is a database {new} by now") from exc

    def _run(self, command: LiteralString, *names: str, text: str | None = None) -> None:
        """Run a command with these names in it, and a text where one belongs."""
        from psycopg.sql import SQL, Composable, Identifier, Literal

        parts: list[Composable] = [Identifier(name) for name in names]
        if command.count("{}") > len(names):
            parts.append(Literal(text))
        self.connection.execute(SQL(command).format(*parts))


@contextmanager
def connected(url: str, template: str) -> Iterator[Server]:
    """Connect to the server of `url`. Raises DatabaseFailed, LibraryMissing."""
    try:
        import psycopg  # noqa: F401
    except ImportError as exc:
        from adw_worktree.system.install_hint import install_command

        raise LibraryMissing(
            f"[postgres] needs psycopg, which cannot be loaded: {_line(exc)}",
            hint=install_command("psycopg[binary]>=3.1.4"),
        ) from exc
    with plainly(), _opened(url, template) as connection:
        version = connection.info.server_version
        if version < _OLDEST:
            raise DatabaseFailed(
                f"the database server is PostgreSQL {version // 10000}",
                hint="13 is the first that drops a database that somebody is connected to",
            )
        connection.execute("SELECT set_config('lock_timeout', %s, false)", [_LOCK_TIMEOUT])
        yield Server(connection)


@contextmanager
def plainly() -> Iterator[None]:
    """Have what the server refuses be a DatabaseFailed."""
    import psycopg

    try:
        yield
    except psycopg.errors.InsufficientPrivilege as exc:
        raise DatabaseFailed(
            f"the database server refuses: {_line(exc)}",
            hint="its role needs CREATEDB, and has to own the template, or that be marked as one: "
            "ALTER DATABASE … IS_TEMPLATE true",
        ) from exc
    except psycopg.Error as exc:
        raise DatabaseFailed(
            f"the database server says: {_line(exc)}", hint="mend that on the server, and repeat"
        ) from exc


@contextmanager
def _opened(url: str, template: str) -> Iterator[Connection]:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    # Connected to the template, we would keep others from copying it.
    places = (named_in(url), "postgres", "template1")
    place = next(name for name in places if name not in (None, template))
    try:
        given = conninfo_to_dict(server_url(url))
        wanted: dict[str, str | int] = {
            "connect_timeout": _CONNECT_SECONDS,
            "application_name": "adw-worktree",
        }
        wanted = {key: value for key, value in wanted.items() if key not in given}
        address = make_conninfo(server_url(url), dbname=place, **wanted)
        connection = psycopg.connect(address, autocommit=True)
    except psycopg.Error as exc:
        raise DatabaseFailed(
            f"the database server cannot be reached: {_line(exc)}",
            hint="start it, or set url in [postgres] (or PGHOST, PGPORT, PGUSER); "
            "[postgres] enabled = false in your own settings goes without",
        ) from exc
    with connection:
        yield connection


def _mark(name: str, comment: str | None) -> Mark | None:
    """Return the mark of a database; None if it is none of ours."""
    if found := re.search(_MARK, comment or ""):
        return Mark(*found.groups())
    if found := re.fullmatch(_RESTING, name):
        return Mark(token=found[2], repo=found[1], adw_id="(unknown)")
    return None


def _line(said: object) -> str:
    """Return what a server said, on one line."""
    text = " ".join(str(said).split())
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
