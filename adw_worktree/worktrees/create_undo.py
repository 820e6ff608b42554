"""What a dead `create` leaves behind, and how it is undone.

What holds here: one undo serves a `create` that failed, one that was interrupted and one whose
process died. It may run any number of times, and destroys only what `create` itself made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from adw_worktree.errors import AdwError, GitFailed
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.receipts import RECEIPT, receipt_token
from adw_worktree.project import Project
from adw_worktree.repo.branches import drop_branch
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.refs import branch_commit, resolve_commit
from adw_worktree.repo.repository import (
    admin_directories,
    admin_directory,
    list_worktrees,
    worktree_of_admin,
)
from adw_worktree.repo.worktrees import remove_worktree
from adw_worktree.system.deleting import delete_tree
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import exists, is_dir, is_file
from adw_worktree.worktrees.create_lock import is_filled, is_noted
from adw_worktree.worktrees.create_plan import drop_fetched
from adw_worktree.worktrees.files.own_files import own_files, work_in
from adw_worktree.worktrees.remove_steps import remove_empty_parent

_ADDED_FIRST = frozenset(
    {"locked", "gitdir", "HEAD", "HEAD.lock", "commondir", "logs", "refs", "reftable", "ORIG_HEAD"}
)
"""What `git worktree add --no-checkout` has made before it takes its own mark, `locked`, away."""
_SETTLED_SECONDS = 2.0


def undo_creation(project: Project, lease: Lease, made_parents: list[Path] | None = None) -> None:
    """Take back what `create` made for `lease`: worktree, branch, admin entry, the lease itself.

    `made_parents` are the directories that it made above the worktree, innermost first. A worktree
    that stays keeps its branch. Goes on past any other step that fails and raises its error last,
    the lease then still pending, so that the next command tries again.
    """
    steps: list[Callable[[], object]] = [
        lambda: _discard_branch(project, lease),
        lambda: _discard_directories(made_parents or []),
        lambda: remove_empty_parent(project, Path(lease.path or "")),
    ]
    failures: list[AdwError | OSError] = []
    reached("undo.begun")
    _discard_worktree(project, lease)
    for step in steps:
        try:
            step()
        except (AdwError, OSError) as exc:
            failures.append(exc)
    if failures:
        raise failures[0]
    if lease.reserved:
        bare = Lease(
            lease.adw_id, lease.slot, lease.ports, lease.allocated_at, "active", lease.token
        )
        project.pool.update(bare)
    else:
        project.pool.release(lease)


def take_up(project: Project, lease: Lease) -> bool:
    """Undo what the dead `create` behind `lease` left; keep it, and say so, if it holds work."""
    if not drop_fetched(project, lease.token):
        raise GitFailed(
            f"git cannot delete the ref refs/adw-worktree/{lease.token}", hint=_dead_lock(project)
        )
    if _has_work(project, lease):
        project.pool.update(lease._replace(state="active", new_branch_at=None, reserved=None))
        return True
    undo_creation(project, lease)
    return False


def disown(project: Project, lease: Lease) -> bool:
    """Release a pending lease that no `create` here is behind: it came with a foreign ledger.

    What it names is left alone. Where our own receipt vouches for it, and only the note was lost,
    its worktree has servers on its slot, perhaps: then it stays, and that is returned.
    """
    if _is_vouched_for(project, lease):
        project.pool.update(lease._replace(state="active", new_branch_at=None, reserved=None))
        return True
    project.pool.release(lease)
    return False


def will_stay(project: Project, lease: Lease) -> bool:
    """Return whether the worktree of a dead `create` would be kept, not undone. Changes nothing."""
    if is_noted(project.pool, lease):
        return _has_work(project, lease)
    return _is_vouched_for(project, lease)


def _is_vouched_for(project: Project, lease: Lease) -> bool:
    """Whether a receipt of our own says that the worktree is there and the lease's."""
    admin = project.repo.admin_root / (lease.admin_id or "none")
    return receipt_token(admin) == lease.token and project.pool.finding(lease).verdict == "alive"


def _discard_worktree(project: Project, lease: Lease) -> None:
    """Remove the half-made worktree, if its place holds nothing but what `create` put there."""
    assert lease.path is not None
    path = Path(lease.path)
    _discard_half_entry(project, lease, path)
    listed = any(entry.path == path for entry in list_worktrees(project.repo.home))
    if listed and _is_ours(lease, path):
        try:
            remove_worktree(project.repo, path, force=True, unlock=True)
        except GitFailed:
            # Killed inside `git worktree add`: git knows the entry, but does not take the
            # directory for a worktree. Without a .git file it holds nothing.
            if exists(path / ".git"):
                raise
            with suppress(OSError):
                delete_tree(path)
            remove_worktree(project.repo, path, force=True, unlock=True)
    if is_dir(path) and not any(path.iterdir()):
        path.rmdir()
        reached("undo.directory")


def _discard_half_entry(project: Project, lease: Lease, path: Path) -> None:
    """Remove the entry for `path` of a `git worktree add` or `remove` that was killed.

    Git does not see it, or fails over it in every command that looks at worktrees, and removes it
    in neither case. The files of the worktree are not there yet, or not any more.
    """
    for admin in admin_directories(project.repo.admin_root):
        if is_half_added(admin, path) or _is_half_removed(admin, lease):
            link = path / ".git"
            if is_file(link) and admin_directory(path) in (admin, None):
                link.unlink()
            delete_tree(admin)
            reached("undo.directory")


def is_half_added(admin: Path, path: Path) -> bool:
    """Whether `admin` is what a `git worktree add` of `path` left that was killed.

    Not if somebody is at work on it.
    """
    names = {item.name for item in admin.iterdir()}
    if names & {RECEIPT, "index", "index.lock"} or not names <= _ADDED_FIRST:
        return False
    try:
        reason = (admin / "locked").read_text(errors="replace").strip()
    except FileNotFoundError:
        reason = ""
    worktree = worktree_of_admin(admin)
    unnamed = worktree is None and admin.name.rstrip("0123456789") == path.name.rstrip("0123456789")
    if reason not in ("", "initializing") or not (worktree == path or unnamed):
        return False
    if "locked" not in names and not unnamed:
        return False  # git was done with it
    return _is_settled(admin)


def _is_half_removed(admin: Path, lease: Lease) -> bool:
    """Whether `admin` is the lease's, what it leads to is deleted, and nobody is at work on it."""
    if admin.name != lease.admin_id or exists(admin / "gitdir") or exists(admin / "locked"):
        return False
    return not exists(Path(lease.path or "")) and _is_settled(admin)


def _is_settled(admin: Path) -> bool:
    """Whether nothing comes or goes in it: somebody else's, new, is filled within milliseconds."""
    names, before = {item.name for item in admin.iterdir()}, admin.stat().st_mtime
    time.sleep(max(0.0, min(_SETTLED_SECONDS, before + _SETTLED_SECONDS - time.time())))
    return is_dir(admin) and {item.name for item in admin.iterdir()} == names


def _is_ours(lease: Lease, path: Path) -> bool:
    """Whether the worktree at `path` is the one made for `lease`.

    A receipt tells it; between git's making it and the receipt there is none, and then the path,
    which was free when the lease was made, has to do.
    """
    admin = admin_directory(path)
    if admin is None or not exists(admin / RECEIPT):
        return True
    return receipt_token(admin) == lease.token


def _discard_branch(project: Project, lease: Lease) -> None:
    if lease.branch is None or lease.new_branch_at is None:
        return
    at = branch_commit(project.repo.home, lease.branch)
    if at not in (lease.new_branch_at, None):
        return
    drop_branch(project.repo, lease.branch, lease.new_branch_at)
    if branch_commit(project.repo.home, lease.branch) == lease.new_branch_at:
        raise GitFailed(
            f"git cannot delete the branch {lease.branch}",
            hint=_dead_lock(project),
        )


def _dead_lock(project: Project) -> str:
    tables = project.repo.common_dir / "reftable"
    refs = tables if exists(tables) else project.repo.common_dir / "refs"
    return f"look for a .lock file that a dead git left under {refs}, remove it, and repeat"


def _discard_directories(made: list[Path]) -> None:
    for directory in made:
        try:
            directory.rmdir()
            reached("undo.directory")
        except OSError:
            return  # another worktree came to lie in it


def _has_work(project: Project, lease: Lease) -> bool:
    """Whether somebody worked in a half-made worktree before its `create` died.

    Nobody can have before the files were filled in, and that is when git writes the index.
    """
    path = Path(lease.path or "")
    admin = admin_directory(path)
    if admin is None or not exists(admin / "index") or receipt_token(admin) != lease.token:
        return False
    checkout = Checkout(admin, path)
    head = resolve_commit(checkout, "HEAD")
    if lease.new_branch_at is not None and head != lease.new_branch_at:
        return True
    if not is_filled(project.pool, lease):
        # A submodule that was being checked out is neither clean nor anybody's work.
        status = ["status", "--porcelain", "--untracked-files=all", "--ignore-submodules=all"]
        others = [f":(top,literal,exclude){name}" for name in own_files(project, path)]
        return bool(run_git([*status, "--", ".", *others], checkout).stdout)
    return bool(work_in(project, path, admin))
