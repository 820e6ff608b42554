"""The target's one step forward, with the files of its checkout if there is one.

What holds here: the branch moves from exactly the commit that was merged with, or not at all, and
past no change of anybody's; what git leaves half-way is taken back.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from shlex import quote

from adw_worktree.errors import DirtyWorktree
from adw_worktree.project import Project
from adw_worktree.repo.git import NO_HOOKS, Checkout, git_failure, run_git
from adw_worktree.repo.refs import branch_commit
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held
from adw_worktree.system.paths import is_file, is_symlink
from adw_worktree.system.text import named
from adw_worktree.worktrees.finish.merge import Merged
from adw_worktree.worktrees.finish.target import checked_out_at, require_still

# What the person's settings could make of a fast-forward. A merge overwrites ignored files, too.
_FAST_FORWARD = ("merge", "--ff-only", "--commit", "--no-squash", "--no-autostash", "--no-stat",
                 "--no-verify-signatures", "--no-overwrite-ignore", "--quiet")  # fmt: skip


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
        where = place or repo.checkout
        done = run_git(command, where, check=False, shielded=True, timeout=None)
        reached("land.after")
        if done.returncode != 0:
            if branch_commit(repo.home, sides.into) != sides.target:
                return False
            if place is not None:
                _put_back(place, merged)
                require_room(place, merged)  # changed since the look before
            raise git_failure(["git", *command], where.directory, done.returncode, done.stderr)
    if place is not None and hooks:
        # Not under the lock: it may install what the merge brought.
        run = ["hook", "run", "--ignore-missing", "post-merge", "--", "0"]
        run_git(run, place, check=False, timeout=None, output=output, watched=False)
    return True


# ---- the files ---------------------------------------------------------------------------------


def require_room(place: Checkout, merged: Merged) -> None:
    """Raise DirtyWorktree if files of a person's would be overwritten at `place`."""
    old, new = merged.sides.target, merged.commit
    names = _differing(place, old, new) & _differing(place, "HEAD")
    # What is staged and on disk as it is to be is no obstacle to git either.
    names &= _differing(place, new) | _differing(place, "--cached", new)
    added = _differing(place, "--diff-filter=A", old, new)
    names |= {name for name in added & _differing(place, "--cached", new) if _is_there(place, name)}
    if names:
        lacking = names & _differing(place, "--cached", "--diff-filter=D", new)
        untracked = sorted(name for name in lacking if _is_there(place, name))
        hint = f"git -C {quote(str(place.directory))} stash, or commit them; then repeat"
        if untracked:  # which a stash leaves where they are
            hint = f"move {named(untracked)} away, then repeat"
        raise DirtyWorktree(
            f"{place.directory} has changes of its own in what the merge changes: "
            f"{named(sorted(names))}",
            hint=hint,
        )


def _differing(place: Checkout, *what: str) -> set[str]:
    """Return the files in which git finds a difference."""
    command = ["diff", "--name-only", "--no-renames", "-z", *what]
    return set(run_git(command, place).stdout.split("\0")) - {""}


def _is_there(place: Checkout, name: str) -> bool:
    return os.path.lexists(place.directory / name)


def _put_back(place: Checkout, merged: Merged) -> None:
    """Take back what a fast-forward wrote that failed half-way, on a full disk say: git does not.

    Nothing was in its way when it began; so what holds the new content, or the beginning of it, is
    its work and nobody's. Anything else stays. If git cannot write even now, all stays.
    """
    old, new = merged.sides.target, merged.commit
    touched = _differing(place, old, new)
    staged = touched - _differing(place, "--cached", new)
    if not _for_each(
        place, ["reset", "--quiet", "--pathspec-from-file=-", "--pathspec-file-nul"], staged
    ):
        return
    changed = touched & _differing(place, "HEAD")
    for name in changed | _differing(place, "--diff-filter=A", old, new):
        file = place.directory / name
        if _is_begun(file, place, f"{new}:{name}"):
            file.unlink()
            with suppress(OSError):
                os.removedirs(file.parent)
    # All that was new is gone by now, and has made room.
    missing = {name for name in changed if not _is_there(place, name)}
    _for_each(place, ["checkout-index", "--quiet", "--stdin", "-z"], missing)


def _for_each(place: Checkout, command: list[str], names: set[str]) -> bool:
    """Run a git command that reads names; whether it could do its work."""
    if not names:
        return True
    listed = "".join(f"{name}\0" for name in names)
    return (
        run_git(["--literal-pathspecs", *command], place, stdin=listed, check=False).returncode == 0
    )


def _is_begun(file: Path, place: Checkout, blob: str) -> bool:
    """Whether the file holds what git would write for `blob`, or the beginning of it."""
    if not is_file(file) and not is_symlink(file):
        return False
    whole = run_git(["cat-file", "--filters", blob], place, check=False)
    if is_symlink(file):
        return whole.returncode == 0 and whole.stdout == os.readlink(file)
    # Compared as `run_git` reads; what git was writing may end within a character.
    with file.open(encoding="utf-8", errors="surrogateescape") as begun:
        text = begun.read().rstrip("".join(map(chr, range(0xDC80, 0xDD00))))
    return whole.returncode == 0 and whole.stdout.startswith(text)
