"""`restore`: a removed worktree that was kept comes back, with its files, index, branch and a slot.

What holds here: the files come first and git's admin directory last, so that git never lists a
worktree whose files are not there; then the lease. What fails is undone, what was interrupted is
finished by the next command.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from adw_worktree.adw_id import check_adw_id
from adw_worktree.errors import (
    BranchUnusable,
    FileUnusable,
    GitFailed,
    InvalidAdwId,
    SlotUnavailable,
    UnknownAdw,
    UsageError,
    WorktreeUnavailable,
)
from adw_worktree.pool.lease import Lease, ports_of
from adw_worktree.pool.ledger import tied
from adw_worktree.pool.receipts import RECEIPT, write_receipt
from adw_worktree.project import Project, require_inside
from adw_worktree.repo.branches import make_branch, set_upstream
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.refs import branch_commit, has_reftable, head_branch
from adw_worktree.repo.repository import admin_directory, has_relative_way, list_worktrees
from adw_worktree.repo.worktrees import git_lock
from adw_worktree.settings import places
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.mounts import require_unmounted
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists, is_dir
from adw_worktree.system.sharing import make_directories, move_to
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.files.exclude import ensure_excluded
from adw_worktree.worktrees.files.furnish import furnish
from adw_worktree.worktrees.files.variables import require_template
from adw_worktree.worktrees.remove_steps import aside_of, copy_across
from adw_worktree.worktrees.trash import Entry
from adw_worktree.worktrees.without_tree import (
    fill,
    is_back,
    is_without_tree,
    place_directory,
    take_back,
)

_TREE, _ADMIN = "tree", "admin"


class Restored(NamedTuple):
    """A worktree that came back."""

    lease: Lease
    env_file: Path
    notes: Sequence[str] = ()


def restore(project: Project, name: str, *, as_id: str | None = None) -> Restored:
    """Bring back the worktree last removed under the ADW id (or entry name) `name`.

    It goes where it was, or with `as_id` to the place of that ADW id. It gets its slot again if
    that is free. Raises UnknownAdw, WorktreeUnavailable, PathOccupied, PoolExhausted.
    """
    entry = _find(project, name)
    adw_id = _name_for(entry, as_id)
    path = Path(entry.path)
    if adw_id != entry.adw_id and entry.adw_id is not None:
        path = project.worktree_path(adw_id, entry.branch or adw_id)
    _check_free(project, name, entry, adw_id, path)
    require_template(project)
    require_inside(project.repo, path, "the worktree")
    target = trash.moved_to(
        entry, adw_id=adw_id, path=path, admin_id=_free_admin_id(project, entry, path)
    )
    if target != entry and exists(trash.place(project.repo, entry.name) / _ADMIN / "modules"):
        _check_same_place(entry, target)
    with trash.taken(project.repo, entry.name, project.settings.lock_timeout):
        _require_kept(project, entry)
        treeless = is_without_tree(project, entry)
        directory = trash.place(project.repo, entry.name, "restoring")
        trash.place(project.repo, entry.name).rename(directory)
        reached("restore.begun")
        try:
            trash.save(directory, target)
            return _bring_back(project, target, directory)
        except BaseException as exc:
            _put_back(project, entry, target, directory, treeless=treeless)
            if isinstance(exc, OSError):
                raise FileUnusable.because(f"{path} cannot be restored", exc) from exc
            raise


def discard(project: Project, name: str) -> Entry:
    """Delete for good what was last removed under `name`; return it.

    Raises UnknownAdw, MountInside.
    """
    entry = _find(project, name)
    require_unmounted(trash.place(project.repo, entry.name))
    with trash.taken(project.repo, entry.name, project.settings.lock_timeout):
        _require_kept(project, entry)
        try:
            trash.forget(project.repo, entry)
        except OSError as exc:
            raise FileUnusable.because(f"{entry.name} cannot be deleted", exc) from exc
    if project.settings.postgres is not None:
        from adw_worktree.worktrees.database import drop_leaked

        drop_leaked(project)
    return entry


def finish_restoring(project: Project, name: str) -> None:
    """Finish a restoring that was interrupted. Raises OSError, AdwError if that cannot be now."""
    directory = trash.place(project.repo, name, "restoring")
    entry = trash.load(directory)
    if entry is not None:
        _bring_back(project, entry, directory)


def _find(project: Project, name: str) -> Entry:
    kept = trash.kept_entries(project.repo)
    found = [entry for entry in kept if name in (entry.adw_id, entry.name)]
    # Where there are several, the latest that has files.
    found.sort(key=lambda entry: is_without_tree(project, entry))
    if found:
        return found[0]
    hint = "adw-worktree restore (lists what is kept)"
    with suppress(InvalidAdwId):
        hint += f", or for a branch that stayed: adw-worktree create {check_adw_id(name)}"
    raise UnknownAdw(
        f"nothing removed under the name {name!r} is kept in {project.repo.home}", hint=hint
    )


def _require_kept(project: Project, entry: Entry) -> None:
    """Raise UnknownAdw if another process restored or deleted it since it was found."""
    if trash.load(trash.place(project.repo, entry.name)) is None:
        raise UnknownAdw(
            f"{entry.name} was restored or deleted just now", hint="adw-worktree restore"
        )


def _name_for(entry: Entry, as_id: str | None) -> str:
    wanted = as_id or entry.adw_id
    if wanted is None:
        raise UsageError(
            f"{entry.name} had no ADW id",
            hint=f"adw-worktree restore {entry.name} --as ADW_ID",
        )
    return check_adw_id(wanted)


def _check_free(project: Project, name: str, entry: Entry, adw_id: str, path: Path) -> None:
    other = f"adw-worktree restore {quote(name)} --as ANOTHER_ID"
    present = project.pool.leases().get(adw_id)
    if present is not None and present.has_worktree:
        again = " again" if adw_id == entry.adw_id else ""
        raise WorktreeUnavailable(f"{adw_id} has a worktree{again}, at {present.path}", hint=other)
    if not is_back(project, entry, path):
        places.require_vacant(path, other)


def _free_admin_id(project: Project, entry: Entry, path: Path) -> str:
    root = project.repo.admin_root
    names = [entry.admin_id, *(f"{path.name}{number}" for number in range(1, 10_000))]
    return next(name for name in names if not os.path.lexists(root / name))


def _check_same_place(entry: Entry, target: Entry) -> None:
    """Submodules know their repositories by the way there."""
    if (entry.path, entry.admin_id) != (target.path, target.admin_id):
        raise UsageError(
            f"{entry.name} has submodules, and can only come back to {entry.path}",
            hint="move away what is there, and leave out --as",
        )


# ---- the steps ---------------------------------------------------------------------------------


def _bring_back(project: Project, entry: Entry, directory: Path) -> Restored:
    """Take every step that is not taken yet."""
    repo, worktree = project.repo, Path(entry.path)
    admin = repo.admin_root / entry.admin_id
    notes: list[str] = []
    if exists(directory / _ADMIN):
        notes += _prepare_admin(project, entry, directory / _ADMIN)
        make_directories(worktree.parent, like=repo.common_dir)
        reached("restore.parent")
        ensure_excluded(project, worktree)
        _place_tree(entry, directory, admin)
        make_directories(repo.admin_root)
        reached("restore.admin-root")
        with git_lock(repo, project.settings):
            move_to(directory / _ADMIN, admin)
            reached("restore.admin")
    notes += _detach_in_reftable(project, entry, admin)
    lease = _lease(project, entry, worktree, admin)
    if project.settings.postgres is not None:
        from adw_worktree.worktrees.database import ensure_database

        lease = ensure_database(project, lease)
        project.pool.update(lease)
    write_receipt(admin, lease)
    notes += fill(directory, worktree, admin)
    notes += furnish(project, lease, worktree)
    trash.forget(repo, entry, "restoring")
    return Restored(lease, worktree / project.settings.env_file, notes)


def _prepare_admin(project: Project, entry: Entry, admin: Path) -> list[str]:
    """Make git's admin directory fit the place it goes to; return what a person should know."""
    # Without the receipt nobody takes it for a worktree of ours that vanished, and prunes it.
    (admin / RECEIPT).unlink(missing_ok=True)
    reached("restore.receipt")
    _lead_to(admin, Path(entry.path), project.repo.admin_root / entry.admin_id)
    if entry.branch is None or entry.commit is None:
        return []
    if entry.branch_dropped_at is not None:
        _make_branch_again(project, entry, entry.branch, entry.branch_dropped_at)
    if has_reftable(admin):
        return []  # git changes HEAD there, once it knows the place
    why = _detached_because(project, entry)
    if why is None:
        return []
    # Its index and files belong to this commit: on another they would show as changes.
    _write(admin / "HEAD", f"{entry.commit}\n")
    return [_told_of_detaching(entry, why)]


def _detach_in_reftable(project: Project, entry: Entry, admin: Path) -> list[str]:
    """Take HEAD off a branch that moved on or has another worktree, where HEAD is no file."""
    if not has_reftable(admin) or entry.branch is None or entry.commit is None:
        return []
    why = _detached_because(project, entry)
    if why is None or head_branch(admin) is None:
        return []
    run_git(["update-ref", "--no-deref", "HEAD", entry.commit], Checkout(admin, Path(entry.path)))
    return [_told_of_detaching(entry, why)]


def _detached_because(project: Project, entry: Entry) -> str | None:
    """Return why the worktree cannot be on its branch again; None if it can."""
    listed = list_worktrees(project.repo.home)
    if any(one.branch == entry.branch and one.path != Path(entry.path) for one in listed):
        return "has another worktree"
    moved = branch_commit(project.repo.home, str(entry.branch)) != entry.commit
    return "has moved on, or is gone" if moved else None


def _told_of_detaching(entry: Entry, why: str) -> str:
    assert entry.commit is not None
    return (
        f"branch {entry.branch} {why}; the worktree is detached at {entry.commit[:12]}, to go on "
        f"from there: git -C {quote(entry.path)} switch -c NEW_BRANCH"
    )


def _lead_to(admin: Path, worktree: Path, final: Path) -> None:
    """Have the admin directory, which is to be `final`, name the worktree, as it was named."""
    link = worktree / ".git"
    named = os.path.relpath(link, final) if has_relative_way(admin) else link
    _write(admin / "gitdir", f"{named}\n")


def _make_branch_again(project: Project, entry: Entry, branch: str, commit: str) -> None:
    try:
        make_branch(project.repo, branch, commit, "a removed worktree")
    except BranchUnusable:
        return  # somebody has made it again
    if entry.upstream is not None:
        with suppress(GitFailed):  # it went meanwhile
            set_upstream(project.repo, project.settings, branch, entry.upstream)


def _place_tree(entry: Entry, directory: Path, admin: Path) -> None:
    tree, worktree = directory / _TREE, Path(entry.path)
    aside = aside_of(worktree, entry.name)
    if exists(aside) and not exists(tree):
        os.rename(aside, worktree)
    trash.delete(aside)
    if not exists(tree):
        place_directory(directory, worktree, admin)
        return
    relative = has_relative_way(directory / _ADMIN)
    named = os.path.relpath(admin, worktree) if relative else admin
    _write(tree / ".git", f"gitdir: {named}\n")
    if admin_directory(worktree) == admin:
        trash.delete(tree)  # it was copied, and whole, before an interruption
        return
    try:
        move_to(tree, worktree, like=admin.parent.parent)
        reached("restore.tree")
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        if is_dir(worktree):
            worktree.rmdir()
            reached("restore.place")
        copy_across(tree, worktree)
        trash.delete(tree)


def _lease(project: Project, entry: Entry, worktree: Path, admin: Path) -> Lease:
    """Return the lease of the worktree that is back: its old slot if that is free."""
    assert entry.adw_id is not None
    pool, slot = project.pool, entry.slot or 0
    present = pool.leases().get(entry.adw_id)
    if present is not None and present.has_worktree:
        return present
    ports = ports_of(slot, project.settings.services)
    # The token that it had: its database, if it has one, is known by that.
    fresh = Lease(entry.adw_id, slot, ports, datetime.now(UTC), "active", _token(entry))
    draft = tied(fresh, worktree, admin)
    write_receipt(admin, draft)  # first: a lease without one is that of a worktree that is gone
    if present is not None:
        pool.upgrade(present, draft)
        present = draft._replace(slot=present.slot, ports=present.ports)
        pool.update(present)
        return present
    try:
        return pool.reserve(entry.adw_id, wanted=entry.slot, draft=draft)
    except SlotUnavailable:
        return pool.reserve(entry.adw_id, draft=draft)


def _token(entry: Entry) -> str:
    whole = re.fullmatch("[0-9a-f]{32}", entry.token or "")
    return whole[0] if whole else os.urandom(16).hex()


def _put_back(
    project: Project, entry: Entry, target: Entry, directory: Path, *, treeless: bool
) -> None:
    """Undo what `restore` did so far, so that the entry lies in the trash as before."""
    repo, worktree = project.repo, Path(target.path)
    admin = repo.admin_root / target.admin_id
    if not exists(directory):
        return
    if not exists(directory / _ADMIN) and exists(admin):
        with git_lock(repo, project.settings):
            admin.rename(directory / _ADMIN)
            reached("restore.admin-back")
    if treeless:
        take_back(directory, worktree)
    elif not exists(directory / _TREE) and exists(worktree):
        try:
            os.rename(worktree, directory / _TREE)
            reached("restore.tree-back")
        except OSError as exc:
            if exc.errno != errno.EXDEV:
                raise
            aside = aside_of(worktree, entry.name)
            os.rename(worktree, aside)
            reached("restore.aside")
            copy_across(aside, directory / _TREE)
            trash.delete(aside)
    trash.save(directory, entry)
    directory.rename(trash.place(repo, entry.name))
    reached("restore.given-up")


def _write(path: Path, text: str) -> None:
    # Never through a link that somebody put into a worktree.
    write_atomically(path, text.encode(errors="surrogateescape"))
