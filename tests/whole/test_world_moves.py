"""The world moves: worktrees, disks, clocks, names and servers. A slot in use is never freed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Adw
from tests.support.machine import settle
from tests.support.repositories import branches, git, make_repo, worktrees
from tests.support.stress_size import stress_size

Tally = Callable[..., None]
Serve = Callable[[Sequence[str], Path], "subprocess.Popen[bytes]"]

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")


@pytest.fixture
def tree(adw: Adw) -> Path:
    return Path(adw.json("create", "a")["path"])


def allocations(adw: Adw) -> dict[str, Any]:
    found = adw.json("status")["allocations"]
    assert isinstance(found, dict)
    return found


# ---- worktrees ---------------------------------------------------------------------------------


def test_moves_in_a_row_keep_the_slot(adw: Adw, tree: Path, tally: Tally) -> None:
    """By `mv` and by git in turns; between any two moves a command makes its pass."""
    slot = allocations(adw)["a"]["slot"]
    (tree / "work.txt").write_text("hours of it")
    place = tree
    for turn in range(stress_size(3, 30)):
        new = tree.with_name(f"turn {turn}")
        if turn % 2:
            git("worktree", "move", str(place), str(new), cwd=adw.directory)
        else:
            place.rename(new)
            adw("reconcile")
        place = new
        tally("moves")
        found = allocations(adw)
        lost = "a" not in found or not (place / "work.txt").exists()
        tally("lost work", int(lost))
        assert found["a"]["slot"] == slot
        assert not lost
        assert adw("path", "a").stdout.strip() == str(place)


def test_moved_far_away_and_repaired_has_its_slot_again(
    adw: Adw, tree: Path, tmp_path: Path, tally: Tally
) -> None:
    slot = allocations(adw)["a"]["slot"]
    far = tmp_path / "far" / "away"
    far.parent.mkdir()
    tree.rename(far)
    git("worktree", "repair", str(far), cwd=adw.directory)
    tally("moves")
    assert adw.json("create", "b")["slot"] != slot
    adw("reconcile")
    assert allocations(adw)["a"]["slot"] == slot
    assert allocations(adw)["a"]["path"] == str(far)


def test_locked_worktree_that_was_moved_keeps_its_slot(adw: Adw, tree: Path) -> None:
    git("worktree", "lock", str(tree), cwd=adw.directory)
    tree.rename(tree.with_name("moved"))
    adw("reconcile")
    assert "a" in allocations(adw)


def test_worktree_whose_place_another_repository_took_frees_its_slot(
    adw: Adw, tree: Path, tmp_path: Path
) -> None:
    """Its receipt still stands in git's admin directory, and there is a worktree: not this one."""
    other = make_repo(tmp_path / "other")
    shutil.rmtree(tree)
    git("worktree", "add", "--quiet", "-b", "x", str(tree), cwd=other)
    (tree / "work.txt").write_text("another's")
    assert allocations(adw) == {}
    adw("reconcile")
    assert (tree / "work.txt").exists()
    assert str(tree) in worktrees(other)


def test_worktree_whose_place_a_clone_took_frees_its_slot(adw: Adw, tree: Path) -> None:
    shutil.rmtree(tree)
    git("clone", "--quiet", str(adw.directory), str(tree), cwd=adw.directory)
    assert allocations(adw) == {}
    adw("reconcile")
    assert (tree / "README").exists()


# ---- disks -------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return the mount point of a file system of the test's own, which `mount` mounts again."""
    place, held = tmp_path / "disk", tmp_path / "held"
    place.mkdir()
    held.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(held)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        mount(place)
        yield place
    finally:
        for mounted in (place, held):
            subprocess.run(["umount", str(mounted)], capture_output=True)


def mount(place: Path) -> None:
    """Mount the disk again: it is held all the time in another place, its content with it."""
    subprocess.run(["mount", "--bind", str(place.with_name("held")), str(place)], check=True)


@pytest.fixture
def caseless(tmp_path: Path) -> Iterator[Path]:
    """Return a directory where case does not count."""
    place, image = tmp_path / "caseless", tmp_path / "image"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    for command in (
        ["mkfs.ext4", "-q", "-O", "casefold", str(image)],
        ["mount", "-o", "loop", str(image), str(place)],
        ["mkdir", str(place / "folded")],
        ["chattr", "+F", str(place / "folded")],
    ):
        if (
            shutil.which(command[0]) is None
            or subprocess.run(command, capture_output=True).returncode
        ):
            subprocess.run(["umount", str(place)], capture_output=True)
            pytest.skip("no file system that folds case can be made and mounted here")
    try:
        yield place / "folded"
    finally:
        subprocess.run(["umount", str(place)], capture_output=True)


@only_root
def test_worktree_on_a_disk_that_is_unmounted_for_a_while_keeps_its_slot(
    adw: Adw, disk: Path, tally: Tally
) -> None:
    slot = adw.json("create", "a", "--path", str(disk / "a"))["slot"]
    subprocess.run(["umount", str(disk)], check=True)
    tally("moves")
    adw("reconcile")
    assert allocations(adw)["a"]["slot"] == slot
    assert adw.json("create", "b")["slot"] != slot
    assert "worktree-unknown" in [one["code"] for one in adw.json("doctor", code=10)["problems"]]
    mount(disk)
    adw("reconcile", "--check")
    assert allocations(adw)["a"]["slot"] == slot


@only_root
def test_repository_on_a_disk_that_is_unmounted_for_a_while_keeps_its_slots(
    adw: Adw, disk: Path
) -> None:
    """Even if another is cloned into the empty mount point meanwhile."""
    away = Adw(make_repo(disk / "repo"))
    slot = away.json("create", "a")["slot"]
    subprocess.run(["umount", str(disk)], check=True)
    adw("reconcile")
    assert adw.json("status")["allocated"] == 1
    new = Adw(make_repo(disk / "repo"))
    assert new.json("create", "b")["slot"] != slot
    shutil.rmtree(disk / "repo")
    mount(disk)
    assert allocations(away)["a"]["slot"] == slot


@only_root
def test_ids_that_differ_by_case_where_case_does_not_count(caseless: Path, tmp_path: Path) -> None:
    """Two branches in one file would be one branch with two names."""
    adw = Adw(make_repo(caseless / "repo"))
    adw("create", "Fix")
    before = allocations(adw)
    adw("create", "fix", code=None)
    adw("create", "fix", "--path", str(tmp_path / "beside"), code=None)
    assert allocations(adw) == before
    assert git("status", "--porcelain", cwd=adw.directory / "trees" / "Fix") == ""
    assert len(worktrees(adw.directory)) == 2


def test_ids_that_differ_by_case_are_two_where_case_counts(adw: Adw, tmp_path: Path) -> None:
    if (Path(str(adw.directory).swapcase())).exists():
        pytest.skip("case does not count here")
    slots = {adw.json("create", name)["slot"] for name in ("Fix", "fix")}
    assert len(slots) == 2
    names = {
        line
        for name in ("Fix", "fix")
        for line in (adw.directory / "trees" / name / ".env.ports").read_text().splitlines()
        if line.startswith("COMPOSE_PROJECT_NAME=")
    }
    assert len(names) == 2


# ---- long names --------------------------------------------------------------------------------


def test_longest_id_works(adw: Adw) -> None:
    name = "a" * 64
    adw("create", name)
    assert name in allocations(adw)
    adw("remove", name, "-D")
    assert allocations(adw) == {}


@pytest.mark.parametrize("kind", ["name", "path", "deep"])
def test_path_that_is_too_long_is_a_clear_error_or_works(
    adw: Adw, tmp_path: Path, kind: str
) -> None:
    wanted = {
        "name": tmp_path / ("n" * 256),
        "path": tmp_path.joinpath(*["d" * 200] * 21),
        "deep": tmp_path.joinpath(*["d" * 200] * 18),
    }[kind]
    ran = adw("create", "a", "--path", str(wanted), code=None)
    if ran.code == 0:
        adw("reconcile", "--check")
        adw("remove", "a", "-D")
    else:
        assert ran.code in (4, 7)
        assert "hint" in ran.stderr or "too long" in ran.stderr.lower()
    assert allocations(adw) == {}
    assert branches(adw.directory) == {"main"}
    assert worktrees(adw.directory) == [str(adw.directory)]
    assert not (tmp_path / ("d" * 200)).exists() or kind == "deep"


# ---- clocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [-365, 365])
def test_worktree_does_not_care_about_the_clock(adw: Adw, tree: Path, days: int) -> None:
    """To set the clock by a year is, to what is stored, to have been stored a year off."""
    ledger = adw.directory / "agents" / "port_allocations.json"
    document = json.loads(ledger.read_text())
    then = datetime.now(UTC) + timedelta(days=days)
    document["a"]["allocated_at"] = then.isoformat()
    ledger.write_text(json.dumps(document))
    for path in (ledger, tree, tree.parent, adw.directory / ".git" / "worktrees"):
        os.utime(path, (then.timestamp(), then.timestamp()))
    before = allocations(adw)
    adw("reconcile", "--max-age", "1")
    assert allocations(adw) == before
    assert adw.json("create", "b")["slot"] != before["a"]["slot"]
    assert adw.json("create", "a")["created"] is False
    adw("remove", "a", "-D")
    assert "a" not in allocations(adw)


def test_reservation_from_the_future_goes_when_every_age_goes(adw: Adw) -> None:
    adw("reserve", "r")
    ledger = adw.directory / "agents" / "port_allocations.json"
    document = json.loads(ledger.read_text())
    document["r"]["allocated_at"] = (datetime.now(UTC) + timedelta(days=365)).isoformat()
    ledger.write_text(json.dumps(document))
    adw("reconcile", "--max-age", "1")
    assert "r" in allocations(adw)
    adw("reconcile", "--max-age", "0")
    assert allocations(adw) == {}


# ---- servers -----------------------------------------------------------------------------------

SERVER = """\
import socket, sys, time
kind, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in kind else socket.AF_INET
server = socket.socket(family, socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((kind, port))
server.listen()
open(sys.argv[3], "w").close()
time.sleep(600)
"""


def listen(serve: Serve, host: str, port: int, cwd: Path, ready: Path) -> int:
    process = serve([sys.executable, "-c", SERVER, host, str(port), str(ready)], cwd)
    settle(ready.exists, "the server did not start")
    return process.pid


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_slot_of_a_foreign_listener_is_passed_over_and_named(
    adw: Adw, serve: Serve, tmp_path: Path, host: str
) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("no IPv6 here")
    port = adw.json("reserve", "probe")["ports"]["backend"]
    adw("release", "probe")
    pid = listen(serve, host, port, tmp_path, tmp_path / "ready")
    assert adw.json("create", "a")["ports"]["backend"] != port
    (blocked,) = adw.json("status")["blocked"]
    assert (blocked["port"], blocked["pid"]) == (port, pid)


def test_udp_does_not_matter(adw: Adw) -> None:
    port = adw.json("reserve", "probe")["ports"]["backend"]
    adw("release", "probe")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("0.0.0.0", port))
        assert adw.json("create", "a")["ports"]["backend"] == port


@pytest.mark.parametrize("way", ["rm -rf", "remove"])
def test_server_that_outlives_its_worktree_keeps_the_slot_out_of_circulation(
    adw: Adw, serve: Serve, tree: Path, tmp_path: Path, way: str
) -> None:
    slot, port = (allocations(adw)["a"][key] for key in ("slot", "backend"))
    pid = listen(serve, "127.0.0.1", port, tree, tmp_path / "ready")
    if way == "remove":
        adw("remove", "a", "-D", "--force", code=None)
    shutil.rmtree(tree, ignore_errors=True)
    assert adw.json("create", "b")["slot"] != slot
    (blocked,) = adw.json("status")["blocked"]
    assert (blocked["slot"], blocked["port"], blocked["pid"]) == (slot, port, pid)
    (problem,) = [
        one for one in adw.json("doctor", code=10)["problems"] if one["code"] == "slot-blocked"
    ]
    assert f"slot {slot} " in problem["message"]
    assert problem["fix"] == f"if it is yours: kill {pid}"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
