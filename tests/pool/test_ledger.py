"""The ledger: never overwritten when damaged, never half-written, rebuilt from the worktrees."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adw_worktree.errors import LedgerTooNew
from adw_worktree.pool.document import DocumentDamaged, decode_leases, encode_lease, encode_leases
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import Ledger
from tests.support.command_line import Adw


@pytest.fixture
def ledger(adw: Adw) -> Path:
    """Return the ledger of a repository with a worktree `a` in slot 3 and a reservation `r`."""
    adw("create", "a", "--slot", "3")
    adw("reserve", "r", "--slot", "5")
    return adw.directory / "agents" / "port_allocations.json"


def slots(adw: Adw) -> dict[str, int]:
    return {adw_id: one["slot"] for adw_id, one in adw.json("status")["allocations"].items()}


def test_ledger_is_readable_in_the_older_shape(adw: Adw, ledger: Path) -> None:
    document = json.loads(ledger.read_text())
    assert document["_schema"]["version"] == 1
    for adw_id in ("a", "r"):
        entry = document[adw_id]
        assert entry["frontend"] - entry["backend"] == 100
        assert datetime.fromisoformat(entry["allocated_at"]).utcoffset() is not None
    assert document["a"]["slot"] == 3
    assert document["a"]["state"] == "active"
    assert document["a"]["admin_id"] == "a"
    assert document["a"]["branch"] == "a"


def test_a_ledger_without_leases_makes_no_directory(tmp_path: Path) -> None:
    path = tmp_path / "repo" / "agents" / "port_allocations.json"
    Ledger(path, tmp_path / "lock", 1.0, []).commit({})
    assert not list(tmp_path.iterdir()), "deleting a repository has to leave nothing"


DAMAGE: dict[str, Any] = {
    "empty": b"",
    "truncated": b'{"_schema": {"version": 1}, "a": {"back',
    "binary": bytes(range(256)),
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "deep": b"[" * 100_000,
    "no version": b'{"_schema": {}}',
    "wrong types": b'{"_schema": {"version": 1}, "a": {"slot": "three"}}',
    "no such id": b'{"_schema": {"version": 1}, "../x": {}}',
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_ledger_is_set_aside_and_rebuilt(adw: Adw, ledger: Path, kind: str) -> None:
    """A peer turned a damaged file into an empty one, and every slot was handed out again."""
    ledger.write_bytes(DAMAGE[kind])
    ran = adw("status", "--json")
    assert {one: found["slot"] for one, found in ran.json["allocations"].items()} == {
        "a": 3,
        "r": 5,
    }
    assert "was damaged" in ran.stderr
    (aside,) = ledger.parent.glob("port_allocations.json.corrupt-*")
    assert aside.read_bytes() == DAMAGE[kind]
    assert adw("status").stderr == ""


@pytest.mark.parametrize(
    "change",
    [
        {"slot": -1}, {"slot": 10**9}, {"slot": True}, {"slot": 5.0}, {"backend": 0},
        {"backend": None}, {"token": "short"}, {"state": "gone"}, {"allocated_at": "yesterday"},
        {"allocated_at": 12}, {"admin_id": ".."}, {"admin_id": "a/b"}, {"path": 3},
        {"allocated_at": "2026-01-01T00:00:00"}, {"slot": 3},
    ],
)  # fmt: skip
def test_entry_with_a_wrong_field_is_damage(adw: Adw, ledger: Path, change: dict[str, Any]) -> None:
    document = json.loads(ledger.read_text())
    document["r"].update(change)
    ledger.write_text(json.dumps(document))
    assert slots(adw) == {"a": 3, "r": 5}
    assert list(ledger.parent.glob("*.corrupt-*"))


@pytest.mark.parametrize("text", ["{}", "{}\n", '{"old": %s}'], ids=["empty", "line", "entry"])
def test_ledger_overwritten_in_the_older_shape_costs_nobody_a_slot(
    adw: Adw, ledger: Path, text: str
) -> None:
    """A peer turned what it could not read into `{}`, and every slot was handed out again."""
    old = {"backend": 9107, "frontend": 9207, "allocated_at": "2026-01-01T00:00:00"}
    ledger.write_text(text % json.dumps(old) if "%s" in text else text)
    adw("create", "b")
    found = slots(adw)
    assert (found["a"], found["r"]) == (3, 5)
    assert found.get("old") == (7 if "%s" in text else None)
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("command", ["list", "status", "path a", "env a", "release r", "remove a"])
def test_every_command_sees_the_leases_behind_an_emptied_ledger(
    adw: Adw, ledger: Path, command: str
) -> None:
    ledger.write_text("{}")
    verb, *named = command.split()
    adw(verb, *named)
    leaving = named if verb in ("release", "remove") else []
    assert slots(adw) == {key: slot for key, slot in {"a": 3, "r": 5}.items() if key not in leaving}


def test_hand_edited_but_sound_ledger_is_believed(adw: Adw, ledger: Path) -> None:
    document = json.loads(ledger.read_text())
    del document["r"]
    ledger.write_text(json.dumps(document))
    assert slots(adw) == {"a": 3}
    assert not list(ledger.parent.glob("*.corrupt-*"))


def test_ledger_of_a_later_version_is_left_alone(adw: Adw, ledger: Path) -> None:
    text = '{"_schema": {"version": 99}, "new": "shape"}'
    ledger.write_text(text)
    for command in (["list"], ["create", "b"], ["reconcile"], ["status"]):
        error = adw.json(*command, code=3)["error"]
        assert error["code"] == "ledger-too-new"
        assert str(ledger) in error["message"]
    assert len(adw.json("doctor", code=10)["problems"]) == 1
    assert ledger.read_text() == text
    assert not (adw.directory / "trees" / "b").exists()


def test_ledger_that_is_a_link_or_a_directory_is_refused(adw: Adw, ledger: Path) -> None:
    """A link could lead a write anywhere."""
    target = adw.directory.parent / "target"
    target.write_text("mine")
    ledger.unlink()
    ledger.symlink_to(target)
    assert "symbolic link" in adw("create", "b", code=3).stderr
    assert target.read_text() == "mine"
    ledger.unlink()
    ledger.mkdir()
    hint = adw.json("create", "b", code=3)["error"]["hint"]
    subprocess.run(["sh", "-c", hint.partition(" (")[0]], check=True)
    assert ledger.with_name(f"{ledger.name}.damaged").is_dir()
    assert slots(adw) == {"a": 3, "r": 5}


def test_slot_handed_on_after_a_worktree_vanished_is_not_claimed_back(
    adw: Adw, ledger: Path
) -> None:
    """Git still lists the vanished one, whose receipt names the slot that somebody has now."""
    shutil.rmtree(adw.directory / "trees" / "a")
    adw("list")
    adw("reserve", "next", "--slot", "3")
    ledger.unlink()
    assert slots(adw) == {"next": 3, "r": 5}


def test_ledger_in_the_older_shape_is_upgraded(adw: Adw) -> None:
    base = int(os.environ["ADW_SERVICES"].split("=")[1].split(",")[0])
    ledger = adw.directory / "agents" / "port_allocations.json"
    ledger.parent.mkdir()
    # The older shape knows no settings: its ports are those of the default bases.
    entries = {
        "old": {"backend": 9107, "frontend": 9207, "allocated_at": "2025-03-04T05:06:07.890"}
    }
    ledger.write_text(json.dumps(entries))
    found = adw.json("status")["allocations"]["old"]
    assert (found["slot"], found["backend"], found["frontend"]) == (7, 9107, 9207)
    assert datetime.fromisoformat(found["allocated_at"]).utcoffset() is not None
    assert base != 9100
    assert json.loads(ledger.read_text())["_schema"]["version"] == 1
    adw("release", "old")


def test_older_ledger_with_doubled_slots_is_set_aside(adw: Adw) -> None:
    ledger = adw.directory / "agents" / "port_allocations.json"
    ledger.parent.mkdir()
    entry = {"backend": 9107, "frontend": 9207, "allocated_at": "2025-03-04T05:06:07"}
    ledger.write_text(json.dumps({"one": entry, "two": entry}))
    assert slots(adw) == {}
    assert list(ledger.parent.glob("*.corrupt-*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_unwritable_ledger_is_a_clear_error(adw: Adw, ledger: Path) -> None:
    ledger.parent.chmod(0o500)
    try:
        error = adw.json("create", "b", code=3)["error"]
    finally:
        ledger.parent.chmod(0o700)
    assert "cannot be written" in error["message"]
    assert slots(adw) == {"a": 3, "r": 5}


def test_full_disk_leaves_the_old_ledger_whole(adw: Adw, ledger: Path) -> None:
    """A peer wrote in place, and a full disk left half a file."""
    before = ledger.read_bytes()
    script = "ulimit -f 0; exec python3 -m adw_worktree reserve full"
    import sys

    done = subprocess.run(
        ["sh", "-c", script.replace("python3", sys.executable)],
        cwd=adw.directory,
        capture_output=True,
        text=True,
    )
    assert done.returncode not in (0, 1), done.stderr
    assert ledger.read_bytes() == before
    assert slots(adw) == {"a": 3, "r": 5}


@given(data=st.binary(max_size=300))
def test_any_bytes_are_leases_or_damage(data: bytes) -> None:
    _decode_or_damage(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
fields = st.sampled_from(
    ["backend", "frontend", "slot", "state", "token", "allocated_at", "path", "services", "inode"]
)


@given(
    entries=st.dictionaries(
        st.sampled_from(["a", "b", "../x", "_schema", ""]) | st.text(max_size=8),
        st.dictionaries(fields, json_values, max_size=9) | json_values,
        max_size=4,
    ),
    version=st.sampled_from([None, 1, 1.0, "1", 2, True]),
)
def test_any_document_is_leases_or_damage(entries: dict[str, Any], version: object) -> None:
    if version is not None:
        entries["_schema"] = {"version": version}
    _decode_or_damage(json.dumps(entries).encode())


def _decode_or_damage(data: bytes) -> None:
    try:
        leases, _ = decode_leases(data)
    except (DocumentDamaged, LedgerTooNew):
        return
    assert decode_leases(encode_leases(leases.values()))[0] == leases


@pytest.mark.parametrize("services", [{}, {"api": 9300, "admin-ui": 9400}])
def test_ledger_is_written_as_json_writes_it(services: dict[str, int]) -> None:
    """The quick way changes nothing of what people read."""
    leases = [
        Lease(
            adw_id,
            slot,
            {"backend": 9100 + slot, "frontend": 9200 + slot, **services},
            datetime(2026, 1, 2, tzinfo=UTC),
            "active",
            "0" * 32,
            path='/a "b"\n{c}, d',
        )
        for slot, adw_id in enumerate(["a.b", "c"])
    ]
    for some in ([], leases):
        entries = {lease.adw_id: encode_lease(lease) for lease in some}
        document = {"_schema": {"version": 1}, **entries}
        assert encode_leases(some) == json.dumps(document, indent=2).encode() + b"\n"
