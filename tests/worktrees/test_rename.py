"""`rename`: another id, with the same slot, ports, work and files; or nothing is changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from adw_worktree.project import open_project
from tests.support.command_line import Adw
from tests.support.machine import settle_stopped
from tests.support.repositories import branches, git, make_repo, worktrees
from tests.support.starts import with_remote, with_submodule
from tests.support.stress_size import stress_size


def make(adw: Adw, adw_id: str, *words: str) -> Path:
    """Make a worktree with work of every kind in it; return its directory."""
    tree = Path(adw.json("create", adw_id, *words)["path"])
    (tree / "README").write_text("changed\n")
    (tree / "staged").write_text("staged\n")
    (tree / "new").write_text("new\n")
    git("add", "staged", cwd=tree)
    return tree


def status_of(tree: Path) -> str:
    return git("status", "--porcelain", cwd=tree)


def whole(adw: Adw) -> dict[str, object]:
    """Return what a refusal may not change."""
    repo = adw.directory
    return {
        "ledger": (repo / "agents" / "port_allocations.json").read_bytes(),
        "refs": git("for-each-ref", cwd=repo),
        "worktrees": git("worktree", "list", "--porcelain", cwd=repo),
        "trees": sorted(str(path) for path in (repo / "trees").rglob("*")),
        "notes": sorted((repo / ".git" / "adw-worktree").glob("*.json")),
    }


def test_all_but_the_name_stays(adw: Adw) -> None:
    tree = make(adw, "a")
    inode = tree.stat().st_ino
    before, status = open_project(adw.directory).pool.leases()["a"], status_of(tree)
    done = adw.json("rename", "a", "b")
    assert done == {
        "schema_version": 1,
        "ok": True,
        "renamed": True,
        "from": "a",
        "adw_id": "b",
        "slot": before.slot,
        "ports": dict(before.ports),
        "path": str(adw.directory / "trees" / "b"),
        "branch": "b",
    }
    moved = adw.directory / "trees" / "b"
    assert not tree.exists() and moved.stat().st_ino == inode
    assert status_of(moved) == status
    assert (moved / "new").read_text() == "new\n"
    (lease,) = open_project(adw.directory).pool.leases().values()
    changed = {"adw_id": "b", "path": str(moved), "branch": "b"}
    assert lease == before._replace(**changed)  # type: ignore[arg-type]
    variables = adw.json("env", cwd=moved)["variables"]
    assert variables["ADW_ID"] == "b"
    assert variables["COMPOSE_PROJECT_NAME"] == f"repo-b-{lease.slot}"
    assert "adw_id=b slot=" in (moved / ".env.ports").read_text()
    assert branches(adw.directory) == {"main", "b"}
    assert "a" in git("reflog", "show", "b", cwd=moved)
    adw("reconcile", "--check")
    assert adw.json("create", "a")["slot"] != lease.slot


def test_a_rename_to_the_same_name_does_nothing(adw: Adw) -> None:
    make(adw, "a")
    before = whole(adw)
    assert adw.json("rename", "a", "a")["renamed"] is False
    assert whole(adw) == before


def test_what_somebody_chose_stays(adw: Adw, tmp_path: Path) -> None:
    chosen = tmp_path / "my place"
    adw("create", "a", "--path", str(chosen), "--branch", "topic")
    done = adw.json("rename", "a", "b")
    assert (done["path"], done["branch"]) == (str(chosen), "topic")
    assert "ADW_ID=b\n" in (chosen / ".env.ports").read_text()
    adw("reconcile", "--check")


def test_what_the_settings_name_after_it_follows(adw: Adw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADW_WORKTREE_PATH", "../my trees/{branch}/{adw_id}")
    monkeypatch.setenv("ADW_BRANCH_NAME", "adw/{adw_id}")
    tree = make(adw, "a")
    done = adw.json("rename", "a", "b")
    moved = adw.directory.parent / "my trees" / "adw-b" / "b"
    assert (done["path"], done["branch"]) == (str(moved), "adw/b")
    assert not tree.exists() and (moved / "new").exists()
    assert git("status", "--porcelain", cwd=adw.directory) == ""
    adw("reconcile", "--check")


def test_the_branch_tracks_what_it_did(adw: Adw) -> None:
    with_remote(adw)
    adw("create", "a", "--from", "origin/main")
    told = adw("rename", "a", "b").stderr
    assert "branch b still tracks origin/main" in told
    upstream = git("rev-parse", "--abbrev-ref", "b@{upstream}", cwd=adw.directory)
    assert upstream == "origin/main\n"


def test_a_reservation_is_renamed(adw: Adw) -> None:
    adw("reserve", "a", "--slot", "7")
    done = adw.json("rename", "a", "b")
    assert (done["adw_id"], done["slot"], done["path"]) == ("b", 7, None)
    assert set(adw.json("status")["allocations"]) == {"b"}
    assert adw.json("create", "b")["slot"] == 7


def test_a_worktree_in_a_rebase_keeps_its_branch(adw: Adw) -> None:
    """Renamed under its hands, git could not end the rebase."""
    tree = Path(adw.json("create", "a")["path"])
    git("commit", "--quiet", "--allow-empty", "-m", "one", cwd=tree)
    stop = {**os.environ, "GIT_SEQUENCE_EDITOR": "sed -i s/^pick/edit/"}
    subprocess.run(["git", "rebase", "--quiet", "-i", "HEAD~1"], cwd=tree, env=stop, check=True)
    assert adw.json("rename", "a", "b")["branch"] is None
    git("rebase", "--continue", cwd=adw.directory / "trees" / "b")
    assert branches(adw.directory) == {"main", "a"}
    assert git("branch", "--show-current", cwd=adw.directory / "trees" / "b") == "a\n"


def test_submodules_keep_the_directory(adw: Adw) -> None:
    """Moved, they would not find their repositories any more."""
    with_submodule(adw)
    tree = Path(adw.json("create", "a")["path"])
    assert "has submodules" in adw("rename", "a", "b").stderr
    (lease,) = open_project(adw.directory).pool.leases().values()
    assert (lease.adw_id, lease.path, lease.branch) == ("b", str(tree), "b")
    assert status_of(tree) == status_of(tree / "lib") == ""
    adw("reconcile", "--check")


def test_who_is_in_the_directory_stays_in_it(adw: Adw, tmp_path: Path) -> None:
    """Agents work there; their shells would write into nowhere."""
    tree = make(adw, "a")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = f"read x < '{fifo}'; echo $x > said; env pwd -P"
    agent = subprocess.Popen(["sh", "-c", script], cwd=tree, stdout=subprocess.PIPE, text=True)
    adw("rename", "a", "b", cwd=tree)
    fifo.write_text("go on\n")
    told, _ = agent.communicate(timeout=60)
    moved = adw.directory / "trees" / "b"
    assert told == f"{moved}\n"
    assert (moved / "said").read_text() == "go on\n"


def test_servers_go_on_and_are_named(
    adw: Adw, serve: Callable[[Sequence[str], Path], subprocess.Popen[bytes]]
) -> None:
    made = adw.json("create", "a")
    listening = (
        "import socket, time; s = socket.create_server(('127.0.0.1', {port})); "
        "open('ready', 'w'); time.sleep(600)"
    ).format(port=made["ports"]["backend"])
    tree = Path(made["path"])
    server = serve([sys.executable, "-c", listening], tree)
    while not (tree / "ready").exists():
        assert server.poll() is None
    told = adw("rename", "a", "b").stderr
    assert f"(pid {server.pid}) on port {made['ports']['backend']} goes on" in told
    with socket.create_connection(("127.0.0.1", made["ports"]["backend"])):
        pass


def test_a_relative_way_to_the_worktree_stays_relative(adw: Adw) -> None:
    """As git 2.48 makes it with worktree.useRelativePaths, for repositories that are mounted."""
    make(adw, "a")
    way = adw.directory / ".git" / "worktrees" / "a" / "gitdir"
    way.write_text("../../../trees/a/.git\n")
    (adw.directory / "trees" / "a" / ".git").write_text("gitdir: ../../.git/worktrees/a\n")
    adw("rename", "a", "b")
    assert way.read_text() == "../../../trees/b/.git\n"
    assert status_of(adw.directory / "trees" / "b").count("\n") == 3


# ---- refused -----------------------------------------------------------------------------------


def lease_of_that_name(adw: Adw) -> None:
    adw("create", "b", "--branch", "x", "--path", "elsewhere")


def reservation_of_that_name(adw: Adw) -> None:
    adw("reserve", "b")


def directory_of_that_name(adw: Adw) -> None:
    (adw.directory / "trees" / "b").mkdir()
    (adw.directory / "trees" / "b" / "file").touch()


def branch_of_that_name(adw: Adw) -> None:
    git("branch", "b", cwd=adw.directory)


def unmounted_worktree_of_that_name(adw: Adw) -> None:
    git("worktree", "add", "--quiet", "--detach", "trees/b", cwd=adw.directory)
    git("worktree", "lock", "trees/b", cwd=adw.directory)
    shutil.rmtree(adw.directory / "trees" / "b")


def locked(adw: Adw) -> None:
    adw("lock", "a")


def moved_by_hand(adw: Adw) -> None:
    (adw.directory / "trees" / "a").rename(adw.directory / "trees" / "c")


def worktree_inside(adw: Adw) -> None:
    git("worktree", "add", "--quiet", "--detach", "trees/a/inner", cwd=adw.directory)


def unapproved_template(adw: Adw) -> None:
    (adw.directory / "adw-worktree.toml").write_text('template = "t"\n')
    (adw.directory / "t").write_text("LD_PRELOAD=/x\n")


REFUSED: dict[Callable[[Adw], None], tuple[int, str]] = {
    lease_of_that_name: (7, "adw-id-taken"),
    reservation_of_that_name: (7, "adw-id-taken"),
    directory_of_that_name: (7, "path-occupied"),
    branch_of_that_name: (4, "branch-unusable"),
    unmounted_worktree_of_that_name: (7, "path-occupied"),
    locked: (7, "locked-worktree"),
    moved_by_hand: (7, "worktree-unavailable"),
    worktree_inside: (7, "worktree-inside"),
    unapproved_template: (9, "hook-untrusted"),
}


@pytest.mark.parametrize("obstacle", REFUSED, ids=lambda one: one.__name__)
def test_what_is_in_the_way_is_said_and_nothing_changes(
    adw: Adw, obstacle: Callable[[Adw], None]
) -> None:
    make(adw, "a")
    obstacle(adw)
    before, (code, name) = whole(adw), REFUSED[obstacle]
    error = adw.json("rename", "a", "b", code=code)["error"]
    assert error["code"] == name
    assert error["hint"]
    assert "--path" not in error["hint"]  # which `rename` does not have
    assert whole(adw) == before


@pytest.mark.parametrize(
    ("words", "code"),
    [(("a", "b..c"), 2), (("a", "-"), 2), (("none", "b"), 6), (("a",), 2), (("../a", "b"), 2)],
)
def test_names_that_cannot_be_are_refused(adw: Adw, words: Sequence[str], code: int) -> None:
    make(adw, "a")
    before = whole(adw)
    adw("rename", *words, code=code)
    assert whole(adw) == before


def test_one_that_is_in_the_making_is_left_alone(adw: Adw) -> None:
    process = adw.start("create", "a", ADW_FAULT="receipt.written=stop")
    try:
        while not list(adw.directory.glob(".git/worktrees/a/adw-worktree.json")):
            assert process.poll() is None
        refused = adw.json("rename", "a", "b", code=7)["error"]
        assert "another process is making" in refused["message"]
    finally:
        process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60)
    assert process.returncode == 0
    adw("rename", "a", "b")


def a_hook_refuses(adw: Adw) -> None:
    hook = adw.directory / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n[ $1 != prepared ] || ! grep -q refs/heads/a\n")
    hook.chmod(0o755)


def a_branch_is_below_the_name(adw: Adw) -> None:
    git("branch", "b/part", cwd=adw.directory)


def a_dead_git_left_its_lock(adw: Adw) -> None:
    """Git renames the branch, and then cannot have the worktree's HEAD say so."""
    (adw.directory / ".git" / "worktrees" / "a" / "HEAD.lock").touch()


@pytest.mark.parametrize(
    "obstacle", [a_hook_refuses, a_branch_is_below_the_name, a_dead_git_left_its_lock]
)
def test_what_git_refuses_is_undone(adw: Adw, obstacle: Callable[[Adw], None]) -> None:
    """The ADW would have its new name, and its branch and directory the old one."""
    make(adw, "a")
    obstacle(adw)
    before = whole(adw)
    adw("rename", "a", "b", code=4)
    assert whole(adw) == before
    assert status_of(adw.directory / "trees" / "a").count("\n") == 3
    adw("reconcile", "--check")


# ---- interrupted -------------------------------------------------------------------------------


def interrupted(adw: Adw, point: str = "rename.moved") -> None:
    adw("rename", "a", "b", code=-signal.SIGKILL, ADW_FAULT=f"{point}=kill")


def test_half_moved_it_is_neither_pruned_nor_gone(
    adw: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git and other repositories see a worktree whose directory is missing."""
    monkeypatch.setenv("ADW_WORKTREE_PATH", "wt/{adw_id}/tree")
    make(adw, "a")
    interrupted(adw)
    git("worktree", "prune", "--expire=now", cwd=adw.directory)
    project = open_project(adw.directory)
    (lease,) = project.pool.leases().values()
    assert project.pool.finding(lease).verdict == "unknown"
    other = Adw(make_repo(adw.directory.parent / "other"))
    other("create", "c", "--slot", str(lease.slot), code=5)
    adw("list")
    assert (adw.directory / "wt" / "b" / "tree" / "new").exists()
    adw("reconcile", "--check")
    assert worktrees(adw.directory)[1:] == [str(adw.directory / "wt" / "b" / "tree")]


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 1}', '{"schema_version": 2}', None])
def test_a_note_that_says_nothing_is_forgotten(adw: Adw, text: str | None) -> None:
    make(adw, "a")
    interrupted(adw, "rename.noted")
    note = adw.directory / ".git" / "adw-worktree" / "renaming.json"
    document = json.loads(note.read_bytes())
    note.write_text(json.dumps({**document, "new": "../../b"}) if text is None else text)
    assert adw("list").stderr == ""
    assert not note.exists()
    assert set(adw.json("status")["allocations"]) == {"a"}


def test_a_copy_of_the_repository_leaves_its_originals_directories_alone(adw: Adw) -> None:
    make(adw, "a")
    interrupted(adw, "branch-rename.before")
    copy = adw.directory.parent / "copy"
    shutil.copytree(adw.directory, copy, symlinks=True)
    shutil.rmtree(copy / "trees")
    Adw(copy)("list")
    assert (adw.directory / "trees" / "a" / "new").exists()
    adw("list")
    assert (adw.directory / "trees" / "b" / "new").exists()


def test_a_name_that_was_taken_meanwhile_is_left_to_who_has_it(adw: Adw) -> None:
    make(adw, "a")
    interrupted(adw, "rename.noted")
    project = open_project(adw.directory)
    project.pool.reserve("b")
    adw("list")
    assert set(adw.json("status")["allocations"]) == {"a", "b"}
    assert not (adw.directory / ".git" / "adw-worktree" / "renaming.json").exists()


def test_a_receipt_that_tells_of_the_old_name_is_mended(adw: Adw) -> None:
    """A lost ledger would be rebuilt with it."""
    make(adw, "a")
    project = open_project(adw.directory)
    project.pool.rename(project.pool.leases()["a"], "b")
    adw("reconcile", "--check", code=10)
    adw("reconcile")
    project.pool.ledger.path.unlink()
    assert set(adw.json("status")["allocations"]) == {"b"}


# ---- at once -----------------------------------------------------------------------------------


def ended(*processes: subprocess.Popen[str]) -> list[int]:
    codes = []
    for process in processes:
        err = process.communicate(timeout=120)[1]
        assert "Traceback" not in err and "unexpected" not in err, err
        codes.append(process.returncode)
    return codes


def assert_agree(adw: Adw) -> dict[str, str]:
    """Hold leases, git's list and directories to each other; return the directory of each ADW."""
    adw("list")
    leases = adw.json("status")["allocations"]
    slots = [one["slot"] for one in leases.values()]
    assert len(set(slots)) == len(slots)
    places = {key: one["path"] for key, one in leases.items()}
    assert sorted(places.values()) == sorted(worktrees(adw.directory)[1:])
    assert {str(path) for path in (adw.directory / "trees").glob("*")} == set(places.values())
    assert not (adw.directory / ".git" / "adw-worktree" / "renaming.json").exists()
    adw("reconcile", "--check")
    return places


@pytest.mark.parametrize("_round", range(stress_size(1, 20)))
def test_of_two_renames_one_wins(adw: Adw, _round: int) -> None:
    make(adw, "a")
    make(adw, "z")
    started = [adw.start("rename", *words) for words in (("a", "b"), ("a", "c"), ("z", "b"))]
    codes = ended(*started)
    assert set(codes) <= {0, 6, 7}
    assert sum(code == 0 for code in codes) in (1, 2)
    places = assert_agree(adw)
    assert len(places) == 2
    for place in places.values():
        assert (Path(place) / "new").read_text() == "new\n"


@pytest.mark.parametrize("_round", range(stress_size(1, 20)))
def test_rename_and_create_of_the_new_name_at_once(adw: Adw, _round: int) -> None:
    make(adw, "a")
    renamed, _created = ended(adw.start("rename", "a", "b"), adw.start("create", "b"))
    places = assert_agree(adw)
    name = "b" if renamed == 0 else "a"
    assert (Path(places[name]) / "new").read_text() == "new\n"


def test_remove_leaves_alone_what_a_rename_moved_meanwhile(adw: Adw) -> None:
    """It took git's entry away and left the files at their new place, unknown to anything."""
    make(adw, "a")
    removing = adw.start("remove", "a", "-f", "--json", ADW_FAULT="trash.directory=stop")
    settle_stopped(removing)
    adw("rename", "a", "b")
    removing.send_signal(signal.SIGCONT)
    answer, _ = removing.communicate(timeout=60)
    assert removing.returncode == 7
    assert "moved or removed meanwhile" in json.loads(answer)["error"]["message"]
    assert (Path(assert_agree(adw)["b"]) / "new").read_text() == "new\n"
    assert adw.json("restore")["kept"] == []


@pytest.mark.parametrize("_round", range(stress_size(1, 20)))
def test_rename_and_remove_at_once_lose_nothing(adw: Adw, _round: int) -> None:
    make(adw, "a")
    ended(adw.start("rename", "a", "b"), adw.start("remove", "a", "-f"))
    places = assert_agree(adw)
    if not places:
        kept = adw.json("restore")["kept"]
        places = {"a": adw.json("restore", kept[0]["name"])["path"]}
    (place,) = places.values()
    assert (Path(place) / "new").read_text() == "new\n"
