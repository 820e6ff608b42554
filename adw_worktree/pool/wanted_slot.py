"""A slot that is asked for by its number, for an ADW that has one already."""

from __future__ import annotations

from adw_worktree.pool.holders import another_slot, require_available
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.pool import Pool


def require_slot(pool: Pool, lease: Lease, wanted: int | None, *, making: bool) -> None:
    """Raise unless `lease` has the slot that is asked for: any, if that is None.

    `making` says that a worktree was asked for. Raises UsageError with how to have that slot,
    SlotUnavailable if it is not to be had.
    """
    if wanted in (None, lease.slot):
        return
    others = pool.leases()
    others.pop(lease.adw_id, None)
    require_available(wanted, pool.settings, pool.holdings(others, {lease.token}))
    raise another_slot(lease, wanted, making=making)
