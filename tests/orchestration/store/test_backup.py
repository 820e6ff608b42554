"""Copies of the store: of one moment while all goes on, and put back without losing anything."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adw_worktree.orchestration.store.steering import set_limit
from tests.support.board import BoardProcess
from tests.support.command_line import Adw
from tests.support.features import (
    kill_all,
    phase,
    start,
    state_dir,
    statuses,
    store,
    until,
    work,
    write_feature,
)

pytestmark = pytest.mark.file_store


@pytest.fixture(autouse=True)
def nothing_runs_on() -> object:
    yield
    kill_all()


def store_path() -> Path:
    return state_dir() / "phases" / "phases.db"


def test_a_copy_is_put_back_and_what_was_there_is_kept(adw: Adw, tmp_path: Path) -> None:
    start(adw, "one", phase(1))
    work(adw)
    copy = tmp_path / "a copy.db"
    adw("store", "backup", str(copy))
    assert copy.stat().st_mode & 0o777 == 0o600
    start(adw, "two", phase(1))
    work(adw)
    done = adw.json("store", "restore", str(copy))
    assert [one["slug"] for one in adw.json("feature", "list")["features"]] == ["one"]
    adw("store", "restore", done["before"])
    slugs = [one["slug"] for one in adw.json("feature", "list")["features"]]
    assert slugs == ["one", "two"]
    start(adw, "three", phase(1))
    work(adw)
    assert statuses(adw, "three") == {1: "completed"}


def test_a_copy_is_of_one_moment_while_all_goes_on(adw: Adw, tmp_path: Path) -> None:
    """Each change sets the limit and appends an event: no copy has one without the other."""
    store().close()

    def change(_: int) -> None:
        database = store()
        for number in range(200):
            set_limit(database, 3 + number % 2)
        database.close()

    with ThreadPoolExecutor(4) as threads:
        changing = [threads.submit(change, number) for number in range(3)]
        copies = 0
        while not all(one.done() for one in changing):
            copy = tmp_path / f"{copies}.db"
            adw("store", "backup", str(copy))
            opened = sqlite3.connect(copy)
            [(limit,)] = opened.execute("SELECT max_running FROM gate").fetchall()
            rows = opened.execute("SELECT data FROM events ORDER BY id DESC LIMIT 1").fetchall()
            opened.close()
            assert not rows or f": {limit}}}" in rows[0][0]
            copies += 1
        for one in changing:
            one.result()
    assert copies > 2


def test_what_the_copy_has_as_running_goes_on(adw: Adw, tmp_path: Path) -> None:
    start(adw, "x", phase(1, f"[ -e {tmp_path}/go ] || sleep 60; true", changes="none"))
    until(adw, "x.1", "running")
    adw("store", "backup", str(tmp_path / "copy"))
    kill_all()
    (tmp_path / "go").touch()
    adw("store", "restore", str(tmp_path / "copy"))
    work(adw)
    assert statuses(adw, "x") == {1: "completed"}


def test_nothing_is_put_back_while_somebody_works(adw: Adw, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    adw("feature", "add", str(write_feature(adw, "x", phase(1, "sleep 60"))))
    adw("store", "backup", str(copy))
    board = BoardProcess(adw)
    try:
        assert "the board works" in adw("store", "restore", str(copy), code=3).stderr
    finally:
        board.end()
    adw("feature", "start", "x", "--yes")
    until(adw, "x.1", "running")
    assert "a coordinator works" in adw("store", "restore", str(copy), code=3).stderr
    assert statuses(adw, "x") == {1: "running"}


def test_what_is_no_copy_is_refused_and_changes_nothing(adw: Adw, tmp_path: Path) -> None:
    start(adw, "x", phase(1))
    work(adw)
    adw("store", "backup", str(tmp_path / "good"))
    before = statuses(adw, "x")
    (tmp_path / "text").write_text("no database at all, but a text of some length\n" * 100)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "cut").write_bytes((tmp_path / "good").read_bytes()[:9000])
    other = sqlite3.connect(tmp_path / "other")
    other.execute("CREATE TABLE a (b)")
    other.commit()
    other.close()
    later = tmp_path / "later"
    later.write_bytes((tmp_path / "good").read_bytes())
    opened = sqlite3.connect(later)
    opened.execute("UPDATE meta SET version = 99")
    opened.commit()
    opened.close()
    for name in ("text", "empty", "cut", "other", "later", "missing"):
        failed = adw("store", "restore", str(tmp_path / name), code=3)
        assert "hint:" in failed.stderr, name
        assert statuses(adw, "x") == before, name
    over = adw("store", "backup", str(tmp_path / "good"), code=3)
    assert "is there already" in over.stderr
    assert "cannot be written" in adw("store", "backup", "/nowhere/copy", code=3).stderr


@pytest.mark.parametrize("point", ["backup.written", "restore.kept"])
def test_a_kill_in_the_middle_loses_nothing(adw: Adw, tmp_path: Path, point: str) -> None:
    start(adw, "x", phase(1))
    work(adw)
    copy = tmp_path / "copy"
    adw("store", "backup", str(copy))
    words = ("backup", str(tmp_path / "another")) if "backup" in point else ("restore", str(copy))
    adw("store", *words, code=-9, ADW_FAULT=f"{point}=kill")
    assert statuses(adw, "x") == {1: "completed"}
    assert not (tmp_path / "another").exists()
    adw("store", *words)
    assert statuses(adw, "x") == {1: "completed"}


def test_a_damaged_store_is_replaced_and_kept(adw: Adw, tmp_path: Path) -> None:
    start(adw, "x", phase(1))
    work(adw)
    adw("store", "backup", str(tmp_path / "copy"))
    for end in ("-wal", "-shm"):
        store_path().with_name(f"phases.db{end}").unlink(missing_ok=True)
    store_path().write_bytes(b"damaged " * 1000)
    done = adw.json("store", "restore", str(tmp_path / "copy"))
    assert Path(done["before"]).read_bytes().startswith(b"damaged")
    assert statuses(adw, "x") == {1: "completed"}
