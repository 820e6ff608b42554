"""One pool for all repositories of the machine: copied, replaced, moved, shared, unreadable."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import make_repo
from tests.support.stress_size import stress_size

Tally = Callable[..., None]

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")


def slots(adw: Adw) -> dict[str, int]:
    found: dict[str, dict[str, Any]] = adw.json("status")["allocations"]
    return {adw_id: one["slot"] for adw_id, one in found.items()}


@pytest.mark.thorough
def test_repositories_that_create_at_once_share_no_slot(tmp_path: Path, tally: Tally) -> None:
    number = stress_size(6, 20)
    each = stress_size(2, 5)
    all_of_them = [Adw(make_repo(tmp_path / f"repo{index}")) for index in range(number)]
    started = [adw.start("create", f"a{turn}") for turn in range(each) for adw in all_of_them]
    for process in started:
        out, err = process.communicate(timeout=600)
        tally("failures", int(process.returncode != 0))
        assert process.returncode == 0, out + err
    tally("creates", len(started))
    found = [slot for adw in all_of_them for slot in slots(adw).values()]
    tally("doubled slots", len(found) - len(set(found)))
    assert len(found) == len(set(found)) == number * each
    assert all_of_them[0].json("status")["allocated"] == number * each


def test_copy_of_a_repository_owns_none_of_its_slots(adw: Adw, tmp_path: Path) -> None:
    """The copy has the ledger, the receipts and git's list, all naming the original's worktrees.

    What it released or moved would be taken from the original.
    """
    adw("create", "a")
    adw("reserve", "r")
    before = slots(adw)
    subprocess.run(["cp", "-a", str(adw.directory), str(tmp_path / "copy")], check=True)
    copy = Adw(tmp_path / "copy")
    assert slots(copy) == {}
    assert copy.json("reconcile")["adopted"] == []
    copy("reconcile", "--check")
    assert copy.json("create", "b")["slot"] not in before.values()
    assert slots(adw) == before
    adw("reconcile", "--check")


def test_repository_that_was_replaced_keeps_its_slots(adw: Adw, tmp_path: Path) -> None:
    """A new clone at its old path must not take its place in the registry."""
    adw("create", "a")
    before = slots(adw)
    moved = Adw(adw.directory.rename(tmp_path / "renamed"))
    new = Adw(make_repo(adw.directory))
    assert new.json("create", "b")["slot"] not in before.values()
    assert slots(moved) == before
    assert new.json("status")["allocated"] == 2
    new("remove", "b", "-D")
    assert moved.json("status")["allocated"] == 1


def test_repository_that_was_moved_registers_anew_and_doubles_nothing(
    adw: Adw, tmp_path: Path
) -> None:
    adw("create", "a")
    adw("reserve", "r")
    before = slots(adw)
    far = tmp_path / "far" / "away"
    far.mkdir(parents=True)
    moved = Adw(adw.directory.rename(far / "repo"))
    assert slots(moved) == before
    moved("reconcile")
    other = Adw(make_repo(tmp_path / "other"))
    assert other.json("create", "z")["slot"] not in before.values()
    assert other.json("status")["allocated"] == 3
    assert (
        len(list((Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree" / "ledgers").iterdir())) == 2
    )


def test_deleted_and_cloned_again_gives_back_the_slots(adw: Adw, tmp_path: Path) -> None:
    """Even if the new clone's directory got the old one's inode."""
    adw("create", "a")
    shutil.rmtree(adw.directory)
    again = Adw(make_repo(adw.directory))
    other = Adw(make_repo(tmp_path / "other"))
    other("reconcile")
    assert other.json("status")["allocated"] == 0
    assert again.json("status")["allocated"] == 0


def test_two_homes_share_one_state_directory(repo: Path, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        adw = Adw(make_repo(tmp_path / name / "repo"))
        made = adw.json(
            "create", "a", HOME=str(tmp_path / name), ADW_STATE_HOME=str(tmp_path / "s")
        )
        found.append(made["slot"])
    assert found == [0, 1]


AS_USER = """\
import importlib, os, pkgutil, sys
import adw_worktree
# Another user may not be able to read this interpreter's libraries: load them before.
for module in pkgutil.walk_packages(adw_worktree.__path__, "adw_worktree."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
import contextvars, importlib.metadata, uuid, zoneinfo
import platformdirs, psutil, pydantic, pydantic_core
import adw_worktree.cli.main
try:
    adw_worktree.cli.main.main(["--help"])
except SystemExit:
    pass
sys.stdout.flush()
os.setgroups([4242])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
os.umask(0o077)
sys.exit(adw_worktree.cli.main.main(sys.argv[2:]))
"""


@pytest.fixture
def open_path() -> Iterator[Path]:
    """Return a directory that every user can enter; pytest keeps its own closed."""
    with tempfile.TemporaryDirectory(prefix="adw-users-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


@pytest.mark.thorough
@only_root
def test_two_users_share_a_state_directory(open_path: Path) -> None:
    """Neither can read the other's repository: the slots stay taken, and nobody is stopped."""
    state = open_path / "state"
    state.mkdir()
    os.chown(state, 0, 4242)
    state.chmod(0o770)
    found = {}
    for turn in range(2):
        for uid in (4001, 4002):
            home = open_path / f"user{uid}"
            if turn == 0:
                make_repo(home / "repo")
                subprocess.run(["chown", "-R", f"{uid}:{uid}", str(home)], check=True)
                home.chmod(0o700)
            done = subprocess.run(
                [sys.executable, "-c", AS_USER, str(uid), "create", f"a{turn}", "--json"],
                cwd=home / "repo",
                env={
                    **os.environ,
                    "HOME": str(home),
                    "XDG_CONFIG_HOME": str(home),
                    "ADW_STATE_HOME": str(state),
                },
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            found[uid, turn] = json.loads(done.stdout[done.stdout.index("{\n") :])["slot"]
    assert sorted(found.values()) == [0, 1, 2, 3]
    for path in (state / "machine.lock", *(state / "ledgers").iterdir()):
        found_mode = path.stat()
        assert (found_mode.st_gid, stat.S_IMODE(found_mode.st_mode)) == (4242, 0o660), path


def test_private_state_directory_stays_private(adw: Adw) -> None:
    adw("create", "a")
    state = Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "ledgers").stat().st_mode) == 0o700
    for entry in (state / "ledgers").iterdir():
        assert stat.S_IMODE(entry.stat().st_mode) == 0o600


def test_worktree_of_another_whose_receipt_is_lost_keeps_its_slot(adw: Adw, tmp_path: Path) -> None:
    """Its servers run; that its own settings name the env file is not known to the others."""
    other = Adw(make_repo(tmp_path / "other"))
    (other.directory / "adw-worktree.toml").write_text('env_file = ".env.theirs"\n')
    other("create", "theirs")
    (other.directory / ".git" / "worktrees" / "theirs" / "adw-worktree.json").unlink()
    adw("create", "a")
    adw("reconcile")
    ledger = json.loads((other.directory / "agents" / "port_allocations.json").read_bytes())
    assert ledger["theirs"]["slot"] == 0
    assert slots(other) == {"theirs": 0}


def test_ledger_of_another_that_cannot_be_used_keeps_its_slots(adw: Adw, tmp_path: Path) -> None:
    """A link, here: that stops root, too."""
    second = Adw(make_repo(tmp_path / "second"))
    slot = second.json("create", "z")["slot"]
    ledger = second.directory / "agents" / "port_allocations.json"
    ledger.rename(tmp_path / "elsewhere")
    ledger.symlink_to(tmp_path / "elsewhere")
    assert adw.json("create", "a")["slot"] != slot
    adw("reconcile")
    assert adw.json("status")["allocated"] == 2


def test_repositories_are_shown_in_the_order_of_their_paths(adw: Adw, tmp_path: Path) -> None:
    names = ["d", "a", "c", "b", "e"]
    for name in names:
        Adw(make_repo(tmp_path / name)).json("create", "x")
    shown = [str(tmp_path / name) for name in sorted(names)]
    assert list(adw.json("status")["elsewhere"]) == shown
    listed = [one["repository"] for one in adw.json("list", "--all")["worktrees"] if one["main"]]
    assert listed == [str(adw.directory), *shown]


@pytest.mark.parametrize(("content", "reason"), [
    ("{}", "it has no 'schema_version'"), ("[]", "it has not the shape of one"),
    ("", "Expecting value"),
])  # fmt: skip
def test_a_damaged_entry_is_mended_by_the_command_that_is_named(
    adw: Adw, tmp_path: Path, content: str, reason: str
) -> None:
    """Its file's name tells nobody whose it is, and its slots are held."""
    adw("reserve", "a")
    (entry,) = (Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree" / "ledgers").iterdir()
    entry.write_text(content)
    other = Adw(make_repo(tmp_path / "other"))
    error = other.json("reserve", "b", code=3)["error"]
    assert f"the registry entry {entry} cannot be read: {reason}" in error["message"]
    assert "in each repository that you use: adw-worktree reconcile (" in error["hint"]
    adw("reconcile")
    assert other.json("reserve", "b")["slot"] not in slots(adw).values()
