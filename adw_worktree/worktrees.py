"""Making and removing git's worktrees: the commands that race, and how they do not.

What holds here: `git worktree add` runs under a lock of ours for the milliseconds it takes to make
the admin entry; files are checked out after it. Parallel adds and removes by others still race
(`failed to read commondir`, `Invalid path`), so what changed nothing is tried again. A directory
that git refuses to remove is not removed.
"""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager
from pathlib import Path

from .errors import BranchUnusable, GitFailed
from .faults import reached
from .gitrepo import NO_HOOKS, Repository, branch_commit, list_worktrees, run_git
from .locks import held
from .model import Settings
from .output import progress
from .presence import exists, is_file

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.05
_SMALL_INDEX_BYTES = 100_000


def make_branch(repo: Repository, branch: str, commit: str, came_from: str) -> None:
    """Make the branch at `commit`; only if there is none. Raises BranchUnusable."""
    reason = f"branch: Created from {came_from}"
    reached("branch-make.before")
    made = run_git(
        ["update-ref", "-m", reason, f"refs/heads/{branch}", commit, "0" * len(commit)],
        repo.home,
        check=False,
        shielded=True,
    )
    reached("branch-make.after")
    if made.returncode != 0:
        raise BranchUnusable(
            f"branch {branch} cannot be made: {made.stderr.strip()}",
            hint="choose another with --branch",
        )


def drop_branch(repo: Repository, branch: str, commit: str) -> bool:
    """Delete the branch if it is still at `commit`; return whether it was deleted.

    What git's configuration has of it goes, too, also if an earlier call got no further than that.
    """
    ref = f"refs/heads/{branch}"
    if not commit.strip("0"):
        return False  # git would delete the branch wherever it is
    reached("branch-drop.before")
    dropped = run_git(["update-ref", "-d", ref, commit], repo.home, check=False, shielded=True)
    reached("branch-drop.after")
    if dropped.returncode == 0 or branch_commit(repo.home, branch) is None:
        _forget_tracking(repo, branch)
    return dropped.returncode == 0


def _forget_tracking(repo: Repository, branch: str) -> None:
    """Take the branch's section out of git's configuration, whose lock does not wait."""
    section = f"branch.{branch}"
    with held(repo.tool_dir / "git.lock", Settings().lock_timeout, f"git in {repo.home}"):
        for _ in range(_ATTEMPTS):
            names = ["config", "--local", "-z", "--name-only", "--list"]
            listed = run_git(names, repo.home, check=False).stdout.split("\0")
            if not any(name.startswith(f"{section}.") for name in listed):
                return
            run_git(["config", "--remove-section", section], repo.home, check=False)
            reached("branch-config.after")


def track(repo: Repository, settings: Settings, branch: str, base: str) -> None:
    """Let `branch` track `base` if that is a remote's branch and git would have done so.

    Under our lock, since parallel writers of git's configuration fail. Raises GitFailed.
    """
    if base == "HEAD" or base.startswith("#"):
        return  # what git would not track, the usual case
    full = run_git(["rev-parse", "--symbolic-full-name", "--end-of-options", base],
                   repo.worktree or repo.home, check=False)  # fmt: skip
    upstream = full.stdout.removesuffix("\n").rpartition("\n")[2]
    if not upstream.startswith("refs/remotes/"):
        return
    wish = run_git(["config", "branch.autoSetupMerge"], repo.home, check=False).stdout.strip()
    same_name = upstream.split("/", 3)[-1] == branch
    if wish in ("false", "no", "off", "0") or (wish == "simple" and not same_name):
        return
    set_upstream(repo, settings, branch, upstream)


def upstream_of(repo: Repository, branch: str) -> str | None:
    """Return the full name of the ref that `branch` tracks, or None."""
    asked = ["for-each-ref", "--format=%(upstream)", f"refs/heads/{branch}"]
    return run_git(asked, repo.home, check=False).stdout.removesuffix("\n") or None


def set_upstream(repo: Repository, settings: Settings, branch: str, upstream: str) -> None:
    """Let `branch` track the ref `upstream`. Raises GitFailed."""
    command = ["branch", "--quiet", f"--set-upstream-to={upstream}", "--end-of-options", branch]
    with git_lock(repo, settings):
        for attempt in range(_ATTEMPTS):
            reached("track.before")
            done = run_git(command, repo.home, check=attempt == _ATTEMPTS - 1, shielded=True)
            reached("track.after")
            if done.returncode == 0:
                return
            time.sleep(_PAUSE_SECONDS)


def add_worktree(
    repo: Repository, settings: Settings, path: Path, target: str, detach: bool
) -> None:
    """Make an empty worktree at `path` for the branch or commit `target`.

    No hook runs under the lock; ``post-checkout` is run by `run_post_checkout`. Raises GitFailed.
    """
    how = ["--detach"] if detach else []
    command = [*NO_HOOKS, "worktree", "add", "--no-checkout", *how, "--", str(path), target]
    for attempt in range(_ATTEMPTS):
        with git_lock(repo, settings):
            reached("worktree-add.before")
            done = run_git(command, repo.home, check=attempt == _ATTEMPTS - 1, shielded=True)
            reached("worktree-add.after")
            if done.returncode == 0:
                return
            if any(entry.path == path for entry in list_worktrees(repo.home)):
                run_git(["worktree", "remove", "--force", "--force", "--", str(path)], repo.home)
        time.sleep(_PAUSE_SECONDS)


def check_out(path: Path, *, output: int | None = None) -> None:
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
        run_git([*options, "reset", "--hard", *quiet], path, timeout=None, told=tell)
    reached("fill.after")


def is_checked_out(path: Path) -> bool:
    """Whether index and tracked files are plainly those of HEAD; False if git would have to look
    closer than at times and sizes."""
    command = ["-c", "core.fsmonitor=false", "diff-index", "--quiet", "HEAD", "--"]
    return run_git(command, path, check=False, timeout=None).returncode == 0


def settle_index(path: Path, index: Path) -> None:
    """Let git tell by times alone that the files of a worktree are as they were checked out.

    Files that are as young as the index are read, every one, whenever git looks at them
    (git's Documentation/technical/racy-git.txt). `path` must be nobody's yet: this waits for up to
    a second and locks the index. Raises GitFailed.
    """
    if index.stat().st_size < _SMALL_INDEX_BYTES:
        return  # reading them is quicker than waiting
    time.sleep(max(0.0, math.floor(index.stat().st_mtime) + 1.0 - time.time()))
    run_git(["update-index", "-q", "--refresh", "--force-write-index"], path, check=False)


def run_post_checkout(path: Path, commit: str, *, output: int | None) -> int:
    """Run git's `post-checkout` as `git worktree add` would; return its exit status."""
    arguments = ["0" * len(commit), commit, "1"]
    command = ["hook", "run", "--ignore-missing", "post-checkout", "--", *arguments]
    reached("post-checkout.before")
    # What the hook leaves running may last as long as the worktree.
    ran = run_git(command, path, check=False, timeout=None, output=output, watched=False)
    reached("post-checkout.after")
    return ran.returncode


def fill_submodules(repo: Repository, path: Path, *, output: int | None) -> None:
    """Check out the submodules that the main worktree has checked out. Raises GitFailed."""
    main = repo.main
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
        run_git(update, path, timeout=None, output=output)
        reached("submodules.after")


def remove_worktree(repo: Repository, path: Path, *, force: bool, unlock: bool = False) -> None:
    """Let git remove the worktree at `path` with its admin entry, the directory there or not.

    `force` takes uncommitted work along, `unlock` a lock. Raises GitFailed if git refuses.
    """
    flags = ["--force"] * (2 if unlock else int(force))
    for attempt in range(_ATTEMPTS):
        try:
            reached("worktree-remove.before")
            run_git(["worktree", "remove", *flags, "--", str(path)], repo.home, timeout=None)
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
