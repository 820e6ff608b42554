"""The store: a database that cannot be used is named, and nothing in it is changed."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adw_worktree.errors import AdwError, StaleAttempt, StoreError, StoreTooNew
from adw_worktree.orchestration.plan.feature_file import parse_feature
from adw_worktree.orchestration.store.attempts import End, claim, end, report, require_current
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.features import Origin, add_feature
from adw_worktree.orchestration.store.opening import kept_store, open_store, store_file
from adw_worktree.orchestration.store.records import attempts, events, phases
from tests.support.command_line import Adw
from tests.support.features import join

pytestmark = pytest.mark.file_store

ORIGIN = Origin("0" * 40, "/nowhere", "plan.toml", "", "somebody")
PLAN = parse_feature(
    'slug = "f"\ntitle = "F"\n[[phases]]\nnumber = 1\ntitle = "P"\nrun = "true"\n', "plan.toml"
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(state: Path) -> Database:
    database = open_store(state)
    join(database, "here")
    return database


def started(store: Database) -> str:
    add_feature(store, PLAN, ORIGIN)
    [claimed] = claim(store, "here", 3)
    return claimed.attempt.token


def test_it_is_private(state: Path, store: Database) -> None:
    assert store_file(state).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("data", [b"no database" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_store_is_left_as_it_is(adw: Adw, data: bytes) -> None:
    file = store_file(Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree")
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    failure = adw.json("feature", "list", code=3)["error"]
    assert failure["code"] == "store"
    assert "damaged" in failure["message"]
    assert file.read_bytes() == data


def test_a_later_store_is_left_as_it_is(state: Path, store: Database) -> None:
    store.execute("UPDATE meta SET version = 99")
    store.close()
    with pytest.raises(StoreTooNew):
        open_store(state)


def test_a_store_that_may_not_be_written_is_named(state: Path, store: Database) -> None:
    store.close()
    file = store_file(state)
    file.unlink()
    file.mkdir()
    with pytest.raises(AdwError, match="cannot be"):
        open_store(state)


def test_a_full_disk_takes_nothing_with_it(state: Path, store: Database) -> None:
    add_feature(store, PLAN, ORIGIN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = max(one.stat().st_size for one in store_file(state).parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(StoreError):
            claim(store, "here", 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [one.status for one in phases(store)] == ["ready"]
    assert attempts(store, "1 = 1") == []
    assert len(claim(store, "here", 3)) == 1


@pytest.mark.thorough
def test_many_that_open_it_at_once_make_it_once(state: Path) -> None:
    script = (
        "import sys; from pathlib import Path;"
        "from adw_worktree.orchestration.store.opening import open_store;"
        "print(flush=True); sys.stdin.read();"
        "print(open_store(Path(sys.argv[1])).execute('SELECT count(*) FROM gate'))"
    )
    for number in range(3):
        command = [sys.executable, "-c", script, str(state / str(number))]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(12)
        ]
        for process in processes:
            assert process.stdout is not None and process.stdout.readline() == b"\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None  # else communicate() would flush it
        assert [process.communicate()[0] for process in processes] == [b"[(1,)]\n"] * 12


def test_a_writer_that_was_killed_holds_nobody_up(state: Path, store: Database) -> None:
    script = (
        "import os, sys; from pathlib import Path;"
        "from adw_worktree.orchestration.store.opening import open_store;"
        "store = open_store(Path(sys.argv[1]));"
        "transaction = store.transaction(); transaction.__enter__();"
        "store.execute('UPDATE gate SET max_running = 77'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(state)], check=False)
    assert store.execute("SELECT max_running FROM gate") == [(3,)]
    started(store)


def test_a_store_that_is_copied_in_the_middle_is_whole(state: Path, store: Database) -> None:
    """As after a power cut: what is on the disk is what was committed."""
    token = started(store)
    copy = state / "copy"
    copy.mkdir()
    for file in store_file(state).parent.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    with sqlite3.connect(copy / "phases.db") as found:
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert found.execute("SELECT token FROM attempts").fetchall() == [(token,)]


def test_an_attempt_that_has_ended_changes_nothing(store: Database) -> None:
    """A card was put back to its old owner by a worker that was long replaced."""
    token = started(store)
    end(store, token, End("lost"))
    [other] = claim(store, "here", 3)
    end(store, token, End("completed"))
    assert [one.status for one in phases(store)] == ["running"]
    with pytest.raises(StaleAttempt, match=r"f\.1 is running"):
        report(store, token, "done", None)
    require_current(store, other.attempt.token)


def test_a_claim_that_never_began_uses_up_no_attempt(store: Database) -> None:
    add_feature(store, PLAN, ORIGIN)
    for _ in range(5):
        [claimed] = claim(store, "here", 3)
        end(store, claimed.attempt.token, End("lost"))
    assert [one.status for one in phases(store)] == ["ready"]


def test_events_are_there_with_what_they_tell(store: Database) -> None:
    end(store, started(store), End("completed"))
    assert [one.kind for one in events(store, "1 = 1")] == [
        "feature.started",
        "phase.ready",
        "phase.running",
        "attempt.started",
        "attempt.ended",
        "phase.completed",
        "feature.completed",
    ]


def test_a_kept_store_is_this_thread_s_own_and_the_one_that_is_there(
    state: Path, store: Database
) -> None:
    add_feature(store, PLAN, ORIGIN)
    kept = kept_store(state)
    assert kept_store(state) is kept
    with ThreadPoolExecutor(1) as other:
        theirs = other.submit(kept_store, state).result()
        assert theirs is not kept
        assert len(other.submit(phases, theirs).result()) == 1
    store.execute("UPDATE meta SET version = 99")
    with pytest.raises(StoreTooNew):
        kept_store(state)
    for file in state.joinpath("phases").iterdir():
        file.unlink() if file.is_file() else None
    anew = kept_store(state)
    assert anew is not kept
    assert phases(anew) == []
    assert kept_store(state.with_name("another")).place != anew.place
