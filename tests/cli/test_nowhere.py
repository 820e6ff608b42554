"""Commands that need no repository, run outside of any."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import make_repo

COMMANDS = ["status", "list --all", "reconcile --all", "doctor", "hooks status", "trust"]


@pytest.fixture
def nowhere(tmp_path: Path) -> Adw:
    """Return the command line in a directory of no repository."""
    (tmp_path / "nowhere").mkdir()
    return Adw(tmp_path / "nowhere")


@pytest.mark.parametrize("command", COMMANDS)
def test_outside_of_a_repository_the_documents_have_the_same_keys(
    adw: Adw, nowhere: Adw, command: str
) -> None:
    words = command.split()
    before = nowhere.json(*words)  # nothing was ever made on this machine
    adw("create", "a")
    assert nowhere.json(*words).keys() == before.keys() == adw.json(*words).keys()
    assert nowhere(*words, "-C", str(nowhere.directory), code=2)  # -C comes first
    assert nowhere("-C", str(nowhere.directory), *words).stderr == ""
    error = nowhere.json("-C", "no-such-directory", *words, code=4)["error"]
    assert error["code"] == "not-a-repository"


def test_status_shows_the_machine(adw: Adw, nowhere: Adw) -> None:
    adw("create", "a")
    adw("reserve", "b")
    status = nowhere.json("status")
    assert status["allocations"] == {}
    assert status["elsewhere"] == {str(adw.directory): adw.json("status")["allocations"]}
    assert (status["allocated"], status["available"]) == (2, 98)
    assert "this repository" not in nowhere("status").stdout


def test_list_and_reconcile_go_through_every_repository(
    adw: Adw, nowhere: Adw, tmp_path: Path
) -> None:
    other = make_repo(tmp_path / "other")
    adw("create", "a")
    adw("create", "b", cwd=other)
    rows = nowhere.json("list", "--all")["worktrees"]
    assert {row["adw_id"] for row in rows} == {None, "a", "b"}
    shutil.rmtree(adw.directory / "trees" / "a")
    shutil.rmtree(other)
    assert nowhere("reconcile", "--all", "--check", code=10).stdout
    done = nowhere.json("reconcile", "--all")
    assert [one["adw_id"] for one in done["released"]] == ["a"]
    assert nowhere.json("status")["allocated"] == 0


@pytest.mark.parametrize(
    "command", ["list", "reconcile", "trust --yes", "trust --revoke", "hooks install"]
)
def test_what_is_of_one_repository_needs_it(nowhere: Adw, command: str) -> None:
    assert nowhere.json(*command.split(), code=4)["error"]["code"] == "not-a-repository"


@pytest.mark.parametrize("command", ["list", "reconcile"])
def test_the_hint_is_what_goes_without_one(nowhere: Adw, command: str) -> None:
    hint = nowhere.json(command, code=4)["error"]["hint"]
    assert hint.startswith(f"adw-worktree {command} --all, or adw-worktree -C DIR")


def test_doctor_looks_at_git_and_the_pool(
    nowhere: Adw, tmp_path: Path, serve: Callable[..., subprocess.Popen[bytes]]
) -> None:
    assert nowhere("doctor").stdout == "nothing is wrong\n"
    (tmp_path / "state").write_text("no directory")
    found = nowhere.json("doctor", code=10, ADW_STATE_HOME=str(tmp_path / "state" / "deeper"))
    assert found["problems"]


def test_approvals_are_listed_and_can_be_taken_back(adw: Adw, nowhere: Adw) -> None:
    assert nowhere("trust").stdout == "nothing is approved\n"
    (adw.directory / "adw-worktree.toml").write_text('[hooks]\npost-create = ["true"]\n')
    adw("trust", "--yes")
    assert nowhere.json("trust")["approved"] == [str(adw.directory)]
    command = nowhere("trust").stdout.splitlines()[1].partition("  ")[2].strip()
    nowhere(*shlex.split(command)[1:])
    assert nowhere.json("trust")["approved"] == []
