"""What is said, and advised, when git fails."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest

from adw_worktree.repo.git_errors import failure_of
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


def test_the_words_of_a_filter_are_passed_on_with_gits(adw: Adw) -> None:
    """`git-crypt` and Git LFS say there what is missing; git only that they failed."""
    (adw.directory / ".gitattributes").write_text("* filter=x\n")
    git("config", "filter.x.clean", "cat", cwd=adw.directory)
    git("config", "filter.x.smudge", "echo 'the key is not there' >&2; exit 1", cwd=adw.directory)
    git("config", "filter.x.required", "true", cwd=adw.directory)
    git("add", ".", cwd=adw.directory)
    git("commit", "--quiet", "-m", "filter", cwd=adw.directory)
    message = adw.json("create", "a", code=4)["error"]["message"]
    first, *others = message.split("\n")
    assert first.startswith("git reset failed: fatal: ")
    assert others[0] == "the key is not there"
    assert "\n  the key is not there\n" in adw("create", "a", code=4).stderr


def test_the_words_of_a_hook_of_gits_are_passed_on(adw: Adw) -> None:
    hook = adw.directory / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'branches are made by the office' >&2\nexit 1\n")
    hook.chmod(0o755)
    error = adw.json("create", "a", code=None)["error"]
    assert "branches are made by the office" in error["message"]


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("", "exit status 128"),
        ("fatal: no\n", "fatal: no"),
        ("error: bad\nhint: do good\nfatal: no\n", "fatal: no\nerror: bad\nhint: do good"),
        ("error: these would be lost:\n\ta\n\tb\nAborting\n",
         "error: these would be lost: a b\nAborting"),
        ("Preparing worktree (new branch 'a')\nUpdating files:  50% (1/2)\rUpdating files: 100% "
         "(2/2), done.\nfatal: no\n", "fatal: no"),
        ("the hook says no\r\nfatal: no\r\n", "fatal: no\nthe hook says no"),
        ("same\n" * 40 + "fatal: no\n", "fatal: no\nsame"),
    ],
)  # fmt: skip
def test_the_lines_that_matter_are_kept(stderr: str, reason: str) -> None:
    failure = failure_of(["git", "reset"], Path("/"), 128, stderr, (2, 39))
    assert failure.message == f"git reset failed: {reason}"


def test_of_very_many_lines_the_first_and_the_last_are_kept() -> None:
    stderr = "".join(f"line {number}\n" for number in range(100)) + "fatal: no\n"
    message = failure_of(["git", "reset"], Path("/"), 128, stderr, (2, 39)).message
    assert message.count("\n") == 13
    assert "line 0\n" in message
    assert message.endswith("line 99")
    assert "(88 more lines)" in message
