"""What may not be written, or read: a right answer or a clear error, and all is well once it may.

Also where there is no room for anything, and no home. ADW_STRESS takes every place with every
command.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adw_worktree.project import open_project
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish
from tests.support.command_line import Adw
from tests.support.disk import fill, ledger_of, obeying, slots, state_of
from tests.support.machine import mounted
from tests.support.repositories import branches, make_repo
from tests.support.stress_size import count, stress_size

CONTRACT = {0, 2, 3, 4, 5, 6, 7, 8, 9, 10}
SLOTS = {"a": 3, "b": 4, "r": 5}


def furnish(directory: Path) -> Adw:
    """Make worktrees `a` and `b`, in which somebody is at work, and a reservation `r`."""
    project = open_project(directory)
    for adw_id, slot in (("a", 3), ("b", 4)):
        made = create(project, adw_id, Wish(slot=slot))
        (Path(str(made.lease.path)) / "work").write_text("of days")
    project.pool.reserve("r", wanted=5)
    return Adw(directory)


@pytest.fixture
def pool(repo: Path) -> Adw:
    return furnish(repo)


def whole(adw: Adw, leaving: str = "") -> list[str]:
    """Return what is not as it was, with everything writable again."""
    found = {key: one["slot"] for key, one in adw.json("status")["allocations"].items()}
    kept = {key: slot for key, slot in SLOTS.items() if key != leaving}
    bad = [f"{key} lost its slot" for key, slot in kept.items() if found.get(key) != slot]
    if len(set(found.values())) != len(found):
        bad.append(f"a slot is leased twice: {found}")
    if (adw.directory / "trees" / "b" / "work").read_text() != "of days":
        bad.append("work was lost")
    if "c" not in found:
        bad += [f"{path} stays" for path in adw.directory.glob(".git/worktrees/c*")]
        bad += [f"branch {name} stays" for name in branches(adw.directory) if name == "c"]
    return bad


PLACES: dict[str, Callable[[Adw], Path]] = {
    "the state directory": state_of,
    "the list of ledgers": lambda adw: state_of(adw) / "ledgers",
    "the home": lambda adw: Path(os.environ["HOME"]),
    "the ledger": ledger_of,
    "the ledger's directory": lambda adw: ledger_of(adw).parent,
    "the repository": lambda adw: adw.directory,
    "git's directory": lambda adw: adw.directory / ".git",
    "git's worktrees": lambda adw: adw.directory / ".git" / "worktrees",
    "git's entry": lambda adw: adw.directory / ".git" / "worktrees" / "a",
    "git's branches": lambda adw: adw.directory / ".git" / "refs" / "heads",
    "info": lambda adw: adw.directory / ".git" / "info",
    "our directory": lambda adw: adw.directory / ".git" / "adw-worktree",
    "the notes": lambda adw: adw.directory / ".git" / "adw-worktree" / "creating",
    "the trees": lambda adw: adw.directory / "trees",
    "the worktree": lambda adw: adw.directory / "trees" / "a",
}  # fmt: skip
COMMANDS = ["create c", "create a", "create r", "remove a", "remove a --force", "remove a -f -D",
            "reserve s", "release r", "list", "status", "doctor", "reconcile", "restore",
            "hooks install", "env a", "path a"]  # fmt: skip
USUAL = [("git's worktrees", "create c"), ("the ledger's directory", "release r"),
         ("the trees", "remove a --force")]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "command"),
    [(place, command) for place in PLACES for command in COMMANDS] if stress_size(0, 1) else USUAL,
)
def test_what_may_not_be_written_or_read_costs_nothing(pool: Adw, place: str, command: str) -> None:
    held, closed = obeying(pool), PLACES[place](pool)
    verb, *rest = command.split()
    before = closed.stat().st_mode
    leaving = rest[0] if verb in ("remove", "release") else ""
    for mode in (0o500, 0):
        closed.chmod(mode)
        try:
            ran = held(verb, *rest, code=None)
        finally:
            closed.chmod(before)
        count("faults")
        assert ran.code in CONTRACT, ran.stderr
        assert "bug" not in ran.stderr
        told = "cannot be mended" if verb == "reconcile" else "error: "
        assert ran.code in (0, 10) or told in ran.stderr or "error: " in ran.stderr
        assert not whole(pool, leaving), ran.stderr
    again = pool(verb, *rest, code=None)
    assert again.code in (0, 6, 7, 10), again.stderr


def test_permissions_do_hold_the_command_line(pool: Adw) -> None:
    """Or none of the tests here could fail."""
    state_of(pool).chmod(0o500)
    try:
        error = obeying(pool).json("create", "c", code=3)["error"]
    finally:
        state_of(pool).chmod(0o700)
    assert f"{state_of(pool)} is not writable" in error["message"]


@pytest.mark.parametrize("command", COMMANDS if stress_size(0, 1) else ["create c"])
def test_without_a_home_there_is_a_plain_error(pool: Adw, command: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    del env["HOME"]
    words = [*pool.command, *command.split()]
    done = subprocess.run(words, cwd=pool.directory, env=env, capture_output=True, text=True)
    assert done.returncode == 3
    assert "HOME is not set" in done.stderr
    assert "hint: " in done.stderr
    assert not whole(pool)


# ---- approvals ---------------------------------------------------------------------------------


@pytest.fixture
def asking(adw: Adw) -> Adw:
    """Return the command line in a repository whose settings ask for a command."""
    (adw.directory / "adw-worktree.toml").write_text('[hooks]\npost-create = "touch ran"\n')
    return adw


@pytest.mark.parametrize("mode", [0, 0o400][: stress_size(1, 2)])
def test_approvals_that_cannot_be_written_are_a_clear_error(asking: Adw, mode: int) -> None:
    held = obeying(asking)
    asking("trust", "--yes")
    record = state_of(asking) / "trust.json"
    before = record.read_bytes()
    state_of(asking).chmod(0o500)
    record.chmod(mode)
    try:
        for words in (["trust", "--revoke"], ["trust", "--yes"]):
            ran = held(*words, code=3)
            assert "hint: " in ran.stderr
    finally:
        state_of(asking).chmod(0o700)
        record.chmod(0o600)
    assert record.read_bytes() == before


@pytest.mark.parametrize("text", [b'{"half', b"", b"[]", b"\0" * 99][: stress_size(1, 4)])
def test_damaged_approvals_approve_nothing(asking: Adw, text: bytes) -> None:
    asking("trust", "--yes")
    record = state_of(asking) / "trust.json"
    record.write_bytes(text)
    assert asking.json("create", "c", code=9)["error"]["code"] == "hook-untrusted"
    asking("trust", "--yes")
    (aside,) = record.parent.glob("trust.json.*")
    assert aside.read_bytes() == text
    asking("create", "c")


# ---- file systems ------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of two megabytes; skip where none can be mounted."""
    with mounted(tmp_path / "disk", "2m") as place:
        yield place


def all_there(tmp_path: Path, disk: Path) -> Adw:
    return furnish(make_repo(disk / "repo"))


def trees_there(tmp_path: Path, disk: Path) -> Adw:
    repo = make_repo(tmp_path / "repo")
    (repo / "trees").symlink_to(disk)
    return furnish(repo)


LAYOUTS: list[Callable[[Path, Path], Adw]] = [all_there, trees_there]


@pytest.mark.parametrize("command", ["create c", "remove a --force"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_file_system_without_room_costs_nothing(
    tmp_path: Path, disk: Path, layout: Callable[[Path, Path], Adw], command: str
) -> None:
    adw = layout(tmp_path, disk)
    verb, *rest = command.split()
    ballast = fill(disk)
    with pytest.raises(OSError, match="No space left"):
        (disk / "more").write_bytes(bytes(8192))
    (disk / "more").unlink()
    ran = adw(verb, *rest, code=None)
    count("faults")
    assert ran.code in (0, 3, 4), ran.stderr
    ballast.unlink()
    assert not whole(adw, "a" if verb == "remove" else ""), ran.stderr
    if verb == "remove" and ran.code == 0:
        adw("restore", "a")
        assert slots(adw) == SLOTS
    assert (adw.directory / "trees" / "a" / "work").read_text() == "of days"
    adw(verb, *rest)


@pytest.mark.parametrize("command", COMMANDS if stress_size(0, 1) else ["create c"])
def test_read_only_file_system_is_a_clear_error(tmp_path: Path, disk: Path, command: str) -> None:
    adw = all_there(tmp_path, disk)
    verb, *rest = command.split()

    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)

    remount("ro")
    try:
        ran = adw(verb, *rest, code=None)
    finally:
        remount("rw")
    count("faults")
    assert ran.code in (0, 3, 4, 7, 10), ran.stderr
    assert ran.code != 0 or verb not in ("remove", "release", "reserve"), "nothing can be written"
    assert not whole(adw)
    adw(verb, *rest, code=None if "remove" in verb else 0)


# ---- every odd ledger, every command -----------------------------------------------------------

ODD: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[:-40],
    "binary": lambda data: bytes(range(256)),
    "null": lambda data: b"null",
    "text": lambda data: b'"ledger"',
    "emptied": lambda data: b"{}",
    "a key twice": lambda data: data.replace(b'"r": {', b'"b": {'),
    "a slot twice": lambda data: data.replace(b'"slot": 4', b'"slot": 3'),
    "slot of another type": lambda data: data.replace(b'"slot": 4', b'"slot": "4"'),
    "slot out of range": lambda data: data.replace(b'"slot": 4', b'"slot": 10000'),
    "negative slot": lambda data: data.replace(b'"slot": 4', b'"slot": -4'),
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "sixteen bits": lambda data: data.decode().encode("utf-16"),
    "a later version": lambda data: b'{"_schema": {"version": 2}}',
}
LOOKS = ["list", "list --all", "status", "doctor", "reconcile --check", "reconcile", "env a"]


@pytest.mark.parametrize("kind", list(ODD)[:: stress_size(4, 1)])
@pytest.mark.parametrize("command", LOOKS if stress_size(0, 1) else ["doctor"])
def test_every_command_answers_whatever_the_ledger_is(pool: Adw, kind: str, command: str) -> None:
    ledger = ledger_of(pool)
    data = ODD[kind](ledger.read_bytes())
    assert data != ledger.read_bytes()
    ledger.write_bytes(data)
    verb, *rest = command.split()
    ran = pool(verb, *rest, "--json", code=None)
    assert json.loads(ran.stdout)["schema_version"] == 1
    if kind == "a later version":
        assert ran.code == (10 if verb == "doctor" else 3)
        assert "later" in ran.stdout or "upgrade" in ran.stdout
        assert ledger.read_bytes() == data
    else:
        assert ran.code in (0, 10), ran.stdout
        assert not whole(pool)
