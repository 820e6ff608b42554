"""Two hosts that share a store: who runs what, and what becomes of it when one is gone."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import server_store
from tests.support.features import phase, start, statuses, write_feature
from tests.support.hosts import Host, make_hosts
from tests.support.machine import settle
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


def wait_for(condition: Callable[[], bool], what: Host | str) -> None:
    """Wait until something holds; `what` is what is wrong, or the host whose word tells it."""
    try:
        settle(condition, "not yet")
    except AssertionError as exc:
        raise AssertionError(what.said() if isinstance(what, Host) else what) from exc


def ran_on(host: Host, slug: str) -> dict[int, list[str]]:
    """Return the hosts on which each phase ran, in the order of its attempts."""
    return {
        row["phase_number"]: [
            one["host"]
            for one in host.json("phase", "show", f"{slug}.{row['phase_number']}")["attempts"]
        ]
        for row in host.json("feature", "show", slug)["phases"]
    }


def completed(host: Host, slug: str) -> bool:
    return {*statuses(host, slug).values()} == {"completed"}


def test_a_feature_of_one_host_runs_on_another(hosts: list[Host], remote: Path) -> None:
    anna, ben = hosts
    ben.work()
    start(anna, "x", phase(1), phase(2, needs=[1]), phase(3, needs=[1, 2]))
    wait_for(lambda: completed(anna, "x"), ben)
    assert {one for them in ran_on(anna, "x").values() for one in them} == {"ben"}
    files = git("ls-tree", "--name-only", "feature/x", cwd=remote).split()
    assert {"x-p1", "x-p2", "x-p3"} <= {*files}


def test_what_ran_on_a_host_that_is_gone_runs_on_the_other(
    hosts: list[Host], remote: Path, tmp_path: Path
) -> None:
    anna, ben = hosts
    anna.work()
    go = tmp_path / "go"
    wait = f"echo $ADW_ATTEMPT >>{tmp_path}/ran; while [ ! -e {go} ]; do sleep 0.05; done"
    start(anna, "x", phase(1, wait, "echo done >done", "git add done; git commit -qm done"))
    wait_for(lambda: (tmp_path / "ran").exists(), "it does not run")
    ben.work()
    anna.signal(signal.SIGSTOP)
    wait_for(lambda: len((tmp_path / "ran").read_text().split()) == 2, ben)
    go.touch()
    wait_for(lambda: completed(ben, "x"), ben)
    landed = git("rev-parse", "feature/x", cwd=remote)
    anna.signal(signal.SIGCONT)
    wait_for(lambda: not (anna.state / "phases" / "untidy").exists()
           or not list((anna.state / "phases" / "untidy").iterdir()), "untidy")  # fmt: skip
    assert ran_on(ben, "x") == {1: ["anna", "ben"]}
    attempts = ben.json("phase", "show", "x.1")["attempts"]
    assert [one["end_reason"] for one in attempts] == ["lost", "completed"]
    assert git("rev-parse", "feature/x", cwd=remote) == landed, "nothing is applied twice"


def test_labels_say_where_a_phase_runs(hosts: list[Host]) -> None:
    anna, ben = hosts
    anna.work()
    file = write_feature(anna, "x", phase(1), phase(2) | {"needs": ["gpu"]})
    anna("feature", "start", str(file), "--yes")
    wait_for(lambda: statuses(anna, "x")[1] == "completed", anna)
    assert statuses(anna, "x")[2] == "ready"
    ben.work("--label", "gpu")
    wait_for(lambda: completed(anna, "x"), ben)
    assert ran_on(anna, "x")[2] == ["ben"]
