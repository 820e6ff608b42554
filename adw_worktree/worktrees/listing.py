"""The worktrees of a repository, each with its lease. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from adw_worktree.pool.lease import Lease
from adw_worktree.pool.verdict import Finding, standing_of
from adw_worktree.project import Project
from adw_worktree.repo.repository import (
    WorktreeEntry,
    admin_directories,
    list_worktrees,
    worktree_of_admin,
)
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists
from adw_worktree.system.ports import Listener, listeners


class Row(NamedTuple):
    """One worktree, one lease, or both."""

    state: str
    """`active`, `pending`, `reserved` (no worktree), `unknown` (not to be seen); without a lease
    `unmanaged`, or `gone` (git lists it, and there is no directory)."""
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
                found.append(_without_lease(entry, main))
            continue
        found.append(_row(project, lease, heard, entry.branch))
    shown = {row.lease.adw_id for row in found if row.lease}
    hidden = [lease for lease in leases.values() if lease.adw_id not in shown]
    found += [_row(project, lease, heard, lease.branch) for lease in hidden]
    return sorted(found, key=lambda row: (not row.main, row.lease.slot if row.lease else 10_000))


def _without_lease(entry: WorktreeEntry, main: bool) -> Row:
    locked = entry.locked is not None
    if main or _may_be_there(entry.path):
        return Row("unmanaged", entry.path, entry.branch, main=main, locked=locked)
    finding = Finding("gone", "git lists it, and there is no directory", entry.path)
    return Row("gone", entry.path, entry.branch, finding=finding, locked=locked)


def _may_be_there(worktree: Path) -> bool:
    try:
        return exists(worktree)
    except OSError:
        return True


def _is_pending(path: Path, leases: Iterable[Lease]) -> bool:
    return any(lease.path == str(path) for lease in leases)


def _row(
    project: Project,
    lease: Lease,
    heard: dict[int, list[Listener]],
    branch: str | None,
) -> Row:
    finding = project.pool.finding(lease)
    standing = standing_of(lease, finding, project.repo.common_dir)
    by_service = {name: heard[port] for name, port in lease.ports.items() if heard.get(port)}
    return Row(
        standing.state,
        standing.path,
        branch,
        lease,
        finding,
        by_service,
        locked=standing.locked,
    )
