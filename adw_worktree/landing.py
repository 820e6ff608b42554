"""The branch that is merged into: which it is, where it is checked out, and its one step forward.

What holds here: the branch moves from exactly the commit that was merged with, or not at all, and
where it is checked out the files move along with it, past no change of anybody's.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from shlex import quote

from .errors import BranchUnusable, DirtyWorktree, WorktreeUnavailable
from .faults import reached
from .gitrepo import (
    NO_HOOKS,
    admin_directory,
    branch_commit,
    git_failure,
    head_branch,
    is_branch_name,
    list_worktrees,
    run_git,
)
from .locks import held
from .merging import Merged, named
from .project import Project
from .receipts import admin_directories
from .workstate import unfinished

_CHOOSE = "choose a local branch with --into"
# What the person's settings could make of a fast-forward. A merge overwrites ignored files, too.
_FAST_FORWARD = ("merge", "--ff-only", "--commit", "--no-squash", "--no-autostash", "--no-stat",
                 "--no-verify-signatures", "--no-overwrite-ignore", "--quiet")  # fmt: skip


def require_target(project: Project, wanted: str | None) -> str:
    """Return the branch to merge into: `wanted`, else that of the setting `base`, or what the main
    worktree is on.

    Raises BranchUnusable if that is no local branch.
    """
    home = project.repo.home
    name = wanted if wanted is not None else _default_target(project)
    if not is_branch_name(home, name) or branch_commit(home, name) is None:
        raise BranchUnusable(f"there is no local branch {name} to merge into", hint=_CHOOSE)
    return name


def _default_target(project: Project) -> str:
    base, home = project.settings.base, project.repo.home
    if is_branch_name(home, base) and branch_commit(home, base) is not None:
        return base
    if base == "HEAD":
        on = head_branch(project.repo.common_dir)
        if on is None:
            raise BranchUnusable(f"{home} is on no branch to merge into", hint=_CHOOSE)
        return on
    command = ["rev-parse", "--symbolic-full-name", "--end-of-options", base]
    told = run_git(command, home, check=False).stdout.removesuffix("\n")
    ref = told.rpartition("\n")[2]
    if ref.startswith("refs/heads/"):
        return ref.removeprefix("refs/heads/")
    if ref.startswith("refs/remotes/"):
        return ref.split("/", 3)[-1]
    raise BranchUnusable(f"the setting base is {base}, which is no branch", hint=_CHOOSE)


def require_still(project: Project, branch: str) -> None:
    """Raise unless the branch can move: nothing waits for its user on it.

    Raises DirtyWorktree, or WorktreeUnavailable if it is checked out where nothing can be seen.
    """
    repo = project.repo
    for directory in (repo.common_dir, *admin_directories(repo.admin_root)):
        if _is_worked_on(directory, branch):
            raise DirtyWorktree(
                f"{unfinished(directory)} of branch {branch} is in progress ({directory})",
                hint="finish or abort it, then repeat",
            )
    place = checked_out_at(project, branch)
    if place is None:
        return
    operation = unfinished(admin_directory(place) or repo.common_dir)
    if operation is not None:
        raise DirtyWorktree(
            f"{operation} is in progress in {place}, where {branch} is checked out",
            hint="finish or abort it, then repeat",
        )


def _is_worked_on(git_directory: Path, branch: str) -> bool:
    """Whether a rebase or bisection has taken the branch off HEAD for as long as it lasts."""
    ref = f"refs/heads/{branch}"
    for name, wanted in (
        ("rebase-merge/head-name", ref),
        ("rebase-apply/head-name", ref),
        ("BISECT_START", branch),
    ):
        try:
            text = (git_directory / name).read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            continue
        if text.rstrip("\n") == wanted:
            return True
    return False


def checked_out_at(project: Project, branch: str) -> Path | None:
    """Return the worktree that has the branch checked out. Raises WorktreeUnavailable."""
    places = [one.path for one in list_worktrees(project.repo.home) if one.branch == branch]
    if not places:
        return None
    if len(places) > 1 or not places[0].is_dir():
        where = " and at ".join(map(str, places))
        how = "more than once" if len(places) > 1 else "out of sight"
        raise WorktreeUnavailable(
            f"branch {branch} is checked out {how}, at {where}",
            hint="git worktree list shows where; choose another branch with --into",
        )
    return places[0]


def require_room(place: Path, merged: Merged) -> None:
    """Raise DirtyWorktree if files of a person's would be overwritten at `place`."""
    between = (merged.sides.target, merged.commit)
    names = _differing(place, *between) & _differing(place, "HEAD")
    added = _differing(place, "--diff-filter=A", *between)
    names |= {name for name in added if os.path.lexists(place / name)}
    if names:
        raise DirtyWorktree(
            f"{place} has changes of its own in what the merge changes: {named(sorted(names))}",
            hint=f"git -C {quote(str(place))} stash, or commit them; then repeat",
        )


def _differing(place: Path, *what: str) -> set[str]:
    """Return the files in which git finds a difference."""
    command = ["diff", "--name-only", "--no-renames", "-z", *what]
    return set(run_git(command, place).stdout.split("\0")) - {""}


def _put_back(place: Path, merged: Merged) -> None:
    """Take back what a fast-forward wrote that failed half-way, on a full disk say: git does not.

    Nothing was in its way when it began; so what holds the new content, or the beginning of it, is
    its work and nobody's. Anything else stays.
    """
    between = (merged.sides.target, merged.commit)
    changed = _differing(place, *between) & _differing(place, "HEAD")
    for name in changed | _differing(place, "--diff-filter=A", *between):
        if _is_begun(place / name, place, f"{merged.commit}:{name}"):
            (place / name).unlink()
            with suppress(OSError):
                os.removedirs((place / name).parent)
    # All that was new is gone by now, and has made room.
    missing = "".join(f"{name}\0" for name in changed if not os.path.lexists(place / name))
    run_git(["checkout-index", "--quiet", "-z", "--stdin"], place, stdin=missing, check=False)


def _is_begun(file: Path, place: Path, blob: str) -> bool:
    """Whether the file holds what git would write for `blob`, or the beginning of it."""
    if not file.is_file() and not file.is_symlink():
        return False
    whole = run_git(["cat-file", "--filters", blob], place, check=False)
    if file.is_symlink():
        return whole.returncode == 0 and whole.stdout == os.readlink(file)
    # Compared as `run_git` reads; what git was writing may end within a character.
    with file.open(encoding="utf-8", errors="surrogateescape") as begun:
        text = begun.read().rstrip("".join(map(chr, range(0xDC80, 0xDD00))))
    return whole.returncode == 0 and whole.stdout.startswith(text)


def advance(project: Project, merged: Merged, *, hooks: bool, output: int | None) -> bool:
    """Move the target to what was merged; False, and nothing changed, if it moved meanwhile.

    Raises DirtyWorktree, GitFailed with nothing changed.
    """
    sides, repo = merged.sides, project.repo
    lock = repo.tool_dir / "finish.lock"
    with held(lock, project.settings.lock_timeout, f"the merging into {sides.into}"):
        if branch_commit(repo.home, sides.into) != sides.target:
            return False
        require_still(project, sides.into)
        place = checked_out_at(project, sides.into)
        if place is not None:
            require_room(place, merged)
        command = (
            [*NO_HOOKS, *_FAST_FORWARD, merged.commit]
            if place is not None
            else ["update-ref", "-m", f"finish: {sides.branch}", f"refs/heads/{sides.into}",
                  merged.commit, sides.target]
        )  # fmt: skip
        reached("land.before")
        done = run_git(command, place or repo.home, check=False, shielded=True, timeout=None)
        reached("land.after")
        if done.returncode != 0:
            if branch_commit(repo.home, sides.into) != sides.target:
                return False
            if place is not None:
                _put_back(place, merged)
                require_room(place, merged)  # changed since the look before
            raise git_failure(["git", *command], done.returncode, done.stderr)
    if place is not None and hooks:
        # Not under the lock: it may install what the merge brought.
        run = ["hook", "run", "--ignore-missing", "post-merge", "--", "0"]
        run_git(run, place, check=False, timeout=None, output=output, watched=False)
    return True
