"""What is advised against a failing disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from adw_worktree.errors import FileUnusable, LedgerError
from adw_worktree.pool.state_directory import machine_lock
from adw_worktree.system.locks import held
from tests.support.command_line import Adw


def failure(number: int, path: Path | None) -> OSError:
    return OSError(number, os.strerror(number), *([str(path)] if path else []))


def test_the_directory_that_lets_nobody_in_is_named(tmp_path: Path) -> None:
    denied = FileUnusable.because("x cannot be made", failure(errno.EACCES, tmp_path / "x"))
    assert denied.hint == f"make {tmp_path} readable and writable for you, then repeat"
    frozen = FileUnusable.because("x cannot be made", failure(errno.EROFS, tmp_path / "x"))
    assert frozen.hint == f"have the file system of {tmp_path} mounted writable, then repeat"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named_itself(tmp_path: Path) -> None:
    (tmp_path / "x").touch(mode=0)
    denied = FileUnusable.because("x cannot be read", failure(errno.EACCES, tmp_path / "x"))
    assert denied.hint == f"make {tmp_path / 'x'} readable and writable for you, then repeat"


def test_a_lock_in_the_state_directory_alone_can_be_had_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError) as here, held(tmp_path / "file" / "x.lock", 1, "x"):
        pass
    with pytest.raises(LedgerError) as machine, machine_lock(tmp_path / "file", 1):
        pass
    assert "ADW_STATE_HOME" not in str(here.value.hint)
    assert "ADW_STATE_HOME" in str(machine.value.hint)


def test_hooks_that_cannot_be_written_are_named(adw: Adw) -> None:
    """A full disk names no file: it was `the hook None`."""
    failed = adw.json("hooks", "install", code=3, ADW_FAULT="atomic.written=enospc")["error"]
    assert failed["message"].startswith(f"the hooks in {adw.directory}/.git/")
    assert "hooks cannot be written: " in failed["message"]
    assert failed["hint"] == "free some space, then repeat"
