"""What the tests of hosts have in common: a remote, a store on a server, two hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import server_store
from tests.support.hosts import Host, make_hosts
from tests.support.postgres_server import Server
from tests.support.repositories import git, make_repo

LEASE = "4"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """Return a repository without a worktree that all hosts have."""
    made = make_repo(tmp_path / "first")
    bare = tmp_path / "shop.git"
    git("clone", "-q", "--bare", str(made), str(bare), cwd=tmp_path)
    return bare


@pytest.fixture
def url(postgres: Server) -> str:
    """Return the address of a store."""
    return server_store.made(postgres)


@pytest.fixture
def hosts(tmp_path: Path, remote: Path, url: str) -> Iterator[list[Host]]:
    """Return two hosts that do not work yet."""
    made = make_hosts(tmp_path / "hosts", remote, url, ["anna", "ben"], ADW_LEASE=LEASE)
    yield made
    for host in made:
        host.end()
