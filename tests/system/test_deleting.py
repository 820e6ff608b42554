"""Deleting a tree: all of it, and nothing that is mounted in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adw_worktree.errors import MountInside
from adw_worktree.system import deleting
from adw_worktree.system.deleting import delete_tree
from adw_worktree.system.mounts import mounts_in, require_unmounted
from tests.support.machine import bound, mounted


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "a tree"
    (tree / "one" / "two").mkdir(parents=True)
    (tree / "one" / "file").write_text("x")
    (tree / "one" / "two" / "file").write_text("x")
    return tree


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """Return a directory on the same file system, with something in it."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "gold").write_text("gold")
    return tmp_path / "precious"


def test_a_tree_goes_with_all_that_is_in_it(tree: Path, precious: Path) -> None:
    os.mkfifo(tree / "pipe")
    (tree / "one" / "link").symlink_to(precious)
    (tree / os.fsdecode(b"not utf-8 \xff")).touch()
    os.link(precious / "gold", tree / "hard link")
    (tree / "one" / "two").chmod(0o000)
    (tree / "one").chmod(0o500)
    delete_tree(tree)
    assert not tree.exists()
    assert (precious / "gold").read_text() == "gold"


def test_a_tree_that_is_not_there_is_deleted(tmp_path: Path) -> None:
    delete_tree(tmp_path / "nothing")


def test_a_link_to_a_tree_is_none(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    with pytest.raises(OSError, match="link"):
        delete_tree(tmp_path / "link")
    assert (tree / "one" / "file").exists()


def test_a_tree_may_be_deeper_than_files_can_be_open(tmp_path: Path) -> None:
    top = tmp_path / "deep"
    top.mkdir()
    directory = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("down", dir_fd=directory)
        below = os.open("down", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)
    delete_tree(top)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["data", "one/two/my data", "one/two"])
def test_a_bind_mount_of_the_same_file_system_is_left(
    tree: Path, precious: Path, where: str
) -> None:
    """Its device number is that of the tree: what somebody has elsewhere would be deleted."""
    with bound(precious, tree / where) as place:
        assert mounts_in(tree) == [place]
        with pytest.raises(OSError, match=str(place)) as caught:
            delete_tree(tree)
        assert caught.value.filename == str(place)
        assert not (tree / "one" / "file").exists()
        assert (precious / "gold").read_text() == "gold"
    delete_tree(tree)
    assert not tree.exists()


def test_a_bind_mount_of_a_file_is_left(tree: Path, precious: Path) -> None:
    with bound(precious / "gold", tree / "secret") as place:
        assert mounts_in(tree) == [place]
        with pytest.raises(OSError, match="secret"):
            delete_tree(tree)
    assert (precious / "gold").read_text() == "gold"


def test_another_file_system_is_left(tree: Path) -> None:
    with mounted(tree / "one" / "disk", "1m") as disk:
        (disk / "gold").write_text("gold")
        with pytest.raises(OSError, match="disk"):
            delete_tree(tree)
        assert (disk / "gold").read_text() == "gold"


def test_a_tree_that_is_mounted_itself_is_left(tree: Path, precious: Path) -> None:
    with bound(precious, tree):
        assert mounts_in(tree) == [tree]
        with pytest.raises(MountInside, match="is a mount point itself"):
            require_unmounted(tree)
        with pytest.raises(OSError, match="a tree"):
            delete_tree(tree)
    assert (precious / "gold").read_text() == "gold"


def test_a_mount_is_found_through_a_link_and_behind_an_odd_name(
    tree: Path, precious: Path, tmp_path: Path
) -> None:
    name = "a\tb\nc\\040d é"
    (tmp_path / "link").symlink_to(tmp_path)
    with bound(precious, tree / name) as place:
        assert mounts_in(tmp_path / "link" / tree.name) == [place]
        assert mounts_in(tree / "one") == []
        assert mounts_in(tmp_path / "a tr") == []
        with pytest.raises(MountInside) as caught:
            require_unmounted(tree)
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("; then repeat")


def test_the_file_deletes_by_itself_and_puts_aside_what_it_cannot(
    tree: Path, precious: Path
) -> None:
    """As it is run in the background, where nobody imports the package."""
    stuck = tree.with_name("stuck")
    command = [sys.executable, "-I", "-S", deleting.__file__, str(tree), str(stuck)]
    with bound(precious, tree / "one" / "data"):
        subprocess.run(command, check=True, cwd="/")
        assert not tree.exists()
        assert [path.name for path in stuck.rglob("*")] == ["one", "data", "gold"]
        subprocess.run(["umount", str(stuck / "one" / "data")], check=True)
    subprocess.run([*command[:4], str(stuck), "unused"], check=True, cwd="/")
    assert not stuck.exists()
    assert (precious / "gold").read_text() == "gold"
