"""A repository that git shares with a group: what we make there is the group's, too."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Adw
from tests.support.machine import settle
from tests.support.repositories import git, make_repo


@pytest.fixture(params=[0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def shared_repo(tmp_path: Path, how: str) -> Adw:
    path = tmp_path / "shared"
    git("init", "--quiet", "--initial-branch=main", f"--shared={how}", str(path), cwd=tmp_path)
    git("commit", "--quiet", "--allow-empty", "-m", "first", cwd=path)
    return Adw(path)


def made_in(adw: Adw) -> Iterator[Path]:
    """Yield all that we made beside git's own files, without checked out files."""
    home, common = adw.directory, adw.directory / ".git"
    yield from (home / "agents", home / "agents" / "port_allocations.json", home / "trees")
    yield from common.glob("worktrees/*/adw-worktree.json")
    yield from (path for path in common.glob("hooks/*") if path.suffix != ".sample")
    for folder, names, files in os.walk(common / "adw-worktree"):
        yield Path(folder)
        names[:] = [name for name in names if not name.startswith(("spare-", "tree", "admin"))]
        yield from (Path(folder) / name for name in files)


def used(adw: Adw) -> None:
    """Make every kind of file that stays."""
    adw("hooks", "install")
    adw("create", "a")
    adw("create", "kept")
    (adw.directory / "trees" / "kept" / "new").write_text("work")
    adw("remove", "kept", "--force")
    adw("spares", "fill", "--wait", ADW_SPARES="1")
    adw("create", "b", ADW_SPARES="1")
    settle(lambda: not adw.json("spares", "status")["filling"], "never filled")
    adw("rename", "b", "c")
    git("commit", "--quiet", "--allow-empty", "-m", "b", cwd=adw.directory / "trees" / "c")
    adw("finish", "c")
    adw("spares", "drop")
    adw("reconcile")


@pytest.mark.parametrize(
    ("how", "umask"),
    [("group", 0o022), ("group", 0o077), ("all", 0o022), ("0660", 0o022)],
    indirect=["umask"],
)
def test_group_gets_what_git_would_give_it(tmp_path: Path, how: str, umask: int) -> None:
    adw = shared_repo(tmp_path, how)
    used(adw)
    closed = {
        str(path.relative_to(adw.directory)): oct(path.stat().st_mode)
        for path in made_in(adw)
        if path.stat().st_mode & 0o060 != 0o060
        or (path.is_dir() and not path.stat().st_mode & stat.S_ISGID)
    }
    assert closed == {}


def test_others_get_no_more_than_before(tmp_path: Path, umask: int) -> None:
    adw = shared_repo(tmp_path, "group")
    used(adw)
    assert not [path for path in made_in(adw) if path.stat().st_mode & stat.S_IWOTH]
    private = [*adw.directory.glob(".git/adw-worktree/trash/*"),
               *adw.directory.glob(".git/worktrees/*/adw-worktree.json")]  # fmt: skip
    assert len(private) >= 2
    assert not [path for path in private if path.is_dir() and path.stat().st_mode & 0o007]


def test_nobody_gets_more_of_a_repository_that_is_not_shared(tmp_path: Path, umask: int) -> None:
    adw = Adw(make_repo(tmp_path / "own"))
    used(adw)
    assert not [path for path in made_in(adw) if path.stat().st_mode & 0o022]
    (entry,) = adw.directory.glob(".git/adw-worktree/trash/kept-*")
    assert stat.S_IMODE(entry.stat().st_mode) == 0o700
    (receipt,) = adw.directory.glob(".git/worktrees/*/adw-worktree.json")
    assert stat.S_IMODE(receipt.stat().st_mode) == 0o600


def test_state_directory_stays_private(tmp_path: Path, umask: int) -> None:
    used(shared_repo(tmp_path, "all"))
    state = Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert not [path for path in state.rglob("*.json") if path.stat().st_mode & 0o077]


def test_restored_worktree_has_its_place_shared(tmp_path: Path, umask: int) -> None:
    adw = shared_repo(tmp_path, "group")
    tree = Path(adw.json("create", "a")["path"])
    (tree / "new").write_text("work")
    adw("remove", "a", "--force")
    assert not tree.parent.exists()
    adw("restore", "a")
    assert tree.parent.stat().st_mode & 0o2070 == 0o2070
