"""A ledger that steps back doubles nothing: what receipts say counts at every hand-out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from adw_worktree import PortPool
from tests.support.command_line import Adw
from tests.support.disk import ledger_of, slots, state_of
from tests.support.repositories import git, make_repo


def forget(ledger: Path, *adw_ids: str) -> None:
    """Take entries out of a ledger, as a person may, or an older one in its place."""
    document = json.loads(ledger.read_text())
    for adw_id in adw_ids:
        del document[adw_id]
    ledger.write_text(json.dumps(document))


def forget_in_registry(adw: Adw, *adw_ids: str) -> None:
    for entry in (state_of(adw) / "ledgers").iterdir():
        document = json.loads(entry.read_text())
        for adw_id in adw_ids:
            document["leases"].pop(adw_id, None)
        entry.write_text(json.dumps(document))


@pytest.fixture
def other(tmp_path: Path) -> Adw:
    return Adw(make_repo(tmp_path / "other"))


# ---- this repository ---------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["stash", "checkout"])
def test_a_tracked_ledger_that_git_takes_back_forgets_no_worktree(adw: Adw, way: str) -> None:
    adw("create", "a")
    git("add", "--force", "agents", cwd=adw.directory)
    git("commit", "--quiet", "-m", "ledger", cwd=adw.directory)
    adw("create", "b")
    words = ["stash"] if way == "stash" else ["checkout", "--", "agents"]
    git(*words, cwd=adw.directory)
    assert "b" not in json.loads(ledger_of(adw).read_text())
    assert adw.json("create", "c")["slot"] == 2
    assert slots(adw) == {"a": 0, "b": 1, "c": 2}


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize(
    "command",
    ["list", "status", "path b", "env b", "create c", "create b", "reserve c", "remove b"],
)
def test_every_command_sees_a_worktree_whose_entry_was_deleted(
    adw: Adw, command: str, registered: bool
) -> None:
    for name in ("a", "b"):
        adw("create", name)
    forget(ledger_of(adw), "b")
    if not registered:
        forget_in_registry(adw, "b")
    adw(*command.split())
    expected = {"a": 0, "b": 1, "c": 2}
    verb, *named = command.split()
    if verb == "remove":
        del expected["b"]
    if named != ["c"]:
        del expected["c"]
    assert slots(adw) == expected


def test_a_program_sees_a_worktree_whose_entry_was_deleted(
    adw: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(adw.directory)
    ports = adw.json("create", "a")["ports"]
    pool = PortPool()
    forget(ledger_of(adw), "a")
    assert pool.reserve("b") == (ports["backend"] + 1, ports["frontend"] + 1)
    assert pool.get_allocation("a") == (ports["backend"], ports["frontend"])


def test_a_program_may_release_the_slot_of_a_worktree(
    adw: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that nobody uses the ports any more: the receipt must not say otherwise."""
    monkeypatch.chdir(adw.directory)
    ports = adw.json("create", "a")["ports"]
    pool = PortPool()
    assert pool.release("a") is True
    assert pool.get_allocation("a") is None
    assert pool.reserve("b") == (ports["backend"], ports["frontend"])


def test_an_older_lease_of_the_same_name_gives_way_to_the_worktree(adw: Adw) -> None:
    adw("create", "a")
    before = ledger_of(adw).read_text()
    adw("remove", "a", "-D")
    adw("create", "a", "--slot", "7")
    ledger_of(adw).write_text(before)
    assert adw.json("create", "b")["slot"] == 0
    assert slots(adw) == {"a": 7, "b": 0}


def test_an_older_lease_of_the_same_slot_gives_way_to_the_worktree(adw: Adw) -> None:
    adw("create", "a")
    before = ledger_of(adw).read_text()
    adw("remove", "a", "-D")
    adw("create", "b")
    ledger_of(adw).write_text(before)
    assert adw.json("create", "c")["slot"] == 1
    assert slots(adw) == {"b": 0, "c": 1}


def test_a_worktree_that_moved_since_is_found_by_its_receipt(adw: Adw) -> None:
    tree = Path(adw.json("create", "a")["path"])
    git("worktree", "move", str(tree), str(tree.with_name("moved")), cwd=adw.directory)
    forget(ledger_of(adw), "a")
    assert adw.json("status")["allocations"]["a"]["path"] == str(tree.with_name("moved"))


def test_a_worktree_out_of_sight_whose_entry_was_deleted_keeps_its_slot(adw: Adw) -> None:
    """The registry still has it. One that was given back is not brought up again."""
    tree = Path(adw.json("create", "a")["path"])
    git("worktree", "lock", str(tree), cwd=adw.directory)
    tree.rename(adw.directory.parent / "away")
    forget(ledger_of(adw), "a")
    assert adw.json("create", "b")["slot"] == 1
    assert slots(adw) == {"a": 0, "b": 1}


def test_the_slot_of_a_forgotten_reservation_is_handed_out_last(adw: Adw) -> None:
    """The ledger may be an older one, and will be the newer again."""
    adw("create", "a")
    before = ledger_of(adw).read_text()
    adw("reserve", "r")
    later = ledger_of(adw).read_text()
    ledger_of(adw).write_text(before)
    assert adw.json("reserve", "s")["slot"] == 2
    assert slots(adw) == {"a": 0, "s": 2}
    assert "r" in later
    adw("reserve", "t", ADW_SLOTS="3")
    assert slots(adw)["t"] == 1


# ---- other repositories ------------------------------------------------------------------------


@pytest.mark.parametrize("registered", [True, False])
def test_another_ledger_that_stepped_back_doubles_nothing(
    adw: Adw, other: Adw, registered: bool
) -> None:
    other("create", "a")
    other("create", "b")
    forget(ledger_of(other), "b")
    if not registered:
        forget_in_registry(adw, "b")
    assert adw.json("create", "c")["slot"] == 2
    assert adw.json("status")["elsewhere"][str(other.directory)].keys() == {"a", "b"}
    assert slots(other) == {"a": 0, "b": 1}


def test_an_entry_of_the_registry_that_stepped_back_doubles_nothing(adw: Adw, other: Adw) -> None:
    other("create", "a")
    other("reserve", "r")
    forget_in_registry(adw, "a", "r")
    assert adw.json("create", "c")["slot"] == 2
    assert slots(other) == {"a": 0, "r": 1}


def test_another_ledgers_older_lease_of_the_same_name_hides_no_worktree(
    adw: Adw, other: Adw
) -> None:
    other("create", "a")
    before = ledger_of(other).read_text()
    other("remove", "a", "-D")
    other("create", "a", "--slot", "1")
    ledger_of(other).write_text(before)
    assert adw.json("create", "c")["slot"] not in (0, 1)
    assert slots(other) == {"a": 1}


def test_the_slot_of_a_reservation_that_another_ledger_forgot_is_handed_out_last(
    adw: Adw, other: Adw
) -> None:
    other("reserve", "r")
    forget(ledger_of(other), "r")
    assert adw.json("create", "a")["slot"] == 1
    assert adw.json("reserve", "b", ADW_SLOTS="2")["slot"] == 0


# ---- where two have a slot ---------------------------------------------------------------------


def run(adw: Adw, fix: str) -> None:
    """Do what a problem is to be mended by."""
    command = fix.replace("adw-worktree", " ".join(adw.command))
    subprocess.run(["sh", "-c", command], cwd=adw.directory, check=True)


def double(adw: Adw, slot: int) -> None:
    """Have worktree `a` and reservation `new` in one slot, as an older version could."""
    adw("create", "a", "--slot", str(slot))
    receipt = adw.directory / ".git" / "worktrees" / "a" / "adw-worktree.json"
    text = receipt.read_text()
    receipt.unlink()
    forget(ledger_of(adw), "a")
    forget_in_registry(adw, "a")
    adw("reserve", "new", "--slot", str(slot))
    receipt.write_text(text)


def test_doctor_names_two_that_share_a_slot_and_reconcile_settles_it(adw: Adw) -> None:
    double(adw, 4)
    problems = adw.json("doctor", code=10)["problems"]
    [shared] = [one for one in problems if one["code"] == "slot-shared"]
    assert shared["message"] == f"new in {adw.directory} and a in {adw.directory} share slot 4"
    assert adw.json("create", "b")["slot"] == 0
    run(adw, shared["fix"])
    found = slots(adw)
    assert found["new"] == 4
    assert len(set(found.values())) == 3
    assert adw.json("doctor")["problems"] == []


@pytest.mark.parametrize("bases", [None, "backend"])
def test_doctor_names_two_repositories_that_share_a_slot_or_port(
    adw: Adw, other: Adw, bases: str | None
) -> None:
    """Without the state directory each was the first."""
    backend = int(os.environ["ADW_SERVICES"].split("=")[1].split(",")[0])
    services = os.environ["ADW_SERVICES"]
    if bases is not None:
        services = f"backend={backend - 1},frontend={backend + 600}"
    adw("create", "a")
    shutil.rmtree(state_of(adw))
    slot = "0" if bases is None else "1"
    other("create", "b", "--slot", slot, ADW_SERVICES=services)
    adw("reconcile", "--dry-run")
    adw("list")
    problems = adw.json("doctor", code=10)["problems"]
    [shared] = [one for one in problems if one["code"] == "slot-shared"]
    what = "slot 0" if bases is None else f"port {backend}"
    both = f"a in {adw.directory} and b in {other.directory} share {what}"
    assert shared["message"] == both
    assert not [one for one in problems if one["code"] == "needs-reassign"]
    run(adw, shared["fix"])
    assert adw.json("doctor")["problems"] == []
    assert other.json("doctor")["problems"] == []
    assert slots(adw) == {"a": 0}
    ports = set(adw.json("env", "a")["variables"].values())
    theirs = other.json("env", "b")["variables"]
    assert not ports & {theirs["BACKEND_PORT"], theirs["FRONTEND_PORT"]}


def test_a_reservation_that_shares_a_slot_is_made_anew_by_the_fix(adw: Adw, other: Adw) -> None:
    adw("create", "a")
    shutil.rmtree(state_of(adw))
    other("reserve", "r")
    adw("list")
    [problem] = adw.json("doctor", code=10)["problems"]
    both = f"a in {adw.directory} and r in {other.directory} share slot 0"
    assert (problem["code"], problem["message"]) == ("slot-shared", both)
    run(adw, problem["fix"])
    assert slots(adw) == {"a": 0}
    assert slots(other) == {"r": 1}
    assert adw.json("doctor")["problems"] == []
