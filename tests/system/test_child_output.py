"""Output is read until its writer ends, not until whatever that started has. Real processes."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adw_worktree.errors import GitFailed
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.settings.model import HookCommands, Settings
from adw_worktree.system.child_output import communicate
from adw_worktree.worktrees.user_hooks import run_hooks
from tests.support.command_line import Adw, user_hook

_LEAVES = "echo before; (sleep 1; echo after; touch '{}'; sleep 60) & echo end"
"""A command that leaves a process behind, which goes on writing."""


def await_file(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.05)


def git_hook(repo: Path, event: str, command: str) -> None:
    hook = repo / ".git" / "hooks" / event
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{command}\n")
    hook.chmod(0o755)


def run_for(command: str, tmp_path: Path) -> tuple[str, float]:
    """Run it as a hook whose output a pipe gets; return the output, and how long that was open."""
    hooks = {"post-create": HookCommands((command,), False)}
    begun = time.monotonic()
    ours, theirs = os.pipe()
    with open(ours) as pipe, ThreadPoolExecutor() as reader:
        printed = reader.submit(pipe.read)
        try:
            run_hooks(
                "post-create", Settings(hooks=hooks), cwd=tmp_path, variables={}, output=theirs
            )
        finally:
            os.close(theirs)
        return printed.result(), time.monotonic() - begun


def test_a_hook_that_leaves_a_process_behind_is_not_waited_for_by_who_reads_us(
    tmp_path: Path,
) -> None:
    printed, took = run_for(_LEAVES.format(tmp_path / "alive"), tmp_path)
    assert printed == "before\nend\n"
    assert took < 20
    await_file(tmp_path / "alive")  # nor is it ended by writing to us


def test_create_in_a_pipe_ends_although_its_hook_left_a_process_behind(
    adw: Adw, tmp_path: Path
) -> None:
    user_hook("post-create", _LEAVES.format(tmp_path / "alive"))
    begun = time.monotonic()
    assert "before\nend\n" in adw("create", "a").stderr
    assert time.monotonic() - begun < 30
    await_file(tmp_path / "alive")


@pytest.mark.parametrize("event", ["post-checkout", "reference-transaction", "post-index-change"])
def test_a_hook_of_gits_that_leaves_a_process_behind_is_not_waited_for(
    adw: Adw, tmp_path: Path, event: str
) -> None:
    """Inside of git commands whose output we read, too."""
    git_hook(adw.directory, event, "sleep 60 &")
    begun = time.monotonic()
    adw("create", "a")
    adw("remove", "a", "-d")
    assert time.monotonic() - begun < 40


def test_all_that_a_hook_prints_arrives(tmp_path: Path) -> None:
    printed, _ = run_for("yes 0123456789abcde | head -n 100000; sleep 60 &", tmp_path)
    assert printed == "0123456789abcde\n" * 100_000


def test_a_reader_that_has_gone_ends_no_hook(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    hooks = {"post-create": HookCommands(("echo lost; touch done",), False)}
    run_hooks("post-create", Settings(hooks=hooks), cwd=tmp_path, variables={}, output=theirs)
    os.close(theirs)
    assert (tmp_path / "done").exists()


def test_a_reader_that_is_slow_loses_nothing(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    reader = subprocess.Popen(["sh", "-c", "sleep 1; wc -c"], stdin=ours, stdout=subprocess.PIPE)
    os.close(ours)
    hooks = {"post-create": HookCommands(("head -c 300000 /dev/zero",), False)}
    run_hooks("post-create", Settings(hooks=hooks), cwd=tmp_path, variables={}, output=theirs)
    os.close(theirs)
    assert int(reader.communicate()[0]) == 300_000


def test_output_before_the_end_and_input_are_whole_although_a_process_was_left() -> None:
    pipe = subprocess.PIPE
    argv = ["sh", "-c", "sleep 60 & cat; echo said >&2"]
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child:
        assert communicate(child, "x" * 300_000, None) == ("x" * 300_000, "said\n")


def test_a_command_that_takes_too_long_is_told(repo: Path) -> None:
    with pytest.raises(GitFailed, match="took longer than 1 seconds"):
        run_git(["-c", "alias.wait=!sleep 60", "wait"], Checkout(repo / ".git", repo), timeout=1)
