"""`remove`: takes everything back, and refuses where work would be lost."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Adw, user_hook
from tests.support.machine import settle
from tests.support.repositories import anywhere, branches, git, make_repo, worktrees


@pytest.fixture
def tree(adw: Adw) -> Path:
    """Return a fresh worktree of ADW `a`."""
    return Path(adw.json("create", "a")["path"])


def commit(tree: Path, name: str = "work") -> None:
    (tree / name).write_text(name)
    git("add", name, cwd=tree)
    git("commit", "--quiet", "-m", name, cwd=tree)


def refused(adw: Adw, *args: str) -> tuple[str, str]:
    """Return code and hint of a removal that is refused, everything still there."""
    before = worktrees(adw.directory), branches(adw.directory), adw.json("status")["allocations"]
    error = adw.json("remove", *args, code=7)["error"]
    after = worktrees(adw.directory), branches(adw.directory), adw.json("status")["allocations"]
    assert before == after
    return error["code"], error["hint"]


def test_remove_takes_worktree_and_lease_and_leaves_the_branch(adw: Adw, tree: Path) -> None:
    slot = adw.json("status")["allocations"]["a"]["slot"]
    gone = adw.json("remove", "a")
    assert gone["removed"] is True
    assert gone["released"]["slot"] == slot
    assert gone["branch_deleted"] is None
    assert not tree.exists()
    assert worktrees(adw.directory) == [str(adw.directory)]
    assert branches(adw.directory) == {"main", "a"}
    assert adw.json("status")["allocated"] == 0


def test_remove_by_path(adw: Adw, tree: Path) -> None:
    assert adw.json("remove", "trees/a")["adw_id"] == "a"


def test_remove_from_inside_the_worktree(adw: Adw, tree: Path) -> None:
    assert adw.json("remove", cwd=tree)["adw_id"] == "a"
    assert not tree.exists()


@pytest.mark.parametrize("words", ["remove", "remove a b --yes", "finish a"])
def test_who_stood_in_a_worktree_that_went_is_told_where_to_go(
    adw: Adw, tree: Path, words: str
) -> None:
    adw("create", "b")
    (tree / "lib").mkdir()
    ran = adw(*words.split(), cwd=tree / "lib")
    note = f"the directory that you are in is not there any more: cd {adw.directory}"
    assert ran.stderr.splitlines()[-1] == f"note: {note}"
    assert "cd " not in adw("remove", "a", cwd=adw.directory, code=None).stderr


@pytest.mark.parametrize("word", ["none", "lib", "./none", "none/lib"])
def test_a_mistyped_id_does_not_remove_the_worktree_one_stands_in(
    adw: Adw, tree: Path, word: str
) -> None:
    """The worktree would go, with its servers' slot, in place of an ADW that does not exist."""
    (tree / "lib").mkdir()
    assert adw.json("remove", word, cwd=tree, code=6)["error"]["code"] == "unknown-adw"
    assert adw.json("remove", word, "other", "--yes", cwd=tree, code=6)["removals"] == []
    assert tree.is_dir()


def test_remove_never_takes_the_main_worktree(adw: Adw) -> None:
    assert "main worktree" in adw("remove", code=2).stderr
    assert (adw.directory / "README").exists()


def test_remove_of_an_unknown_adw(adw: Adw) -> None:
    assert adw.json("remove", "nope", code=6)["error"]["code"] == "unknown-adw"
    assert adw.json("remove", "README", code=6)["error"]["code"] == "unknown-adw"


@pytest.mark.parametrize("kind", ["changed", "staged", "untracked", "deleted"])
def test_remove_refuses_uncommitted_work(adw: Adw, tree: Path, kind: str) -> None:
    """An agent's unfinished work would be lost."""
    if kind == "changed":
        (tree / "README").write_text("changed")
    elif kind == "deleted":
        (tree / "README").unlink()
    else:
        (tree / "new").write_text("new")
        if kind == "staged":
            git("add", "new", cwd=tree)
    code, hint = refused(adw, "a")
    assert code == "dirty-worktree"
    assert "--force" in hint
    assert adw.json("remove", "a", "-f")["removed"] is True


def test_remove_refuses_a_rebase_in_progress(adw: Adw, tree: Path) -> None:
    commit(tree)
    git(
        "-c",
        "sequence.editor=sed -i s/pick/break/",
        "rebase",
        "-i",
        "HEAD~1",
        cwd=tree,
        check=False,
    )
    if not any((adw.directory / ".git" / "worktrees" / "a").glob("rebase-*")):
        pytest.skip("git did not stop the rebase")
    assert refused(adw, "a")[0] == "dirty-worktree"


def test_remove_ignores_ignored_files(adw: Adw, tree: Path) -> None:
    with (adw.directory / ".git" / "info" / "exclude").open("a") as exclude:
        exclude.write("*.log\n")
    (tree / "x.log").write_text("noise")
    assert adw.json("remove", "a")["removed"] is True


def test_remove_d_deletes_a_merged_branch(adw: Adw, tree: Path) -> None:
    commit(tree)
    git("merge", "--quiet", "a", cwd=adw.directory)
    assert adw.json("remove", "a", "-d")["branch_deleted"] == "a"
    assert branches(adw.directory) == {"main"}


@pytest.mark.parametrize("how", ["squash", "cherry-pick", "rebase"])
def test_remove_d_deletes_an_integrated_branch(adw: Adw, tree: Path, how: str) -> None:
    commit(tree, "one")
    commit(tree, "two")
    git("commit", "--quiet", "--allow-empty", "-m", "meanwhile", cwd=adw.directory)
    if how == "squash":
        git("merge", "--quiet", "--squash", "a", cwd=adw.directory)
        git("commit", "--quiet", "-m", "squashed", cwd=adw.directory)
    elif how == "cherry-pick":
        git("cherry-pick", "a~1", "a", cwd=adw.directory)
    else:
        git("checkout", "--quiet", "--detach", "a", cwd=adw.directory)
        git("rebase", "--quiet", "main", cwd=adw.directory)
        head = git("rev-parse", "HEAD", cwd=adw.directory).strip()
        git("checkout", "--quiet", "main", cwd=adw.directory)
        git("merge", "--quiet", "--ff-only", head, cwd=adw.directory)
    assert adw.json("remove", "a", "-d")["branch_deleted"] == "a"


def test_remove_d_refuses_an_unmerged_branch(adw: Adw, tree: Path) -> None:
    """Commits that are nowhere else would be lost."""
    commit(tree)
    code, hint = refused(adw, "a", "-d")
    assert code == "unmerged-branch"
    assert "-D" in hint
    assert adw.json("remove", "a", "-D")["branch_deleted"] == "a"


def test_remove_refuses_detached_commits(adw: Adw, tree: Path) -> None:
    """With the worktree, the last name of these commits would go."""
    git("checkout", "--quiet", "--detach", cwd=tree)
    commit(tree)
    assert refused(adw, "a")[0] == "unmerged-branch"
    adw("remove", "a", "-D")


def test_remove_refuses_a_locked_worktree(adw: Adw, tree: Path) -> None:
    git("worktree", "lock", "--reason", "an agent runs", str(tree), cwd=adw.directory)
    code, hint = refused(adw, "a", "-f")
    assert code == "locked-worktree"
    assert "--unlock" in hint
    adw("remove", "a", "--unlock")
    assert not tree.exists()


def test_remove_of_a_directory_that_is_gone_releases(adw: Adw, tree: Path) -> None:
    shutil.rmtree(tree)
    gone = adw.json("remove", "a")
    assert gone["removed"] is False
    assert gone["released"] is not None
    assert adw.json("status")["allocated"] == 0


def test_remove_of_a_moved_worktree_is_refused(adw: Adw, tree: Path) -> None:
    """It is there, elsewhere; its ports are in use."""
    tree.rename(tree.with_name("b"))
    code, hint = refused(adw, "a")
    assert code == "worktree-unavailable"
    assert "reconcile" in hint


def test_lease_that_was_given_up_stays_given_up(adw: Adw, tree: Path) -> None:
    tree.rename(tree.with_name("b"))
    adw("remove", "a", "--force")
    shutil.rmtree(adw.directory / "agents")
    assert adw.json("status")["allocations"] == {}
    assert (tree.with_name("b") / "README").exists()


def test_remove_of_an_unmanaged_worktree_by_path(adw: Adw) -> None:
    git("worktree", "add", "--quiet", "plain", cwd=adw.directory)
    gone = adw.json("remove", "./plain")
    assert gone["removed"] is True
    assert gone["released"] is None


def test_remove_with_submodules(adw: Adw, tmp_path: Path) -> None:
    part = make_repo(tmp_path / "part")
    repo = adw.directory
    git("config", "protocol.file.allow", "always", cwd=repo)
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
    tree = Path(adw.json("create", "a")["path"])
    git("checkout", "--quiet", "-B", "main", cwd=tree / "lib")
    commit(tree / "lib")
    git("add", "lib", cwd=tree)
    git("commit", "--quiet", "-m", "part moved", cwd=tree)
    # The commit in the submodule lives in this worktree's admin directory alone.
    assert refused(adw, "a")[0] == "dirty-worktree"
    git("push", "--quiet", "origin", "HEAD:refs/heads/kept", cwd=tree / "lib")
    git("fetch", "--quiet", "origin", cwd=tree / "lib")
    assert adw.json("remove", "a")["removed"] is True


Serve = Callable[..., Any]


def test_remove_names_servers_and_stop_ends_those_inside(
    adw: Adw, tree: Path, serve: Serve, tmp_path: Path
) -> None:
    ports = adw.json("status")["allocations"]["a"]
    inside = serve([sys.executable, "-m", "http.server", str(ports["backend"])], tree)
    outside = serve([sys.executable, "-m", "http.server", str(ports["frontend"])], tmp_path)

    def both_listen() -> bool:
        rows = [row for row in adw.json("list")["worktrees"] if row["adw_id"] == "a"]
        return {one["pid"] for one in rows[0]["listening"]} == {inside.pid, outside.pid}

    settle(both_listen, "the servers never listened")
    ran = adw("remove", "a", "--stop", "--json")
    assert [one["pid"] for one in ran.json["stopped"]] == [inside.pid]
    assert [one["pid"] for one in ran.json["listening"]] == [outside.pid]
    assert f"port {ports['frontend']}; to end it: kill {outside.pid}\n" in ran.stderr
    assert inside.wait(timeout=30) != 0
    assert outside.poll() is None
    again = adw.json("create", "b")
    assert again["slot"] != ports["slot"], "a slot whose port is held was handed out"


def test_remove_runs_its_hooks(adw: Adw, tree: Path) -> None:
    log = adw.directory.parent / "log"
    user_hook("pre-remove", f"pwd >> '{log}'; echo $ADW_ID $ADW_SLOT $BACKEND_PORT >> '{log}'")
    adw("remove", "a")
    lines = log.read_text().splitlines()
    assert lines[0] == str(tree)
    assert lines[1].startswith("a ")


def test_failing_pre_remove_aborts(adw: Adw, tree: Path) -> None:
    user_hook("pre-remove", "exit 3")
    assert adw.json("remove", "a", code=9)["error"]["code"] == "hook-failed"
    assert tree.exists()
    adw("remove", "a", "--no-hooks")


def test_failing_post_remove_warns(adw: Adw, tree: Path) -> None:
    user_hook("post-remove", "exit 3")
    assert "post-remove" in adw("remove", "a").stderr
    assert adw.json("status")["allocated"] == 0


@pytest.mark.thorough
def test_parallel_removes_leave_nothing(adw: Adw) -> None:
    for number in range(12):
        adw("create", f"a{number}")
    processes = [adw.start("remove", f"a{number}", "-D") for number in range(12)]
    answers = [process.communicate(timeout=180) for process in processes]
    assert [process.returncode for process in processes] == [0] * 12, answers
    assert worktrees(adw.directory) == [str(adw.directory)]
    assert branches(adw.directory) == {"main"}
    assert adw.json("status")["allocated"] == 0


def test_what_cannot_be_deleted_is_named_and_tried_again(adw: Adw) -> None:
    """A directory in it is immutable: nobody can delete what is in it, not even root."""
    tree = Path(adw.json("create", "a")["path"])
    trash = adw.directory / ".git" / "adw-worktree" / "trash"
    (tree / "fixed").mkdir()
    (tree / "fixed" / "file").write_text("ignored\n")
    (tree / ".gitignore").write_text("fixed\n.gitignore\n")
    if subprocess.run(["chattr", "+i", str(tree / "fixed")], capture_output=True).returncode != 0:
        pytest.skip("no directory can be made immutable here")
    try:
        adw("remove", "a")
        settle(lambda: bool(list(trash.glob("*.stuck"))), "it is not given up")
        (stuck,) = trash.glob("*.stuck")
        (problem,) = adw.json("doctor", code=10)["problems"]
        assert problem["code"] == "trash-stuck"
        assert str(stuck) in problem["message"]
    finally:
        for place in anywhere(adw.directory, "fixed"):
            subprocess.run(["chattr", "-i", str(place)], check=True)
    adw("reconcile")
    settle(lambda: not list(trash.glob("*")), "it is not deleted")
    assert not adw.json("doctor")["problems"]


# ---- what is said ------------------------------------------------------------------------------


def dirty_and_locked(adw: Adw, tree: Path) -> None:
    (tree / "work").write_text("work\n")
    git("worktree", "lock", str(tree), cwd=adw.directory)


def gone_and_locked(adw: Adw, tree: Path) -> None:
    git("worktree", "lock", str(tree), cwd=adw.directory)
    shutil.rmtree(tree)


def dirty_and_unmerged(adw: Adw, tree: Path) -> None:
    commit(tree)
    (tree / "more").write_text("work\n")


@pytest.mark.parametrize("obstacles", [dirty_and_locked, gone_and_locked, dirty_and_unmerged])
def test_each_hint_goes_a_step_further(
    adw: Adw, tree: Path, obstacles: Callable[[Adw, Path], None]
) -> None:
    """Each named its own flag alone, and one led back to the other."""
    user_hook("pre-remove", "false")
    obstacles(adw, tree)
    words = ["remove", "a", "-d", "--no-hooks"]
    for _ in range(3):
        ran = adw(*words, "--json", code=None)
        if ran.code == 0:
            break
        hint = ran.json["error"]["hint"]
        words = re.findall(r"adw-worktree (remove a[ \w-]*)", hint)[0].split()
        assert "--no-hooks" in words
    assert ran.code == 0
    assert adw.json("status")["allocated"] == 0


def test_commits_that_restore_brings_back_are_not_called_lost(
    adw: Adw, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tree)
    assert refused(adw, "a", "-d")[1].endswith("-D; restore can bring them back for 7 days")
    monkeypatch.setenv("ADW_TRASH_DAYS", "0")
    assert refused(adw, "a", "-d")[1].endswith("-D; they are lost then")


def test_files_that_stay_are_named(adw: Adw, tree: Path) -> None:
    shutil.rmtree(adw.directory / ".git" / "worktrees" / "a")
    said = adw("remove", "a", "--force").stdout
    assert said.startswith(f"a had no worktree any more; what is at {tree} stays\n")
    assert (tree / "README").exists()


def test_several_that_are_refused_say_why_and_what_next(adw: Adw, tree: Path) -> None:
    (tree / "work").write_text("work\n")
    told = adw.json("remove", "a", "b", "--yes", code=7)
    assert told["ok"] is False
    assert told["error"] == told["refused"][0]["error"]
    assert told["error"]["hint"].startswith("commit it, or adw-worktree remove a --force; ")
    ran = adw("remove", "a", "b", "--yes", code=7)
    assert ran.stdout == "nothing was removed\n"
    assert "remove a --force" in ran.stderr


def test_note_on_what_had_no_id_can_be_followed(adw: Adw) -> None:
    git("worktree", "add", "--quiet", "plain", cwd=adw.directory)
    (adw.directory / "plain" / "work").write_text("work\n")
    said = adw("remove", "./plain", "--force").stderr
    words = said.partition("adw-worktree ")[2].replace("ADW_ID", "b").split()
    adw(*words)
    assert (adw.directory / "plain" / "work").exists()


def test_slot_that_is_not_released_with_its_worktree_is_named(adw: Adw, tree: Path) -> None:
    ledger = adw.directory / "agents" / "port_allocations.json"
    newer = '{"_schema": {"version": 99}}'
    user_hook("pre-remove", f"cp '{ledger}' '{ledger}.old' && echo '{newer}' >'{ledger}'")
    error = adw.json("remove", "a", code=3)["error"]
    assert (
        f"the worktree {tree} is removed, but slot 0 of a is not released yet" in error["message"]
    )
    assert error["hint"].endswith("; the next command releases it")
    assert not tree.exists()
    ledger.with_name(f"{ledger.name}.old").rename(ledger)
    assert adw.json("status")["allocated"] == 0


def test_what_keeps_a_dead_create_from_being_undone_is_said(adw: Adw) -> None:
    adw("create", "a", code=-signal.SIGKILL, ADW_FAULT="receipt.written=kill")
    lock = adw.directory / ".git" / "refs" / "heads" / "a.lock"
    lock.touch()
    for words in (["remove", "a"], ["remove", "a", "none", "--yes"]):
        error = adw.json(*words, code=7)["error"]
        assert error["message"].startswith("a create of a died half-way, and cannot be undone yet")
        assert ".lock file" in error["hint"]
    told = adw.json("reconcile", code=7)
    assert (told["ok"], told["repaired"]) == (False, [])
    assert [one["error"] for one in told["failed"]] == [told["error"]]
    assert adw("reconcile", code=7).stderr.count("died half-way") == 1
    lock.unlink()
    adw("create", "a")


# ---- a `.git` file that is lost, or leads elsewhere ---------------------------------------------


@pytest.mark.parametrize("named", ["a", "trees/a"])
def test_work_beside_a_lost_git_file_is_seen(adw: Adw, tree: Path, named: str) -> None:
    """Git answered for the repository around it, which is clean: the work was deleted."""
    (tree / "work.txt").write_text("precious\n")
    (tree / ".git").unlink()
    for flags in ([], ["-d"], ["-D"]):
        code, hint = refused(adw, named, *flags)
        assert code == "dirty-worktree"
    assert hint.startswith(f"git -C {adw.directory} worktree repair, then commit it")
    assert adw.json("remove", named, "nope", "--yes", code=7)["removals"] == []
    assert adw.json("remove", named, "--force")["released"] is not None
    adw("restore", "a")
    assert (tree / "work.txt").read_text() == "precious\n"
    assert git("status", "--porcelain", cwd=tree) == "?? work.txt\n"


def test_clean_worktree_without_its_git_file_is_removed(adw: Adw, tree: Path) -> None:
    (tree / ".git").unlink()
    gone = adw.json("remove", "a", "-d")
    assert (gone["removed"], gone["branch_deleted"], gone["kept_until"]) == (True, "a", None)


@pytest.mark.parametrize("home", ["outside", "bare"])
def test_work_beside_a_lost_git_file_is_seen_where_no_repository_is_around(
    adw: Adw, tmp_path: Path, home: str
) -> None:
    if home == "bare":
        git("clone", "--quiet", "--bare", str(adw.directory), str(tmp_path / "bare"), cwd=tmp_path)
        adw = Adw(tmp_path / "bare")
    tree = Path(adw.json("create", "a", "--path", str(tmp_path / "far" / "a"))["path"])
    (tree / "work.txt").write_text("precious\n")
    (tree / ".git").unlink()
    assert refused(adw, "a")[0] == "dirty-worktree"
    adw("remove", "a", "--force")
    adw("restore", "a")
    assert (tree / "work.txt").read_text() == "precious\n"


def test_merged_does_not_take_work_beside_a_lost_git_file(adw: Adw, tree: Path) -> None:
    commit(tree)
    git("merge", "--quiet", "a", cwd=adw.directory)
    (tree / "work.txt").write_text("precious\n")
    (tree / ".git").unlink()
    assert adw.json("remove", "--merged", "-d", "--yes", code=7)["removals"] == []
    assert (tree / "work.txt").read_text() == "precious\n"


def test_hook_works_in_its_worktree_though_the_git_file_was_lost(adw: Adw, tree: Path) -> None:
    """A hook that commits would commit to the repository around it."""
    user_hook("pre-remove", "git rev-parse --show-toplevel >../../top")
    (tree / ".git").unlink()
    adw("remove", "a")
    assert (adw.directory / "top").read_text() == f"{tree}\n"


def test_repository_in_the_place_of_the_git_file_is_not_removed(adw: Adw, tree: Path) -> None:
    """All that was committed to it would go, and its status is clean."""
    (tree / ".git").unlink()
    git("init", "--quiet", cwd=tree)
    commit(tree)
    error = adw.json("remove", "trees/a", "--force", code=7)["error"]
    assert error["code"] == "worktree-unavailable"
    assert (tree / ".git" / "HEAD").exists()


def test_copied_git_file_mixes_up_no_worktrees(adw: Adw, tree: Path) -> None:
    """`git worktree repair PATH` would have the other one's entry lead here as well."""
    other = Path(adw.json("create", "b")["path"])
    shutil.copy(other / ".git", tree / ".git")
    before = adw.json("status")["allocations"]
    code, hint = refused(adw, "a", "--force")
    assert code == "worktree-unavailable"
    shown = {row["adw_id"]: row for row in adw.json("list")["worktrees"] if row["adw_id"]}
    assert {name: (row["state"], row["branch"]) for name, row in shown.items()} == {
        "a": ("unknown", "a"),
        "b": ("active", "b"),
    }
    adw("reconcile")
    assert adw.json("status")["allocations"] == before
    subprocess.run(hint.partition(",")[0], shell=True, check=True, capture_output=True)
    assert worktrees(adw.directory) == [str(adw.directory), str(tree), str(other)]
    assert git("rev-parse", "--abbrev-ref", "HEAD", cwd=tree) == "a\n"
    adw("remove", "a")
    adw("remove", "b")


def test_the_hint_of_restore_names_what_was_asked_for(adw: Adw) -> None:
    for adw_id in ("a", "b"):
        path = Path(adw.json("create", adw_id)["path"])
        (path / "work").write_text("mine\n")
    adw("remove", "a", "--force")
    for taken in ("b", "c"):
        (adw.directory / "trees" / "c").mkdir(exist_ok=True)
        (adw.directory / "trees" / "c" / "file").touch()
        error = adw.json("restore", "a", "--as", taken, code=7)["error"]
        assert error["hint"].endswith("adw-worktree restore a --as ANOTHER_ID")
        assert "again" not in error["message"]
    adw("create", "a")
    assert "a has a worktree again" in adw("restore", "a", code=7).stderr
    assert "adw-worktree create no" in adw("restore", "no", code=6).stderr
    assert "adw-worktree create" not in adw("restore", "a b", code=6).stderr
