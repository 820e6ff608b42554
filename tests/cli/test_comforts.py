"""What is not needed, and missed: pushed branches, locks, a command when all is ready."""

from __future__ import annotations

import os
import pty
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import git, make_repo


@pytest.fixture
def theirs(adw: Adw, tmp_path: Path) -> Path:
    """Return a remote that was fetched from, with a branch `topic` that is ahead."""
    remote = make_repo(tmp_path / "theirs")
    git("checkout", "--quiet", "-b", "topic", cwd=remote)
    git("commit", "--quiet", "--allow-empty", "-m", "pushed", cwd=remote)
    git("remote", "add", "origin", str(remote), cwd=adw.directory)
    git("fetch", "--quiet", "origin", cwd=adw.directory)
    return remote


def head(directory: Path, name: str = "HEAD") -> str:
    return git("rev-parse", name, cwd=directory).strip()


@pytest.mark.parametrize("packed", [False, True])
def test_a_branch_that_was_pushed_is_the_one_that_is_meant(
    adw: Adw, theirs: Path, packed: bool
) -> None:
    if packed:
        git("pack-refs", "--all", cwd=adw.directory)
    tree = Path(adw.json("create", "topic")["path"])
    assert head(tree) == head(theirs, "topic")
    upstream = git("rev-parse", "--abbrev-ref", "topic@{upstream}", cwd=tree)
    assert upstream.strip() == "origin/topic"


def test_what_was_said_goes_before_what_was_pushed(adw: Adw, theirs: Path) -> None:
    tree = Path(adw.json("create", "topic", "--from", "main")["path"])
    assert head(tree) == head(adw.directory)
    other = Path(adw.json("create", "other")["path"])
    assert head(other) == head(adw.directory)


def test_of_two_remotes_the_preferred_one_is_meant(
    adw: Adw, theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork = make_repo(tmp_path / "fork")
    git("checkout", "--quiet", "-b", "topic", cwd=fork)
    git("commit", "--quiet", "--allow-empty", "-m", "forked", cwd=fork)
    git("remote", "add", "fork", str(fork), cwd=adw.directory)
    git("fetch", "--quiet", "fork", cwd=adw.directory)
    tree = Path(adw.json("create", "topic")["path"])
    assert head(tree) == head(theirs, "topic")
    adw("remove", "topic", "-D")
    monkeypatch.setenv("ADW_REMOTE", "fork")
    assert head(Path(adw.json("create", "topic")["path"])) == head(fork, "topic")


def test_a_lock_keeps_a_worktree(adw: Adw) -> None:
    tree = Path(adw.json("create", "a")["path"])
    adw("lock", "a", "--reason", "the demo runs from here")
    refused = adw("remove", "a", code=7)
    assert "the demo runs from here" in refused.stderr
    again = adw("lock", "a", "--reason", "another").stdout
    assert again == f"already locked (the demo runs from here): {tree}\n"
    assert adw.json("lock", "a")["locked"] is True
    adw("unlock", "a")
    assert adw("unlock", "a").stdout == f"already unlocked: {tree}\n"
    adw("remove", "a")
    assert not tree.exists()
    adw("lock", "a", code=6)


def test_a_command_starts_when_all_is_ready(adw: Adw) -> None:
    command = 'echo "$BACKEND_PORT $(pwd)"; test -f .env.ports && exit 3'
    ran = adw("create", "a", "--run", command, code=3)
    port = adw.json("env", "a")["variables"]["BACKEND_PORT"]
    assert ran.stdout.splitlines()[-1] == f"{port} {adw.directory}/trees/a"
    assert ran.stdout.startswith("created a at")
    again = adw("create", "a", "--run", "pwd")
    assert again.stdout.splitlines()[-1] == f"{adw.directory}/trees/a"


def test_a_command_that_is_not_there_leaves_the_worktree(adw: Adw) -> None:
    adw("create", "a", "--run", "no-such-command-here", code=127)
    assert (adw.directory / "trees" / "a" / "README").exists()


def test_nothing_runs_if_nothing_was_made(adw: Adw) -> None:
    adw("create", "a", "--from", "nowhere", "--run", f"touch {adw.directory}/ran", code=4)
    assert not os.path.exists(adw.directory / "ran")


# ---- several at once ---------------------------------------------------------------------------


def test_several_are_removed_and_those_with_work_stay(adw: Adw) -> None:
    for adw_id in "abc":
        adw("create", adw_id)
    (adw.directory / "trees" / "b" / "work").write_text("of days")
    refused = adw("remove", "a", "b", "c", code=2)
    assert "to be removed: a, c" in refused.stderr
    assert "not to be: b: " in refused.stderr
    assert len(adw.json("status")["allocations"]) == 3
    done = adw.json("remove", "a", "b", "c", "--yes", code=7)
    assert [one["adw_id"] for one in done["removals"]] == ["a", "c"]
    assert [one["error"]["code"] for one in done["refused"]] == ["dirty-worktree"]
    assert set(adw.json("status")["allocations"]) == {"b"}
    assert (adw.directory / "trees" / "b" / "work").read_text() == "of days"


def test_one_that_is_not_there_stops_no_other(adw: Adw) -> None:
    adw("create", "a")
    done = adw.json("remove", "a", "none", "-y", code=6)
    assert [one["adw_id"] for one in done["removals"]] == ["a"]


def test_what_is_merged_goes_and_what_was_just_begun_stays(adw: Adw) -> None:
    for adw_id in ("done", "begun", "open"):
        adw("create", adw_id)
    for adw_id in ("done", "open"):
        tree = adw.directory / "trees" / adw_id
        (tree / adw_id).write_text("work")
        git("add", adw_id, cwd=tree)
        git("commit", "--quiet", "-m", adw_id, cwd=tree)
    git("merge", "--quiet", "--no-ff", "-m", "merge", "done", cwd=adw.directory)
    done = adw.json("remove", "--merged", "-d")
    assert [one["branch_deleted"] for one in done["removals"]] == ["done"]
    assert set(adw.json("status")["allocations"]) == {"begun", "open"}
    assert "nothing to remove" in adw("remove", "--merged").stdout
    adw("remove", "--merged", "begun", code=2)


def test_by_force_what_is_merged_goes_only_when_somebody_says_yes(adw: Adw) -> None:
    tree = Path(adw.json("create", "a")["path"])
    git("commit", "--quiet", "--allow-empty", "-m", "a", cwd=tree)
    git("merge", "--quiet", "a", cwd=adw.directory)
    (tree / "new").write_text("new")
    assert adw.json("remove", "--merged", code=7)["removals"] == []
    adw("remove", "--merged", "--force", code=2)
    assert tree.is_dir()
    adw("remove", "--merged", "--force", "--yes")
    assert not tree.exists()


@pytest.mark.parametrize(("answer", "left"), [("y", set()), ("n", {"a", "b"}), ("", {"a", "b"})])
def test_on_a_terminal_a_person_is_asked(adw: Adw, answer: str, left: set[str]) -> None:
    for adw_id in "ab":
        adw("create", adw_id)
    ours, theirs = pty.openpty()
    words = [*adw.command, "remove", "a", "b"]
    process = subprocess.Popen(
        words, cwd=adw.directory, stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL
    )
    os.close(theirs)
    said = b""
    while b"[y/N]" not in said:
        said += os.read(ours, 1000)
    assert b"to be removed: a, b" in said
    os.write(ours, f"{answer}\n".encode())
    with suppress(OSError):  # Linux: the terminal is gone with its last process
        while os.read(ours, 1000):
            pass
    assert process.wait() == (0 if not left else 2)
    os.close(ours)
    assert set(adw.json("status")["allocations"]) == left


def test_paths_of_several_start_where_the_command_works(adw: Adw, tmp_path: Path) -> None:
    """They were looked for below the caller's own directory, and removed below the other."""
    for adw_id in "ab":
        adw("create", adw_id)
    Adw(tmp_path)("-C", str(adw.directory), "remove", "trees/a", "trees/b", "--yes")
    assert not adw.json("status")["allocations"]


# ---- the last one ------------------------------------------------------------------------------


def test_a_dash_is_the_worktree_that_was_made_or_gone_into_last(adw: Adw) -> None:
    trees = {adw_id: Path(adw.json("create", adw_id)["path"]) for adw_id in "abc"}
    assert adw.json("path", "-")["adw_id"] == "c"
    assert adw.json("path", "-", cwd=trees["c"])["adw_id"] == "b"
    adw("cd", "a", ADW_CD_FILE=os.devnull)
    assert adw.json("env", "-")["adw_id"] == "a"
    assert adw("run", "-", "--", "pwd").stdout == f"{trees['a']}\n"
    # From where one goes is where a dash leads back to, however one came there.
    adw("cd", "c", cwd=trees["b"], ADW_CD_FILE=os.devnull)
    assert adw.json("path", "-", cwd=trees["c"])["adw_id"] == "b"


def test_a_dash_that_leads_nowhere_says_so_where_one_is(adw: Adw) -> None:
    assert "none was made with create" in adw("path", "-", code=6).stderr
    tree = Path(adw.json("create", "a")["path"])
    assert "none other than this was made" in adw("path", "-", cwd=tree, code=6).stderr


def test_who_only_asks_goes_nowhere(adw: Adw) -> None:
    """A script in the background would change what a person's dash means."""
    for adw_id in "ab":
        adw("create", adw_id)
    for words in (["path", "a"], ["env", "a"], ["run", "a", "--", "true"], ["create", "a"]):
        adw(*words)
    assert adw.json("path", "-")["adw_id"] == "b"


def test_a_dash_follows_a_rename_and_not_a_name(adw: Adw) -> None:
    for adw_id in "ab":
        adw("create", adw_id)
    assert adw.json("rename", "-", "c")["from"] == "b"
    assert adw.json("path", "-")["adw_id"] == "c"
    adw("lock", "-")
    assert adw.json("unlock", "-")["path"] == f"{adw.directory}/trees/c"
    told = adw("remove", "-").stdout
    assert f"removed {adw.directory}/trees/c" in told
    adw("reserve", "c")
    assert adw.json("path", "-")["adw_id"] == "a"


def test_a_dash_among_several_is_named(adw: Adw) -> None:
    for adw_id in "ab":
        adw("create", adw_id)
    assert "to be removed: b, a" in adw("remove", "-", "a", "b", code=2).stderr


@pytest.mark.parametrize("noted", [None, b"", b"\xff\n../a\n", b"0" * 32])
def test_without_a_last_one_a_dash_is_an_error(adw: Adw, noted: bytes | None) -> None:
    adw("create", "a")
    file = adw.directory / ".git" / "adw-worktree" / "visits"
    file.unlink() if noted is None else file.write_bytes(noted)
    for words in (["path", "-"], ["remove", "-"], ["rename", "-", "b"]):
        error = adw.json(*words, code=6)["error"]
        assert error["code"] == "unknown-adw" and "adw-worktree list" in error["hint"]
    assert adw("create", "-", code=2)
    assert set(adw.json("status")["allocations"]) == {"a"}
