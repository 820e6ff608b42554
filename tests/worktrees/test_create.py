"""`create`: all of a worktree, or nothing of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import Adw, user_hook
from tests.support.machine import settle, settle_stopped
from tests.support.repositories import branches, git, make_repo, worktrees


def assert_nothing_left(adw: Adw) -> None:
    """No directory, branch, admin entry, lease or lock file is there."""
    repo = adw.directory
    assert worktrees(repo) == [str(repo)]
    assert branches(repo) == {"main"}
    assert not (repo / "trees").exists()
    assert adw.json("status")["allocated"] == 0
    creating = repo / ".git" / "adw-worktree" / "creating"
    assert not creating.exists() or list(creating.iterdir()) == []


def test_create_makes_worktree_lease_and_env_file(adw: Adw) -> None:
    made = adw.json("create", "fix-login")
    path = adw.directory / "trees" / "fix-login"
    assert set(made) == {
        "schema_version", "ok", "created", "adw_id", "slot", "ports", "path", "branch", "base",
        "base_commit", "env_file", "database",
    }  # fmt: skip
    assert made["ok"] is True
    assert made["created"] is True
    assert made["path"] == str(path)
    assert made["branch"] == "fix-login"
    assert made["ports"]["frontend"] - made["ports"]["backend"] == 100
    assert (path / "README").read_text() == "hello\n"
    sourced = subprocess.run(
        ["sh", "-c", "set -a; . ./.env.ports; env"], cwd=path, capture_output=True, text=True
    )
    assert f"BACKEND_PORT={made['ports']['backend']}\n" in sourced.stdout
    assert git("status", "--porcelain", cwd=path) == ""
    assert git("status", "--porcelain", cwd=adw.directory) == ""


def test_create_again_returns_the_same(adw: Adw) -> None:
    first = adw.json("create", "a")
    second = adw.json("create", "a")
    assert second["created"] is False
    assert {key: first[key] for key in ("slot", "path", "ports")} == {
        key: second[key] for key in ("slot", "path", "ports")
    }


def test_create_after_rm_rf_works(adw: Adw) -> None:
    adw("create", "x")
    subprocess.run(["rm", "-rf", "trees/x"], cwd=adw.directory, check=True)
    assert adw.json("create", "x", "--branch", "x2")["created"] is True
    assert adw.json("status")["allocated"] == 1


def test_create_after_rm_rf_checks_out_its_own_branch(adw: Adw) -> None:
    adw("create", "x")
    subprocess.run(["rm", "-rf", "trees/x"], cwd=adw.directory, check=True)
    assert adw.json("create", "x")["branch"] == "x"


@pytest.mark.parametrize(
    "bad", ["../x", "-x", "a\nb", "", "x" * 65, "a..b", "a/b", "x.lock", "x.", "ä", "a b", "."]
)
def test_create_refuses_a_bad_id(adw: Adw, bad: str) -> None:
    words = ["create", bad] if not bad.startswith("-") else ["create", "--", bad]
    ran = adw(*words, code=2)
    assert "error:" in ran.stderr
    assert_nothing_left(adw)


def test_create_outside_a_repository(adw: Adw, tmp_path: Path) -> None:
    assert adw.json("create", "a", cwd=tmp_path, code=4)["error"]["code"] == "not-a-repository"


def test_create_in_an_empty_repository_says_what_is_missing(tmp_path: Path) -> None:
    git("init", "--quiet", str(tmp_path / "empty"), cwd=tmp_path)
    error = Adw(tmp_path / "empty").json("create", "a", code=4)["error"]
    assert "git commit --allow-empty" in error["hint"]
    git("init", "--quiet", "--bare", str(tmp_path / "bare"), cwd=tmp_path)
    error = Adw(tmp_path / "bare").json("create", "a", code=4)["error"]
    assert error["hint"].startswith("push a first commit, or ")


def test_create_says_whose_base_names_no_commit(adw: Adw) -> None:
    asked = adw.json("create", "a", "--from", "nowhere", code=4)["error"]
    assert asked["message"] == f"nowhere names no commit in {adw.directory}"
    assert "first commit" not in asked["hint"]
    of_settings = adw.json("create", "a", code=4, ADW_BASE="origin/main")["error"]
    assert of_settings["message"].startswith("the setting base is origin/main, which names no")


def test_create_says_how_to_untrack_the_env_file(adw: Adw) -> None:
    (adw.directory / ".env.ports").write_text("X=1\n")
    git("add", ".env.ports", cwd=adw.directory)
    git("commit", "--quiet", "-m", "tracked", cwd=adw.directory)
    hint = adw.json("create", "a", code=3)["error"]["hint"]
    subprocess.run(["sh", "-c", hint.partition(" (on HEAD)")[0]], cwd=adw.directory, check=True)
    adw("create", "a")


def test_create_from_a_ref(adw: Adw) -> None:
    git("commit", "--allow-empty", "-m", "second", cwd=adw.directory)
    adw("create", "old", "--from", "HEAD~1")
    path = adw.directory / "trees" / "old"
    assert git("log", "--format=%s", cwd=path).split() == ["first"]


def test_create_from_a_missing_ref_leaves_nothing(adw: Adw) -> None:
    adw("create", "a", "--from", "nowhere", code=4)
    adw("create", "a", "--from=--exec=touch pwned", code=4)
    assert_nothing_left(adw)


def test_create_checks_out_an_existing_branch(adw: Adw) -> None:
    git("branch", "feature/x", cwd=adw.directory)
    made = adw.json("create", "a", "--branch", "feature/x")
    assert made["branch"] == "feature/x"


def test_create_refuses_a_branch_that_has_a_worktree(adw: Adw) -> None:
    ran = adw("create", "a", "--branch", "main", code=4)
    assert "branch main is checked out in the main worktree" in ran.stderr
    assert "remove" not in ran.stderr
    assert_nothing_left(adw)
    adw("create", "other", "--branch", "topic")
    refused = adw.json("create", "topic", code=4)["error"]
    assert "branch topic already has a worktree at" in refused["message"]
    assert refused["hint"].startswith("adw-worktree remove other, or ")
    git(
        "worktree",
        "add",
        "--quiet",
        "-b",
        "mine",
        str(adw.directory / "by hand"),
        cwd=adw.directory,
    )
    refused = adw.json("create", "mine", code=4)["error"]
    assert refused["hint"].startswith(f"adw-worktree adopt '{adw.directory}/by hand', or ")


def test_create_detached(adw: Adw) -> None:
    made = adw.json("create", "a", "--detach")
    assert made["branch"] is None
    assert branches(adw.directory) == {"main"}


def test_create_at_a_path_with_spaces_and_accents(adw: Adw, tmp_path: Path) -> None:
    where = tmp_path / "nätt und schön" / "it's"
    made = adw.json("create", "a", "--path", str(where))
    assert made["path"] == str(where)
    assert (where / "README").exists()
    assert git("status", "--porcelain", cwd=where) == ""


def test_create_refuses_an_occupied_path(adw: Adw) -> None:
    """A person's files would be mixed with a worktree's, and removed with it."""
    (adw.directory / "trees" / "a").mkdir(parents=True)
    (adw.directory / "trees" / "a" / "notes").write_text("mine")
    adw("create", "a", code=7)
    assert (adw.directory / "trees" / "a" / "notes").read_text() == "mine"
    assert branches(adw.directory) == {"main"}


@pytest.mark.parametrize(
    ("kind", "what"), [("empty file", "is no directory"), ("dangling link", "is a symbolic link")]
)
def test_create_says_what_occupies_its_path(adw: Adw, kind: str, what: str) -> None:
    (adw.directory / "trees").mkdir()
    place = adw.directory / "trees" / "a"
    place.symlink_to("nowhere") if kind == "dangling link" else place.touch()
    assert f"{place} " in (message := adw.json("create", "a", code=7)["error"]["message"])
    assert what in message


def test_create_with_a_slot(adw: Adw) -> None:
    made = adw.json("create", "a", "--slot", "42")
    assert made["slot"] == 42
    assert adw.json("create", "b", "--slot", "42", code=5)["error"]["code"] == "slot-unavailable"
    assert adw.json("create", "b", "--slot", "100", code=5)["error"]["code"] == "slot-unavailable"


def test_create_proposes_another_slot_only_if_that_is_to_be_had(adw: Adw) -> None:
    """The hint would remove the worktree, and then fail."""
    adw("create", "a", "--branch", "topic", "--slot", "3")
    adw("reserve", "r", "--slot", "9")
    for slot in ("100", "9", "--slot=-1"):
        words = [slot] if slot.startswith("--") else ["--slot", slot]
        assert adw.json("create", "a", *words, code=5)["error"]["code"] == "slot-unavailable"
    refused = adw.json("create", "a", "--slot", "4", code=2)["error"]
    assert refused["hint"] == (
        "adw-worktree remove a && adw-worktree create a --branch topic --slot 4"
    )
    refused = adw.json("create", "r", "--slot", "4", code=2)["error"]
    assert refused["hint"] == "adw-worktree release r && adw-worktree create r --slot 4"
    assert adw.json("status")["allocations"]["r"]["slot"] == 9
    assert adw.json("create", "r", "--slot", "9")["slot"] == 9


def test_create_again_says_what_it_did_not_heed(adw: Adw, tmp_path: Path) -> None:
    path = adw.json("create", "a")["path"]
    assert adw("create", "a", "--branch", "a", "--path", path).stderr == ""
    told = adw("create", "a", "--branch", "b", "--path", str(tmp_path / "x")).stderr
    assert "a is on branch a, not on b" in told
    assert f"a is at {path}, not at {tmp_path / 'x'}" in told
    git("switch", "--quiet", "--detach", cwd=Path(path))
    assert "a is detached, not on a" in adw("create", "a", "--branch", "a").stderr


def test_create_uses_a_reserved_slot_and_gives_it_back_on_failure(adw: Adw) -> None:
    slot = adw.json("reserve", "a", "--slot", "7")["slot"]
    adw("create", "a", "--from", "nowhere", code=4)
    assert adw.json("status")["allocations"]["a"]["slot"] == slot
    assert adw.json("create", "a")["slot"] == slot


def test_create_names_a_worktree_that_is_out_of_sight(adw: Adw, tmp_path: Path) -> None:
    path = Path(adw.json("create", "a")["path"])
    adw("lock", "a")
    path.rename(tmp_path / "away")
    error = adw.json("create", "a", code=7)["error"]
    assert error["code"] == "worktree-unavailable"
    assert "locked, and its directory is missing" in error["message"]
    assert "adw-worktree remove a" in error["hint"]


def test_create_from_inside_a_linked_worktree(adw: Adw) -> None:
    adw("create", "a")
    made = adw.json("create", "b", cwd=adw.directory / "trees" / "a")
    assert made["path"] == str(adw.directory / "trees" / "b")


@pytest.mark.parametrize(
    "words", ["--from HEAD", "--pr 12", "--detach", "--branch other", "--path elsewhere"]
)
def test_create_again_says_what_comes_too_late(adw: Adw, words: str) -> None:
    """Its caller would work on another base than the one he asked for."""
    adw("create", "a")
    assert adw("create", "a").stderr == ""
    (note,) = adw("create", "a", *words.split()).stderr.splitlines()
    assert note.startswith("note: ")
    assert "there already" in note
    assert words.rsplit(maxsplit=1)[-1].lstrip("-") in note


@pytest.mark.parametrize("base", ["HEAD", "HEAD~0", "@"])
def test_a_new_branch_starts_from_the_main_worktree_wherever_its_caller_stands(
    adw: Adw, base: str
) -> None:
    """Half of somebody else's work would land with it."""
    tree = Path(adw.json("create", "a")["path"])
    git("commit", "--allow-empty", "-m", "of a", cwd=tree)
    main, other = (git("rev-parse", "HEAD", cwd=cwd).strip() for cwd in (adw.directory, tree))
    made = adw.json("create", "b", cwd=tree, ADW_BASE=base)
    assert made["base_commit"] == git("rev-parse", "b", cwd=tree).strip() == main
    assert adw.json("create", "d", "--detach", cwd=tree, ADW_BASE=base)["base_commit"] == main
    asked = adw.json("create", "c", "--from", base, cwd=tree)
    assert asked["base_commit"] == git("rev-parse", "c", cwd=tree).strip() == other


def test_create_says_what_a_branch_starts_from(adw: Adw, tmp_path: Path) -> None:
    origin = make_repo(tmp_path / "origin")
    git("remote", "add", "origin", str(origin), cwd=adw.directory)
    git("fetch", "--quiet", "origin", cwd=adw.directory)
    git("reset", "--quiet", "--hard", "origin/main", cwd=adw.directory)

    def said(*words: str) -> str:
        found = re.search(r"\((.*)\)$", adw("create", *words).stdout.splitlines()[0])
        assert found is not None
        return found[1]

    assert said("a") == "branch a from main"
    assert said("a") == "branch a"
    git("branch", "--quiet", "--set-upstream-to=origin/main", cwd=adw.directory)
    assert said("b") == "branch b from main"
    for _ in range(2):
        git("commit", "--allow-empty", "-m", "ours", cwd=adw.directory)
    assert said("c") == "branch c from main, 2 commits ahead of origin/main"
    git("commit", "--allow-empty", "-m", "theirs", cwd=origin)
    git("fetch", "--quiet", "origin", cwd=adw.directory)
    assert said("d") == "branch d from main, 2 commits ahead of origin/main and 1 behind"
    assert said("e", "--from", "origin/main") == "branch e from origin/main"
    assert said("f", "--detach", "--from", "c") == "detached at c"
    git("branch", "old", "HEAD~1", cwd=adw.directory)
    assert said("g", "--branch", "old") == "existing branch old"
    git("switch", "--quiet", "--detach", cwd=adw.directory)
    head = git("rev-parse", "HEAD", cwd=adw.directory).strip()
    made = adw.json("create", "h")
    assert (made["base"], made["base_commit"]) == (head[:12], head)


def test_what_was_there_has_no_base(adw: Adw) -> None:
    git("branch", "old", cwd=adw.directory)
    for made in (adw.json("create", "a", "--branch", "old"), adw.json("create", "a")):
        assert made["base"] is made["base_commit"] is None


def test_in_a_bare_repository_a_branch_starts_from_its_head(repo: Path, tmp_path: Path) -> None:
    git("clone", "--quiet", "--bare", str(repo), "hub.git", cwd=tmp_path)
    adw = Adw(tmp_path / "hub.git")
    tree = Path(adw.json("create", "a")["path"])
    git("commit", "--allow-empty", "-m", "of a", cwd=tree)
    made = adw.json("create", "b", cwd=tree)
    assert made["base"] == "main"
    assert made["base_commit"] == git("rev-parse", "main", cwd=tree).strip()


def test_telling_the_base_costs_at_most_one_git_command_more(adw: Adw, tmp_path: Path) -> None:
    origin = make_repo(tmp_path / "origin")
    started = []
    for number, words in enumerate((("--json",), (), ())):
        if number == 2:
            git("remote", "add", "origin", str(origin), cwd=adw.directory)
            git("fetch", "--quiet", "origin", cwd=adw.directory)
            git("branch", "--quiet", "--set-upstream-to=origin/main", cwd=adw.directory)
        trace = tmp_path / f"trace-{number}"
        trace.mkdir()
        adw("create", f"a{number}", *words, GIT_TRACE2_EVENT=str(trace))
        started.append(len(list(trace.iterdir())))
    assert max(started[:2]) == started[0]  # the first in a repository
    assert started[2] <= started[0] + 1


def test_create_from_a_bare_repository(repo: Path, tmp_path: Path) -> None:
    git("clone", "--quiet", "--bare", str(repo), "hub.git", cwd=tmp_path)
    adw = Adw(tmp_path / "hub.git")
    made = adw.json("create", "a")
    path = Path(made["path"])
    assert (path / "README").exists()
    assert not path.is_relative_to(tmp_path / "hub.git")
    assert adw.json("create", "b", cwd=path)["created"] is True
    assert {row["adw_id"] for row in adw.json("list")["worktrees"]} == {"a", "b"}
    adw("remove", "a")
    assert adw.json("status")["allocated"] == 1


def test_create_from_a_pull_request(repo: Path, tmp_path: Path) -> None:
    git("checkout", "--quiet", "-b", "theirs", cwd=repo)
    git("commit", "--allow-empty", "-m", "their work", cwd=repo)
    git("update-ref", "refs/pull/12/head", "theirs", cwd=repo)
    git("update-ref", "refs/merge-requests/13/head", "theirs", cwd=repo)
    git("checkout", "--quiet", "main", cwd=repo)
    git("branch", "-D", "theirs", cwd=repo)
    git("clone", "--quiet", str(repo), "clone", cwd=tmp_path)
    adw = Adw(tmp_path / "clone")
    for number in ("12", "13"):
        made = adw.json("create", f"review-{number}", "--pr", number)
        assert "their work" in git("log", "--format=%s", "-1", cwd=Path(made["path"]))
    adw("create", "none", "--pr", "99", code=4)
    assert "none" not in branches(adw.directory)
    assert git("for-each-ref", "refs/adw-worktree", cwd=adw.directory) == ""


def test_create_tracks_a_remote_branch(repo: Path, tmp_path: Path) -> None:
    git("clone", "--quiet", str(repo), "clone", cwd=tmp_path)
    adw = Adw(tmp_path / "clone")
    adw("create", "a", "--from", "origin/main")
    upstream = git("rev-parse", "--abbrev-ref", "a@{upstream}", cwd=adw.directory).strip()
    assert upstream == "origin/main"


def test_create_checks_out_submodules_that_main_has(repo: Path, tmp_path: Path) -> None:
    part = make_repo(tmp_path / "part")
    git(
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(part),
        "lib",
        cwd=repo,
    )
    git("commit", "--quiet", "-m", "with a part", cwd=repo)
    git("config", "protocol.file.allow", "always", cwd=repo)
    adw = Adw(repo)
    made = adw.json("create", "a")
    assert (Path(made["path"]) / "lib" / "README").exists()
    adw("remove", "a")
    assert worktrees(repo) == [str(repo)]


def test_create_from_inside_a_git_hook(adw: Adw) -> None:
    """With git's own variables inherited, git would work on the wrong repository."""
    hook = adw.directory / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\n"{sys.executable}" -m adw_worktree create from-hook >&2\n')
    hook.chmod(0o755)
    git("commit", "--allow-empty", "-m", "second", cwd=adw.directory)
    assert (adw.directory / "trees" / "from-hook" / "README").exists()
    assert git("status", "--porcelain", cwd=adw.directory) == ""


def test_create_runs_post_checkout_with_gits_arguments(adw: Adw) -> None:
    hook = adw.directory / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    log = adw.directory.parent / "log"
    hook.write_text(f'#!/bin/sh\necho "$@" >>"{log}"; pwd >>"{log}"; ls .env.ports >>"{log}"\n')
    hook.chmod(0o755)
    adw("create", "a")
    head = git("rev-parse", "HEAD", cwd=adw.directory).strip()
    path = adw.directory / "trees" / "a"
    assert log.read_text().splitlines() == [f"{'0' * 40} {head} 1", str(path), ".env.ports"]


def test_create_is_undone_when_post_checkout_fails(adw: Adw) -> None:
    hook = adw.directory / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    adw("create", "a", code=9)
    assert_nothing_left(adw)
    adw("create", "a", "--no-hooks")


def test_create_refuses_a_tracked_env_file(adw: Adw) -> None:
    """Writing ours over it would leave the worktree dirty from the start."""
    (adw.directory / ".env.ports").write_text("X=1\n")
    git("add", "-f", ".env.ports", cwd=adw.directory)
    git("commit", "--quiet", "-m", "tracked", cwd=adw.directory)
    assert ".env.ports is tracked" in adw("create", "a", code=3).stderr
    assert (adw.directory / ".env.ports").read_text() == "X=1\n"


def test_a_new_lease_skips_a_slot_with_a_held_port(adw: Adw) -> None:
    import socket

    first = adw.json("create", "a")
    adw("remove", "a", "-D")
    with socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET) as held:
        held.bind(("::1" if socket.has_ipv6 else "127.0.0.1", first["ports"]["frontend"]))
        held.listen()
        assert adw.json("create", "a")["slot"] != first["slot"]
        blocked = adw.json("status")["blocked"]
        assert (first["slot"], os.getpid()) in {(one["slot"], one["pid"]) for one in blocked}


@pytest.mark.thorough
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_create_that_is_interrupted_leaves_nothing(adw: Adw, signum: int) -> None:
    waiting = adw.directory.parent / "waiting"
    user_hook("post-create", f"touch '{waiting}'; exec sleep 30")
    process = adw.start("create", "a", quiet=True)
    settle(waiting.exists, "the hook never ran")
    process.send_signal(signum)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert_nothing_left(adw)


def test_create_that_was_killed_is_undone_by_the_next_command(adw: Adw) -> None:
    waiting = adw.directory.parent / "waiting"
    user_hook("post-create", f"touch '{waiting}'; exec sleep 30")
    process = adw.start("create", "a", quiet=True)
    settle(waiting.exists, "the hook never ran")
    process.kill()
    process.communicate()
    adw("list")
    assert_nothing_left(adw)


def test_killed_create_in_which_somebody_worked_is_kept(adw: Adw) -> None:
    """An agent may start in a worktree as soon as it is there; its files would be lost."""
    waiting = adw.directory.parent / "waiting"
    user_hook("post-create", f"touch '{waiting}'; exec sleep 30")
    process = adw.start("create", "a", quiet=True)
    settle(waiting.exists, "the hook never ran")
    (adw.directory / "trees" / "a" / "work.txt").write_text("hours of it")
    process.kill()
    process.communicate()
    adw("list")
    assert (adw.directory / "trees" / "a" / "work.txt").read_text() == "hours of it"
    assert adw.json("status")["allocations"]["a"]["state"] == "active"


def test_two_creates_of_one_id_make_one_worktree(adw: Adw) -> None:
    processes = [adw.start("create", "a", "--json") for _ in range(6)]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 6, answers
    assert sum('"created": true' in out for out, _ in answers) == 1
    assert len(worktrees(adw.directory)) == 2


def test_create_that_another_of_the_same_id_overtakes_returns_its_worktree(adw: Adw) -> None:
    """It had looked for a lease before, and then found the branch with a worktree."""
    slow = adw.start("create", "a", "--json", ADW_FAULT="creator.locked=stop")
    settle_stopped(slow)
    adw("create", "a")
    slow.send_signal(signal.SIGCONT)
    out, complained = slow.communicate(timeout=120)
    assert slow.returncode == 0, complained
    assert json.loads(out)["created"] is False


@pytest.mark.thorough
def test_parallel_creates_get_distinct_slots(adw: Adw) -> None:
    processes = [adw.start("create", f"a{number}", "--json") for number in range(20)]
    answers = [process.communicate(timeout=180) for process in processes]
    assert [process.returncode for process in processes] == [0] * 20, answers
    allocations = adw.json("status")["allocations"]
    assert len({one["slot"] for one in allocations.values()}) == 20
    for number in range(20):
        assert git("status", "--porcelain", cwd=adw.directory / "trees" / f"a{number}") == ""


def test_create_on_a_reservation_whose_branch_cannot_be_made_ends(adw: Adw) -> None:
    """It took the reservation that it had put back for another's, and began anew for ever."""
    adw("reserve", "r", "--slot", "5")
    git("branch", "r/x", cwd=adw.directory)
    adw("create", "r", code=4)
    assert adw.json("status")["allocations"]["r"]["slot"] == 5
