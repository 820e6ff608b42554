"""Making and removing git's worktrees: the commands that race, and how they do not.

What holds here: `git worktree add` runs under a lock of ours for the milliseconds it takes to make
the admin entry; files are checked out after it. Parallel adds and removes by others still race
(`failed to read commondir`, `Invalid path`), so what changed nothing is tried again. A directory
that git refuses to remove is not removed.
"""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from adw_worktree.errors import GitFailed
from adw_worktree.repo.git import NO_HOOKS, Checkout, run_git
from adw_worktree.repo.repository import Repository, admin_directory, list_worktrees
from adw_worktree.settings.model import Settings
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held
from adw_worktree.system.mounts import require_unmounted
from adw_worktree.system.paths import exists, is_file
from adw_worktree.system.progress import progress

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.05
_MONITOR_SECONDS = 10.0
_SMALL_INDEX_BYTES = 100_000


def add_worktree(
    repo: Repository,
    settings: Settings,
    path: Path,
    target: str,
    detach: bool,
    *,
    here: Checkout | None = None,
) -> None:
    """Make an empty worktree at `path` for the branch or commit `target`.

    Git makes it as sparse as the worktree `here`, by default the main one.
    No hook runs under the lock; ``post-checkout` is run by `run_post_checkout`. Raises GitFailed.
    """
    how = ["--detach"] if detach else []
    command = [*NO_HOOKS, "worktree", "add", "--no-checkout", *how, "--", str(path), target]
    for attempt in range(_ATTEMPTS):
        with git_lock(repo, settings):
            reached("worktree-add.before")
            last = attempt == _ATTEMPTS - 1
            done = run_git(command, here or repo.checkout, check=last, shielded=True)
            reached("worktree-add.after")
            if done.returncode == 0:
                return
            if any(entry.path == path for entry in list_worktrees(repo.home)):
                run_git(
                    ["worktree", "remove", "--force", "--force", "--", str(path)], repo.checkout
                )
        time.sleep(_PAUSE_SECONDS)


def check_out(checkout: Checkout, *, output: int | None = None) -> None:
    """Make the files of a worktree those of its HEAD, on all cores. Raises GitFailed.

    `output` is a file descriptor; if it is a terminal, it shows how far this got.
    """
    # Up to some thousand files, what a second core saves is less than what it costs to share them,
    # and when many are made at once no core is idle anyway.
    workers = ["-c", "checkout.workers=0", "-c", "checkout.thresholdForParallelism=5000"]
    # No daemon: it would keep the creator's lock for as long as it lives.
    options = [*workers, "-c", "core.fsmonitor=false"]
    reached("fill.before")
    with progress(output) as tell:
        quiet = ["--quiet"] if tell is None else []
        # Submodules come later; where git is set to recurse into them, it fails over one that is
        # not checked out yet.
        reset = ["reset", "--hard", "--no-recurse-submodules", *quiet]
        run_git([*options, *reset], checkout, timeout=None, told=tell)
    reached("fill.after")


def is_checked_out(checkout: Checkout) -> bool:
    """Whether index and tracked files are plainly those of HEAD; False if git would have to look
    closer than at times and sizes."""
    command = ["-c", "core.fsmonitor=false", "diff-index", "--quiet", "HEAD", "--"]
    return run_git(command, checkout, check=False, timeout=None).returncode == 0


def settle_index(checkout: Checkout) -> None:
    """Let git tell by times alone that the files of a worktree are as they were checked out.

    Files that are as young as the index are read, every one, whenever git looks at them
    (git's Documentation/technical/racy-git.txt). The worktree must be nobody's yet: this waits for
    up to a second and locks the index. Raises GitFailed.
    """
    index = checkout.git_directory / "index"
    if index.stat().st_size < _SMALL_INDEX_BYTES:
        return  # reading them is quicker than waiting
    time.sleep(max(0.0, math.floor(index.stat().st_mtime) + 1.0 - time.time()))
    # No daemon, which would outlive a spare that is dropped.
    refresh = ["update-index", "-q", "--refresh", "--force-write-index"]
    run_git(["-c", "core.fsmonitor=false", *refresh], checkout, check=False)


def run_post_checkout(checkout: Checkout, commit: str, *, output: int | None) -> int:
    """Run git's `post-checkout` as `git worktree add` would; return its exit status."""
    arguments = ["0" * len(commit), commit, "1"]
    command = ["hook", "run", "--ignore-missing", "post-checkout", "--", *arguments]
    reached("post-checkout.before")
    # What the hook leaves running may last as long as the worktree.
    ran = run_git(command, checkout, check=False, timeout=None, output=output, watched=False)
    reached("post-checkout.after")
    return ran.returncode


def fill_submodules(repo: Repository, checkout: Checkout, *, output: int | None) -> None:
    """Check out the submodules that the main worktree has checked out. Raises GitFailed."""
    main, path = repo.main, checkout.directory
    if main is None or not is_file(path / ".gitmodules"):
        return
    listed = run_git(
        ["config", "-z", "--file", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$"],
        path,
        check=False,
    ).stdout
    paths = [item.partition("\n")[2] for item in listed.split("\0") if item]
    wanted = [name for name in paths if name and exists(main / name / ".git")]
    if wanted:
        update = ["submodule", "--quiet", "update", "--init", "--recursive", "--", *wanted]
        reached("submodules.before")
        run_git(update, checkout, timeout=None, output=output)
        reached("submodules.after")


def stop_monitor(path: Path, admin: Path | None) -> None:
    """End the daemon that watches a worktree's files for git (core.fsmonitor): it would outlive it.

    Where git cannot end it, it ends with the machine, as after `git worktree remove`.
    """
    if admin is not None and exists(admin / "fsmonitor--daemon.ipc"):
        with suppress(GitFailed):
            stop = ["fsmonitor--daemon", "stop"]
            run_git(stop, Checkout(admin, path), timeout=_MONITOR_SECONDS)


def remove_worktree(repo: Repository, path: Path, *, force: bool, unlock: bool = False) -> None:
    """Let git remove the worktree at `path` with its admin entry, the directory there or not.

    `force` takes uncommitted work along, `unlock` a lock. Raises MountInside, or GitFailed if git
    refuses.
    """
    require_unmounted(path)
    flags = ["--force"] * (2 if unlock else int(force))
    stop_monitor(path, admin_directory(path))
    for attempt in range(_ATTEMPTS):
        try:
            reached("worktree-remove.before")
            run_git(["worktree", "remove", *flags, "--", str(path)], repo.checkout, timeout=None)
            reached("worktree-remove.after")
        except GitFailed:
            listed = any(entry.path == path for entry in list_worktrees(repo.home))
            if not listed and not exists(path):
                return
            if attempt == _ATTEMPTS - 1 or not listed:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def git_lock(repo: Repository, settings: Settings) -> AbstractContextManager[None]:
    """Return the lock under which git's list of worktrees is changed, for milliseconds."""
    return held(repo.tool_dir / "git.lock", settings.lock_timeout, f"git in {repo.home}")
