"""What is mounted in a worktree is not the worktree's: no command empties it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

import pytest

from adw_worktree.project import open_project
from adw_worktree.system.mounts import mounts_in
from adw_worktree.worktrees import remove as removal
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.remove_checks import Consent
from tests.support.command_line import Adw, user_hook
from tests.support.machine import bound, mounted, settle
from tests.support.repositories import git


@pytest.fixture
def tree(adw: Adw) -> Path:
    """Return a fresh worktree of ADW `a`."""
    return Path(adw.json("create", "a")["path"])


@pytest.fixture
def gold(tmp_path: Path) -> Iterator[Path]:
    """Return a file in a directory for mounting; it has to be there whatever a test does."""
    (tmp_path / "precious").mkdir()
    gold = tmp_path / "precious" / "gold"
    gold.write_text("gold")
    yield gold
    assert gold.read_text() == "gold"


def ignore_data(repo: Path) -> None:
    with (repo / ".git" / "info" / "exclude").open("a") as exclude:
        exclude.write("data\n")


def deletions(repo: Path) -> list[str]:
    place = repo / ".git" / "adw-worktree" / "trash"
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


def settled(repo: Path) -> None:
    """Wait until nothing is deleted in the background."""
    settle(lambda: not any(name.endswith(".deleting") for name in deletions(repo)), "still at it")


@pytest.mark.parametrize("flags", [[], ["--force"], ["-D"], ["--force", "-D", "--unlock"]])
def test_remove_refuses_and_names_what_to_unmount(
    adw: Adw, tree: Path, gold: Path, flags: list[str]
) -> None:
    git("worktree", "lock", str(tree), cwd=adw.directory) if "--unlock" in flags else None
    with bound(gold.parent, tree / "my data") as place:
        error = adw.json("remove", "a", *flags, code=7)["error"]
        assert error["code"] == "mount-inside"
        assert str(place) in error["message"]
        assert error["hint"] == f"umount {quote(str(place))}; then repeat"
        assert (tree / ".env.ports").exists()
        assert adw.json("status")["allocated"] == 1
    assert adw.json("remove", "a", *flags, "--force")["removed"]


def test_remove_refuses_another_file_system(adw: Adw, tree: Path) -> None:
    with mounted(tree / "disk", "1m") as disk:
        (disk / "gold").write_text("gold")
        assert adw.json("remove", "a", "--force", code=7)["error"]["code"] == "mount-inside"
        assert (disk / "gold").read_text() == "gold"


def test_remove_goes_on_if_the_users_hook_unmounts(adw: Adw, tree: Path, gold: Path) -> None:
    user_hook("pre-remove", "umount data")
    ignore_data(adw.directory)
    with bound(gold.parent, tree / "data"):
        adw.json("remove", "a", "--no-hooks", code=7)
        assert adw.json("remove", "a")["removed"]


def test_remove_refuses_what_the_users_hook_leaves_mounted(
    adw: Adw, tree: Path, gold: Path
) -> None:
    user_hook("pre-remove", "true")
    with bound(gold.parent, tree / "data"):
        error = adw.json("remove", "a", "--force", code=7)["error"]
        assert error["code"] == "mount-inside"
    assert adw.json("status")["allocated"] == 1


@pytest.mark.parametrize("force", [True, False], ids=["kept", "deleted"])
def test_what_is_mounted_while_a_worktree_is_removed_stays(
    adw: Adw, tree: Path, gold: Path, force: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It moves into the trash with the directory around it."""
    project = open_project(adw.directory)
    monkeypatch.setattr(removal, "require_unmounted", lambda _: None)
    monkeypatch.setattr(removal, "require_consent", lambda *_: None)
    ignore_data(adw.directory)
    if force:
        (tree / "new").touch()
    with bound(gold.parent, tree / "data"):
        gone = removal.remove(project, "a", Consent(force=force))
        assert (gone.kept is not None) is force
        settled(adw.directory)
        (place,) = mounts_in(project.repo.tool_dir)
        assert (place / "gold").exists()
        if force:
            error = adw.json("restore", "a", "--discard", code=7)["error"]
            assert error["code"] == "mount-inside"
            old = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
            (entry,) = trash.kept_entries(project.repo)
            directory = trash.place(project.repo, entry.name)
            trash.save(directory, entry._replace(removed_at=old))
            (directory / "expired").touch()
            trash.purge(project.repo, 0)
            settled(adw.directory)
            assert (place / "gold").exists()
        else:
            (problem,) = adw.json("doctor", code=10)["problems"]
            assert problem["code"] == "trash-stuck"
            assert problem["fix"] == f"umount {place}, then adw-worktree reconcile"
        subprocess.run(["umount", str(place)], check=True)
    adw("reconcile", ADW_TRASH_DAYS="0")
    settle(lambda: deletions(adw.directory) == [], "what was left is never deleted")


def test_a_create_that_fails_leaves_what_its_hook_mounted(adw: Adw, gold: Path) -> None:
    """Undoing it would empty that; until it is unmounted, the next command says so."""
    source = quote(str(gold.parent))
    ignore_data(adw.directory)
    place = adw.directory / "trees" / "a" / "data"
    with bound(gold.parent, adw.directory.parent / "unused"):
        user_hook("post-create", f"mkdir data && mount --bind {source} data && exit 1")
        try:
            ran = adw("create", "a", code=9)
            assert f"umount {place}" in ran.stderr or str(place) in ran.stderr
            assert (place / "gold").exists()
            assert str(place) in adw("list").stderr
        finally:
            subprocess.run(["umount", str(place)], check=True)
    adw("list")
    assert not (adw.directory / "trees").exists()
    assert adw.json("status")["allocated"] == 0


def test_finish_refuses_before_it_merges(adw: Adw, tree: Path, gold: Path) -> None:
    (tree / "work").touch()
    git("add", "work", cwd=tree)
    git("commit", "--quiet", "-m", "work", cwd=tree)
    before = git("rev-parse", "main", cwd=adw.directory)
    ignore_data(adw.directory)
    with bound(gold.parent, tree / "data"):
        assert adw.json("finish", "a", code=7)["error"]["code"] == "mount-inside"
    assert git("rev-parse", "main", cwd=adw.directory) == before


def test_spares_with_something_mounted_stay(
    adw: Adw, gold: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADW_SPARES", "1")
    adw("spares", "fill", "--wait")
    (name,) = [one["name"] for one in adw.json("spares", "status")["spares"]]
    spare = adw.directory / ".git" / "adw-worktree" / "spares" / name
    with bound(gold.parent, spare / "data"):
        assert "is mounted in it" in adw("spares", "drop").stderr
        (spare.parent / f"{name}.json").unlink()
        assert "is mounted in it" in adw("reconcile").stderr
        assert spare.is_dir()
    adw("reconcile")
    assert not spare.exists()


def test_rename_leaves_a_directory_with_something_mounted_where_it_is(
    adw: Adw, tree: Path, gold: Path
) -> None:
    """Whoever mounted it unmounts it by its path."""
    with bound(gold.parent, tree / "data"):
        assert "something is mounted at" in adw("rename", "a", "b").stderr
        assert adw.json("path", "b")["path"] == str(tree)


def test_a_worktree_that_is_a_mount_itself_is_named_as_such(adw: Adw, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "10m") as disk:
        adw("create", "a", "--path", str(disk))
        error = adw.json("remove", "a", code=7)["error"]
        assert "is a mount point itself" in error["message"]
