"""Managed hooks: beside what is there, out again byte for byte, never in git's way."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from adw_worktree.integrations.git_hooks import CONFIG_GIT, install, status, uninstall
from adw_worktree.integrations.hook_file import EVENTS
from adw_worktree.repo.find import find_repository
from adw_worktree.repo.git import git_version
from tests.support.command_line import Adw
from tests.support.machine import settle
from tests.support.repositories import git

FAKE_PASS = """#!/bin/sh
printf '%s\\n' "$*" >>"$LOG"
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file in which a stand-in for the tool writes its arguments."""
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.fixture
def command(tmp_path: Path, log: Path) -> list[str]:
    script = tmp_path / "the tool's"
    script.write_text(FAKE_PASS)
    script.chmod(0o755)
    return [str(script), "a b"]


def stamp(repo: Path, text: str = "") -> None:
    directory = repo / ".git" / "adw-worktree"
    directory.mkdir(exist_ok=True)
    (directory / "stamp").write_text(text)


def hook(repo: Path, event: str, data: bytes, mode: int = 0o755) -> Path:
    path = repo / ".git" / "hooks" / event
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    return path


def snapshot(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file under `directory`, links as links."""
    found = {}
    for path in sorted(directory.rglob("*")):
        if path.is_symlink():
            found[str(path)] = (0, os.readlink(path).encode())
        elif path.is_file():
            found[str(path)] = (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
    return found


EXISTING = {
    "sh": b"#!/bin/sh\necho ran >>ran\n",
    "no newline at its end": b"#!/bin/sh\necho ran >>ran",
    "sh -e": b"#!/bin/sh -eu\necho ran >>ran\n",
    "env bash": b"#!/usr/bin/env bash\nset -euo pipefail\necho ran >>ran\n",
    "with exec": b"#!/bin/sh\nexec sh -c 'echo ran >>ran'\n",
    "with exit": b"#!/bin/sh\necho ran >>ran\nexit 0\n",
    "python": b"#!/usr/bin/env python3\nopen('ran', 'a').write('ran\\n')\n",
    "reads stdin": b"#!/bin/sh\ncat >/dev/null\necho ran >>ran\n",
    "perl without a newline": b"#!/usr/bin/env perl\nopen(F,'>>ran');print F \"ran\\n\"",
}


@pytest.mark.parametrize("kind", EXISTING)
def test_existing_hook_runs_beside_ours_and_comes_back_byte_for_byte(
    repo: Path, command: list[str], log: Path, kind: str
) -> None:
    for event in EVENTS:
        hook(repo, event, EXISTING[kind])
    before = snapshot(repo / ".git")
    found = find_repository(repo)
    install(found, command=command, use_config=False)
    install(found, command=command, use_config=False)
    assert {one.state for one in status(found)} == {"installed"}
    stamp(repo)
    (repo / ".git" / "worktrees").mkdir()
    git("commit", "--allow-empty", "-m", "second", cwd=repo)
    assert "ran" in (repo / "ran").read_text()
    settle(log.exists, "the pass was not started")
    (repo / ".git" / "worktrees").rmdir()
    uninstall(found)
    assert {one.state for one in status(found)} == {"foreign"}
    after = snapshot(repo / ".git")
    assert {key: after.get(key) for key in before if "/hooks/" in key} == {
        key: value for key, value in before.items() if "/hooks/" in key
    }
    assert not [key for key in after if "/hooks/" in key and key not in before]


def test_hook_that_fails_keeps_its_exit_status(repo: Path, command: list[str]) -> None:
    hook(repo, "post-checkout", b"#!/bin/sh\nexit 3\n")
    hook(repo, "post-merge", b"#!/usr/bin/env python3\nraise SystemExit(3)\n")
    install(find_repository(repo), command=command, use_config=False)
    for event in ("post-checkout", "post-merge"):
        done = subprocess.run([repo / ".git" / "hooks" / event], cwd=repo, check=False)
        assert done.returncode == 3


def test_inactive_hook_stays_inactive(repo: Path, command: list[str]) -> None:
    """git runs only executable hooks; a sample that somebody wrote must not start to run."""
    path = hook(repo, "post-commit", b"#!/bin/sh\ntouch ran\n", mode=0o644)
    found = find_repository(repo)
    install(found, command=command, use_config=False)
    git("commit", "--allow-empty", "-m", "second", cwd=repo)
    assert not (repo / "ran").exists()
    uninstall(found)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_link_is_chained_and_comes_back_as_a_link(repo: Path, command: list[str]) -> None:
    target = hook(repo, "shared.sh", b"#!/bin/sh\ntouch ran\n")
    link = repo / ".git" / "hooks" / "post-commit"
    link.symlink_to("shared.sh")
    found = find_repository(repo)
    install(found, command=command, use_config=False)
    git("commit", "--allow-empty", "-m", "second", cwd=repo)
    assert (repo / "ran").exists()
    assert target.read_bytes() == b"#!/bin/sh\ntouch ran\n"
    uninstall(found)
    assert os.readlink(link) == "shared.sh"


def test_edits_around_the_block_are_kept(repo: Path, command: list[str]) -> None:
    found = find_repository(repo)
    install(found, command=command, use_config=False)
    path = repo / ".git" / "hooks" / "post-commit"
    with path.open("a") as file:
        file.write("echo mine\n")
    uninstall(found)
    assert path.read_text() == "#!/bin/sh\necho mine\n"


def test_husky_like_directory_is_honoured(repo: Path, command: list[str]) -> None:
    """Husky's files find their script by their own name, so they cannot be renamed."""
    husky = repo / ".husky" / "_"
    husky.mkdir(parents=True)
    (husky / ".gitignore").write_text("*")
    (husky / "h").write_text('. "${0%/*}/../$(basename "$0")"\n')
    (husky / "post-commit").write_text('#!/usr/bin/env sh\n. "${0%/*}/h"\n')
    (husky / "post-commit").chmod(0o755)
    (repo / ".husky" / "post-commit").write_text("touch ran\n")
    (repo / ".gitignore").write_text("ran\n")
    git("add", ".gitignore", ".husky/post-commit", cwd=repo)
    git("commit", "--quiet", "-m", "husky", cwd=repo)
    git("config", "core.hooksPath", ".husky/_", cwd=repo)
    before = snapshot(repo / ".husky")
    found = find_repository(repo)
    install(found, command=command, use_config=False)
    git("commit", "--allow-empty", "-m", "second", cwd=repo)
    assert (repo / "ran").exists()
    assert git("status", "--porcelain", cwd=repo) == ""
    uninstall(found)
    assert snapshot(repo / ".husky") == before


def test_tracked_hooks_are_left_alone(repo: Path, command: list[str]) -> None:
    """Changing one would dirty the user's own checkout."""
    hooks = repo / ".githooks"
    hooks.mkdir()
    (hooks / "post-commit").write_text("#!/bin/sh\n")
    (hooks / "post-commit").chmod(0o755)
    git("add", ".githooks", cwd=repo)
    git("commit", "--quiet", "-m", "hooks", cwd=repo)
    git("config", "core.hooksPath", ".githooks", cwd=repo)
    exclude = repo / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("no newline")
    found = find_repository(repo)
    states = {one.event: one.state for one in install(found, command=command, use_config=False)}
    assert states.pop("post-commit") == "refused"
    assert set(states.values()) == {"installed"}
    assert git("status", "--porcelain", cwd=repo) == ""
    uninstall(found)
    assert os.listdir(hooks) == ["post-commit"]
    assert exclude.read_text() == "no newline"


POLYGLOTS = {
    "python behind a long path": b"#!/bin/sh\n'''exec' python3 \"$0\" \"$@\"\n' '''\n"
    b"open('ran', 'a').write('ran\\n')\n",
    "perl": b"#!/bin/sh\neval 'exec perl -x -wS $0 ${1+\"$@\"}'\n  if 0;\n#!perl\n"
    b"open(F, '>>ran'); print F \"ran\\n\";\n",
}


@pytest.mark.parametrize("kind", POLYGLOTS)
def test_script_that_hands_itself_to_another_program_is_chained(
    repo: Path, command: list[str], kind: str
) -> None:
    """A block of sh in it would be a syntax error to that program."""
    path = hook(repo, "post-commit", POLYGLOTS[kind])
    install(find_repository(repo), command=command, use_config=False)
    git("commit", "--quiet", "--allow-empty", "-m", "x", cwd=repo)
    assert (repo / "ran").read_text() == "ran\n"
    uninstall(find_repository(repo))
    assert path.read_bytes() == POLYGLOTS[kind]


def test_hook_that_replaced_ours_is_never_lost(repo: Path, command: list[str]) -> None:
    """`pre-commit install` and husky write over what is there; ours had a hook set aside."""
    found = find_repository(repo)
    first, second = b"#!/usr/bin/env python3\nfirst\n", b"#!/usr/bin/env python3\nsecond\n"
    path = hook(repo, "post-commit", first)
    install(found, command=command, use_config=False)
    hook(repo, "post-commit", second)
    states = {one.event: one for one in install(found, command=command, use_config=False)}
    assert states["post-commit"].state == "damaged"
    assert "post-commit.adw-worktree-chained" in str(states["post-commit"].note)
    uninstall(found)
    assert path.read_bytes() == second
    assert path.with_name("post-commit.adw-worktree-chained").read_bytes() == first


def test_chained_hook_whose_wrapper_was_deleted_runs_again(repo: Path, command: list[str]) -> None:
    found = find_repository(repo)
    original = b"#!/usr/bin/env python3\nopen('ran', 'a').write('ran\\n')\n"
    path = hook(repo, "post-commit", original)
    install(found, command=command, use_config=False)
    path.unlink()
    install(found, command=command, use_config=False)
    git("commit", "--quiet", "--allow-empty", "-m", "x", cwd=repo)
    assert (repo / "ran").read_text() == "ran\n"
    path.unlink()
    uninstall(found)
    assert path.read_bytes() == original
    assert not path.with_name("post-commit.adw-worktree-chained").exists()


def test_edits_of_a_wrapper_are_kept(repo: Path, command: list[str]) -> None:
    found = find_repository(repo)
    path = hook(repo, "post-commit", b"#!/usr/bin/env python3\nopen('ran', 'a').write('ran\\n')\n")
    install(found, command=command, use_config=False)
    path.write_bytes(path.read_bytes().replace(b"#!/bin/sh\n", b"#!/bin/sh\necho mine >>ran\n"))
    uninstall(found)
    git("commit", "--quiet", "--allow-empty", "-m", "x", cwd=repo)
    assert (repo / "ran").read_text() == "mine\nran\n"


def test_damaged_block_is_left_to_a_person(repo: Path, command: list[str]) -> None:
    """Half a function would end git's own command: `reference-transaction` can refuse it."""
    found = find_repository(repo)
    install(found, command=command, use_config=False)
    path = repo / ".git" / "hooks" / "post-commit"
    damaged = path.read_bytes().replace(b"# <<< adw-worktree <<<\n", b"")
    path.write_bytes(damaged)
    for states in (install(found, command=command, use_config=False), uninstall(found)):
        state = next(one for one in states if one.event == "post-commit")
        assert (state.state, path.read_bytes()) == ("damaged", damaged)
        assert "damaged" in str(state.note)


def test_tracked_directory_behind_a_link_is_left_alone(repo: Path, command: list[str]) -> None:
    (repo / "githooks").mkdir()
    (repo / "githooks" / "post-commit").write_bytes(b"#!/bin/sh\n")
    git("add", "--all", cwd=repo)
    git("commit", "--quiet", "-m", "hooks", cwd=repo)
    shutil.rmtree(repo / ".git" / "hooks", ignore_errors=True)
    (repo / ".git" / "hooks").symlink_to("../githooks")
    states = install(find_repository(repo), command=command, use_config=False)
    assert git("status", "--porcelain", cwd=repo) == ""
    assert {one.event: one.state for one in states}["post-commit"] == "refused"


def test_hooks_of_a_repository_that_moved_or_a_tool_that_went_are_outdated(
    repo: Path, command: list[str], tmp_path: Path
) -> None:
    install(find_repository(repo), command=command, use_config=False)
    assert {one.state for one in status(find_repository(repo))} == {"installed"}
    moved = repo.rename(tmp_path / "it's moved")
    assert {one.state for one in status(find_repository(moved))} == {"outdated"}
    install(find_repository(moved), command=command, use_config=False)
    assert {one.state for one in status(find_repository(moved))} == {"installed"}
    Path(command[0]).unlink()
    assert {one.state for one in status(find_repository(moved))} == {"outdated"}


@pytest.mark.thorough
def test_installing_from_many_processes_at_once_loses_no_hook(adw: Adw) -> None:
    original = b"#!/usr/bin/env python3\nfirst\n"
    path = hook(adw.directory, "post-commit", original)
    for _ in range(3):
        started = [adw.start("hooks", "install", quiet=True) for _ in range(6)]
        assert [process.wait() for process in started] == [0] * 6
        there = [path, path.with_name("post-commit.adw-worktree-chained")]
        assert there[git_version(adw.directory) < CONFIG_GIT].read_bytes() == original
        adw("hooks", "uninstall")
        assert path.read_bytes() == original


@pytest.mark.parametrize("place", ["/dev/null", "shared"])
def test_hooks_of_everybody_or_nobody_are_left_alone(
    repo: Path, command: list[str], tmp_path: Path, place: str
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    git("config", "core.hooksPath", str(shared) if place == "shared" else place, cwd=repo)
    states = install(find_repository(repo), command=command, use_config=False)
    assert {one.state for one in states} == {"refused"}
    assert all(one.note for one in states)
    assert list(shared.iterdir()) == []
    if git_version(repo) < CONFIG_GIT:
        told = Adw(repo)("hooks", "install").stderr
        assert "6 of 6 hooks are not in place: " in told
        assert "adw-worktree hooks install --watch" in told


def test_nothing_is_started_while_nothing_changed(
    repo: Path, command: list[str], log: Path
) -> None:
    git("worktree", "add", "--quiet", "tree", cwd=repo)
    install(find_repository(repo), command=command, use_config=False)
    stamp(repo, "leased\n")
    git("commit", "--allow-empty", "-m", "second", cwd=repo)
    git("checkout", "--quiet", "-b", "other", cwd=repo)
    git("worktree", "remove", "tree", cwd=repo)
    git("commit", "--allow-empty", "-m", "third", cwd=repo)
    settle(log.exists, "the pass was not started")
    assert set(log.read_text().splitlines()) == {f"a b -C {repo / '.git'} reconcile --background"}


@pytest.mark.parametrize("missing", ["command", "stamp", "directory"])
def test_hooks_never_fail_or_print(repo: Path, command: list[str], missing: str) -> None:
    install(find_repository(repo), command=command, use_config=False)
    stamp(repo)
    (repo / ".git" / "worktrees").mkdir()
    if missing == "command":
        Path(command[0]).unlink()
    elif missing == "stamp":
        (repo / ".git" / "adw-worktree" / "stamp").unlink()
    else:
        (repo / ".git").rename(repo.parent / "moved.git")
        (repo / ".git").symlink_to(repo.parent / "moved.git")
    done = subprocess.run(
        ["git", "commit", "--quiet", "--allow-empty", "-m", "second"],
        cwd=repo,
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def test_config_hooks_come_and_go_without_a_trace(repo: Path, command: list[str]) -> None:
    found = find_repository(repo)
    before = snapshot(repo / ".git")
    states = install(found, command=command, use_config=True)
    assert {(one.state, one.how) for one in states} == {("installed", "config")}
    install(found, command=command, use_config=True)
    uninstall(found)
    # A lock file stays: who takes it away may take it from under another process.
    (repo / ".git" / "adw-worktree" / "exclude.lock").unlink()
    assert snapshot(repo / ".git") == before


def test_config_hooks_fire(repo: Path, command: list[str], log: Path) -> None:
    if git_version(repo) < CONFIG_GIT:
        pytest.skip("git knows hooks in its configuration since 2.54")
    install(find_repository(repo), command=command)
    stamp(repo)
    (repo / ".git" / "worktrees").mkdir()
    git("commit", "--allow-empty", "-m", "second", cwd=repo)
    settle(log.exists, "the pass was not started")


# ---- with the tool itself ----------------------------------------------------------------------


def leased(adw: Adw) -> set[str]:
    ledger = adw.directory / "agents" / "port_allocations.json"
    return set(json.loads(ledger.read_text())) - {"_schema"}


def test_plain_worktree_remove_is_noticed(adw: Adw) -> None:
    adw("hooks", "install")
    path = Path(adw.json("create", "a")["path"])
    git("worktree", "remove", str(path), cwd=adw.directory)
    git("commit", "--allow-empty", "-m", "any git command", cwd=adw.directory)
    settle(lambda: leased(adw) == set(), "the slot was not released")


def test_rm_rf_is_noticed_by_the_next_git_command(adw: Adw) -> None:
    adw("hooks", "install")
    path = Path(adw.json("create", "a")["path"])
    subprocess.run(["rm", "-rf", str(path)], check=True)
    git("commit", "--allow-empty", "-m", "any git command", cwd=adw.directory)
    settle(lambda: leased(adw) == set(), "the slot was not released")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_plain_worktree_remove_releases_by_itself_where_git_refreshes_the_index(adw: Adw) -> None:
    adw("hooks", "install")
    path = Path(adw.json("create", "a")["path"])
    os.utime(path / "README", (1, 1))  # the index has to be refreshed
    git("worktree", "remove", str(path), cwd=adw.directory)
    settle(lambda: leased(adw) == set(), "nobody waited for the removal")


def test_plain_worktree_add_is_adopted_if_the_setting_asks(adw: Adw) -> None:
    (adw.directory / "adw-worktree.toml").write_text("adopt = true\n")
    git("add", "adw-worktree.toml", cwd=adw.directory)
    git("commit", "--quiet", "-m", "settings", cwd=adw.directory)
    adw("hooks", "install")
    git("worktree", "add", "--quiet", "../plain", cwd=adw.directory)
    settle((adw.directory.parent / "plain" / ".env.ports").exists, "no env file was written")
    settle(lambda: leased(adw) == {"plain"}, "it has no lease")
    assert git("status", "--porcelain", cwd=adw.directory.parent / "plain") == ""


# ---- other tools that have hooks ---------------------------------------------------------------

LFS_HOOK = b"""#!/bin/sh
command -v git-lfs >/dev/null 2>&1 || { echo >&2 "\\nThis repository is configured for Git LFS but 'git-lfs' was not found on your path. If you no longer wish to use Git LFS, remove this hook by deleting the 'EVENT' file in the hooks directory (set by 'core.hookspath'; usually '.git/hooks').\\n"; exit 2; }
git lfs EVENT "$@"
"""  # noqa: E501
LFS_EVENTS = ("post-checkout", "post-commit", "post-merge")


def install_lfs(repo: Path) -> list[str]:
    """Do as `git lfs install` does; return the hooks over which it refuses."""
    git("config", "filter.lfs.clean", "git-lfs clean -- %f", cwd=repo)
    refused = []
    for event in LFS_EVENTS:
        path, own = repo / ".git" / "hooks" / event, LFS_HOOK.replace(b"EVENT", event.encode())
        if path.exists() and path.read_bytes().strip() != own.strip():
            refused.append(event)
        else:
            hook(repo, event, own)
    return refused


def states(repo: Path) -> dict[str, str]:
    return {one.event: one.state for one in status(find_repository(repo))}


def move_aside(repo: Path, event: str, ending: str = ".legacy") -> Path:
    """Do as `pre-commit install` does; return where the hook that was there is now."""
    path = repo / ".git" / "hooks" / event
    moved = path.with_name(event + ending)
    path.rename(moved)
    hook(repo, event, b'#!/usr/bin/env bash\necho manager >>ran\nexec "$0.legacy" "$@"\n')
    return moved


def test_git_lfs_can_be_installed_again_after_our_hooks(repo: Path, command: list[str]) -> None:
    """It refuses wherever a hook has one byte that is not its own."""
    assert install_lfs(repo) == []
    before = snapshot(repo / ".git" / "hooks")
    install(find_repository(repo), command=command, use_config=False)
    assert install_lfs(repo) == []
    assert {states(repo)[event] for event in LFS_EVENTS} == {"left"}
    assert states(repo)["reference-transaction"] == "installed"
    uninstall(find_repository(repo))
    assert snapshot(repo / ".git" / "hooks") == before


def test_git_lfs_that_comes_after_our_hooks_gets_its_hooks_by_installing_ours_again(
    adw: Adw, command: list[str]
) -> None:
    repo, found = adw.directory, find_repository(adw.directory)
    install(found, command=command, use_config=False)
    assert install_lfs(repo) == list(LFS_EVENTS)
    assert {states(repo)[event] for event in LFS_EVENTS} == {"outdated"}
    problems = adw.json("doctor", code=10)["problems"]
    assert ["Git LFS" in one["message"] for one in problems] == [True] * 3
    install(found, command=command, use_config=False)
    assert install_lfs(repo) == []
    assert adw.json("doctor")["problems"] == []


def test_a_hook_that_git_lfs_overwrote_is_said_to_be_its_own(
    repo: Path, command: list[str]
) -> None:
    install(find_repository(repo), command=command, use_config=False)
    hook(repo, "post-checkout", LFS_HOOK.replace(b"EVENT", b"post-checkout"))
    assert states(repo)["post-checkout"] == "left"


def test_lines_of_git_lfs_that_were_joined_to_our_block_stay(
    repo: Path, command: list[str]
) -> None:
    """As `git lfs update --manual` says."""
    install(find_repository(repo), command=command, use_config=False)
    path, own = repo / ".git" / "hooks" / "post-merge", LFS_HOOK.replace(b"EVENT", b"post-merge")
    path.write_bytes(path.read_bytes() + own.partition(b"\n")[2])
    assert states(repo)["post-merge"] == "outdated"
    install(find_repository(repo), command=command, use_config=False)
    assert path.read_bytes() == own


def test_a_persons_hook_with_a_call_of_git_lfs_gets_our_block(
    repo: Path, command: list[str]
) -> None:
    hook(repo, "post-merge", b'#!/bin/sh\nnpm ci\ngit lfs post-merge "$@"\n')
    git("config", "filter.lfs.clean", "git-lfs clean -- %f", cwd=repo)
    install(find_repository(repo), command=command, use_config=False)
    assert states(repo)["post-merge"] == "installed"


def test_our_hook_that_was_moved_aside_is_found_updated_and_taken_out(
    repo: Path, command: list[str]
) -> None:
    """pre-commit runs it from there: what uninstall leaves goes on running."""
    found = find_repository(repo)
    install(found, command=command, use_config=False)
    moved = move_aside(repo, "post-commit")
    state = next(one for one in status(found) if one.event == "post-commit")
    assert (state.state, state.how, state.path) == ("installed", "legacy", str(moved))
    moved.write_bytes(moved.read_bytes().replace(b"the tool", b"the other tool"))
    theirs = (repo / ".git" / "hooks" / "post-commit").read_bytes()
    install(found, command=command, use_config=False)
    assert states(repo)["post-commit"] == "installed"
    assert b"the other tool" not in moved.read_bytes()
    assert (repo / ".git" / "hooks" / "post-commit").read_bytes() == theirs
    uninstall(found)
    assert not moved.exists()
    assert (repo / ".git" / "hooks" / "post-commit").read_bytes() == theirs


def test_a_persons_hook_that_was_moved_aside_with_our_block_comes_back_as_it_was(
    repo: Path, command: list[str]
) -> None:
    hook(repo, "post-commit", EXISTING["sh"])
    install(find_repository(repo), command=command, use_config=False)
    moved = move_aside(repo, "post-commit")
    uninstall(find_repository(repo))
    assert moved.read_bytes() == EXISTING["sh"]


def test_the_hook_that_ours_runs_is_run_and_comes_back_after_ours_was_moved_aside(
    repo: Path, command: list[str]
) -> None:
    hook(repo, "post-commit", EXISTING["python"])
    install(find_repository(repo), command=command, use_config=False)
    moved = move_aside(repo, "post-commit")
    git("commit", "--quiet", "--allow-empty", "-m", "x", cwd=repo)
    assert (repo / "ran").read_text() == "manager\nran\n"
    assert states(repo)["post-commit"] == "installed"
    uninstall(find_repository(repo))
    git("commit", "--quiet", "--allow-empty", "-m", "y", cwd=repo)
    assert (repo / "ran").read_text() == "manager\nran\n" * 2
    assert moved.read_bytes() == EXISTING["python"]


@pytest.mark.parametrize("ending", [".old", ".bak", ".replaced.githook"])
def test_a_block_that_was_moved_aside_under_any_name_is_taken_out(
    repo: Path, command: list[str], ending: str
) -> None:
    install(find_repository(repo), command=command, use_config=False)
    moved = move_aside(repo, "post-commit", ending)
    assert states(repo)["post-commit"] == "foreign"  # nobody says that it is run from there
    uninstall(find_repository(repo))
    assert not moved.exists()
