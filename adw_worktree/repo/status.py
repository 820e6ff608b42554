"""What `git status` tells of a checkout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.system.paths import exists


def status_codes(
    checkout: Checkout, *, submodules: bool = True, only: Sequence[str] = ()
) -> list[str]:
    """Return the two letters that `git status` has for each file that is not as committed.

    `only` names the files to look at; without it, all. Raises GitFailed.
    """
    look = "--ignore-submodules=none" if submodules else "--ignore-submodules=all"
    status = ["status", "--porcelain=v1", "-z", "--untracked-files=all", look]
    # Or what a submodule has untracked is not shown, where a person does not want to see it.
    options = ["-c", "status.showUntrackedFiles=all"]
    options += ["--literal-pathspecs"]
    return codes_in(run_git([*options, *status, "--", *only], checkout).stdout)


def is_as_committed(git_directory: Path) -> bool:
    """Whether the index has nothing that the commit has not; False if that cannot be known."""
    if not exists(git_directory / "index"):
        return True
    command = ["diff-index", "--cached", "--quiet", "--ignore-submodules=none", "HEAD", "--"]
    # Nothing is asked of files, and the worktree may be gone.
    there = Checkout(git_directory, git_directory)
    return run_git(command, there, check=False).returncode == 0


def codes_in(status: str) -> list[str]:
    """Return the letters of each entry of `git status -z`."""
    codes = []
    items = iter(status.split("\0"))
    for item in items:
        if item:
            codes.append(item[:2])
            if set(item[:2]) & set("RC"):  # in the index, or (`git add -N`) in the worktree alone
                next(items, None)  # the other name of a rename
    return codes
