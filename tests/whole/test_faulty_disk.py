"""Damage on the disk, from the command line: the right answer, or a clear error and nothing lost.

What `test_ledger.py` holds of one damaged file is not repeated here; `test_full_disk.py` has the
disk that fails in the middle of a command.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adw_worktree.project import open_project
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish
from tests.support.command_line import Adw
from tests.support.disk import fill, ledger_of, obeying, slots, state_of
from tests.support.machine import mounted
from tests.support.repositories import branches, git, worktrees
from tests.support.stress_size import count, stress_size


@pytest.fixture
def pool(adw: Adw) -> Adw:
    """Return the command line in a repository with worktrees `a`, `b` and a reservation `r`."""
    project = open_project(adw.directory)
    create(project, "a", Wish(slot=3))
    create(project, "b", Wish(slot=4))
    project.pool.reserve("r", wanted=5)
    return adw


def entry_of(adw: Adw) -> Path:
    (entry,) = (state_of(adw) / "ledgers").glob("*.json")
    return entry


def replace_with(kind: str, path: Path) -> None:
    """Put something at `path` that no file of ours may be."""
    path.unlink(missing_ok=True)
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a directory":
        path.mkdir()
    else:
        path.symlink_to(
            {"a loop": path.name, "a device": "/dev/zero", "a dangling link": "no"}[kind]
        )


ODD = ["a pipe", "a directory", "a loop", "a device", "a dangling link"]


@pytest.mark.parametrize(
    "command", ["create c", "remove a", "list", "reconcile"][: stress_size(2, 4)]
)
def test_any_command_rebuilds_a_damaged_ledger_from_env_files_alone(
    pool: Adw, command: str
) -> None:
    """Slots of running servers would be handed out a second time."""
    ledger_of(pool).write_bytes(b'{"half')
    for receipt in pool.directory.glob(".git/worktrees/*/adw-worktree.json"):
        receipt.unlink()
    pool(*command.split())
    found = slots(pool)
    assert {key: found[key] for key in ("b", "r")} == {"b": 4, "r": 5}
    assert found.get("a") == (None if command == "remove a" else 3)
    assert len(set(found.values())) == len(found)
    (aside,) = ledger_of(pool).parent.glob("*.corrupt-*")
    assert aside.read_bytes() == b'{"half'


@pytest.mark.parametrize("lost", ["receipt", "directory"])
def test_worktree_that_cannot_be_looked_into_keeps_its_slot_in_a_rebuilt_ledger(
    pool: Adw, lost: str
) -> None:
    """Its slot would be handed out under its running servers; unreadable is not gone."""
    admin = pool.directory / ".git" / "worktrees" / "a"
    (pool.directory / "trees" / "a" / ".env.ports").unlink()
    ledger_of(pool).write_bytes(b'{"half')
    if lost == "receipt":
        (admin / "adw-worktree.json").write_bytes(b"\0" * 400)
        assert slots(pool) == {"a": 3, "b": 4, "r": 5}
        pool("reconcile")
        assert json.loads((admin / "adw-worktree.json").read_text())["slot"] == 3
        assert "ADW_SLOT=3" in pool("env", "a").stdout
    else:
        limited_adw = obeying(pool)
        admin.chmod(0)
        try:
            assert slots(limited_adw) == {"a": 3, "b": 4, "r": 5}
        finally:
            admin.chmod(0o755)
        assert slots(pool) == {"a": 3, "b": 4, "r": 5}


def test_ledger_is_not_rebuilt_while_the_registry_cannot_be_read(pool: Adw) -> None:
    """Reservations are nowhere else; they were forgotten, and their slots handed out again."""
    ledger_of(pool).write_bytes(b'{"half')
    held = obeying(pool)
    entry = entry_of(pool)
    for closed in (entry, entry.parent):
        mode = closed.stat().st_mode
        closed.chmod(0)
        try:
            assert str(entry) in held.json("status", code=3)["error"]["message"]
        finally:
            closed.chmod(mode)
        assert ledger_of(pool).read_bytes() == b'{"half'
    assert slots(held) == {"a": 3, "b": 4, "r": 5}


def test_one_bad_entry_costs_no_good_one_its_slot(pool: Adw) -> None:
    document = json.loads(ledger_of(pool).read_text())
    document["b"]["slot"] = "four"
    ledger_of(pool).write_text(json.dumps(document))
    assert slots(pool) == {"a": 3, "b": 4, "r": 5}


def test_ledger_that_names_an_id_twice_is_damage(pool: Adw) -> None:
    """JSON takes the last: the slot of the first one's running servers was handed out again."""
    text = ledger_of(pool).read_text()
    ledger_of(pool).write_text(text.replace('"r": {', '"b": {'))
    pool("create", "c", "--slot", "4", code=5)
    found = slots(pool)
    assert {key: found.get(key) for key in "abr"} == {"a": 3, "b": 4, "r": 5}
    assert list(ledger_of(pool).parent.glob("*.corrupt-*"))


def test_living_worktree_whose_lease_became_pending_keeps_its_slot(pool: Adw) -> None:
    """No `create` is behind it, so it was released, and its slot handed out under its servers."""
    document = json.loads(ledger_of(pool).read_text())
    document["b"]["state"] = "pending"
    ledger_of(pool).write_text(json.dumps(document))
    (pool.directory / "trees" / "b" / "work").write_text("of days")
    pool("create", "c", "--slot", "4", code=5)
    found = slots(pool)
    assert {key: found.get(key) for key in "abr"} == {"a": 3, "b": 4, "r": 5}
    assert (pool.directory / "trees" / "b" / "work").read_text() == "of days"
    assert not pool.json("doctor")["problems"]


def test_second_damage_does_not_overwrite_what_was_set_aside(pool: Adw) -> None:
    for text in ("one", "two"):
        ledger_of(pool).write_text(text)
        assert slots(pool) == {"a": 3, "b": 4, "r": 5}
    kept = ledger_of(pool).parent.glob("*.corrupt-*")
    assert sorted(path.read_text() for path in kept) == ["one", "two"]


def test_git_clean_costs_nobody_a_slot(pool: Adw) -> None:
    """`git clean -fdx` deletes what is ignored: the ledger, but no directory that is a worktree."""
    git("clean", "-fdx", cwd=pool.directory)
    assert not ledger_of(pool).exists()
    pool("create", "c")
    found = slots(pool)
    assert (found["a"], found["b"], found["r"]) == (3, 4, 5)
    assert found["c"] not in (3, 4, 5)


@pytest.mark.parametrize("kind", ODD[: stress_size(1, 5)])
def test_odd_thing_in_place_of_the_ledger_is_refused_and_never_waited_for(
    pool: Adw, kind: str
) -> None:
    kept = ledger_of(pool).read_bytes()
    replace_with(kind, ledger_of(pool))
    for command in ("list", "create c"):
        error = pool.json(*command.split(), code=3)["error"]
        assert str(ledger_of(pool)) in error["message"]
        assert error["hint"]
    assert not (pool.directory / "trees" / "c").exists()
    (shutil.rmtree if kind == "a directory" else os.unlink)(ledger_of(pool))
    assert slots(pool) == {"a": 3, "b": 4, "r": 5}
    ledger_of(pool).write_bytes(kept)


def test_file_in_place_of_the_ledgers_directory_stays(pool: Adw) -> None:
    shutil.rmtree(ledger_of(pool).parent)
    ledger_of(pool).parent.write_text("mine")
    assert slots(pool) == {"a": 3, "b": 4, "r": 5}
    assert pool.json("create", "c", code=3)["error"]["code"] == "ledger"
    assert ledger_of(pool).parent.read_text() == "mine"
    ledger_of(pool).parent.unlink()
    assert slots(pool) == {"a": 3, "b": 4, "r": 5}


DAMAGED_ENTRY: dict[str, Any] = {
    "empty": b"",
    "binary": bytes(range(256)),
    "a list": b"[]",
    "deep": b"[" * 200_000,
    "endless number": b'{"schema_version": 1, "ledger": "/l", "common_dir": "/c", "device": 1e999}',
}


@pytest.mark.parametrize(
    "kind", [*DAMAGED_ENTRY, *ODD] if stress_size(0, 1) else ["deep", "a pipe"]
)
def test_damaged_registry_entry_of_ones_own_ledger_is_set_aside(pool: Adw, kind: str) -> None:
    """It copies the ledger, which is here: nothing is unknown that could be handed out twice."""
    entry = entry_of(pool)
    if kind in ODD:
        replace_with(kind, entry)
    else:
        entry.write_bytes(DAMAGED_ENTRY[kind])
    pool("create", "c")
    found = slots(pool)
    assert (found["a"], found["b"], found["r"], found["c"]) == (3, 4, 5, 0)
    assert set(json.loads(entry.read_text())["leases"]) >= {"a", "b", "c", "r"}
    (aside,) = entry.parent.glob("*.corrupt-*")
    if kind in DAMAGED_ENTRY:
        assert aside.read_bytes() == DAMAGED_ENTRY[kind]


@pytest.mark.parametrize("kind", ["deep", "a pipe"])
def test_damaged_registry_entry_of_another_ledger_stops_every_hand_out(
    pool: Adw, kind: str
) -> None:
    """Its slots are unknown, which is not free."""
    other = entry_of(pool).with_name(f"{'0' * 32}.json")
    if kind in ODD:
        replace_with(kind, other)
    else:
        other.write_bytes(DAMAGED_ENTRY[kind])
    assert str(other) in pool.json("create", "c", code=3)["error"]["message"]
    assert not (pool.directory / "trees" / "c").exists()
    other.unlink()
    pool("create", "c")


def test_registry_entry_of_a_later_version_is_left_alone(pool: Adw) -> None:
    entry_of(pool).write_text('{"schema_version": 2}')
    assert pool.json("create", "c", code=3)["error"]["code"] == "ledger-too-new"
    assert entry_of(pool).read_text() == '{"schema_version": 2}'


@pytest.mark.parametrize("kind", ["deep", "a pipe", "a device"][: stress_size(2, 3)])
def test_damaged_list_of_doubts_costs_only_an_order_of_preference(pool: Adw, kind: str) -> None:
    doubts = state_of(pool) / "doubtful.json"
    if kind in ODD:
        replace_with(kind, doubts)
    else:
        doubts.write_bytes(DAMAGED_ENTRY[kind])
    assert pool.json("create", "c")["slot"] == 0
    shutil.rmtree(pool.directory / "trees" / "c")
    assert slots(pool) == {"a": 3, "b": 4, "r": 5}
    assert json.loads(doubts.read_text())[0] == 0


@pytest.mark.parametrize("kind", ["a directory", "a loop"])
def test_odd_thing_in_place_of_a_lock_is_a_clear_error(pool: Adw, kind: str) -> None:
    lock = state_of(pool) / "machine.lock"
    replace_with(kind, lock)
    assert str(lock) in pool.json("create", "c", code=3)["error"]["message"]
    assert not (pool.directory / "trees" / "c").exists()


def test_stamp_is_whole_or_as_it_was(pool: Adw) -> None:
    """An empty one tells the hooks that no worktree has a lease: they would miss a removal."""
    pool("hooks", "install")
    stamp = pool.directory / ".git" / "adw-worktree" / "stamp"
    before = stamp.read_bytes(), stamp.stat().st_mtime_ns
    assert before[0] == b"leased\n"
    done = limited(pool, 0, "reconcile")
    assert (stamp.read_bytes(), stamp.stat().st_mtime_ns) == before
    assert done.returncode == 3, done.stderr
    assert f"the stamp {stamp} cannot be written" in done.stderr
    pool("reconcile")


def test_lost_state_directory_is_made_again(pool: Adw) -> None:
    shutil.rmtree(state_of(pool))
    assert slots(pool) == {"a": 3, "b": 4, "r": 5}
    assert set(json.loads(entry_of(pool).read_text())["leases"]) >= {"a", "b", "r"}


@pytest.mark.parametrize("place", ["relative", "/dev/null", "/proc/none"][: stress_size(2, 3)])
def test_state_directory_that_cannot_be_is_a_clear_error(pool: Adw, place: str) -> None:
    if place.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("no /proc")
    error = pool.json("create", "c", code=3, ADW_STATE_HOME=place)["error"]
    assert "ADW_STATE_HOME" in error["message"] + error["hint"]
    assert not (pool.directory / "trees" / "c").exists()


def limited(adw: Adw, size: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line where no file may grow above `size` bytes."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    command = [sys.executable, "-m", "adw_worktree", *words]
    return subprocess.run(
        command, cwd=adw.directory, preexec_fn=limit, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("size", [0, 1, 100, 700, 2000] if stress_size(0, 1) else [100])
def test_limit_on_the_size_of_files_leaves_the_old_state_whole(pool: Adw, size: int) -> None:
    done = limited(pool, size, "create", "c")
    assert done.returncode in (0, 3, 4), done.stderr
    assert "Traceback" not in done.stderr
    found = slots(pool)
    assert (found["a"], found["b"], found["r"]) == (3, 4, 5)
    assert (pool.directory / "trees" / "c").exists() == (done.returncode == 0)
    pool("create", "c")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("words", "code"),
    [(["list"], 3), (["list", "--json"], 3), (["remove", "none", "--json"], 6)],
)
def test_full_disk_behind_stdout_is_no_bug_of_ours(adw: Adw, words: list[str], code: int) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*adw.command, *words], cwd=adw.directory, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == code, done.stderr
    assert done.stderr.count(b"error: ") == 1
    assert b"bug" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.fixture
def small(tmp_path: Path) -> Any:
    """Return a file system of one megabyte; skip where none can be mounted."""
    with mounted(tmp_path / "small", "1m") as place:
        yield place


def in_state(adw: Adw, small: Path) -> tuple[list[str], Path]:
    return ["create", "c"], small


def in_worktree(adw: Adw, small: Path) -> tuple[list[str], Path]:
    return ["create", "c", "--path", str(small / "c")], state_of(adw)


@pytest.mark.parametrize("where", [in_state, in_worktree])
def test_full_file_system_leaves_nothing_half_made(
    pool: Adw, small: Path, where: Callable[[Adw, Path], tuple[list[str], Path]]
) -> None:
    words, state = where(pool, small)
    ballast = fill(small)
    ran = pool(*words, code=None, ADW_STATE_HOME=str(state))
    assert ran.code in (3, 4), ran.stderr
    assert "hint: " in ran.stderr or "No space left" in ran.stderr
    ballast.unlink()
    found = slots(pool)
    assert found == {"a": 3, "b": 4, "r": 5}
    assert "c" not in git("branch", "--format=%(refname:short)", cwd=pool.directory).split()
    pool(*words, ADW_STATE_HOME=str(state))


@pytest.mark.parametrize("moved", [False, True])
def test_worktree_that_git_has_forgotten_the_place_of_keeps_its_slot(
    pool: Adw, moved: bool
) -> None:
    """`git worktree repair` on a full disk leaves the file empty; the slot was given away."""
    tree = pool.directory / "trees" / "a"
    if moved:
        tree = tree.rename(tree.with_name("elsewhere"))
    (pool.directory / ".git" / "worktrees" / "a" / "gitdir").write_bytes(b"")
    assert slots(pool) == {"a": 3, "b": 4, "r": 5}
    pool("reconcile")
    assert slots(pool) == {"a": 3, "b": 4, "r": 5}
    assert pool("path", "a").stdout.strip() == str(tree)
    git("status", cwd=tree)


# ---- what cannot be finished yet ---------------------------------------------------------------

GOES_ON = ["status", "list", "env b", "path b", "reserve s", "create b", "reconcile", "doctor"]


@pytest.mark.parametrize("mode", [0, 0o500])
@pytest.mark.parametrize(
    ("place", "died"),
    [
        ("trash", ["remove", "a", "retire.admin=kill"]),
        ("creating", ["create", "c", "receipt.written=kill"]),
    ],
)
def test_what_cannot_be_taken_up_yet_stops_nobody(
    pool: Adw, place: str, died: list[str], mode: int
) -> None:
    """A trash that may not be read made `env` and `status` fail in the worktrees all around."""
    *words, fault = died
    assert pool(*words, code=None, ADW_FAULT=fault).code not in (0, 3)
    closed, held = pool.directory / ".git" / "adw-worktree" / place, obeying(pool)
    for lock in closed.glob("*.lock" if place == "trash" else "*.git"):
        lock.unlink()  # one that has to be made anew, and cannot be
    before = closed.stat().st_mode
    closed.chmod(mode)
    try:
        for command in GOES_ON[:: stress_size(2, 1)]:
            ran = held(*command.split(), code=None)
            count("faults")
            assert ran.code in (0, 10), f"{command}: {ran.stderr}"
            assert f"adw-worktree/{place}" in ran.stderr, f"{command} says nothing: {ran.stderr}"
    finally:
        closed.chmod(before)
    assert "adw-worktree/" not in pool("status").stderr
    left = {"b"} if place == "trash" else {"a", "b"}
    assert slots(pool).keys() == left | {"r", "s"}
    trees = {Path(path).name for path in worktrees(pool.directory)}
    assert trees == left | {pool.directory.name}
    assert branches(pool.directory) == {"main", "a", "b"}


@pytest.mark.parametrize("gone", ["whole", "directory", "killed"])
def test_branch_that_git_cannot_delete_with_its_worktree_is_named(pool: Adw, gone: str) -> None:
    """Under a lock that a dead git had left, `remove -D` said nothing, and the branch stayed."""
    lock = pool.directory / ".git" / "refs" / "heads" / "a.lock"
    if gone == "directory":
        shutil.rmtree(pool.directory / "trees" / "a")
        git("worktree", "lock", str(pool.directory / "trees" / "a"), cwd=pool.directory)
    elif gone == "killed":
        pool("remove", "a", "-D", code=None, ADW_FAULT="retire.tree=kill")
        assert "a" in branches(pool.directory)
    lock.touch()
    ran = pool("status") if gone == "killed" else pool("remove", "a", "-f", "-D", "--unlock")
    count("faults")
    assert "a" in branches(pool.directory)
    assert "branch a stays" in ran.stderr
