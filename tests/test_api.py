"""`PortPool` and `get_port_pool`, as other programs use them."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adw_worktree import PortPool, get_port_pool
from adw_worktree.errors import InvalidAdwId, PoolExhausted
from adw_worktree.pool.holders import Holding, exhausted
from adw_worktree.pool.lease import Lease
from adw_worktree.settings.model import Settings
from tests.support.command_line import Adw
from tests.support.repositories import git


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
    with pytest.raises(RuntimeError, match=r"\APort pool exhausted"):
        pool.reserve("c")
    pool.release("a")
    pool.reserve("c")


def test_a_pool_alone_proposes_no_command_that_cannot_see_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADW_SLOTS", "1")
    pool = PortPool(tmp_path / "ports.json")
    pool.reserve("a")
    with pytest.raises(PoolExhausted) as failed:
        pool.reserve("b")
    assert failed.value.hint == f"give one back: PortPool('{tmp_path}/ports.json').release(ADW_ID)"


def test_what_is_out_of_reach_or_of_no_use_is_not_proposed(tmp_path: Path) -> None:
    def held(adw_id: str, slot: int, repository: Path, days: int) -> Holding:
        at = datetime.now(UTC) - timedelta(days=days)
        ports = {"backend": 9100 + slot, "frontend": 9200 + slot}
        lease = Lease(adw_id, slot, ports, at, "active", "0" * 32)
        return Holding(lease, repository / "ledger", repository / ".git")

    pool = Settings(slots=1)
    holdings = [
        held("unmounted", 0, tmp_path / "gone", 9),
        held("useless", 2, tmp_path, 9),
        held("fresh", 0, tmp_path, 0),
    ]
    hint = f"adw-worktree -C {tmp_path} release fresh (the oldest)"
    assert exhausted(pool, holdings, {}).hint == hint
    aged = exhausted(pool, [*holdings, held("aged", 0, tmp_path, 9)], {})
    assert aged.hint == "adw-worktree reconcile --all --max-age 24 (releases 1 reservation)"
    assert "raise the setting slots" in str(exhausted(pool, holdings[:1], {}).hint)
    other = Settings(slots=1, services={"backend": 9102, "frontend": 9300})
    assert "slot 0: port 9102 is leased to useless" in str(exhausted(other, holdings[1:2], {}))


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
    from tests.support.repositories import make_repo

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


@pytest.mark.thorough
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
