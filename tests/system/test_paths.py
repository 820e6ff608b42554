"""What is at a path, on every Python alike."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from adw_worktree.system.paths import exists, is_dir, is_file, is_symlink

ALL = (exists, is_dir, is_file, is_symlink)


def told(path: Path) -> list[bool]:
    return [ask(path) for ask in ALL]


def test_each_kind_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    assert told(tmp_path) == [True, True, False, False]
    assert told(tmp_path / "file") == [True, False, True, False]
    assert told(tmp_path / "link") == [True, True, False, True]
    assert told(tmp_path / "lost") == told(tmp_path / "loop") == [False, False, False, True]


@pytest.mark.parametrize("name", ["absent", "file/below", "a\0b"])
def test_what_is_not_there_is_absent(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    assert told(tmp_path / name) == [False] * 4


@pytest.mark.parametrize("ask", ALL)
def test_what_nobody_can_tell_is_no_absence(
    tmp_path: Path, ask: Callable[[Path], bool], request: pytest.FixtureRequest
) -> None:
    """A slot would be given away, or work deleted, for a directory that only cannot be read."""
    with pytest.raises(OSError, match="too long"):
        ask(tmp_path / ("n" * 300))
    if os.geteuid() != 0:
        (tmp_path / "shut" / "tree").mkdir(parents=True)
        (tmp_path / "shut").chmod(0)
        request.addfinalizer(lambda: (tmp_path / "shut").chmod(0o700))
        with pytest.raises(PermissionError):
            ask(tmp_path / "shut" / "tree")
