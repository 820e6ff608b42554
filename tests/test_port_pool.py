"""The thirteen behaviours of the older `PortPool`, which programs still count on, by their names.

Each is tried with a file of its own, as the older class had it, and with a repository's ledger.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adw_worktree import PortPool, get_port_pool

SLOTS = 100


@pytest.fixture(params=["a file of its own", "a repository's ledger"])
def persistence_file(
    request: pytest.FixtureRequest,
    repo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    monkeypatch.chdir(repo)
    if request.param == "a file of its own":
        return tmp_path / "agents" / "port_allocations.json"
    return repo / "agents" / "port_allocations.json"


@pytest.fixture
def pool(persistence_file: Path) -> PortPool:
    return PortPool(persistence_file)


def bases(pool: PortPool) -> tuple[int, int]:
    """Return the ports of slot 0, which the tests' own services have."""
    ports = pool.reserve("base")
    pool.release("base")
    return ports


def test_basic_reservation(pool: PortPool) -> None:
    backend, frontend = bases(pool)
    reserved = pool.reserve("adw-1")
    assert reserved[0] in range(backend, backend + SLOTS)
    assert reserved[1] - reserved[0] == frontend - backend


def test_idempotent_reservation(pool: PortPool) -> None:
    assert pool.reserve("adw-1") == pool.reserve("adw-1")
    assert pool.get_pool_status()["allocated"] == 1


def test_unique_allocations(pool: PortPool) -> None:
    reserved = [pool.reserve(f"adw-{number}") for number in range(10)]
    assert len({port for ports in reserved for port in ports}) == 20


def test_release(pool: PortPool) -> None:
    pool.reserve("adw-1")
    assert pool.release("adw-1") is True
    assert pool.release("adw-1") is False
    assert pool.release("never-reserved") is False


def test_reuse_after_release(pool: PortPool) -> None:
    ports = pool.reserve("adw-1")
    pool.release("adw-1")
    assert pool.reserve("adw-2") == ports


def test_get_allocation(pool: PortPool) -> None:
    assert pool.get_allocation("adw-1") is None
    ports = pool.reserve("adw-1")
    assert pool.get_allocation("adw-1") == ports


def test_pool_status(pool: PortPool) -> None:
    ports = [pool.reserve(f"adw-{number}") for number in range(5)]
    status = pool.get_pool_status()
    assert (status["allocated"], status["available"], status["total"]) == (5, SLOTS - 5, SLOTS)
    assert status["utilization_percent"] == 5.0
    of_first = status["allocations"]["adw-0"]
    assert (of_first["backend"], of_first["frontend"]) == ports[0]


def test_pool_exhaustion(persistence_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADW_SLOTS", "3")
    pool = PortPool(persistence_file)
    for number in range(3):
        pool.reserve(f"adw-{number}")
    with pytest.raises(RuntimeError) as failed:
        pool.reserve("one-too-many")
    assert str(failed.value).startswith("Port pool exhausted")
    assert pool.get_allocation("one-too-many") is None
    pool.release("adw-1")
    pool.reserve("one-too-many")


def test_persistence_save(pool: PortPool, persistence_file: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    ports = pool.reserve("adw-1")
    saved = json.loads(persistence_file.read_text())["adw-1"]
    assert (saved["backend"], saved["frontend"]) == ports
    assert before <= datetime.fromisoformat(saved["allocated_at"]) <= datetime.now(UTC)


def test_persistence_load(pool: PortPool, persistence_file: Path) -> None:
    ports = pool.reserve("adw-1")
    assert PortPool(persistence_file).get_allocation("adw-1") == ports
    assert PortPool(str(persistence_file)).reserve("adw-1") == ports


def test_cleanup_stale(pool: PortPool, persistence_file: Path) -> None:
    now = datetime.now(UTC).astimezone().replace(tzinfo=None)
    # As the older class wrote it: the default ports, and a local time.
    older = {
        "old": {
            "backend": 9100,
            "frontend": 9200,
            "allocated_at": (now - timedelta(hours=48)).isoformat(),
        },
        "new": {"backend": 9101, "frontend": 9201, "allocated_at": now.isoformat()},
    }
    persistence_file.parent.mkdir(exist_ok=True)
    persistence_file.write_text(json.dumps(older))
    assert pool.cleanup_stale(max_age_hours=24) == 1
    assert pool.get_allocation("old") is None
    assert pool.get_allocation("new") is not None


def test_singleton(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo)
    assert get_port_pool() is get_port_pool()
    ports = get_port_pool().reserve("adw-1")
    assert PortPool().get_allocation("adw-1") == ports


def test_thread_safety(pool: PortPool) -> None:
    with ThreadPoolExecutor(20) as threads:
        reserved = list(threads.map(pool.reserve, [f"adw-{number}" for number in range(20)]))
    assert len({port for ports in reserved for port in ports}) == 40
    assert pool.get_pool_status()["allocated"] == 20
