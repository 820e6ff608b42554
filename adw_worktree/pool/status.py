"""Who holds what on this machine, and what `status` says of it. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from adw_worktree.pool.holders import Holding, blocked_slots
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.pool import Pool
from adw_worktree.pool.verdict import Finding, Seen, Standing, judge, standing_of
from adw_worktree.settings.model import Settings
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.ports import Listener, listeners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WINDING_DOWN = "no process; its last connections wind down for up to a minute"
"""What is said of a port that nobody listens on, and that still cannot be bound (TIME_WAIT)."""


# ---- the pool ----------------------------------------------------------------------------------


class PoolState(NamedTuple):
    """Who holds what on this machine, at one moment."""

    total: int
    own: list[Holding]
    others: list[Holding]
    blocked: list[dict[str, Any]]
    """As `status` shows it: one for each port that a process holds though nobody leases it."""


def pool_state(pool: Pool, found: Iterable[tuple[Lease, Finding]] = ()) -> PoolState:
    """Look at the pool, the machine over.

    `found` is what the pass before it saw: those worktrees are not looked at again.
    """
    state = pool_holders(pool, found)
    return state._replace(blocked=_blocked(pool.settings, [*state.own, *state.others]))


def machine_state(pool: Pool) -> PoolState:
    """Look at the pool from outside of any repository."""
    state = machine_holders(pool)
    return state._replace(blocked=_blocked(pool.settings, state.others))


def machine_holders(pool: Pool) -> PoolState:
    """Return who holds what, nobody here; no port is looked at."""
    return PoolState(pool.settings.slots, [], held_elsewhere(pool), [])


def pool_holders(pool: Pool, found: Iterable[tuple[Lease, Finding]] = ()) -> PoolState:
    """Return who holds what, and nothing as blocked: no port is looked at."""
    seen = Seen(found)
    own = []
    for lease in pool.leases().values():
        finding = seen.finding(lease) or pool.finding(lease)
        standing = standing_of(lease, finding, pool.common_dir)
        own.append(Holding(lease, pool.ledger.path, pool.common_dir, standing))
    return PoolState(pool.settings.slots, own, held_elsewhere(pool), [])


def held_elsewhere(pool: Pool) -> list[Holding]:
    """Return what the other ledgers of this machine hold, and how it stands."""
    return [
        one._replace(standing=_standing(one.lease, one.common_dir)) if one.common_dir else one
        for one in pool.elsewhere(living=True)
    ]


def _standing(lease: Lease, common_dir: Path) -> Standing:
    return standing_of(lease, judge(lease, common_dir, None), common_dir)


def pool_status(pool: Pool) -> dict[str, Any]:
    """Return the pool as the JSON of `status` has it, the machine over."""
    return status_of(pool_state(pool))


def status_of(state: PoolState) -> dict[str, Any]:
    """Return what `status --json` says of the pool.

    `allocated` + `available` + the number of `blocked` slots is `total`: a lease of a slot beyond
    the pool, which was larger, does not count.
    """
    held = {holding.lease.slot for holding in [*state.own, *state.others]}
    allocated = sum(slot < state.total for slot in held)
    elsewhere: dict[str, dict[str, Any]] = {}
    for holding in sorted(state.others, key=_by_repository):
        elsewhere.setdefault(holding.repository, {})[holding.lease.adw_id] = allocation(holding)
    return {
        "allocated": allocated,
        "available": state.total - allocated - len({one["slot"] for one in state.blocked}),
        "total": state.total,
        "utilization_percent": round(100 * allocated / state.total, 1),
        "allocations": {holding.lease.adw_id: allocation(holding) for holding in state.own},
        "elsewhere": elsewhere,
        "blocked": state.blocked,
    }


def _by_repository(holding: Holding) -> tuple[str, int]:
    return holding.repository, holding.lease.slot


def allocation(holding: Holding) -> dict[str, Any]:
    """Return a lease as reports show it."""
    lease, standing = holding.lease, standing_in(holding)
    return {
        "slot": lease.slot,
        **lease.ports,
        "allocated_at": lease.allocated_at.isoformat(),
        "state": standing.state,
        "locked": standing.locked,
        "path": str(standing.path) if standing.path else None,
        "branch": lease.branch,
    }


def standing_in(holding: Holding) -> Standing:
    """Return how a lease stands; of a ledger without a repository, nothing is to be seen."""
    unseen = Finding("unknown", "reserved without a worktree")
    return holding.standing or standing_of(holding.lease, unseen, holding.common_dir)


def _blocked(settings: Settings, holdings: list[Holding]) -> list[dict[str, Any]]:
    """Return the slots whose ports are held although nobody leases them, and who holds them."""
    slots = blocked_slots(settings, holdings)
    heard = listeners([port for ports in slots.values() for port in ports]) if slots else {}
    return blocked_by(slots, heard)


def blocked_by(
    slots: Mapping[int, Sequence[int]], heard: Mapping[int, Sequence[Listener]]
) -> list[dict[str, Any]]:
    """Return blocked slots, given with their blocked ports, as `status` shows them."""
    shown = []
    for slot, ports in sorted(slots.items()):
        for port in ports:
            who = heard.get(port, [])
            pid, command = (who[0].pid, who[0].command) if who else (None, WINDING_DOWN)
            shown.append({"slot": slot, "port": port, "pid": pid, "command": command})
    return shown
