"""Making, deleting and tracking branches, whatever others do meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

from adw_worktree.errors import BranchUnusable
from adw_worktree.repo.git import run_git
from adw_worktree.repo.refs import branch_commit, named_ref
from adw_worktree.repo.repository import Repository
from adw_worktree.repo.worktrees import _ATTEMPTS, _PAUSE_SECONDS, git_lock
from adw_worktree.settings.model import Settings
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held


def make_branch(repo: Repository, branch: str, commit: str, came_from: str) -> None:
    """Make the branch at `commit`; only if there is none. Raises BranchUnusable."""
    reason = f"branch: Created from {came_from}"
    # With a log, also where git is set to keep none: it tells whether the branch was worked on.
    command = ["update-ref", "--create-reflog", "-m", reason]
    reached("branch-make.before")
    made = run_git(
        [*command, f"refs/heads/{branch}", commit, "0" * len(commit)],
        repo.checkout,
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
    dropped = run_git(["update-ref", "-d", ref, commit], repo.checkout, check=False, shielded=True)
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
            listed = run_git(names, repo.checkout, check=False).stdout.split("\0")
            if not any(name.startswith(f"{section}.") for name in listed):
                return
            run_git(["config", "--remove-section", section], repo.checkout, check=False)
            reached("branch-config.after")


def track(repo: Repository, settings: Settings, branch: str, base: str, asked_in: Path) -> None:
    """Let `branch` track `base`, as git knows it in `asked_in`, if that is a remote's branch and
    git would have done so.

    Under our lock, since parallel writers of git's configuration fail. Raises GitFailed.
    """
    if base == "HEAD" or base.startswith("#"):
        return  # what git would not track, the usual case
    from adw_worktree.repo.remotes import branch_on_remote, remotes

    upstream = named_ref(asked_in, base) or ""
    on_remote = branch_on_remote(upstream, remotes(repo))
    if on_remote is None:
        return
    wish = run_git(["config", "branch.autoSetupMerge"], repo.checkout, check=False).stdout.strip()
    if wish in ("false", "no", "off", "0") or (wish == "simple" and on_remote != branch):
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
            done = run_git(command, repo.checkout, check=attempt == _ATTEMPTS - 1, shielded=True)
            reached("track.after")
            if done.returncode == 0:
                return
            time.sleep(_PAUSE_SECONDS)
