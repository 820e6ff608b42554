"""A PostgreSQL server of the tests' own: one per test process, started when it is first needed.

No TCP, no waiting for disks, and nobody but us gets at its socket.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

# Run by sh: when the tests are gone, however that came, its stdin ends, and the server with it.
_SERVE = '"$@" & read -r _; kill -INT $!; wait'
_PREFIX = "adw-pg-"
KEPT = "kept_"
"""Databases that stay as long as the server, by how their names begin."""
SEEDED = "seeded"
"""A database to make others from, with a table in it. Tests leave it as it is."""
_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
}


class Server:
    """A running server."""

    def __init__(self, programs: Path, inside: Sequence[str] = (), **settings: str) -> None:
        """Start it; `inside` runs a command in the network of its own that it is to be in."""
        self.programs = programs
        self._inside, self._settings = inside, {**_OPTIONS, **settings}
        # The tests' own directory may be root's alone, and its name too long for a socket's.
        self.directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
        self._user = _unprivileged_user()
        if self._user is not None:
            shutil.chown(self.directory, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        quick = ["--no-sync", "--auth=trust", "--username=postgres", "--no-instructions"]
        subprocess.run(
            [str(programs / "initdb"), *quick, str(self.directory / "data")],
            check=True,
            capture_output=True,
            cwd="/",
            env=_environment(),
            user=self._user,
        )
        with (self.directory / "data" / "pg_hba.conf").open("a") as access:
            access.write("host all all 10.77.0.0/24 trust\n")
        self.start()
        self.run(f"CREATE DATABASE {SEEDED}")
        self.run("CREATE TABLE seed AS SELECT 'grown' AS word", database=SEEDED)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/?host={self.directory}"

    def start(self) -> None:
        settings = {**self._settings, "unix_socket_directories": str(self.directory)}
        options = [f"-c{name}={value}" for name, value in settings.items()]
        command = [str(self.programs / "postgres"), "-D", str(self.directory / "data"), *options]
        as_user = ["runuser", "-u", self._user, "--"] if self._inside and self._user else []
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                [*self._inside, *as_user, "sh", "-c", _SERVE, "sh", *command],
                cwd="/",
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                user=None if self._inside else self._user,
                start_new_session=True,  # a Ctrl-C is for the tests
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, (self.directory / "log").read_text()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=60)
            self._process = None

    def kill(self) -> None:
        """Kill it with all its processes, as a power cut does."""
        if self._process is None:
            return
        doomed = psutil.Process(self._process.pid).children(recursive=True)
        for process in doomed:
            with suppress(psutil.Error):
                process.kill()
        self.stop()  # which takes in the first of them
        psutil.wait_procs(doomed, timeout=30)

    def discard(self) -> None:
        self.stop()
        assert self.directory.name.startswith(_PREFIX)
        shutil.rmtree(self.directory)

    def run(self, command: str, *, database: str = "postgres") -> list[str]:
        """Run SQL, and return the first column of what it tells."""
        import psycopg
        from psycopg.sql import SQL

        address = f"host={self.directory} user=postgres dbname={database}"
        with psycopg.connect(address, autocommit=True) as connection:
            told = connection.execute(SQL(command))
            return [row[0] for row in told.fetchall()] if told.description else []

    def psql(self, database: str) -> list[str]:
        """Return a command that connects to the database."""
        return [str(self.programs / "psql"), "-XAtq", "-h", str(self.directory), "-U", "postgres",
                "-v", "ON_ERROR_STOP=1", "-d", database]  # fmt: skip

    def databases(self) -> set[str]:
        """Return what there is beside the template and what comes with the server."""
        names = self.run("SELECT datname FROM pg_database WHERE NOT datistemplate")
        return {name for name in names if not name.startswith(KEPT)} - {"postgres", SEEDED}

    def clear(self) -> None:
        """Drop whatever a test left."""
        for name in self.databases():
            quoted = name.replace('"', '""')
            self.run(f'DROP DATABASE "{quoted}" WITH (FORCE)')

    def _answers(self) -> bool:
        command = [*self.psql("postgres"), "-c", "SELECT 1"]
        return subprocess.run(command, capture_output=True).returncode == 0


@cache
def programs() -> Path | None:
    """Return where the server's programs are, None where it is not installed.

    Debian has them in no PATH.
    """
    places = [Path(place) for place in os.environ.get("PATH", "").split(os.pathsep) if place]
    versions = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    places += sorted(versions, key=lambda path: -float(path.parent.name))
    found = (place / "initdb" for place in places if (place / "initdb").exists())
    program = next(found, None)
    return program.resolve().parent if program is not None else None


_running: list[Server] = []


def running() -> Server:
    """Return the server of this process; the tests' last step has to be `discard_all`."""
    if not _running:
        place = programs()
        assert place is not None
        _running.append(Server(place))
    return _running[0]


def discard_all() -> None:
    """End the server, if one was started."""
    while _running:
        _running.pop().discard()


def _unprivileged_user() -> str | None:
    """Return whom to run it as; None for ourselves. As root, initdb refuses."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _environment() -> Mapping[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
