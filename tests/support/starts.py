"""States that a repository can be in when a command begins, and what a test looks for in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

from adw_worktree.pool.place import record_file
from adw_worktree.project import open_project
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish
from tests.support import postgres_server
from tests.support.command_line import Adw, user_hook
from tests.support.repositories import git, make_repo


def made(adw: Adw, *ids: str) -> None:
    """Make worktrees in this process, which is quicker."""
    for adw_id in ids:
        create(open_project(adw.directory), adw_id, Wish())


def nothing(adw: Adw) -> None:
    pass


def without_info(adw: Adw) -> None:
    subprocess.run(["rm", "-rf", str(adw.directory / ".git" / "info")], check=True)


def with_topic(adw: Adw) -> None:
    git("branch", "topic", cwd=adw.directory)


def with_remote(adw: Adw) -> None:
    theirs = make_repo(adw.directory.parent / "theirs")
    git("update-ref", "refs/pull/7/head", "HEAD", cwd=theirs)
    git("remote", "add", "origin", str(theirs), cwd=adw.directory)
    git("fetch", "--quiet", "origin", cwd=adw.directory)


def with_submodule(adw: Adw) -> None:
    part = make_repo(adw.directory.parent / "part")
    for number in range(20):
        (part / f"file{number}").write_text("x\n" * 1000)
    git("add", ".", cwd=part)
    git("commit", "--quiet", "-m", "more", cwd=part)
    allowed = ("-c", "protocol.file.allow=always")
    git(*allowed, "submodule", "--quiet", "add", str(part), "lib", cwd=adw.directory)
    git("commit", "--quiet", "-m", "with a part", cwd=adw.directory)
    git("config", "protocol.file.allow", "always", cwd=adw.directory)


def with_reservation(adw: Adw) -> None:
    adw("reserve", "a", "--slot", "7")


def with_failing_hook(adw: Adw) -> None:
    user_hook("post-create", "false")


def with_hooks(adw: Adw) -> None:
    user_hook("pre-create", "true")
    hook = adw.directory / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntrue\n")
    hook.chmod(0o755)


def with_a(adw: Adw) -> None:
    made(adw, "a")


def with_tracking(adw: Adw) -> None:
    with_remote(adw)
    create(open_project(adw.directory), "a", Wish(base="origin/main"))


def with_work(adw: Adw) -> None:
    made(adw, "a")
    (adw.directory / "trees" / "a" / "README").write_text("changed\n")
    (adw.directory / "trees" / "a" / "new").write_text("new\n")


def elsewhere() -> Path:
    """Return a directory on another file system; on machines without one, a plain one."""
    return Path(os.environ["TEST_ELSEWHERE"])


def with_work_elsewhere(adw: Adw) -> None:
    create(open_project(adw.directory), "a", Wish(path=elsewhere() / "a"))
    (elsewhere() / "a" / "new").write_text("new\n")


def with_tracking_and_work(adw: Adw) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('write = ["vscode"]\n')
    with_tracking(adw)
    (adw.directory / "trees" / "a" / "new").write_text("new\n")


def with_branch_half_renamed(adw: Adw) -> None:
    """As a git leaves it that is killed between deleting the old name and writing the new one."""
    with_tracking_and_work(adw)
    adw("rename", "a", "b", code=-signal.SIGKILL, ADW_FAULT="branch-rename.before=kill")
    git("update-ref", "-d", "refs/heads/a", cwd=adw.directory)


def with_commits(adw: Adw) -> None:
    """An ADW and the branch that it goes into have each a commit that the other lacks."""
    made(adw, "a")
    git("branch", "develop", cwd=adw.directory)
    for tree, name in ((adw.directory / "trees" / "a", "mine"), (adw.directory, "theirs")):
        (tree / name).write_text("work\n")
        git("add", name, cwd=tree)
        git("commit", "--quiet", "-m", name, cwd=tree)


def with_trash(adw: Adw) -> None:
    with_work(adw)
    adw("remove", "-f", "-D", "a")


def with_trash_elsewhere(adw: Adw) -> None:
    with_work_elsewhere(adw)
    adw("remove", "-f", "a")
    (elsewhere() / "a").mkdir()


def with_old_trash(adw: Adw) -> None:
    """What was kept is too old; and something else is to be removed."""
    with_trash(adw)
    made(adw, "b")
    (entry,) = (adw.directory / ".git" / "adw-worktree" / "trash").iterdir()
    record = json.loads((entry / "entry.json").read_bytes())
    (entry / "entry.json").write_text(json.dumps({**record, "removed_at": "2020-01-01T00:00:00Z"}))


def with_expired_trash(adw: Adw) -> None:
    """It was found too old before."""
    with_old_trash(adw)
    (entry,) = (adw.directory / ".git" / "adw-worktree" / "trash").iterdir()
    (entry / "expired").touch()
    os.utime(entry / "expired", (0, 0))


def with_spare(adw: Adw) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('spares = 1\n[hooks]\nprepare = "touch prepared"\n')
    (adw.directory / ".git" / "info").mkdir(exist_ok=True)
    (adw.directory / ".git" / "info" / "exclude").write_text("prepared\n")
    adw("spares", "fill", "--wait")


def with_old_spare(adw: Adw) -> None:
    with_spare(adw)
    git("commit", "--quiet", "--allow-empty", "-m", "later", cwd=adw.directory)


def without_spare(adw: Adw) -> None:
    with_spare(adw)
    adw("spares", "drop")


def with_ignored_files(adw: Adw) -> None:
    root = adw.directory
    (root / ".git" / "info").mkdir(exist_ok=True)
    (root / ".git" / "info" / "exclude").write_text("/.env\n/data/\n/big/\n/adw-worktree.toml\n")
    (root / ".env").write_text("mine")
    for name in ("data", "big"):
        (root / name).mkdir()
        (root / name / "file").write_text(name)
    (root / "adw-worktree.toml").write_text(
        'include = [".env", "data/"]\nlink = ["big/"]\nwrite = ["direnv", "vscode"]\n'
    )


def with_claude(adw: Adw) -> None:
    (adw.directory / ".claude").mkdir()
    (adw.directory / ".claude" / "settings.json").write_text('{"model": "opus"}')
    (adw.directory / ".git" / "info").mkdir(exist_ok=True)
    (adw.directory / ".git" / "info" / "exclude").write_text(".claude/\nAGENTS.md\n")


def with_claude_installed(adw: Adw) -> None:
    with_claude(adw)
    adw("hooks", "install", "--claude")


def with_claude_alone_installed(adw: Adw) -> None:
    with_agents(adw)
    adw("hooks", "install", "--claude")


def with_agents(adw: Adw) -> None:
    (adw.directory / ".git" / "info").mkdir(exist_ok=True)
    (adw.directory / ".git" / "info" / "exclude").write_text(".claude/\nAGENTS.md\n")
    adw("hooks", "install", "--agents-md")


def with_plain_worktree(adw: Adw) -> None:
    """One that git made, with work in it."""
    git("worktree", "add", "--quiet", "-b", "plain", "trees/plain", cwd=adw.directory)
    (adw.directory / "trees" / "plain" / "new").write_text("new\n")


def with_disorder(adw: Adw) -> None:
    """One worktree deleted, one moved, one without env file, one without receipt, one unleased."""
    made(adw, "a", "gone", "moved", "bare", "lost")
    trees = adw.directory / "trees"
    subprocess.run(["rm", "-rf", str(trees / "gone")], check=True)
    (trees / "moved").rename(trees / "elsewhere")
    (trees / "bare" / ".env.ports").unlink()
    project = open_project(adw.directory)
    (project.repo.admin_root / "a" / "adw-worktree.json").unlink()
    project.pool.release(project.pool.leases()["lost"])


def with_entry_alone(adw: Adw) -> None:
    """The trash has git's entry of a worktree whose directory was deleted."""
    made(adw, "a")
    subprocess.run(["rm", "-rf", str(adw.directory / "trees" / "a")], check=True)
    adw("reconcile")


def with_changes(adw: Adw) -> None:
    """Managed hooks are installed, and a worktree went."""
    made(adw, "a", "gone")
    adw("hooks", "install")
    subprocess.run(["rm", "-rf", str(adw.directory / "trees" / "gone")], check=True)


def with_installed_hooks(adw: Adw) -> None:
    adw("hooks", "install")


def with_foreign_hook(adw: Adw) -> None:
    """One that is no shell script, so that ours has to stand in its place."""
    hook = adw.directory / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/usr/bin/env python3\n")
    hook.chmod(0o755)


def with_foreign_hook_installed(adw: Adw) -> None:
    with_foreign_hook(adw)
    adw("hooks", "install")


def with_foreign_hook_half_installed(adw: Adw) -> None:
    with_foreign_hook(adw)
    adw("hooks", "install", code=-signal.SIGKILL, ADW_FAULT="hook.twice=kill")


def with_watch_installed(adw: Adw) -> None:
    adw("hooks", "install", "--watch")


def with_own_hook(adw: Adw) -> None:
    hook = adw.directory / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntrue\n")
    hook.chmod(0o755)


def with_requests(adw: Adw) -> None:
    (adw.directory / "adw-worktree.toml").write_text('[hooks]\npost-create = ["true"]\n')
    git("add", ".", cwd=adw.directory)
    git("commit", "--quiet", "-m", "hooks", cwd=adw.directory)
    record = Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree" / "trust.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text("damaged")


def with_damage(adw: Adw) -> None:
    made(adw, "a")
    (adw.directory / "agents" / "port_allocations.json").write_text("{")


def with_a_of_an_earlier_version(adw: Adw) -> None:
    made(adw, "a")
    record_file(adw.directory / ".git").unlink()


def with_damaged_place(adw: Adw) -> None:
    made(adw, "a")
    record_file(adw.directory / ".git").write_text("{")


def with_forgotten_a(adw: Adw) -> None:
    made(adw, "a")
    (adw.directory / "agents" / "port_allocations.json").write_text('{"_schema": {"version": 1}}')


def with_lost_repository(adw: Adw) -> None:
    other = Adw(make_repo(adw.directory.parent / "other"))
    made(other, "theirs")
    subprocess.run(["rm", "-rf", str(other.directory)], check=True)


def with_postgres(adw: Adw) -> None:
    server = postgres_server.running()
    server.clear()
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    template = postgres_server.SEEDED
    config.write_text(f'[postgres]\nurl = "{server.url}"\ntemplate = "{template}"\n')


def with_postgres_and_a(adw: Adw) -> None:
    with_postgres(adw)
    made(adw, "a")


def with_postgres_and_work(adw: Adw) -> None:
    with_postgres(adw)
    with_work(adw)


def with_postgres_and_trash(adw: Adw) -> None:
    with_postgres_and_work(adw)
    adw("remove", "-f", "a")


def busy_in(repo: Path) -> bool:
    """Whether a process has its working directory in the repository."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, FileNotFoundError):  # older ones let it through: it is ending
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(
                repo
            ):
                return True
    return False


def spares_of(repo: Path) -> set[str]:
    """Return the names of the spares, which have to be whole: locked, at a commit, and clean."""
    directory = repo / ".git" / "adw-worktree" / "spares"
    names = {path.name for path in directory.glob("spare-????????")}
    assert {path.name for path in directory.glob("*.json")} == {f"{name}.json" for name in names}
    for name in names:
        assert (repo / ".git" / "worktrees" / name / "locked").exists()
        assert git("status", "--porcelain", cwd=directory / name) == ""
        assert (directory / name / "prepared").exists()
    return names
