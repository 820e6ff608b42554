"""Leases for worktrees that have none: those that lost theirs, and those made by plain git.

What holds here: any number of them costs one write of the ledger, or a few; one that fails stops no
other. No lock is held while a worktree's own files are written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from adw_worktree.errors import AdwError
from adw_worktree.pool.claims import Answer, Claim
from adw_worktree.pool.lease import Lease, ports_of
from adw_worktree.pool.ledger import tied
from adw_worktree.pool.receipts import write_receipt
from adw_worktree.project import Project
from adw_worktree.system.paths import is_dir
from adw_worktree.worktrees.files.exclude import ensure_excluded
from adw_worktree.worktrees.files.furnish import furnish
from adw_worktree.worktrees.reconcile_plan import Action, Seen
from adw_worktree.worktrees.take_in import require_env_file_free

Done = tuple[Action, AdwError | OSError | None]
"""An action as it was done, and why it failed, if it did."""

_MOST_AT_ONCE = 500
"""Others wait for the machine's lock while so many receipts are written: some milliseconds."""


def adopt(project: Project, actions: Sequence[Action]) -> Iterator[Done]:
    """Give each worktree a lease: the one that it tells of, or a new one."""
    for start in range(0, len(actions), _MOST_AT_ONCE):
        yield from _adopt_together(project, actions[start : start + _MOST_AT_ONCE])


def settle(project: Project, lease: Lease, seen: Seen) -> None:
    """Write what tells of a lease into its worktree. Raises AdwError, OSError."""
    write_receipt(seen.admin, lease)
    furnish(project, lease, seen.path)


def _adopt_together(project: Project, actions: Sequence[Action]) -> Iterator[Done]:
    claims: list[tuple[Action, Seen, Claim]] = []
    for action in actions:
        seen = action.seen
        if seen is None or not is_dir(seen.admin):
            yield action._replace(kind="keep", reason="removed meanwhile"), None
            continue
        try:
            leave_receipt = partial(write_receipt, seen.admin, synced=False)
            claims.append((action, seen, claim_of(project, action, seen, leave_receipt)))
        except (AdwError, OSError) as exc:
            yield action, exc
    if not claims:
        return
    try:
        ensure_excluded(project, *(seen.path for _, seen, _ in claims))
        answers = project.pool.adopt([claim for _, _, claim in claims])
    except (AdwError, OSError) as exc:
        yield from ((action, exc) for action, _, _ in claims)
        return
    yield from answered(claims, answers, partial(settle, project))


def answered(
    claims: Sequence[tuple[Action, Seen, Claim]],
    answers: Sequence[Answer],
    settle: Callable[[Lease, Seen], object],
) -> Iterator[Done]:
    """Yield what became of each claim; `settle` finishes what got its own lease."""
    for (action, seen, claim), answer in zip(claims, answers, strict=True):
        if not isinstance(answer, Lease):
            yield action, answer
            continue
        try:
            _require_own(answer, claim.lease, seen)
            settle(answer, seen)
        except (AdwError, OSError) as exc:
            yield action, exc
        else:
            yield action._replace(slot=answer.slot, lease=answer), None


def claim_of(
    project: Project, action: Action, seen: Seen, leave_receipt: Callable[[Lease], None]
) -> Claim:
    """Return what is asked of the pool for a worktree.

    Raises AdwError or OSError if the worktree cannot be adopted.
    """
    require_env_file_free(project, seen)
    told = seen.told if action.lease is not None else None
    fresh = Lease(action.adw_id, -1, {}, datetime.now(UTC), "active", os.urandom(16).hex())
    lease = tied(told or fresh, seen.path, seen.admin)._replace(state="active", new_branch_at=None)
    if told is not None and not told.ports:
        lease = lease._replace(ports=ports_of(told.slot, project.settings.services))
    return Claim(lease, told is not None, leave_receipt)


def _require_own(lease: Lease, wanted: Lease, seen: Seen) -> None:
    """Raise AdwError if another's lease stands in the way of the one that was wanted."""
    if lease.token == wanted.token:
        return
    if lease.adw_id != wanted.adw_id:
        raise AdwError(
            f"{seen.path} cannot be adopted: it got another lease meanwhile, as {lease.adw_id}",
            hint="adw-worktree reconcile",
        )
    raise AdwError(
        f"{seen.path} cannot be adopted: another lease is called {lease.adw_id}",
        hint=f"adw-worktree release {lease.adw_id}, if that is a reservation not needed",
    )
