"""What there is: the repository's worktrees, and the pool of the whole machine. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from .errors import UnknownAdw
from .gitrepo import list_worktrees, worktree_of_admin
from .healing import heal
from .holdings import Holding, blocked_slots
from .model import LAST, Lease, Settings, check_adw_id
from .pool import Pool
from .ports import Listener, listeners
from .presence import is_dir
from .project import Project, open_project
from .receipts import admin_directories
from .verdict import Finding

WINDING_DOWN = "no process; its last connections wind down for up to a minute"
"""What is said of a port that nobody listens on, and that still cannot be bound (TIME_WAIT)."""


class Row(NamedTuple):
    """One worktree, one lease, or both."""

    state: str
    """`active`, `pending`, `reserved` (no worktree), `unknown` (not to be seen), `unmanaged`."""
    path: Path | None
    branch: str | None
    lease: Lease | None = None
    finding: Finding | None = None
    listening: Mapping[str, list[Listener]] = MappingProxyType({})
    """Who listens on the port of each service."""
    main: bool = False
    locked: bool = False


def rows(project: Project) -> list[Row]:
    """Return every worktree of the repository and every lease without one, by slot."""
    leases = project.pool.leases()
    heard = listeners([port for lease in leases.values() for port in lease.ports.values()])
    listed = list_worktrees(project.repo.home)
    entries = [entry for entry in listed if not project.repo.is_spare(entry.path)]
    of_admin = {lease.admin_id: lease for lease in leases.values() if lease.admin_id is not None}
    # Not by their `.git` files: one may be lost, or a copy of another worktree's.
    names = {worktree_of_admin(one): one.name for one in admin_directories(project.repo.admin_root)}
    found = []
    for entry in entries:
        lease = of_admin.pop(names.get(entry.path, ""), None)
        main = entry == entries[0]
        if lease is None:
            if not (main and entry.bare) and not _is_pending(entry.path, leases.values()):
                locked = entry.locked is not None
                found.append(Row("unmanaged", entry.path, entry.branch, main=main, locked=locked))
            continue
        found.append(_row(project, lease, heard, entry.branch, entry.locked is not None))
    shown = {row.lease.adw_id for row in found if row.lease}
    hidden = [lease for lease in leases.values() if lease.adw_id not in shown]
    found += [_row(project, lease, heard, lease.branch, False) for lease in hidden]
    return sorted(found, key=lambda row: (not row.main, row.lease.slot if row.lease else 10_000))


def _is_pending(path: Path, leases: Iterable[Lease]) -> bool:
    return any(lease.path == str(path) for lease in leases)


def _row(
    project: Project,
    lease: Lease,
    heard: dict[int, list[Listener]],
    branch: str | None,
    locked: bool,
) -> Row:
    finding = project.pool.finding(lease)
    if not lease.has_worktree:
        state = "reserved"
    elif lease.state == "pending":
        state = "pending"
    else:
        state = "active" if finding.verdict == "alive" else "unknown"
    by_service = {name: heard[port] for name, port in lease.ports.items() if heard.get(port)}
    path = finding.path or (Path(lease.path) if lease.path else None)
    return Row(state, path, branch, lease, finding, by_service, locked=locked)


def find_lease(directory: Path, adw_id: str | None) -> tuple[Project, Lease]:
    """Return the project that `directory` is in, healed, and the lease that is named there.

    Raises as `open_project` and `require_lease` do.
    """
    project = open_project(directory)
    heal(project)
    return project, require_lease(project, adw_id, directory)


def require_lease(project: Project, adw_id: str | None, directory: Path) -> Lease:
    """Return the lease of `adw_id`, `-` being the last one, or of the worktree `directory` is in.

    Raises InvalidAdwId, or UnknownAdw if there is none.
    """
    if adw_id == LAST:
        from .visits import last_visited

        return last_visited(project, project.pool.leases())
    if adw_id is not None:
        check_adw_id(adw_id)
    leases = project.pool.leases()
    if adw_id is not None:
        if adw_id in leases:
            return leases[adw_id]
        raise UnknownAdw(
            f"no ADW called {adw_id!r} in {project.repo.home}",
            hint="adw-worktree list",
        )
    current = project.current_lease(leases)
    if current is not None:
        return current
    raise UnknownAdw(
        f"{directory} is in no worktree that has a slot",
        hint="name the ADW, or go into its worktree",
    )


def require_path(project: Project, lease: Lease) -> Path:
    """Return where the worktree of `lease` is.

    Raises UnknownAdw if it has none, WorktreeUnavailable if it is out of sight.
    """
    finding = project.pool.finding(lease)
    if finding.path is None or not is_dir(finding.path):
        if lease.has_worktree and finding.verdict == "unknown":
            from .consent import unavailable

            raise unavailable(project, lease, finding)
        raise UnknownAdw(
            f"{lease.adw_id} has no worktree: {finding.reason}",
            hint=f"adw-worktree create {lease.adw_id}",
        )
    return finding.path


# ---- the pool ----------------------------------------------------------------------------------


class PoolState(NamedTuple):
    """Who holds what on this machine, at one moment."""

    total: int
    own: list[Holding]
    others: list[Holding]
    blocked: list[dict[str, Any]]
    """As `status` shows it: one for each port that a process holds though nobody leases it."""


def pool_state(pool: Pool) -> PoolState:
    """Look at the pool, the machine over."""
    state = pool_holders(pool)
    return state._replace(blocked=_blocked(pool.settings, [*state.own, *state.others]))


def pool_holders(pool: Pool) -> PoolState:
    """Return who holds what, and nothing as blocked: no port is looked at."""
    own = [Holding(lease, pool.ledger.path, pool.common_dir) for lease in pool.leases().values()]
    return PoolState(pool.settings.slots, own, pool.elsewhere(living=True), [])


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
        elsewhere.setdefault(holding.repository, {})[holding.lease.adw_id] = allocation(
            holding.lease
        )
    return {
        "allocated": allocated,
        "available": state.total - allocated - len({one["slot"] for one in state.blocked}),
        "total": state.total,
        "utilization_percent": round(100 * allocated / state.total, 1),
        "allocations": {holding.lease.adw_id: allocation(holding.lease) for holding in state.own},
        "elsewhere": elsewhere,
        "blocked": state.blocked,
    }


def _by_repository(holding: Holding) -> tuple[str, int]:
    return holding.repository, holding.lease.slot


def allocation(lease: Lease) -> dict[str, Any]:
    """Return a lease as reports show it."""
    return {
        "slot": lease.slot,
        **lease.ports,
        "allocated_at": lease.allocated_at.isoformat(),
        "state": lease.state if lease.has_worktree else "reserved",
        "path": lease.path,
        "branch": lease.branch,
    }


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
