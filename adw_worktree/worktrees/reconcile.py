"""`reconcile`: compare leases with git's worktrees, and mend what differs.

`plan_reconciliation` is pure: what was seen goes in, the actions come out. `reconcile` looks, plans
and applies. A lease is released only if its worktree is gone; what cannot be read is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adw_worktree.errors import AdwError, FileUnusable, GitFailed
from adw_worktree.pool.holders import Holding
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import Leases, names_slot, tied
from adw_worktree.pool.receipts import write_receipt
from adw_worktree.project import Project
from adw_worktree.repo.git import run_git
from adw_worktree.repo.repository import worktree_of_admin
from adw_worktree.repo.work import are_pruning_safe
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import is_dir
from adw_worktree.worktrees import spares, trash
from adw_worktree.worktrees.create_lock import abandoned
from adw_worktree.worktrees.create_undo import prune_safe_entry
from adw_worktree.worktrees.files.furnish import furnish
from adw_worktree.worktrees.heal import heal, stale_entries
from adw_worktree.worktrees.linked import look
from adw_worktree.worktrees.reconcile_plan import (
    Action,
    Reconciled,
    Seen,
    plan_reconciliation,
)
from adw_worktree.worktrees.take_in import settle, take_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from adw_worktree.worktrees.reconcile_plan import Kind

    T = TypeVar("T")


def reconcile(
    project: Project, *, dry_run: bool = False, max_age: timedelta | None = None
) -> Reconciled:
    """Make the full pass over one repository.

    `dry_run` changes nothing. `max_age` also releases leases without a worktree that are older.
    An action that fails is reported and does not stop the others. Raises LockTimeout.
    """
    # Worktrees first: one made meanwhile has its lease by then, and is not taken for unmanaged.
    try:
        seen = look(project)
    except GitFailed:
        if dry_run:
            raise
        heal(project)  # git fails over what it was killed in the making of
        seen = look(project)
    dead = _looked_into(project, dry_run, lambda: abandoned(project.pool))
    moving = _looked_into(project, dry_run, lambda: trash.abandoned(project.repo))
    leases = project.pool.leases()
    findings = {lease.adw_id: project.pool.finding(lease) for lease in leases.values()}
    actions = [
        *(_undo_action(lease) for lease in dead),
        *(_finish_action(project, name, way) for name, way in moving),
        *plan_reconciliation(
            {key: lease for key, lease in leases.items() if lease not in dead},
            findings,
            seen,
            adopt_all=project.settings.adopt,
            max_age=max_age,
            losers=_losers(project, leases),
        ),
        *_prune_actions(project),
    ]
    result = Reconciled([], [], [], [], [])
    for action in actions:
        if dry_run:
            result.file(action)
            continue
        try:
            result.file(apply_action(project, action))
        except AdwError as exc:
            result.failed.append((action, exc))
        except OSError as exc:
            place = action.path or action.adw_id
            result.failed.append((action, FileUnusable.because(f"{place} cannot be mended", exc)))
    if not dry_run:
        heal(project)
        spares.tidy(project)
        trash.purge(project.repo, project.settings.trash_days)
        project.pool.forget_lost()
    if project.settings.postgres is not None:
        from adw_worktree.worktrees.database import sweep_into

        sweep_into(project, result, actions if dry_run else None)
    return result


def _looked_into(project: Project, dry_run: bool, find: Callable[[], list[T]]) -> list[T]:
    """Return what `find` finds that died half-way; nothing, and a notice, if it may not look."""
    try:
        return find()
    except (AdwError, OSError) as exc:
        if dry_run:  # or `heal` says it
            project.notices.append(f"what was interrupted cannot be looked into: {exc}")
        return []


def _losers(project: Project, leases: Leases) -> list[str]:
    """Return the ADW ids whose slot or port another repository's lease rightly has.

    Whose env file names the slot is right; if both do, or neither, who had it first. Either side
    comes to the same answer.
    """
    others = [holding for holding in project.pool.elsewhere() if holding.lease.state == "active"]
    return [
        lease.adw_id
        for lease in leases.values()
        if any(_clash(lease, other.lease) and _yields(project, lease, other) for other in others)
    ]


def _clash(one: Lease, other: Lease) -> bool:
    shared_port = set(one.ports.values()) & set(other.ports.values())
    return one.token != other.token and (one.slot == other.slot or bool(shared_port))


def _yields(project: Project, lease: Lease, other: Holding) -> bool:
    def rank(claim: Lease) -> tuple[bool, datetime, str]:
        return (not names_slot(claim, project.settings), claim.allocated_at, claim.token)

    return rank(lease) > rank(other.lease)


def _prune_actions(project: Project) -> list[Action]:
    stale = stale_entries(project)
    safe = are_pruning_safe(project.repo, [admin for admin, _ in stale])
    reason = "git still lists its worktree, which is gone"
    return [
        Action("prune", lease.adw_id, None, reason, worktree_of_admin(admin), lease)
        for (admin, lease), is_safe in zip(stale, safe, strict=True)
        if is_safe
    ]


def _undo_action(lease: Lease) -> Action:
    path = Path(lease.path) if lease.path else None
    return Action("undo", lease.adw_id, lease.slot, "its create died half-way", path, lease)


def _finish_action(project: Project, name: str, way: trash.Way) -> Action:
    entry = trash.load(trash.place(project.repo, name, way))
    path = Path(entry.path) if entry else None
    adw_id = (entry.adw_id if entry else None) or name
    return Action("finish", adw_id, None, f"{way} it was interrupted", path)


# ---- doing it ----------------------------------------------------------------------------------


def apply_action(project: Project, action: Action) -> Action:
    """Do what `action` says and return it as it was done. Raises AdwError, OSError."""
    lease, seen = action.lease, action.seen
    if action.kind in ("undo", "finish"):
        failed = heal(project).failed
        if lease is not None and lease.token in failed:
            raise failed[lease.token]
    if action.kind == "adopt" and seen is not None:
        return _adopt(project, action, seen)
    if lease is None or action.kind == "keep":
        return action
    if action.kind == "release":
        project.pool.release(lease, doubtful=lease.has_worktree)
    elif action.kind == "prune":
        prune_safe_entry(project, project.repo.admin_root / str(lease.admin_id))
    elif action.kind == "move" and action.path is not None:
        _point_at(project.repo.admin_root / str(lease.admin_id), action.path)
        reached("worktree-repair.before")
        run_git(["worktree", "repair", "--", str(action.path)], project.repo.checkout)
        reached("worktree-repair.after")
        project.pool.update(lease._replace(path=str(action.path)))
    elif action.kind == "reassign" and seen is not None:
        return _reassign(project, action, lease, seen)
    elif seen is not None:
        _mend(project, action.kind, lease, seen)
    return action


def _point_at(admin: Path, worktree: Path) -> None:
    """Name `worktree` in git's admin directory. Raises OSError, the old name whole.

    `git worktree repair` empties the file before it writes: on a full disk it would stay empty, and
    git would prune the worktree. It leaves a right one alone.
    """
    named = (admin / "gitdir").read_bytes()
    if not named.strip() or named.startswith(b"/"):  # a relative one is left to git
        write_atomically(admin / "gitdir", os.fsencode(worktree / ".git") + b"\n")


def _mend(project: Project, kind: Kind, lease: Lease, seen: Seen) -> None:
    current = tied(lease, seen.path, seen.admin)._replace(branch=seen.branch)
    if kind == "refresh":
        project.pool.update(current)
    elif kind == "receipt":
        write_receipt(seen.admin, current)
        project.pool.update(current)
    elif kind == "env":
        furnish(project, current, seen.path)


def _adopt(project: Project, action: Action, seen: Seen) -> Action:
    """Give the worktree a lease: the one it tells of, or a new one."""
    if not is_dir(seen.admin):
        return action._replace(kind="keep", reason="removed meanwhile")
    told = seen.told if action.lease is not None else None
    fresh = Lease(action.adw_id, -1, {}, datetime.now(UTC), "active", os.urandom(16).hex())
    lease, notes = take_in(project, seen, told or fresh, keep_slot=told is not None)
    project.notices.extend(notes)
    return action._replace(slot=lease.slot, lease=lease)


def _reassign(project: Project, action: Action, lease: Lease, seen: Seen) -> Action:
    moved = project.pool.reassign(tied(lease, seen.path, seen.admin))
    settle(project, moved, seen)
    return action._replace(slot=moved.slot, lease=moved)
