"""Git's entry of a worktree whose directory is gone, or was moved by hand to somewhere else.

Nobody can tell which. So the entry is not pruned but kept in the trash without files: git lists it
no more, and its path and branch are free. `restore` joins it with the directory if that is back in
its place; else it makes the files anew as they were staged.

What holds here: a directory that comes back is a person's, and nothing in it is changed but `.git`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from shlex import quote

from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.refs import head_branch, resolve_commit
from adw_worktree.repo.repository import admin_directory, worktree_of_admin
from adw_worktree.repo.worktrees import remove_worktree
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import exists, is_dir
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.remove_steps import retire
from adw_worktree.worktrees.trash import Entry

_TREE, _MADE = "tree", "made"


def prune_entry(project: Project, admin: Path, lease: Lease) -> bool:
    """Take the entry of a worktree that is gone out of git's list; whether it was taken.

    It goes to the trash, if the trash keeps anything; else only if it holds nothing that is nowhere
    else. Raises GitFailed, OSError.
    """
    worktree = worktree_of_admin(admin)
    if worktree is None or exists(worktree):
        return False
    if project.settings.trash_days > 0:
        retire(project, _described(admin, worktree, lease), None)
        return True
    from adw_worktree.repo.work import held_by_entry

    if held_by_entry(project.repo, admin):
        return False
    remove_worktree(project.repo, worktree, force=True)
    return True


def _described(admin: Path, worktree: Path, lease: Lease) -> Entry:
    """Return the entry of the trash; without the lease's token, so that its database goes."""
    return Entry(
        name=trash.new_name(lease.adw_id),
        path=str(worktree),
        admin_id=admin.name,
        commit=resolve_commit(Checkout(admin), "HEAD"),
        branch=head_branch(admin),
        adw_id=lease.adw_id,
        token=None,
        slot=lease.slot,
        branch_dropped_at=None,
        upstream=None,
        removed_at=trash.now(),
        kept=True,
    )


# ---- its way back ------------------------------------------------------------------------------


def is_without_tree(project: Project, entry: Entry) -> bool:
    """Whether an entry of the trash has git's part of a worktree alone."""
    return not exists(trash.place(project.repo, entry.name) / _TREE)


def is_back(project: Project, entry: Entry, path: Path) -> bool:
    """Whether the directory of the entry, which has none in the trash, is at `path` again."""
    if not is_without_tree(project, entry):
        return False
    linked = admin_directory(path)
    return linked is not None and linked == project.repo.admin_root / entry.admin_id


def place_directory(directory: Path, worktree: Path, admin: Path) -> None:
    """Join the directory that is back with its entry to be, or make one that `fill` fills."""
    if not exists(directory / _MADE) and admin_directory(worktree) is None:
        (directory / _MADE).touch()
        reached("restore.making")
    worktree.mkdir(exist_ok=True)
    write_atomically(worktree / ".git", b"gitdir: " + os.fsencode(admin) + b"\n")


def fill(directory: Path, worktree: Path, admin: Path) -> list[str]:
    """Make the files of a directory that was made, as they were staged; say so. Raises GitFailed.

    None that is there is written over.
    """
    if not exists(directory / _MADE):
        return []
    missing = ["ls-files", "--deleted", "-z"]
    checkout = Checkout(admin, worktree)
    names = run_git(missing, checkout).stdout
    reached("fill.before")
    run_git(["checkout-index", "--quiet", "--stdin", "-z"], checkout, stdin=names, timeout=None)
    reached("fill.after")
    return [
        f"its directory was gone: the files in {worktree} are as they were staged; if it was moved "
        f"elsewhere: git -C {quote(str(worktree))} worktree repair NEW_PLACE"
    ]


def take_back(directory: Path, worktree: Path) -> None:
    """Undo `place_directory`."""
    if exists(directory / _MADE) and is_dir(worktree):
        (worktree / ".git").unlink(missing_ok=True)
        with suppress(OSError):  # somebody has put something there
            worktree.rmdir()
        (directory / _MADE).unlink()
        reached("restore.unmade")
