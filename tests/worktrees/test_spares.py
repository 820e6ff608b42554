"""Spares: ready before they are asked for, an ADW's worktree afterwards, never in between."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from adw_worktree.project import open_project
from adw_worktree.worktrees import spares
from adw_worktree.worktrees.spare_place import place
from tests.support.command_line import Adw, user_hook
from tests.support.machine import settle, settle_stopped
from tests.support.repositories import anywhere, branches, git, worktrees
from tests.support.stress_size import count, stress_size


@pytest.fixture
def ready(adw: Adw, monkeypatch: pytest.MonkeyPatch) -> Adw:
    """Return the command line of a repository with one spare, kept at one."""
    for number in range(20):
        (adw.directory / f"file{number}").write_text(f"{number}\n")
    git("add", "--all", cwd=adw.directory)
    git("commit", "--quiet", "-m", "files", cwd=adw.directory)
    monkeypatch.setenv("ADW_SPARES", "1")
    assert adw.json("spares", "fill", "--wait")["made"] == 1
    return adw


def names(adw: Adw) -> list[str]:
    return [one["name"] for one in adw.json("spares", "status")["spares"]]


def filled(adw: Adw) -> None:
    """Wait until the filling that `create` started is done."""

    def is_done() -> bool:
        told = adw.json("spares", "status")
        return told["ready"] == told["wanted"] and not told["filling"]

    settle(is_done, "the spares were never filled")


def is_whole(tree: Path, branch: str) -> bool:
    status = git("status", "--porcelain", "--branch", "--untracked-files=all", cwd=tree)
    return status == f"## {branch}\n" and (tree / "file7").read_text() == "7\n"


def test_a_spare_is_at_the_base_wherever_its_caller_stands(ready: Adw) -> None:
    """One that is not is no gain: its files are written once more."""
    tree = Path(ready.json("create", "a")["path"])
    filled(ready)
    git("commit", "--quiet", "--allow-empty", "-m", "of a", cwd=tree)
    assert ready.json("spares", "fill", "--wait", cwd=tree)["refreshed"] == 0
    spares = ready.json("spares", "status", cwd=tree)["spares"]
    made = ready.json("create", "b", cwd=tree)
    assert made["base_commit"] == spares[0]["commit"]


def test_create_takes_a_spare_and_another_is_made(ready: Adw) -> None:
    (spare,) = names(ready)
    made = ready.json("create", "a")
    tree = Path(made["path"])
    assert tree == ready.directory / "trees" / "a"
    assert is_whole(tree, "a")
    assert (ready.directory / ".git" / "worktrees" / spare / "adw-worktree.json").exists()
    assert f"ADW_SLOT={made['slot']}\n" in (tree / ".env.ports").read_text()
    filled(ready)
    assert spare not in names(ready)
    ready("remove", "a", "-D")
    assert branches(ready.directory) == {"main"}


def test_spare_is_brought_to_the_base_that_was_asked_for(ready: Adw) -> None:
    (ready.directory / "file3").write_text("changed\n")
    (ready.directory / "file4").unlink()
    git("commit", "--quiet", "--all", "-m", "later", cwd=ready.directory)
    tree = Path(ready.json("create", "a")["path"])
    assert is_whole(tree, "a")
    assert (tree / "file3").read_text() == "changed\n"
    assert not (tree / "file4").exists()
    assert git("log", "--format=%s", "-1", cwd=tree) == "later\n"


@pytest.mark.parametrize("how", ["--detach", "existing", "tracking"])
def test_spare_becomes_whatever_was_asked_for(ready: Adw, tmp_path: Path, how: str) -> None:
    if how == "existing":
        git("branch", "there", cwd=ready.directory)
        tree = Path(ready.json("create", "a", "--branch", "there")["path"])
        assert is_whole(tree, "there")
    elif how == "tracking":
        git("clone", "--quiet", "--bare", ".", str(tmp_path / "remote"), cwd=ready.directory)
        git("remote", "add", "origin", str(tmp_path / "remote"), cwd=ready.directory)
        git("fetch", "--quiet", "origin", cwd=ready.directory)
        tree = Path(ready.json("create", "a", "--from", "origin/main")["path"])
        assert is_whole(tree, "a...origin/main")
    else:
        tree = Path(ready.json("create", "a", "--detach")["path"])
        assert is_whole(tree, "HEAD (no branch)")
    assert not (tree / ".git").is_dir()


def test_spares_are_no_adws(ready: Adw) -> None:
    (spare,) = names(ready)
    assert [row["main"] for row in ready.json("list")["worktrees"]] == [True]
    assert ready.json("status")["allocated"] == 0
    done = ready.json("reconcile", ADW_ADOPT="true")
    assert done["adopted"] == []
    path = next(path for path in worktrees(ready.directory) if path.endswith(spare))
    assert "spares drop" in ready("remove", path, code=2).stderr
    assert ready.json("doctor")["problems"] == []


def test_spares_survive_gits_own_pruning(ready: Adw) -> None:
    git("worktree", "prune", "--expire=now", cwd=ready.directory)
    assert len(names(ready)) == 1


def test_post_checkout_runs_once_when_a_spare_is_handed_out(ready: Adw, tmp_path: Path) -> None:
    log = tmp_path / "log"
    hook = ready.directory / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\necho "$PWD $*" >>"{log}"\n')
    hook.chmod(0o755)
    ready("spares", "drop")
    ready("spares", "fill", "--wait")
    assert not log.exists()
    tree = ready.json("create", "a")["path"]
    head = git("rev-parse", "HEAD", cwd=Path(tree)).strip()
    filled(ready)
    assert log.read_text() == f"{tree} {'0' * 40} {head} 1\n"


def test_prepare_runs_ahead_and_not_again(adw: Adw, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installing dependencies takes longer than git: that is what spares are for."""
    user_hook("prepare", "echo prepared >>.git-ignored; pwd >>../../../../ran")
    (adw.directory / ".git" / "info" / "exclude").write_text(".git-ignored\nran\n")
    ran = adw.directory / "ran"
    monkeypatch.setenv("ADW_SPARES", "1")
    adw("spares", "fill", "--wait")
    assert len(ran.read_text().splitlines()) == 1
    tree = Path(adw.json("create", "a")["path"])
    assert (tree / ".git-ignored").read_text() == "prepared\n"


def test_prepare_runs_again_for_another_commit_and_without_a_spare(
    adw: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_hook("prepare", "echo prepared >>.git-ignored")
    (adw.directory / ".git" / "info" / "exclude").write_text(".git-ignored\n")
    assert (Path(adw.json("create", "plain")["path"]) / ".git-ignored").exists()
    monkeypatch.setenv("ADW_SPARES", "1")
    adw("spares", "fill", "--wait")
    git("commit", "--quiet", "--allow-empty", "-m", "later", cwd=adw.directory)
    tree = Path(adw.json("create", "a")["path"])
    assert (tree / ".git-ignored").read_text() == "prepared\nprepared\n"


def test_spares_follow_the_base(ready: Adw) -> None:
    git("commit", "--quiet", "--allow-empty", "-m", "later", cwd=ready.directory)
    (behind,) = ready.json("spares", "status")["spares"]
    assert behind["fresh"] is False
    assert ready.json("spares", "fill", "--wait")["refreshed"] == 1
    (fresh,) = ready.json("spares", "status")["spares"]
    assert (fresh["name"], fresh["fresh"]) == (behind["name"], True)


def test_fewer_spares_if_the_setting_says_so(ready: Adw) -> None:
    assert ready.json("spares", "fill", "--wait", ADW_SPARES="3")["made"] == 2
    assert ready.json("spares", "fill", "--wait")["dropped"] == 2
    assert ready.json("spares", "drop")["dropped"] == 1
    assert worktrees(ready.directory) == [str(ready.directory)]
    assert sorted(os.listdir(ready.directory / ".git" / "adw-worktree" / "spares")) == [
        "fill.lock",
        "fill.mark",
    ]


def test_with_none_wanted_and_none_there_nothing_is_started(adw: Adw) -> None:
    assert adw.json("spares", "fill")["started"] is False
    assert "the setting spares is 0" in adw("spares", "fill").stdout


@pytest.mark.thorough
def test_creators_at_once_never_share_a_spare(ready: Adw) -> None:
    creators, spares = stress_size(8, 100), str(stress_size(3, 10))
    ready("spares", "fill", "--wait", ADW_SPARES=spares)
    started = [ready.start("create", f"a{n}", quiet=True, ADW_SPARES=spares)
               for n in range(creators)]  # fmt: skip
    failed = sum(process.wait() != 0 for process in started)
    count("creates", creators)
    count("failures", failed)
    assert not failed
    for number in range(creators):
        assert is_whole(ready.directory / "trees" / f"a{number}", f"a{number}")
    rows = ready.json("list")["worktrees"]
    assert len({row["slot"] for row in rows if row["adw_id"]}) == creators


def test_create_that_fails_with_a_spare_leaves_nothing(ready: Adw) -> None:
    user_hook("post-create", "exit 3")
    ready("create", "a", code=9)
    assert branches(ready.directory) == {"main"}
    assert not (ready.directory / "trees").exists()
    assert worktrees(ready.directory) == [str(ready.directory)]


def test_damaged_spare_is_passed_over(ready: Adw) -> None:
    (spare,) = names(ready)
    (ready.directory / ".git" / "worktrees" / spare / "index").write_bytes(b"damaged")
    assert is_whole(Path(ready.json("create", "a")["path"]), "a")


def test_spare_that_was_deleted_by_hand_is_passed_over(ready: Adw) -> None:
    shutil.rmtree(ready.directory / ".git" / "adw-worktree" / "spares" / names(ready)[0])
    assert is_whole(Path(ready.json("create", "a")["path"]), "a")
    filled(ready)
    assert len(worktrees(ready.directory)) == 3


def test_worktree_on_another_file_system_leaves_the_spare(ready: Adw, tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    before = names(ready)
    with tempfile.TemporaryDirectory(dir=shared) as elsewhere:
        made = ready.json("create", "a", "--path", f"{elsewhere}/a")
        assert is_whole(Path(made["path"]), "a")
        filled(ready)
        assert names(ready) == before
        ready("remove", "a")


def test_killed_filler_leaves_nothing_for_long(ready: Adw, tmp_path: Path) -> None:
    started = tmp_path / "started"
    user_hook("prepare", f"echo $PWD >{started}; sleep 600")
    filler = ready.start("spares", "fill", "--wait", quiet=True, ADW_SPARES="2")
    settle(started.exists, "the hook never ran")
    os.kill(filler.pid, signal.SIGKILL)
    filler.wait()
    user_hook("prepare", "true")
    settle(lambda: not ready.json("spares", "status")["filling"], "its lock outlives it")
    ready("reconcile")
    left = [path for path in worktrees(ready.directory) if "spare-" in path]
    assert len(left) == len(names(ready))
    ready("spares", "fill", "--wait")
    assert len(names(ready)) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("command", ["list", "reconcile", "create a", "spares fill --wait"])
def test_spare_that_git_was_killed_at_stops_nobody(ready: Adw, command: str) -> None:
    """Whatever lists worktrees failed over it, and nothing took it away."""
    admin = ready.directory / ".git" / "worktrees" / "spare-00000000"
    admin.mkdir()
    tree = ready.directory / ".git" / "adw-worktree" / "spares" / admin.name
    tree.mkdir()
    (admin / "locked").write_text("initializing")
    (admin / "gitdir").write_text(f"{tree}/.git\n")
    (admin / "commondir").touch()
    with pytest.raises(AssertionError, match="failed to read"):
        git("worktree", "list", cwd=ready.directory)
    ready(*command.split())
    git("worktree", "list", cwd=ready.directory)
    ready("spares", "fill", "--wait")
    assert not admin.exists()
    assert not tree.exists()
    assert ready.json("spares", "status")["ready"] == 1


def test_half_taken_spare_is_swept_away(ready: Adw) -> None:
    """Its taker took the record away, and died before it moved the spare."""
    (name,) = names(ready)
    directory = ready.directory / ".git" / "adw-worktree" / "spares"
    (directory / f"{name}.json").unlink()
    ready("reconcile")
    assert worktrees(ready.directory) == [str(ready.directory)]
    assert not (directory / name).exists()


def test_spare_in_the_hands_of_a_creator_is_not_swept_away(ready: Adw) -> None:
    project = open_project(ready.directory)
    tree = ready.directory / "trees" / "a"
    tree.parent.mkdir()
    with spares.taken(project, tree, "0" * 40) as spare:
        assert spare is not None
        spares.tidy(project)
        assert (project.repo.spares_dir / spare.name).is_dir()
        place(project, spare.name, tree)
    assert (tree / "file7").exists()


def test_no_spares_of_a_base_with_submodules(ready: Adw) -> None:
    (ready.directory / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = x\n')
    git("add", "--all", cwd=ready.directory)
    git("commit", "--quiet", "-m", "part", cwd=ready.directory)
    ran = ready("spares", "fill", "--wait")
    assert "submodules" in ran.stderr
    assert names(ready) == []


def test_repositorys_own_prepare_needs_approval(ready: Adw) -> None:
    (ready.directory / "adw-worktree.toml").write_text('[hooks]\nprepare = "touch ran"\n')
    ready("spares", "drop")
    assert "trust" in ready("spares", "fill", "--wait", code=9).stderr
    assert "trust" in ready("spares", "fill", code=9).stderr  # where it is seen
    assert names(ready) == []
    assert not anywhere(ready.directory, "ran")


def test_failing_prepare_leaves_no_half_made_spare(ready: Adw) -> None:
    user_hook("prepare", "exit 28")
    ready("spares", "fill", "--wait", code=9, ADW_SPARES="2")
    assert names(ready) == []
    ready("reconcile")
    assert worktrees(ready.directory) == [str(ready.directory)]


@pytest.mark.parametrize("point", ["spare.locked", "atomic.renamed"])
def test_filler_at_work_takes_its_spare_away_when_all_are_dropped(adw: Adw, point: str) -> None:
    filler = adw.start("spares", "fill", "--wait", ADW_SPARES="2", ADW_FAULT=f"{point}=stop")
    settle_stopped(filler)
    dropping = adw.start("spares", "drop", quiet=True)
    settle(mark_of(adw).exists, "the drop never told the filler")
    filler.send_signal(signal.SIGCONT)
    assert "dropped" in filler.communicate()[1]
    assert (filler.returncode, dropping.wait()) == (0, 0)
    assert names(adw) == []
    assert worktrees(adw.directory) == [str(adw.directory)]


def test_refreshed_spare_is_not_kept_when_all_are_dropped(ready: Adw) -> None:
    git("commit", "--quiet", "--allow-empty", "-m", "later", cwd=ready.directory)
    filler = ready.start("spares", "fill", "--wait", ADW_FAULT="spare.attached=stop")
    settle_stopped(filler)
    dropping = ready.start("spares", "drop", quiet=True)
    settle(mark_of(ready).exists, "the drop never told the filler")
    filler.send_signal(signal.SIGCONT)
    filler.communicate()
    assert (filler.returncode, dropping.wait()) == (0, 0)
    assert worktrees(ready.directory) == [str(ready.directory)]


def test_filler_that_waits_its_turn_fills_nothing_when_all_are_dropped(adw: Adw) -> None:
    filler = adw.start("spares", "fill", "--wait", ADW_SPARES="1", ADW_FAULT="lock.directory=stop")
    settle_stopped(filler)
    adw("spares", "drop")
    filler.send_signal(signal.SIGCONT)
    assert "dropped" in filler.communicate()[1]
    assert names(adw) == []
    assert adw.json("spares", "fill", "--wait", ADW_SPARES="1")["made"] == 1


def test_background_filler_is_as_old_as_the_command_that_starts_it(adw: Adw) -> None:
    """Its own start takes a while, in which all spares may be dropped."""
    adw("spares", "drop")
    mark = mark_of(adw).read_text()
    adw("spares", "drop")
    late = adw.json("spares", "fill", "--wait", "--mark", mark, ADW_SPARES="1")
    assert late["ready"] == 0
    mark = mark_of(adw).read_text()
    assert adw.json("spares", "fill", "--wait", "--mark", mark, ADW_SPARES="1")["ready"] == 1


def test_spares_are_dropped_where_no_mark_can_be_written(ready: Adw) -> None:
    mark_of(ready).mkdir()
    assert ready.json("spares", "drop")["dropped"] == 1
    assert names(ready) == []


def mark_of(adw: Adw) -> Path:
    return adw.directory / ".git" / "adw-worktree" / "spares" / "fill.mark"
