"""A store on a server, for tests: a copy of one that has its tables already."""

from __future__ import annotations

import itertools
import subprocess
from contextlib import closing
from pathlib import Path

from adw_worktree.orchestration.store.hosts import Offer, register
from adw_worktree.orchestration.store.opening import connect_to_server, open_store
from adw_worktree.orchestration.store.server_tables import migrate_server
from adw_worktree.orchestration.store.this_host import keep_this_host, this_host
from tests.support.postgres_server import KEPT, Server

_TEMPLATE = f"{KEPT}phases"
_numbers = itertools.count()


def url_of(server: Server, name: str) -> str:
    """Return the url of a database."""
    return server.url.replace("@/?", f"@/{name}?")


def made(server: Server) -> str:
    """Make a database with the tables of a store; return its url."""
    if not server.run(f"SELECT 1 FROM pg_database WHERE datname = '{_TEMPLATE}'"):
        server.run(f"CREATE DATABASE {_TEMPLATE}")
        with closing(connect_to_server(url_of(server, _TEMPLATE))) as database:
            migrate_server(database)
    name = f"phases_{next(_numbers)}"
    server.run(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    return url_of(server, name)


def serve_here(state_dir: Path) -> None:
    """Let this host start phases of the store, whoever starts its coordinator."""
    host = keep_this_host(state_dir, this_host(state_dir))
    with closing(open_store(state_dir)) as database:
        offer = Offer(host.name, host.machine, None, 300.0, "0", host.labels, {})
        register(database, offer, serves=True)


def give_remote(repository: Path, bare: Path) -> None:
    """Give a repository a remote that has all of it."""
    subprocess.run(["git", "clone", "-q", "--bare", repository, bare], check=True)
    subprocess.run(["git", "-C", repository, "remote", "add", "origin", bare], check=True)
