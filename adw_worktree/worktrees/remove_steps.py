"""Taking a worktree away: into the trash, with git's entry of it, its lease and its branch.

What holds here: every step can be taken twice, so that whoever finds a removal interrupted finishes
it; until git's admin directory has moved, nothing has happened, and the removal is forgotten.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from adw_worktree.errors import AdwError, GitFailed, WorktreeUnavailable
from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project
from adw_worktree.repo.branches import drop_branch
from adw_worktree.repo.refs import branch_commit, head_branch
from adw_worktree.repo.repository import admin_directory, worktree_of_admin
from adw_worktree.repo.worktrees import git_lock, stop_monitor
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists, is_dir
from adw_worktree.system.sharing import make_directories, move_to
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.trash import Entry

_TREE, _ADMIN = "tree", "admin"


class Retired(NamedTuple):
    """What became of a worktree that was taken away."""

    entry: Entry
    branch_deleted: bool
    left: Path | None = None
    """Where files lie, beside the worktree's place, that could not be deleted."""


def retire(project: Project, entry: Entry, lease: Lease | None) -> Retired:
    """Take away the worktree that `entry` describes, and release `lease`.

    Of one whose directory is missing, git's entry is taken away alone. Raises GitFailed if it
    cannot be moved, WorktreeUnavailable if it has another place by now, with everything as it was.
    """
    repo = project.repo
    worktree, admin = Path(entry.path), repo.admin_root / entry.admin_id
    directory = trash.place(repo, entry.name, "removing")
    with trash.taken(repo, entry.name, project.settings.lock_timeout):
        try:
            make_directories(directory, 0o700)
            reached("trash.directory")
            stop_monitor(worktree, admin)
            trash.save(directory, entry)
            if entry.kept:
                trash.protect(repo, entry)
            with git_lock(repo, project.settings):
                _require_unmoved(worktree, admin)
                admin.rename(directory / _ADMIN)
                reached("retire.admin")
            if exists(worktree):
                _move_tree(worktree, directory, entry)
        except BaseException as exc:
            if is_dir(directory):  # or it was what could not be made
                _take_back(directory, worktree, admin, entry)
                trash.forget(repo, entry, "removing")
            if isinstance(exc, OSError):
                raise GitFailed(
                    f"the worktree {worktree} cannot be taken away: {exc.strerror}",
                    hint="it is as it was; make room and its directory writable, and repeat",
                ) from exc
            raise
        return _settle(project, entry, lease, directory)


def _require_unmoved(worktree: Path, admin: Path) -> None:
    """Raise WorktreeUnavailable if the worktree was moved or taken away since one looked.

    Only git's entry would go, and the files would stay where nothing knows them.
    """
    if worktree_of_admin(admin) != worktree:
        raise WorktreeUnavailable(
            f"the worktree {worktree} was moved or removed meanwhile", hint="adw-worktree list"
        )


def finish_retiring(project: Project, name: str) -> Lease | None:
    """Finish a removal that was interrupted, or forget it if nothing has happened yet.

    Returns the lease that was released with it. Raises OSError, AdwError if that cannot be now.
    """
    directory = trash.place(project.repo, name, "removing")
    entry = trash.load(directory)
    if entry is None:
        # Nothing moves before the record is written.
        if not exists(directory / _ADMIN) and not exists(directory / _TREE):
            trash.delete(directory)
        return None
    worktree = Path(entry.path)
    if not exists(directory / _ADMIN):
        _take_back(directory, worktree, project.repo.admin_root / entry.admin_id, entry)
        trash.forget(project.repo, entry, "removing")
        return None
    if not exists(directory / _TREE) and _is_of(worktree, project, entry):
        os.rename(worktree, aside_of(worktree, entry.name))
        reached("retire.aside")
    _copy_aside(worktree, directory, entry)
    leases = project.pool.leases().values()
    lease = next((one for one in leases if one.token == entry.token), None)
    if head_branch(directory / _ADMIN, project.repo.common_dir) != entry.branch:
        entry = entry._replace(branch_dropped_at=None)  # no worktree of that branch was removed
    _settle(project, entry, lease, directory)
    return lease


def _settle(project: Project, entry: Entry, lease: Lease | None, directory: Path) -> Retired:
    """Release the lease, delete the branch, and put the entry where it stays or vanishes."""
    repo = project.repo
    with suppress(OSError):
        repo.admin_root.rmdir()  # as git does after the last one
        reached("retire.admin-root")
    if exists(directory / _TREE) or not entry.kept:  # or it may be moved back there
        remove_empty_parent(project, Path(entry.path))
    if lease is not None:
        _release(project, lease, entry)
    dropped = drop_doomed(project, entry)
    left = _delete(aside_of(Path(entry.path), entry.name))
    if entry.kept:
        directory.rename(trash.place(repo, entry.name))
        reached("retire.settled")
    else:
        with suppress(OSError):  # or the next command does it
            trash.forget(repo, entry, "removing")
    return Retired(entry, dropped, left)


def _release(project: Project, lease: Lease, entry: Entry) -> None:
    try:
        project.pool.release(lease)
    except AdwError as exc:
        exc.message = (
            f"the worktree {entry.path} is removed, but slot {lease.slot} of {lease.adw_id} is not "
            f"released yet: {exc.message}"
        )
        exc.hint = f"{exc.hint or 'see to that'}; the next command releases it"
        raise


def drop_doomed(project: Project, entry: Entry) -> bool:
    """Delete the branch that is to go with the worktree; return whether it went.

    A notice names one that stays: nothing tries again, since somebody may want it by then.
    """
    if entry.branch is None or entry.branch_dropped_at is None:
        return False
    dropped = drop_branch(project.repo, entry.branch, entry.branch_dropped_at)
    at = None if dropped else branch_commit(project.repo.home, entry.branch)
    if at is not None:
        why = "git cannot delete it" if at == entry.branch_dropped_at else "it has moved on"
        project.notices.append(f"branch {entry.branch} stays at {at[:12]}: {why}")
    return dropped


def remove_empty_parent(project: Project, path: Path) -> None:
    """Remove the directory of all worktrees when the last one is gone, if it is our own."""
    if project.settings.worktree_path is None and path.parent.name == "trees":
        with suppress(OSError):
            path.parent.rmdir()
            reached("retire.parent")


# ---- the files ---------------------------------------------------------------------------------


def _move_tree(worktree: Path, directory: Path, entry: Entry) -> None:
    """Move the worktree's directory into the entry; across file systems what is kept is copied."""
    try:
        os.rename(worktree, directory / _TREE)
        reached("retire.tree")
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        os.rename(worktree, aside_of(worktree, entry.name))
        reached("retire.aside")
        _copy_aside(worktree, directory, entry)


def _copy_aside(worktree: Path, directory: Path, entry: Entry) -> None:
    """Copy what was renamed on its own file system into the entry, if it is to be kept."""
    aside = aside_of(worktree, entry.name)
    if entry.kept and is_dir(aside) and not exists(directory / _TREE):
        copy_across(aside, directory / _TREE)


def _delete(directory: Path) -> Path | None:
    """Delete a directory; return it if that cannot be."""
    try:
        trash.delete(directory)
    except OSError:
        return directory
    return None


def copy_across(source: Path, target: Path) -> None:
    """Have `target` be a whole copy of `source`, or not be there. Raises OSError."""
    import shutil

    part = target.with_name(f".{target.name}.part")
    trash.delete(part)
    try:
        shutil.copytree(source, part, symlinks=True, ignore=_special_files)
    except shutil.Error as exc:  # one or more files; the first tells why
        raise OSError(errno.EIO, f"cannot be copied: {exc.args[0][0][2]}", str(source)) from exc
    reached("copy.part")
    os.rename(part, target)
    reached("copy.whole")


def _special_files(directory: str, names: list[str]) -> list[str]:
    """Return the sockets, pipes and devices among `names`: nothing of them can be copied."""
    kinds = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    modes = {name: os.lstat(os.path.join(directory, name)).st_mode for name in names}
    return [name for name, mode in modes.items() if not any(kind(mode) for kind in kinds)]


def _take_back(directory: Path, worktree: Path, admin: Path, entry: Entry) -> None:
    """Undo what `retire` did so far. Raises OSError, the removal then being finished later."""
    # First the one that is not a copy.
    for source in (aside_of(worktree, entry.name), directory / _TREE):
        if exists(source) and not exists(worktree):
            move_to(source, worktree, like=admin.parent.parent)
            reached("retire.tree-back")
    if exists(directory / _ADMIN):
        move_to(directory / _ADMIN, admin)
        reached("retire.admin-back")


def aside_of(worktree: Path, name: str) -> Path:
    """Return what a worktree on another file system is called while the entry `name` is made."""
    return worktree.with_name(f".adw-worktree-{name[-12:]}")


def _is_of(worktree: Path, project: Project, entry: Entry) -> bool:
    """Whether the directory is the worktree of the admin directory that was moved."""
    return admin_directory(worktree) == project.repo.admin_root / entry.admin_id
