"""The steps of a rename: what is to be is noted first, then branch, directory and files follow.

What holds here: the ledger's one write, old id out and new id in, decides. Until then nothing has
changed; from then on the ADW has its new id, and every other step can be taken twice, so that
whoever finds the note of a process that died takes those that are left. The worktree is known by
the lease's token and by git's admin directory, whose name stays what it is.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from adw_worktree.adw_id import check_adw_id
from adw_worktree.errors import (
    AdwIdTaken,
    BranchUnusable,
    InvalidAdwId,
    LockedWorktree,
    WorktreeUnavailable,
)
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import tied
from adw_worktree.pool.receipts import write_receipt
from adw_worktree.project import Project, require_inside
from adw_worktree.repo.branches import make_branch
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.refs import head_branch, resolve_objects
from adw_worktree.repo.repository import (
    admin_directory,
    has_relative_way,
    name_worktree,
    worktree_of_admin,
)
from adw_worktree.repo.worktrees import git_lock
from adw_worktree.settings import places
from adw_worktree.system.atomic import discard_leftover, write_atomically
from adw_worktree.system.environment import BUSY_VARIABLE
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held_with_children
from adw_worktree.system.mounts import mounts_in
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists
from adw_worktree.system.sharing import move_to
from adw_worktree.worktrees.files.furnish import forget_name, furnish

_MARK = b"adw-worktree renames it\n"
_ATTEMPTS = 5


class Renaming(NamedTuple):
    """What is to be."""

    token: str
    """The lease's."""
    old: str
    new: str
    moves: bool
    """Whether the directory goes from the place of the old id to that of the new one."""
    commit: str | None
    """What the branch is at that is renamed with it; None if the branch keeps its name."""

    @property
    def back(self) -> Renaming:
        """What undoes it."""
        return self._replace(old=self.new, new=self.old)


def note_file(project: Project) -> Path:
    """Return where the note of a rename lies while one is under way."""
    return project.repo.tool_dir / "renaming.json"


def renaming_lock(project: Project, timeout: float) -> AbstractContextManager[bool]:
    """Return the lock of whoever renames in this repository; see `held_with_children`."""
    return held_with_children(project.repo.tool_dir / "rename.lock", timeout)


def place_of(project: Project, adw_id: str, branch: str | None) -> Path:
    """Return where a new worktree of `adw_id` would go. Raises SettingsError."""
    path = project.worktree_path(adw_id, branch or adw_id)
    require_inside(project.repo, path, "the worktree")
    return path.parent.resolve() / path.name


def save(project: Project, note: Renaming) -> None:
    """Write the note down. Raises OSError."""
    document = {"schema_version": 1, **note._asdict()}
    write_atomically(
        note_file(project), json.dumps(document, indent=2).encode() + b"\n", shared=True
    )
    reached("rename.noted")


def forget(project: Project) -> None:
    """Take the note away. Raises OSError."""
    note_file(project).unlink(missing_ok=True)
    reached("rename.forgotten")


def finish_renaming(project: Project) -> None:
    """Take the steps that a process which died left, unless one is at it.

    Raises OSError, AdwError if that cannot be now; the note stays then.
    """
    # What is under way takes milliseconds; but a hook that its git runs would wait for itself.
    wait = 0.0 if BUSY_VARIABLE in os.environ else project.settings.lock_timeout
    with renaming_lock(project, wait) as ours:
        if ours:
            finish_noted(project)


def finish_noted(project: Project) -> None:
    """As `finish_renaming`, for who holds the lock."""
    note = _load(project)
    with suppress(AdwIdTaken):  # somebody took the id before anything had changed
        if note is not None:
            carry_out(project, note)
    forget(project)


def carry_out(project: Project, note: Renaming) -> Lease | None:
    """Take every step that is not taken yet, and return the lease; None if it stands no more.

    Raises AdwIdTaken before anything is changed; OSError, AdwError if a step cannot be taken.
    """
    leases = project.pool.leases().values()
    lease = next((one for one in leases if one.token == note.token), None)
    if lease is None:
        return None
    if lease.adw_id != note.new:
        lease = project.pool.rename(lease, note.new)
        reached("rename.claimed")
    if lease.admin_id is None:
        return lease
    admin = project.repo.admin_root / lease.admin_id
    if note.commit is not None:
        _rename_branch(project, admin, note, note.commit)
    if note.moves:
        source, target = (_place(project, admin, note, name) for name in (note.old, note.new))
        _move_directory(project, admin, source, target)
    return _tell(project, lease, admin, note.old)


def _place(project: Project, admin: Path, note: Renaming, adw_id: str) -> Path:
    """Return where the directory was under the old id, or is to be under the new one."""
    renamed = note.commit is not None
    branch = places.branch_name(project.settings, adw_id) if renamed else head_branch(admin)
    return place_of(project, adw_id, branch)


def _tell(project: Project, lease: Lease, admin: Path, old: str) -> Lease:
    """Have receipt, ledger, env file and files for programs say what is."""
    lease = tied(lease, _require_worktree(admin), admin)
    write_receipt(admin, lease)
    project.pool.update(lease)
    furnish(project, lease, Path(str(lease.path)))
    forget_name(project, old, Path(str(lease.path)))
    return lease


def _load(project: Project) -> Renaming | None:
    """Return what the note says, None if it says nothing that could be."""
    try:
        document = json.loads(note_file(project).read_bytes())
        if document.pop("schema_version") != 1:
            return None
        note = Renaming(**document)
        check_adw_id(note.old)
        check_adw_id(note.new)
        sound = re.fullmatch(r"[0-9a-f]{40,64}", note.commit or "0" * 40) is not None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, InvalidAdwId):
        return None
    return note if sound and isinstance(note.moves, bool) else None


# ---- the branch --------------------------------------------------------------------------------


def _rename_branch(project: Project, admin: Path, note: Renaming, commit: str) -> None:
    """Have the worktree's branch go by its new name, with its log and what it tracks.

    A git that is killed while it renames one may leave the branch under neither name, the HEAD or
    the configuration under the old one. Raises BranchUnusable, GitFailed.
    """
    old, new = (places.branch_name(project.settings, name) for name in (note.old, note.new))
    repo = project.repo
    with git_lock(repo, project.settings):
        for attempt in range(_ATTEMPTS):
            there, taken = resolve_objects(
                repo.home, [f"refs/heads/{name}^{{commit}}" for name in (old, new)]
            )
            if there is None or (taken is not None and head_branch(admin) != old):
                break
            if taken is not None:
                raise BranchUnusable(f"branch {new} exists", hint="choose another id")
            reached("branch-rename.before")
            last = attempt == _ATTEMPTS - 1
            command = ["branch", "-m", "--end-of-options", old, new]
            done = run_git(command, repo.checkout, check=last, shielded=True)
            reached("branch-rename.after")
            if done.returncode == 0:
                return
        if there is None and taken is None and head_branch(admin) in (old, new):
            make_branch(repo, new, commit, old)
        if there is None and head_branch(admin) == old:
            head = ["symbolic-ref", "-m", f"renamed {old} to {new}", "HEAD", f"refs/heads/{new}"]
            run_git(head, Checkout(admin))
            reached("branch-rename.head")
        if there is None:
            _rename_section(project, old, new)


def _rename_section(project: Project, old: str, new: str) -> None:
    """Have what git's configuration says of a branch stand under its new name."""
    checkout = project.repo.checkout
    listing = ["config", "--local", "-z", "--name-only", "--list"]
    names = run_git(listing, checkout).stdout.split("\0")
    if any(name.startswith(f"branch.{old}.") for name in names):
        renaming = ["config", "--local", "--rename-section", f"branch.{old}", f"branch.{new}"]
        run_git(renaming, checkout)
        reached("branch-rename.section")


# ---- the directory -----------------------------------------------------------------------------


def _move_directory(project: Project, admin: Path, source: Path, target: Path) -> None:
    """Move the worktree's directory from `source` to `target`, and tell git.

    Not by `git worktree move`: that empties the file it writes before it writes, and on a full
    disk git would take the worktree for one that is gone. Between the two steps that does look so;
    git's own lock keeps it from being pruned, and its slot from being given away.
    """
    with git_lock(project.repo, project.settings):
        if not _is_of(target, admin):
            if not _is_of(source, admin):
                raise WorktreeUnavailable(
                    f"the worktree is not at {source}", hint="adw-worktree reconcile"
                )
            _mark(admin)
            move_to(source, target, like=project.repo.common_dir)
            reached("rename.moved")
        if worktree_of_admin(admin) != target:
            name_worktree(admin, target, relative=has_relative_way(admin))
        for name in ("gitdir", "locked"):
            discard_leftover(admin / name)
        if _is_marked(admin):
            (admin / "locked").unlink()
            reached("rename.unmarked")


def stays(project: Project, admin: Path, source: Path, target: Path) -> str | None:
    """Return why the directory cannot be moved although it should; None if it can."""
    if exists(admin / "modules"):
        return "it has submodules, which know their places"
    if has_relative_way(admin) and source.parent != target.parent:
        return "git's way to it is a relative one"
    inside = mounts_in(source)
    if inside:
        return f"something is mounted at {inside[0]}"
    place = next(parent for parent in target.parents if exists(parent))
    if place.stat().st_dev != source.stat().st_dev:
        return f"{place} is on another file system"
    return None


def _mark(admin: Path) -> None:
    """Lock the worktree as `git worktree lock` does. Raises LockedWorktree if somebody did."""
    lock = admin / "locked"
    if exists(lock) and not _is_marked(admin):
        from shlex import quote

        worktree = worktree_of_admin(admin)
        raise LockedWorktree(
            f"the worktree {worktree} is locked",
            hint=f"git worktree unlock {quote(str(worktree))}",
        )
    write_atomically(lock, _MARK)


def _is_marked(admin: Path) -> bool:
    try:
        return (admin / "locked").read_bytes() == _MARK
    except FileNotFoundError:
        return False


def _is_of(worktree: Path, admin: Path) -> bool:
    """Whether there is a worktree of that very admin directory: not the original of a copy."""
    found = admin_directory(worktree)
    return found is not None and exists(found) and found.samefile(admin)


def _require_worktree(admin: Path) -> Path:
    worktree = worktree_of_admin(admin)
    if worktree is None:
        raise WorktreeUnavailable(
            f"git does not know where the worktree of {admin} is", hint="adw-worktree reconcile"
        )
    return worktree
