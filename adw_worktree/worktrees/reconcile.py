"""`reconcile`: compare leases with git's worktrees, and mend what differs.

`plan_reconciliation` is pure: what was seen goes in, the actions come out. `reconcile` looks, plans
and applies. A lease is released only if its worktree is gone; what cannot be read is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

from adw_worktree.errors import AdwError, FileUnusable, GitFailed
from adw_worktree.pool.holders import Holding
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import Leases, names_slot
from adw_worktree.project import Project
from adw_worktree.repo.repository import worktree_of_admin
from adw_worktree.repo.work import held_by_entries
from adw_worktree.worktrees import spares, trash
from adw_worktree.worktrees.create_lock import abandoned
from adw_worktree.worktrees.heal import heal, stale_entries
from adw_worktree.worktrees.linked import look
from adw_worktree.worktrees.reconcile_plan import (
    Action,
    Reconciled,
    plan_reconciliation,
)
from adw_worktree.worktrees.reconcile_steps import apply_actions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

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
    if dry_run:
        from adw_worktree.worktrees.reconcile_preview import preview_actions

        done = preview_actions(project, actions, leases, findings)
    else:
        done = apply_actions(project, actions)
    for action, failure in done:
        if failure is None:
            result.file(action)
            continue
        if isinstance(failure, OSError):
            place = action.path or action.adw_id
            failure = FileUnusable.because(f"{place} cannot be mended", failure)
        result.failed.append((action, failure))
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
    rivals: dict[tuple[str, int], list[Holding]] = {}
    for holding in project.pool.elsewhere():
        if holding.lease.state == "active":
            for held in _slot_and_ports(holding.lease):
                rivals.setdefault(held, []).append(holding)

    def loses(lease: Lease) -> bool:
        others = chain.from_iterable(rivals.get(held, ()) for held in _slot_and_ports(lease))
        return any(
            lease.token != other.lease.token and _yields(project, lease, other) for other in others
        )

    return [lease.adw_id for lease in leases.values() if rivals and loses(lease)]


def _slot_and_ports(lease: Lease) -> list[tuple[str, int]]:
    return [("slot", lease.slot), *(("port", port) for port in lease.ports.values())]


def _yields(project: Project, lease: Lease, other: Holding) -> bool:
    def rank(claim: Lease) -> tuple[bool, datetime, str]:
        return (not names_slot(claim, project.settings), claim.allocated_at, claim.token)

    return rank(lease) > rank(other.lease)


def _prune_actions(project: Project) -> list[Action]:
    stale = stale_entries(project)
    held = held_by_entries(project.repo, [admin for admin, _ in stale])
    reason = "git still lists its worktree, which is gone"
    return [
        Action("prune", lease.adw_id, None, reason, worktree_of_admin(admin), lease)
        for (admin, lease), only_there in zip(stale, held, strict=True)
        if not only_there
    ]


def _undo_action(lease: Lease) -> Action:
    path = Path(lease.path) if lease.path else None
    return Action("undo", lease.adw_id, lease.slot, "its create died half-way", path, lease)


def _finish_action(project: Project, name: str, way: trash.Way) -> Action:
    entry = trash.load(trash.place(project.repo, name, way))
    path = Path(entry.path) if entry else None
    adw_id = (entry.adw_id if entry else None) or name
    return Action("finish", adw_id, None, f"{way} it was interrupted", path)
