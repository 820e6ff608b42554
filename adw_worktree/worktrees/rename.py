"""`rename`: an ADW gets another id and keeps its slot, ports, work and files.

Refuses before it changes anything. No hooks run: nothing is made, and nothing taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from adw_worktree.adw_id import check_adw_id
from adw_worktree.errors import (
    AdwError,
    AdwIdTaken,
    BranchUnusable,
    FileUnusable,
    LockedWorktree,
    LockTimeout,
    PathOccupied,
    UnknownAdw,
    WorktreeInside,
)
from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project
from adw_worktree.repo.branches import upstream_of
from adw_worktree.repo.refs import branch_commit, head_branch
from adw_worktree.repo.repository import WorktreeEntry, list_worktrees, worktree_of_admin
from adw_worktree.settings import places
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists
from adw_worktree.system.ports import Listener, busy_ports, listeners
from adw_worktree.worktrees.create_plan import free_path
from adw_worktree.worktrees.files.exclude import ensure_excluded
from adw_worktree.worktrees.files.variables import env_text
from adw_worktree.worktrees.heal import stale_entries
from adw_worktree.worktrees.remove_checks import unavailable
from adw_worktree.worktrees.rename_steps import (
    Renaming,
    carry_out,
    finish_noted,
    forget,
    place_of,
    renaming_lock,
    save,
    stays,
)


class Renamed(NamedTuple):
    """What a rename did."""

    renamed: bool
    """Whether it was called something else before."""
    old: str
    lease: Lease
    listening: Sequence[Listener] = ()
    """Servers on its ports, which know it by its old name."""
    notes: Sequence[str] = ()


class _Plan(NamedTuple):
    note: Renaming
    path: Path | None
    """Where the directory goes; None if it stays."""
    notes: Sequence[str]


def rename(project: Project, lease: Lease, adw_id: str) -> Renamed:
    """Have the ADW of `lease` go by `adw_id`; its directory and branch as well, if named after it.

    What fails is undone. Raises InvalidAdwId, UnknownAdw, LockTimeout, or a subclass of Refused
    or BranchUnusable with nothing changed.
    """
    check_adw_id(adw_id)
    with renaming_lock(project, project.settings.lock_timeout) as ours:
        if not ours:
            raise LockTimeout(
                f"another process renames in {project.repo.home} for more than "
                f"{project.settings.lock_timeout:g} seconds",
                hint="wait and repeat",
            )
        finish_noted(project)
        present = project.pool.leases().get(lease.adw_id)
        if present is None or present.token != lease.token:
            raise _gone(lease.adw_id)
        if adw_id == present.adw_id:
            return Renamed(False, adw_id, present)
        try:
            plan = _plan(project, present, adw_id)
        except FileNotFoundError as exc:
            raise _gone(lease.adw_id) from exc
        renamed = _carry_out(project, plan)
    notes = [*plan.notes, *_tracking(project, plan.note, renamed)]
    return Renamed(True, lease.adw_id, renamed, _listening(renamed), notes)


def _carry_out(project: Project, plan: _Plan) -> Lease:
    """Take every step, or undo those that were taken."""
    note = plan.note
    try:
        if plan.path is not None:
            ensure_excluded(project, plan.path)
        save(project, note)
        renamed = carry_out(project, note)
        forget(project)
    except BaseException as exc:
        _take_back(project, note, exc)
        if isinstance(exc, OSError):
            failure = FileUnusable.because(f"{note.old} cannot be renamed", exc)
            for told in getattr(exc, "__notes__", []):
                failure.add_note(told)
            raise failure from exc
        raise
    if renamed is None:
        raise _gone(note.old)
    return renamed


def _gone(adw_id: str) -> UnknownAdw:
    return UnknownAdw(f"{adw_id} was removed or renamed meanwhile", hint="adw-worktree list")


def _take_back(project: Project, note: Renaming, cause: BaseException) -> None:
    """Undo what was done; if that cannot be, the note stays, and the next command finishes it."""
    try:
        leases = project.pool.leases()
        if note.new in leases and leases[note.new].token == note.token:
            carry_out(project, note.back)
        forget(project)
    except (AdwError, OSError) as exc:
        cause.add_note(f"not all of it could be undone: {exc}; the next command finishes it")


# ---- the plan ----------------------------------------------------------------------------------


def _plan(project: Project, lease: Lease, adw_id: str) -> _Plan:
    """Return what to do. Raises the error of whatever makes it impossible."""
    taken = project.pool.leases().get(adw_id)
    if taken is not None:
        place = (
            f"the worktree {taken.path}" if taken.path else f"a reservation of slot {taken.slot}"
        )
        raise AdwIdTaken(f"{adw_id} is the name of {place}", hint="choose another id")
    note = Renaming(lease.token, lease.adw_id, adw_id, moves=False, commit=None)
    if not lease.has_worktree:
        return _Plan(note, None, [])
    finding = project.pool.finding(lease)
    if lease.state == "pending" or finding.verdict != "alive" or finding.path is None:
        raise unavailable(project, lease, finding)
    admin = project.repo.admin_root / str(lease.admin_id)
    if exists(admin / "locked"):
        raise LockedWorktree(
            f"the worktree {finding.path} is locked", hint=f"adw-worktree unlock {lease.adw_id}"
        )
    branch = head_branch(admin)
    note = note._replace(commit=_commit_to_rename(project, note, branch))
    if note.commit is not None:
        branch = places.branch_name(project.settings, adw_id)
    path, notes = _new_place(project, note, admin, finding.path, branch)
    # Now, or what the settings ask for is only found out when everything is done.
    env_text(project, lease._replace(adw_id=adw_id, path=str(path or finding.path), branch=branch))
    return _Plan(note._replace(moves=path is not None), path, notes)


def _commit_to_rename(project: Project, note: Renaming, branch: str | None) -> str | None:
    """Return what the branch is at if it is named after the ADW; None if it keeps its name."""
    old, new = (places.branch_name(project.settings, name) for name in (note.old, note.new))
    if branch != old or old == new:
        return None
    if branch_commit(project.repo.home, new) is not None:
        raise BranchUnusable(f"branch {new} exists", hint="choose another id")
    return branch_commit(project.repo.home, old)


def _new_place(
    project: Project, note: Renaming, admin: Path, path: Path, branch: str | None
) -> tuple[Path | None, list[str]]:
    """Return where the directory goes, None if it stays, and what a person should know of that."""
    if path != place_of(project, note.old, head_branch(admin)):
        return None, []  # somebody chose the place
    target = place_of(project, note.new, branch)
    if target == path:
        return None, []
    why = stays(project, admin, path, target)
    if why is not None:
        return None, [f"the directory stays at {path}: {why}"]
    target = free_path(project, note.new, branch, None, "choose another id")
    for gone, lease in stale_entries(project):
        if worktree_of_admin(gone) == target:
            from adw_worktree.worktrees.without_tree import prune_entry

            prune_entry(project, gone, lease)  # as for a `create` of that id
    _check_listed(list_worktrees(project.repo.home), path, target)
    return target, []


def _check_listed(entries: Sequence[WorktreeEntry], path: Path, target: Path) -> None:
    """Raise the refusal of a move that would confuse git's list."""
    for entry in entries:
        if entry.path == target:
            raise PathOccupied(
                f"git still lists a worktree at {target}", hint="adw-worktree reconcile"
            )
        if entry.path != path and entry.path.is_relative_to(path):
            raise WorktreeInside(
                f"the worktree {entry.path} lies inside {path}",
                hint=f"git worktree move {quote(str(entry.path))} NEW_PATH",
            )


# ---- what a person should know -----------------------------------------------------------------


def _tracking(project: Project, note: Renaming, lease: Lease) -> list[str]:
    if note.commit is None or lease.branch is None:
        return []
    upstream = upstream_of(project.repo, lease.branch)
    if upstream is None or not upstream.startswith("refs/remotes/"):
        return []
    shown = upstream.removeprefix("refs/remotes/")
    return [f"branch {lease.branch} still tracks {shown}, which is called what it was"]


def _listening(lease: Lease) -> list[Listener]:
    ports = set(lease.ports.values())
    heard = listeners(ports) if busy_ports(ports) else {}
    return [one for group in heard.values() for one in group]
