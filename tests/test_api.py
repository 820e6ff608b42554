"""`PortPool` and `get_port_pool`, as other programs use them."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import Adw, git

from adw_worktree import PortPool, get_port_pool
from adw_worktree.errors import InvalidAdwId


@pytest.fixture
def inside(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(repo)
    return repo


def test_reserve_is_idempotent_and_release_says_whether(inside: Path) -> None:
    pool = PortPool()
    ports = pool.reserve("a")
    assert pool.reserve("a") == ports == pool.get_allocation("a")
    assert ports[1] - ports[0] == 100
    assert pool.release("a") is True
    assert pool.release("a") is False
    assert pool.get_allocation("a") is None


def test_bad_ids_are_refused(inside: Path) -> None:
    with pytest.raises(InvalidAdwId, match="not a valid ADW id"):
        PortPool().reserve("../x")


def test_exhaustion_is_a_runtime_error(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADW_SLOTS", "2")
    pool = PortPool()
    pool.reserve("a")
    pool.reserve("b")
    with pytest.raises(RuntimeError, match=r"\APool exhausted"):
        pool.reserve("c")
    pool.release("a")
    pool.reserve("c")


def test_status_has_the_keys_of_the_command(inside: Path) -> None:
    PortPool().reserve("a")
    status = PortPool().get_pool_status()
    shown = Adw(inside).json("status")
    assert status == {
        key: value for key, value in shown.items() if key not in ("schema_version", "ok")
    }


def test_cleanup_frees_old_reservations_and_gone_worktrees(inside: Path) -> None:
    adw = Adw(inside)
    adw("create", "alive")
    adw("create", "gone")
    subprocess.run(["rm", "-rf", "trees/gone"], cwd=inside, check=True)
    pool = PortPool()
    assert pool.cleanup_stale() == 1
    pool.reserve("r")
    assert pool.cleanup_stale() == 0
    assert pool.cleanup_stale(max_age_hours=0) == 1
    assert set(pool.get_pool_status()["allocations"]) == {"alive"}


def test_one_pool_per_project(
    inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conftest import make_repo

    first = get_port_pool()
    assert get_port_pool() is first
    monkeypatch.chdir(make_repo(tmp_path / "second"))
    assert get_port_pool() is not first


def test_file_outside_a_repository_stands_alone(tmp_path: Path, sealed_env: Path) -> None:
    path = tmp_path / "pool.json"
    pool = PortPool(path)
    ports = pool.reserve("a")
    assert json.loads(path.read_text())["a"]["backend"] == ports[0]
    assert PortPool(str(path)).get_allocation("a") == ports
    assert not (sealed_env / "state").exists()
    assert pool.get_pool_status()["allocated"] == 1


def test_the_ledgers_own_file_is_the_repositorys_pool(inside: Path) -> None:
    PortPool().reserve("a")
    assert PortPool(inside / "agents" / "port_allocations.json").get_allocation("a") is not None


def test_threads_get_distinct_slots(inside: Path) -> None:
    pool = PortPool()
    found: list[tuple[int, int]] = []
    threads = [
        threading.Thread(target=lambda name=f"a{number}": found.append(pool.reserve(name)))
        for number in range(24)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 24


def _reserve_many(queue: multiprocessing.Queue[list[tuple[int, int]]], number: int) -> None:
    pool = PortPool()
    queue.put([pool.reserve(f"p{number}-{turn}") for turn in range(4)])


def test_processes_get_distinct_slots(inside: Path) -> None:
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[list[tuple[int, int]]] = context.Queue()
    workers = [context.Process(target=_reserve_many, args=(queue, number)) for number in range(10)]
    for worker in workers:
        worker.start()
    found = [ports for _ in workers for ports in queue.get(timeout=120)]
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 10
    assert len(set(found)) == 40
    assert len(PortPool().get_pool_status()["allocations"]) == 40


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = ("pydantic", "git", "psutil")
    code = f"import sys, adw_worktree; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reserve_leaves_the_checkout_clean(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo)
    PortPool().reserve("a")
    assert git("status", "--porcelain", cwd=repo) == ""
