"""A PostgreSQL server that waits for its disk, and hosts that work on a store of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import postgres_server, server_store
from tests.support.hosts import Host, make_hosts
from tests.support.postgres_server import Server
from tests.support.repositories import git, make_repo
from tests.support.sealed import sealed

_AS_IN_USE = {
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "shared_buffers": "128MB",
    "max_connections": "200",
}


@contextmanager
def server() -> Iterator[Server]:
    """Have a server for the block, set as it is by default."""
    programs = postgres_server.programs()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed")
    found = Server(programs, **_AS_IN_USE)
    try:
        yield found
    finally:
        found.kill()
        found.discard()


@contextmanager
def working(scratch: Path, count: int, *, most: int) -> Iterator[list[Host]]:
    """Have so many hosts at work, each with its own name as its label, for the block."""
    with sealed(scratch), server() as found:
        url = server_store.made(found)
        remote = scratch / "shop.git"
        git("clone", "-q", "--bare", str(make_repo(scratch / "first")), str(remote), cwd=scratch)
        names = [f"host{number}" for number in range(1, count + 1)]
        hosts = make_hosts(scratch / "hosts", remote, url, names, ADW_MAX_RUNNING=str(most))
        try:
            for host in hosts:
                host.work("--label", host.name)
            yield hosts
        finally:
            for host in hosts:
                host.end()
