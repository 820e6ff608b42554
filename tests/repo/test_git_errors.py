"""What is said, and advised, when git fails."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import git

OLD_GIT = """#!/bin/sh
# What a git of Ubuntu 20.04 says; all else is left to the one that is installed.
case " $* " in
    *" version "*) echo "git version 2.25.1"; exit ;;
    *" worktree list "*" -z "*) echo "error: unknown switch \\`z'" >&2; exit 129 ;;
    *" cat-file --batch-command"*) echo "error: unknown option \\`batch-command'" >&2; exit 129 ;;
    *" hook run "*) echo "git: 'hook' is not a git command. See 'git --help'." >&2; exit 1 ;;
esac
exec {git} "$@"
"""


@pytest.fixture
def old_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, installed = tmp_path / "old", shutil.which("git")
    directory.mkdir()
    (directory / "git").write_text(OLD_GIT.format(git=installed))
    (directory / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize("command", ["list", "create a", "remove a"])
def test_an_old_git_is_recognised_by_its_version(adw: Adw, old_git: None, command: str) -> None:
    error = adw.json(*command.split(), code=4)["error"]
    assert "git 2.25.1 is older than 2.36" in error["message"]
    assert error["hint"] == "install git 2.36 or later and put it on PATH"


def test_an_old_git_leaves_no_worktree_behind(adw: Adw, old_git: None) -> None:
    adw("create", "a", code=4)
    assert not (adw.directory / "trees").exists()
    assert git("branch", "--list", "a", cwd=adw.directory) == ""


def test_gits_own_remedy_for_a_foreign_owner_is_passed_on(adw: Adw) -> None:
    error = adw.json("list", code=4, GIT_TEST_ASSUME_DIFFERENT_OWNER="1")["error"]
    assert "dubious ownership" in error["message"]
    assert error["hint"] == f"git config --global --add safe.directory {adw.directory}"


def test_a_command_that_only_reads_is_given_to_be_run_by_hand(adw: Adw) -> None:
    with (adw.directory / ".git" / "config").open("a") as file:
        file.write("[broken\n")
    error = adw.json("list", code=4)["error"]
    command = shlex.split(error["hint"].rpartition("git's own words: ")[2])
    assert command == ["git", "-C", str(adw.directory), "worktree", "list", "--porcelain", "-z"]
