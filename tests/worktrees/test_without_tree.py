"""Git's entry of a worktree that was deleted, or moved by hand: its index and HEAD are kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import git, worktrees


@pytest.fixture
def tree(adw: Adw) -> Path:
    """Return a fresh worktree of ADW `a`."""
    return Path(adw.json("create", "a")["path"])


@pytest.fixture
def away(adw: Adw) -> Path:
    """Return a place in another directory."""
    return adw.directory.parent / "away"


def stage(tree: Path) -> None:
    (tree / "README").write_text("staged\n")
    git("add", "README", cwd=tree)


def commit_detached(tree: Path) -> None:
    git("checkout", "--quiet", "--detach", cwd=tree)
    git("commit", "--quiet", "--allow-empty", "-m", "nowhere else", cwd=tree)


def mark(tree: Path) -> None:
    git("update-ref", "refs/worktree/mark", "HEAD", cwd=tree)


def bisect(tree: Path) -> None:
    git("bisect", "start", cwd=tree)


HOLDING = [stage, commit_detached, mark, bisect]


def test_entry_of_a_directory_that_comes_back_is_joined_with_it(
    adw: Adw, tree: Path, away: Path
) -> None:
    """Pruned for good, git would not take it for a worktree again."""
    (tree / "README").write_text("changed\n")
    (tree / "new").write_text("new\n")
    before = git("status", "--porcelain", "--branch", cwd=tree)
    tree.rename(away)
    assert [one["action"] for one in adw.json("reconcile")["repaired"]] == ["prune"]
    assert worktrees(adw.directory) == [str(adw.directory)]
    away.rename(tree)
    assert adw.json("restore", "a")["path"] == str(tree)
    assert git("status", "--porcelain", "--branch", cwd=tree) == before
    assert (tree / "README").read_text() == "changed\n"
    assert adw.json("restore")["kept"] == []


@pytest.mark.parametrize("hold", HOLDING)
def test_entry_that_alone_holds_something_stays_for_git_to_repair(
    adw: Adw, tree: Path, away: Path, hold: Callable[[Path], None]
) -> None:
    hold(tree)
    status = git("status", "--porcelain", "--branch", cwd=tree)
    tree.rename(away)
    adw("reconcile")
    assert adw.json("status")["allocated"] == 0
    assert str(tree) in worktrees(adw.directory)
    git("worktree", "repair", str(away), cwd=adw.directory)
    assert git("status", "--porcelain", "--branch", cwd=away) == status
    adw("reconcile")
    assert adw.json("path", "a")["path"] == str(away)


def test_files_that_were_staged_come_back_after_a_deletion(adw: Adw, tree: Path) -> None:
    stage(tree)
    shutil.rmtree(tree)
    adw("create", "a")
    assert (tree / "README").read_text() == "hello\n"
    git("gc", "--quiet", "--prune=now", cwd=adw.directory)
    back = adw.json("restore", "a", "--as", "b")
    assert (Path(back["path"]) / "README").read_text() == "staged\n"
    assert git("status", "--porcelain", cwd=Path(back["path"])) == "M  README\n"


def test_removal_of_what_is_missing_keeps_what_its_entry_holds(adw: Adw, tree: Path) -> None:
    stage(tree)
    git("worktree", "lock", str(tree), cwd=adw.directory)
    shutil.rmtree(tree)
    assert adw.json("remove", "a", "--force", "--unlock")["kept_until"] is not None
    git("gc", "--quiet", "--prune=now", cwd=adw.directory)
    adw("restore", "a")
    assert git("diff", "--cached", "--name-only", cwd=tree) == "README\n"


def test_without_a_trash_an_entry_that_holds_something_stays(
    adw: Adw, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADW_TRASH_DAYS", "0")
    stage(tree)
    adw("create", "b")
    shutil.rmtree(tree.parent)
    adw("reconcile")
    assert worktrees(adw.directory)[1:] == [str(tree)]


def test_a_restore_that_fails_leaves_a_directory_that_is_back_alone(
    adw: Adw, tree: Path, away: Path
) -> None:
    tree.rename(away)
    adw("reconcile")
    away.rename(tree)
    (tree / "new").write_text("new\n")
    adw("restore", "a", code=3, ADW_FAULT="restore.admin=eio")
    assert (tree / "new").read_text() == "new\n"
    adw("restore", "a")
    assert git("status", "--porcelain", cwd=tree) == "?? new\n"
