"""Reconciliation: only a worktree that is gone frees a slot; everything else is kept or mended."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from adw_worktree.project import open_project
from adw_worktree.worktrees.trash import finish_deleting
from tests.support.command_line import Adw
from tests.support.machine import settle
from tests.support.repositories import git, make_repo, worktrees
from tests.support.starts import with_submodule


@pytest.fixture
def tree(adw: Adw) -> Path:
    return Path(adw.json("create", "a")["path"])


def allocations(adw: Adw) -> dict[str, Any]:
    found = adw.json("status")["allocations"]
    assert isinstance(found, dict)
    return found


WAYS = {
    "remove": 'git worktree remove "$1"',
    "remove --force": 'git worktree remove --force "$1"',
    "rm -rf": 'rm -rf "$1"',
    "rm -rf, prune": 'rm -rf "$1" && git worktree prune --expire=now',
    "rm -rf of all": 'rm -rf "${1%/*}"',
}


@pytest.mark.parametrize("way", WAYS)
def test_slot_of_a_vanished_worktree_is_free_at_the_next_command(
    adw: Adw, tree: Path, way: str
) -> None:
    subprocess.run(["sh", "-ec", WAYS[way], "sh", str(tree)], cwd=adw.directory, check=True)
    assert adw.json("status")["allocated"] == 0
    assert json.loads((adw.directory / "agents" / "port_allocations.json").read_text()).keys() == {
        "_schema"
    }


def test_moved_worktree_keeps_its_slot_and_is_repaired(adw: Adw, tree: Path) -> None:
    """A peer gives a moved live worktree's ports away."""
    moved = tree.with_name("elsewhere")
    tree.rename(moved)
    assert "a" in allocations(adw)
    assert adw.json("reconcile", "--check", code=10)["repaired"][0]["action"] == "move"
    adw("reconcile")
    assert adw("path", "a").stdout.strip() == str(moved)
    assert str(moved) in worktrees(adw.directory)
    assert git("status", "--porcelain", cwd=moved) == ""


def test_git_moved_worktree_keeps_its_slot(adw: Adw, tree: Path) -> None:
    moved = adw.directory.parent / "far away"
    git("worktree", "move", str(tree), str(moved), cwd=adw.directory)
    assert adw("path", "a").stdout.strip() == str(moved)
    adw("reconcile")
    assert allocations(adw)["a"]["path"] == str(moved)
    adw("reconcile", "--check")


def test_locked_worktree_that_is_not_there_keeps_its_slot(adw: Adw, tree: Path) -> None:
    """It may be on a disk that is not mounted: that is what git's lock is for."""
    git("worktree", "lock", str(tree), cwd=adw.directory)
    shutil.rmtree(tree)
    assert "a" in allocations(adw)
    (kept,) = adw.json("reconcile")["kept"]
    assert kept["verdict"] == "unknown"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_parent_keeps_the_slot(adw: Adw, tree: Path) -> None:
    tree.parent.chmod(0)
    try:
        assert "a" in allocations(adw)
    finally:
        tree.parent.chmod(0o755)


def test_worktree_replaced_by_plain_git_frees_the_slot(adw: Adw, tree: Path) -> None:
    """Even if the new directory has the old one's inode, as it often does on ext4."""
    git("worktree", "remove", str(tree), cwd=adw.directory)
    git("worktree", "add", "--quiet", str(tree), "a", cwd=adw.directory)
    assert allocations(adw) == {}


def test_missing_env_file_is_written_again(adw: Adw, tree: Path) -> None:
    before = (tree / ".env.ports").read_text()
    (tree / ".env.ports").unlink()
    assert adw.json("reconcile")["repaired"][0]["action"] == "env"
    assert (tree / ".env.ports").read_text() == before


def test_env_file_copied_from_another_worktree_is_stale(adw: Adw, tree: Path) -> None:
    other = Path(adw.json("create", "b")["path"])
    before = (tree / ".env.ports").read_text()
    shutil.copy(other / ".env.ports", tree / ".env.ports")
    adw("reconcile")
    assert (tree / ".env.ports").read_text() == before


def test_lost_receipt_is_written_again(adw: Adw, tree: Path) -> None:
    receipt = adw.directory / ".git" / "worktrees" / "a" / "adw-worktree.json"
    before = json.loads(receipt.read_text())
    receipt.unlink()
    assert "a" in allocations(adw)
    assert adw.json("reconcile")["repaired"][0]["action"] == "receipt"
    assert json.loads(receipt.read_text())["token"] == before["token"]


def test_worktree_whose_receipt_is_lost_is_known_by_an_env_file_of_another_name(
    adw: Adw, tree: Path
) -> None:
    """Another branch has the setting: its servers run on."""
    slot = allocations(adw)["a"]["slot"]
    (adw.directory / ".git" / "worktrees" / "a" / "adw-worktree.json").unlink()
    assert adw.json("create", "b", ADW_ENV_FILE=".env.other")["slot"] != slot
    assert allocations(adw)["a"]["slot"] == slot
    shutil.rmtree(adw.directory / "agents")
    (adw.directory / ".git" / "worktrees" / "b" / "adw-worktree.json").unlink()
    adw("list", ADW_ENV_FILE=".env.other")
    assert allocations(adw).keys() == {"a", "b"}


def test_lost_ledger_is_rebuilt_from_receipts(adw: Adw, tree: Path) -> None:
    adw("create", "b")
    adw("reserve", "r")
    before = {key: one["slot"] for key, one in allocations(adw).items()}
    shutil.rmtree(adw.directory / "agents")
    assert {key: one["slot"] for key, one in allocations(adw).items()} == before


def test_lost_ledger_and_receipts_are_rebuilt_from_env_files(adw: Adw, tree: Path) -> None:
    slot = allocations(adw)["a"]["slot"]
    shutil.rmtree(adw.directory / "agents")
    (adw.directory / ".git" / "worktrees" / "a" / "adw-worktree.json").unlink()
    assert allocations(adw)["a"]["slot"] == slot


def test_worktree_whose_lease_was_lost_is_adopted(adw: Adw, tree: Path) -> None:
    ledger = adw.directory / "agents" / "port_allocations.json"
    slot = allocations(adw)["a"]["slot"]
    empty = adw.directory.parent / "empty.json"
    adw("create", "b")
    git("worktree", "lock", str(tree), cwd=adw.directory)
    document = json.loads(ledger.read_text())
    del document["a"]
    ledger.write_text(json.dumps(document))
    assert not empty.exists()
    (adopted,) = adw.json("reconcile")["adopted"]
    assert (adopted["adw_id"], adopted["slot"]) == ("a", slot)
    assert allocations(adw)["a"]["slot"] == slot


def test_two_worktrees_with_one_slot_are_told_apart(adw: Adw, tree: Path) -> None:
    """The one whose header names the slot keeps it; the other gets a new one."""
    other = Path(adw.json("create", "b")["path"])
    slot = allocations(adw)["a"]["slot"]
    ledger = adw.directory / "agents" / "port_allocations.json"
    document = json.loads(ledger.read_text())
    for key in ("slot", "backend", "frontend"):
        document["b"][key] = document["a"][key]
    ledger.write_text(json.dumps(document))
    admin = adw.directory / ".git" / "worktrees" / "b" / "adw-worktree.json"
    receipt = json.loads(admin.read_text())
    for key in ("slot", "backend", "frontend"):
        receipt[key] = document["a"][key]
    admin.write_text(json.dumps(receipt))
    adw("reconcile")
    found = allocations(adw)
    assert found["a"]["slot"] == slot
    assert found["b"]["slot"] != slot
    assert f"ADW_SLOT={found['b']['slot']}\n" in (other / ".env.ports").read_text()
    assert list(ledger.parent.glob("*.corrupt-*"))
    adw("reconcile", "--check")


def test_two_repositories_with_one_slot_are_told_apart(
    adw: Adw, tree: Path, tmp_path: Path
) -> None:
    """As after the state directory was lost: neither knew of the other."""
    state = Path(os.environ["XDG_STATE_HOME"])
    shutil.rmtree(state)
    second = Adw(make_repo(tmp_path / "second"))
    second("create", "z")
    assert allocations(second)["z"]["slot"] == allocations(adw)["a"]["slot"]
    second("reconcile")
    adw("reconcile")
    assert allocations(second)["z"]["slot"] != allocations(adw)["a"]["slot"]
    second("reconcile", "--check")
    adw("reconcile", "--check")


def test_reservations_go_by_age_alone_when_asked(adw: Adw) -> None:
    adw("reserve", "r")
    adw("reconcile")
    assert "r" in allocations(adw)
    adw("reconcile", "--max-age", "1")
    assert "r" in allocations(adw)
    released = adw.json("reconcile", "--max-age", "0")["released"]
    assert [one["adw_id"] for one in released] == ["r"]
    assert allocations(adw) == {}


def test_max_age_never_frees_a_worktree(adw: Adw, tree: Path) -> None:
    adw("reconcile", "--max-age", "0")
    assert "a" in allocations(adw)


def test_check_and_dry_run_change_nothing(adw: Adw, tree: Path) -> None:
    (tree / ".env.ports").unlink()
    adw("reconcile", "--check", code=10)
    adw("reconcile", "--dry-run")
    assert not (tree / ".env.ports").exists()


def test_reconcile_prunes_what_holds_nothing_and_keeps_the_last_name_of_a_commit(adw: Adw) -> None:
    for adw_id in "abc":
        adw("create", adw_id, "--detach")
    trees, admins = adw.directory / "trees", adw.directory / ".git" / "worktrees"
    git("commit", "--quiet", "--allow-empty", "-m", "nowhere else", cwd=trees / "b")
    shutil.rmtree(trees)
    pruned = [one["adw_id"] for one in adw.json("reconcile")["repaired"]]
    assert sorted(pruned) == ["a", "c"]
    assert [path.name for path in admins.iterdir()] == ["b"]


def test_reconcile_keeps_the_last_place_of_commits_in_a_submodule(adw: Adw) -> None:
    """They are not in the directory that was deleted, but with git's entry of it."""
    with_submodule(adw)
    for adw_id in "ab":
        adw("create", adw_id)
    trees, admins = adw.directory / "trees", adw.directory / ".git" / "worktrees"
    lib = trees / "b" / "lib"
    git("switch", "--quiet", "--create", "mine", cwd=lib)
    git("commit", "--quiet", "--allow-empty", "-m", "nowhere else", cwd=lib)
    shutil.rmtree(trees)
    adw("reconcile")
    assert [path.name for path in admins.iterdir()] == ["b"]
    kept = admins / "b" / "modules" / "lib"
    log = git(
        f"--git-dir={kept}", f"--work-tree={kept}", "log", "--format=%s", "mine", cwd=trees.parent
    )
    assert log.splitlines()[0] == "nowhere else"


def test_reconcile_prunes_only_our_own_stale_entries(adw: Adw, tree: Path) -> None:
    """Another stale entry may be a worktree on a disk that is not mounted."""
    git("worktree", "add", "--quiet", "foreign", cwd=adw.directory)
    shutil.rmtree(adw.directory / "foreign")
    shutil.rmtree(tree)
    adw("reconcile")
    assert worktrees(adw.directory) == [str(adw.directory), str(adw.directory / "foreign")]


def test_reconcile_adopts_plain_worktrees_if_the_setting_asks(adw: Adw) -> None:
    git(
        "worktree",
        "add",
        "--quiet",
        "-b",
        "topic/ä b'c".replace(" ", "-"),
        "plain tree",
        cwd=adw.directory,
    )
    assert adw.json("reconcile")["adopted"] == []
    (adopted,) = adw.json("reconcile", ADW_ADOPT="true")["adopted"]
    assert adopted["adw_id"] == "plain-tree"
    plain = adw.directory / "plain tree"
    assert (plain / ".env.ports").exists()
    assert git("status", "--porcelain", cwd=plain) == ""


def test_gone_slot_is_handed_out_last(adw: Adw, tree: Path) -> None:
    """Should the directory turn up again, its ports are still its own."""
    slot = allocations(adw)["a"]["slot"]
    hidden = adw.directory.parent / "hidden"
    tree.rename(hidden)
    assert allocations(adw) == {}
    assert adw.json("create", "b")["slot"] != slot
    hidden.rename(tree)
    adw("reconcile")
    assert allocations(adw)["a"]["slot"] == slot


def test_deleted_repository_gives_back_its_slots(adw: Adw, tmp_path: Path) -> None:
    second = Adw(make_repo(tmp_path / "second"))
    second("create", "z")
    assert adw.json("status")["allocated"] == 1
    shutil.rmtree(second.directory)
    adw("reconcile")
    assert adw.json("status")["allocated"] == 0


def test_renamed_repository_keeps_its_slots(adw: Adw, tmp_path: Path) -> None:
    second = Adw(make_repo(tmp_path / "second"))
    slot = second.json("create", "z")["slot"]
    second.directory.rename(tmp_path / "renamed")
    assert adw.json("create", "a")["slot"] != slot
    renamed = Adw(tmp_path / "renamed")
    renamed("reconcile")
    assert allocations(renamed)["z"]["slot"] == slot
    assert renamed("path", "z").stdout.strip() == str(tmp_path / "renamed" / "trees" / "z")


def test_background_pass_is_silent_and_never_fails(adw: Adw, tree: Path, tmp_path: Path) -> None:
    shutil.rmtree(tree)
    ran = adw("reconcile", "--background")
    assert (ran.stdout, ran.stderr) == ("", "")
    ran = adw("-C", str(tmp_path), "reconcile", "--background")
    assert (ran.stdout, ran.stderr) == ("", "")


def test_waiting_pass_releases_when_git_is_done(adw: Adw, tree: Path) -> None:
    waiter = adw.start("reconcile", "--background", "--wait-gone", "a")
    git("worktree", "remove", str(tree), cwd=adw.directory)
    waiter.communicate(timeout=60)
    assert waiter.returncode == 0
    ledger = adw.directory / "agents" / "port_allocations.json"
    settle(lambda: "a" not in json.loads(ledger.read_text()), "the waiter released nothing")


def test_files_that_are_being_deleted_are_nothing_to_mend(adw: Adw) -> None:
    """A check right after a removal found "deleting it was interrupted", now and then."""
    adw("create", "a")
    directory = adw.directory / ".git" / "adw-worktree" / "trash" / "a-0123456789ab.deleting"
    directory.mkdir(parents=True)
    adw("reconcile", "--check", code=10)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        adw("reconcile", "--check")
    finally:
        os.close(descriptor)
    adw("reconcile")
    settle(lambda: not directory.exists(), "it was never deleted")


def test_files_that_are_deleted_just_now_are_no_interruption(adw: Adw) -> None:
    """Whoever found the directory, and opened it when it had gone, complained about the disk."""
    finish_deleting(open_project(adw.directory).repo, "a-0123456789ab")


def promised_and_given(adw: Adw, *flags: str, **env: str) -> tuple[Any, Any]:
    """Return what a dry run says and what the pass then does, but for what it keeps."""

    def actions(*more: str) -> dict[str, list[Any]]:
        document = adw.json("reconcile", *flags, *more, cwd=None, code=None, **env)
        keys = ("action", "adw_id", "slot", "reason")
        return {
            heading: sorted([one[key] for key in keys] for one in document[heading])
            for heading in ("released", "repaired", "adopted", "failed")
        }

    told, done = actions("--dry-run"), actions()
    assert any(done.values())
    return told, done


def without_lease(adw: Adw, *adw_ids: str) -> None:
    """Have the ledger forget leases, as if it had been put back to an earlier state."""
    ledger = adw.directory / "agents" / "port_allocations.json"
    document = json.loads(ledger.read_text())
    for adw_id in adw_ids:
        del document[adw_id]
    ledger.write_text(json.dumps(document))


def test_dry_run_names_the_slot_that_an_adoption_gets(adw: Adw, tree: Path) -> None:
    git("worktree", "add", "--quiet", "plain", cwd=adw.directory)
    git("worktree", "add", "--quiet", "plain2", cwd=adw.directory)
    told, done = promised_and_given(adw, ADW_ADOPT="true")
    assert told == done
    assert [slot for _, _, slot, _ in told["adopted"]] == [1, 2]


def test_dry_run_knows_the_slots_that_the_pass_frees_first(adw: Adw, tree: Path) -> None:
    adw("reserve", "r", "--slot", "1")
    shutil.rmtree(tree)
    git("worktree", "add", "--quiet", "plain", cwd=adw.directory)
    told, done = promised_and_given(adw, "--max-age", "0", ADW_ADOPT="true", ADW_SLOTS="2")
    assert told == done
    assert [slot for _, _, slot, _ in told["adopted"]] == [1]  # 0 is in doubt


def test_dry_run_names_another_slot_where_the_own_one_is_taken(adw: Adw, tree: Path) -> None:
    adw("create", "b")
    other = git("worktree", "list", "--porcelain", cwd=adw.directory)
    assert "trees/b" in other
    document = json.loads((adw.directory / "agents" / "port_allocations.json").read_text())
    without_lease(adw, "a")
    receipt = adw.directory / ".git" / "worktrees" / "a" / "adw-worktree.json"
    told = json.loads(receipt.read_text())
    for key in ("slot", "backend", "frontend"):
        told[key] = document["b"][key]
    receipt.write_text(json.dumps(told))
    told, done = promised_and_given(adw)
    assert told == done


def test_dry_run_names_the_slot_of_a_lease_that_has_to_yield(
    adw: Adw, tree: Path, tmp_path: Path
) -> None:
    shutil.rmtree(os.environ["XDG_STATE_HOME"])
    second = Adw(make_repo(tmp_path / "second"))
    second("create", "z")
    second("status")
    adw("status")
    told, done = promised_and_given(second)
    assert told == done
    assert [(kind, slot) for kind, _, slot, _ in told["repaired"]] == [("reassign", 1)]


def test_dry_run_says_what_will_fail(adw: Adw) -> None:
    for name in ("plain", "plain2"):
        git("worktree", "add", "--quiet", name, cwd=adw.directory)
    (adw.directory / "plain" / ".env.ports").write_text("mine\n")
    told, done = promised_and_given(adw, ADW_ADOPT="true")
    assert told == done
    assert [adw_id for _, adw_id, *_ in told["failed"]] == ["plain"]
    told, done = promised_and_given(adw, ADW_ADOPT="true", ADW_SLOTS="1")
    assert told == done


def test_dry_run_undoes_a_dead_create_before_it_adopts(adw: Adw) -> None:
    adw("create", "dead", code=None, ADW_FAULT="lease.pending=kill")
    git("worktree", "add", "--quiet", "plain", cwd=adw.directory)
    told, done = promised_and_given(adw, ADW_ADOPT="true")
    assert told == done
    assert [slot for _, _, slot, _ in told["adopted"]] == [0]
