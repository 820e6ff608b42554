"""The watcher: every way a worktree can vanish frees its slot, moved ones keep it, at no cost.

The ledger is read from its file throughout: any command of ours would itself free what is gone.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adw_worktree.project import open_project
from adw_worktree.system.locks import try_lock
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish
from tests.support.command_line import Adw, Ran
from tests.support.machine import mounted, settle
from tests.support.repositories import git, make_repo
from tests.support.stress_size import stress_size

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="it needs inotify and /proc")


def state_dir() -> Path:
    return Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree"


def leased(repo: Path) -> set[str]:
    """Return the ADW ids that the ledger's file has."""
    document = json.loads((repo / "agents" / "port_allocations.json").read_bytes())
    return {key for key in document if not key.startswith("_")}


def registered(repo: Path) -> bool:
    """Whether the registry has an entry of the repository."""
    entries = (state_dir() / "ledgers").glob("*.json")
    return any(json.loads(one.read_bytes())["common_dir"] == f"{repo}/.git" for one in entries)


def made(repo: Path, *ids: str, **wish: Any) -> None:
    """Make worktrees in this process, which is quicker."""
    for adw_id in ids:
        create(open_project(repo), adw_id, Wish(**wish))


def remove_tree(path: Path) -> None:
    """Delete as people do; it has to succeed, whoever else is at it."""
    subprocess.run(["rm", "-rf", str(path)], check=True)
    assert not path.exists()


class Watcher:
    """A watcher in a process of its own, and what it said."""

    def __init__(self, place: Path, command: tuple[str, ...] = Adw.command, **env: str) -> None:
        self._out, self._err = place / "watch.out", place / "watch.err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [*command, "watch", "--json"],
                cwd=place,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return what it said of one kind, in the order of time."""
        text = self._out.read_text()
        lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return [line for line in lines if line["event"] == kind]

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self._out.read_text() + self.stderr
        return bool(self.events("watching"))

    def end(self, signum: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(signum)
        return self.process.wait(60)


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Callable[..., Watcher]]:
    """Return a way to start watchers, which have to end quietly with the test."""
    started: list[Watcher] = []

    def start(**env: str) -> Watcher:
        place = tmp_path / f"watcher{len(started)}"
        place.mkdir()
        started.append(Watcher(place, Adw.command, **env))
        settle(started[-1].is_ready, "the watcher never began")
        return started[-1]

    yield start
    for watcher in started:
        if watcher.process.poll() is None:
            assert watcher.end(signal.SIGTERM) == 128 + signal.SIGTERM
        assert watcher.stderr == ""


# ---- every way to vanish -----------------------------------------------------------------------


def removed_by_git(repo: Path) -> None:
    git("worktree", "remove", "trees/a", cwd=repo)


def removed_by_git_with_force(repo: Path) -> None:
    git("worktree", "remove", "--force", "trees/a", cwd=repo)


def deleted(repo: Path) -> None:
    remove_tree(repo / "trees" / "a")


def deleted_and_pruned(repo: Path) -> None:
    deleted(repo)
    git("worktree", "prune", cwd=repo)


def deleted_with_a_server_in_it(repo: Path) -> None:
    server = subprocess.Popen(["sleep", "60"], cwd=repo / "trees" / "a")
    try:
        deleted(repo)
        settle(lambda: "a" not in leased(repo), "the slot was not freed")
    finally:
        server.kill()
        server.wait()


def moved_by_git_and_deleted(repo: Path) -> None:
    git("worktree", "move", "trees/a", "../elsewhere", cwd=repo)
    time.sleep(1)  # a move says nothing; it is heard of within a second
    assert "a" in leased(repo)
    remove_tree(repo.parent / "elsewhere")


@pytest.mark.parametrize(
    "vanish",
    [
        removed_by_git,
        removed_by_git_with_force,
        deleted,
        deleted_and_pruned,
        deleted_with_a_server_in_it,
        moved_by_git_and_deleted,
    ],
)
def test_a_worktree_that_vanishes_frees_its_slot(
    repo: Path, watching: Callable[..., Watcher], vanish: Callable[[Path], None]
) -> None:
    made(repo, "a", "b")
    watcher = watching()
    vanish(repo)
    settle(lambda: leased(repo) == {"b"}, "the slot was not freed")
    settle(lambda: bool(watcher.events("released")), "nothing was said")
    (said,) = watcher.events("released")
    assert said.keys() == {
        "schema_version", "event", "adw_id", "slot", "ports", "path", "repository", "reason",
    }  # fmt: skip
    assert (said["adw_id"], said["slot"], said["repository"]) == ("a", 0, str(repo))


def test_all_worktrees_at_once_free_their_slots(
    repo: Path, watching: Callable[..., Watcher]
) -> None:
    """Also those made after the directory that holds them was deleted, and made anew at once, when
    it often has the inode that it had."""
    number = stress_size(10, 100)
    made(repo, *(f"a{one}" for one in range(number)))
    watcher = watching()
    remove_tree(repo / "trees")
    (repo / "trees").mkdir()
    settle(lambda: leased(repo) == set(), "not all slots were freed")
    made(repo, "again")
    time.sleep(0.5)
    remove_tree(repo / "trees" / "again")
    settle(lambda: len(watcher.events("released")) == number + 1, "the new one was not watched")


def test_a_repository_that_is_deleted_frees_its_slots(
    repo: Path, tmp_path: Path, watching: Callable[..., Watcher]
) -> None:
    """While it is under way no file may come back, or `rm` stumbles over it."""
    other = make_repo(tmp_path / "other")
    made(repo, "a", "b")
    made(other, "c")
    for number in range(2000):
        (repo / f"file{number}").touch()
    watcher = watching()
    remove_tree(repo)
    settle(lambda: not registered(repo), "the repository stayed in the registry")
    settle(lambda: len(watcher.events("released")) == 2, "nothing was said")
    assert leased(other) == {"c"}
    remove_tree(other / "trees" / "c")
    settle(lambda: leased(other) == set(), "the other one is not watched any more")


def test_bare_repository_with_worktrees_elsewhere_is_watched(
    repo: Path, tmp_path: Path, watching: Callable[..., Watcher]
) -> None:
    git("clone", "--quiet", "--bare", str(repo), str(tmp_path / "bare.git"), cwd=tmp_path)
    watcher = watching(ADW_WORKTREE_PATH="some/where/{adw_id}")
    adw = Adw(tmp_path / "bare.git")
    adw("create", "a", ADW_WORKTREE_PATH="some/where/{adw_id}")
    settle(lambda: len(watcher.events("watching")) == 2, "the new repository was not seen")
    time.sleep(0.5)
    remove_tree(tmp_path / "some")
    settle(lambda: bool(watcher.events("released")), "the slot was not freed")


# ---- what comes and goes -----------------------------------------------------------------------


def test_repositories_that_come_later_are_watched(
    repo: Path, tmp_path: Path, watching: Callable[..., Watcher]
) -> None:
    """There was not even a state directory when the watcher began."""
    watching()
    other = make_repo(tmp_path / "with space %n $HOME")
    for one in (repo, other):
        made(one, "a")
        remove_tree(one / "trees" / "a")
        settle(lambda one=one: leased(one) == set(), "the slot was not freed")  # type: ignore[misc]


@pytest.mark.thorough
def test_what_was_moved_keeps_its_slot(repo: Path, watching: Callable[..., Watcher]) -> None:
    """A server may run in it, and two would have its ports."""
    made(repo, "a", "b", "c")
    watching()
    (repo / "trees" / "a").rename(repo / "trees" / "moved")
    if sys.platform == "linux":  # FSEvents does not tell it from a deletion
        (repo / "trees" / "b").rename(repo.parent / "far")
    git("worktree", "move", "trees/c", "trees/d", cwd=repo)
    time.sleep(1.5)
    assert leased(repo) == {"a", "b", "c"}


@on_linux
def test_a_repository_that_was_moved_keeps_its_slots_and_is_watched(
    repo: Path, tmp_path: Path, watching: Callable[..., Watcher]
) -> None:
    made(repo, "a", "b")
    far = make_repo(tmp_path / "far")
    made(far, "c")
    watching()
    renamed = repo.rename(repo.parent / "renamed")
    (tmp_path / "deep" / "down").mkdir(parents=True)
    far.rename(tmp_path / "deep" / "down" / "far")
    git("worktree", "repair", "trees/a", "trees/b", cwd=renamed)
    remove_tree(renamed / "trees" / "a")
    settle(lambda: leased(renamed) == {"b"}, "the slot was not freed")
    remove_tree(renamed / "trees" / "b")
    settle(lambda: leased(renamed) == set(), "it was not followed")
    assert registered(far)


@pytest.mark.thorough
def test_what_is_not_mounted_keeps_its_slot_and_is_watched_again(
    repo: Path, tmp_path: Path, watching: Callable[..., Watcher]
) -> None:
    with mounted(tmp_path / "disk", "8m") as disk:
        made(repo, "a", path=disk / "a")
        made(repo, "b", path=disk / "b")
        cover = ["mount", "-t", "tmpfs", "none", str(disk)]
        assert subprocess.run(cover, check=False).returncode == 0
        try:
            watching()
        finally:
            subprocess.run(["umount", str(disk)], check=True)
        time.sleep(1)
        assert leased(repo) == {"a", "b"}
        remove_tree(disk / "a")
        settle(lambda: leased(repo) == {"b"}, "the slot was not freed")
        subprocess.run(["umount", str(disk)], check=True)  # the watcher keeps nothing in use
        time.sleep(1)
        assert leased(repo) == {"b"}


# ---- the watcher itself ------------------------------------------------------------------------


def test_what_vanished_while_nobody_watched_is_freed_at_the_start(
    repo: Path, tmp_path: Path, watching: Callable[..., Watcher]
) -> None:
    lost = make_repo(tmp_path / "lost")
    made(repo, "a", "b")
    made(lost, "c")
    watcher = watching()
    assert watcher.end(signal.SIGKILL) == -signal.SIGKILL
    remove_tree(repo / "trees" / "a")
    remove_tree(lost)
    assert leased(repo) == {"a", "b"}
    assert watching().end(signal.SIGINT) == 128 + signal.SIGINT
    assert leased(repo) == {"b"}
    assert not registered(lost)


def test_a_second_watcher_names_the_first(adw: Adw, watching: Callable[..., Watcher]) -> None:
    watcher = watching()
    ran = adw("watch", code=8)
    assert f"by process {watcher.pid}" in ran.stderr
    assert adw.json("watch", code=8)["error"]["code"] == "already-watching"
    (lock,) = (Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree").glob("watch-*.lock")
    lock.write_text("")  # as a full disk leaves it
    hint = adw.json("watch", code=8)["error"]["hint"]
    assert "kill" not in hint


def test_a_failure_of_watch_is_one_line_of_json(
    adw: Adw, watching: Callable[..., Watcher], tmp_path: Path
) -> None:
    """Who reads `watch --json` line by line would choke on half a document."""
    watching()
    damaged = tmp_path / "state" / "ledgers"
    damaged.parent.mkdir()
    damaged.write_text("no directory")
    failures = {
        "already-watching": adw("watch", "--json", code=8),
        "usage": adw("--json", "watch", "--nonsense", code=2),
        "settings": adw("watch", "--json", code=None, ADW_STATE_HOME=str(damaged)),
    }
    for code, ran in failures.items():
        (line,) = ran.stdout.splitlines()
        assert json.loads(line)["error"]["code"] == code
        assert json.loads(line)["ok"] is False


@pytest.mark.thorough
@on_linux
def test_watching_costs_nothing_while_nothing_happens(
    repo: Path, watching: Callable[..., Watcher]
) -> None:
    made(repo, "a", "b")
    watcher = watching()

    def effort() -> list[str]:
        """Return the clock ticks, and how often each thread was woken."""
        process = Path("/proc", str(watcher.pid))
        ticks = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
        woken = [
            line
            for task in sorted((process / "task").iterdir())
            for line in (task / "status").read_text().splitlines()
            if line.startswith("voluntary_ctxt_switches")
        ]
        return [*ticks, *woken]

    with open("/proc/self/mountinfo") as file:
        mounts = select.poll()
        mounts.register(file, select.POLLPRI)
        for _ in range(20):
            time.sleep(1)  # what it does at its start is over
            mounts.poll(0)
            before = effort()
            assert len(before) > 3
            time.sleep(2)
            if effort() == before:
                return
            # Other tests mount file systems, which it has to look at.
            assert mounts.poll(0)
    pytest.skip("file systems are mounted all the time here")


@pytest.mark.thorough
@on_linux
def test_changes_that_the_kernel_could_not_keep_are_looked_for(
    repo: Path, watching: Callable[..., Watcher]
) -> None:
    made(repo, "a", "b")
    watcher = watching()
    kept = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if kept > 100_000:
        pytest.skip("the kernel keeps more than a test can make")
    watcher.process.send_signal(signal.SIGSTOP)
    (repo / "trees" / "0").mkdir()
    for number in range(kept // 2 + 1):  # moves, which are no reason to look
        (repo / "trees" / str(number)).rename(repo / "trees" / str(number + 1))
    remove_tree(repo / "trees" / "a")
    watcher.process.send_signal(signal.SIGCONT)
    settle(lambda: leased(repo) == {"b"}, "the slot was not freed")


@on_linux
def test_a_limit_on_watches_is_said_once_and_ends_nothing(repo: Path, tmp_path: Path) -> None:
    made(repo, "a")
    limited = 'echo 2 >/proc/sys/user/max_inotify_watches && exec "$@"'
    unshare = ("unshare", "--user", "--map-root-user", "sh", "-c", limited, "sh")
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no user namespace can be made here")
    watcher = Watcher(tmp_path, (*unshare, *Adw.command))
    settle(lambda: bool(watcher.events("trouble")), "nothing was said")
    remove_tree(repo)
    time.sleep(1)
    (said,) = watcher.events("trouble")
    assert "max_user_watches" in said["error"]["hint"]
    assert watcher.end(signal.SIGTERM) == 128 + signal.SIGTERM


@pytest.mark.thorough
def test_a_look_that_fails_is_said_once_and_made_again(
    repo: Path, tmp_path: Path, watching: Callable[..., Watcher]
) -> None:
    other = make_repo(tmp_path / "other")
    made(repo, "a", "b")
    made(other, "c")
    watcher = watching()
    (repo / "adw-worktree.toml").write_text("nonsense = 1\n")
    for name in ("a", "b"):
        remove_tree(repo / "trees" / name)
    settle(lambda: bool(watcher.events("trouble")), "nothing was said")
    remove_tree(other / "trees" / "c")
    settle(lambda: leased(other) == set(), "one repository held up the other")
    (said,) = watcher.events("trouble")
    assert (said["repository"], said["error"]["code"]) == (str(repo), "settings")
    assert leased(repo) == {"a", "b"}
    (repo / "adw-worktree.toml").unlink()
    made(other, "d")
    settle(lambda: leased(repo) == set(), "it was not tried again")


def test_a_lock_that_is_let_go_is_waited_for(repo: Path, watching: Callable[..., Watcher]) -> None:
    made(repo, "a")
    watcher = watching(ADW_LOCK_TIMEOUT="0.1")
    lock = try_lock(state_dir() / "machine.lock")
    assert lock is not None
    remove_tree(repo / "trees" / "a")
    settle(lambda: bool(watcher.events("trouble")), "nothing was said")
    time.sleep(1.5)
    lock.release()
    settle(lambda: leased(repo) == set(), "it was not tried again")
    (said,) = watcher.events("trouble")
    assert said["error"]["code"] == "lock-timeout"


@pytest.mark.thorough
def test_a_lost_ledger_is_left_to_the_next_command(
    adw: Adw, watching: Callable[..., Watcher]
) -> None:
    """A repository that is being deleted looks like that, too."""
    made(adw.directory, "a", "b")
    watcher = watching()
    shutil.rmtree(adw.directory / "agents")
    remove_tree(adw.directory / "trees" / "a")
    time.sleep(2)
    assert not (adw.directory / "agents").exists()
    assert watcher.events("trouble") == []
    adw("list")
    assert leased(adw.directory) == {"b"}


@pytest.mark.parametrize("words", [["watch"], ["hooks", "install", "--watch"]])
def test_without_the_library_it_says_how_to_get_it(adw: Adw, words: list[str]) -> None:
    without = (
        "import sys; sys.modules['watchdog'] = None; from adw_worktree.cli.main import main; "
        f"sys.exit(main({words}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", without],
        cwd=adw.directory, capture_output=True, text=True, check=False,
    )  # fmt: skip
    ran = Ran(done.returncode, done.stdout, done.stderr)
    assert ran.code == 3
    assert "watchdog" in ran.stderr
    assert "\nhint: " in ran.stderr
    assert not list(Path(os.environ["XDG_CONFIG_HOME"]).rglob("*.service"))


def test_people_get_a_line_for_each_slot(adw: Adw) -> None:
    made(adw.directory, "a")
    process = adw.start("watch")
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "watching 1 repository\n"
        remove_tree(adw.directory / "trees" / "a")
        line = process.stdout.readline()
        assert line.startswith(f"released slot 0 of a in {adw.directory}: ")
    finally:
        process.terminate()
        _, complaint = process.communicate(timeout=60)
    assert complaint == ""
    with suppress(ProcessLookupError):
        process.kill()
