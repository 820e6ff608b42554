"""The worktrees of a repository, each with its lease. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from adw_worktree.pool.lease import Lease
from adw_worktree.pool.verdict import Finding, Seen, standing_of
from adw_worktree.project import Project
from adw_worktree.repo.repository import (
    WorktreeEntry,
    admin_directories,
    worktree_of_admin,
    worktrees_of,
)
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists
from adw_worktree.system.ports import Listener, listeners
from adw_worktree.worktrees.heal import places_by_admin


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


def rows(project: Project, found: Sequence[tuple[Lease, Finding]] = ()) -> list[Row]:
    """Return every worktree of the repository and every lease without one, by slot.

    `found` is what the pass before it saw: those worktrees are not looked at again.
    """
    leases = project.pool.leases()
    seen = Seen(found)
    heard = listeners([port for lease in leases.values() for port in lease.ports.values()])
    entries = worktrees_of(project.repo)
    of_admin = {lease.admin_id: lease for lease in leases.values() if lease.admin_id is not None}
    of_path = {lease.path for lease in leases.values()}
    names = _names(project, entries[1:], found)
    shown = []
    for number, entry in enumerate(entries):
        if project.repo.is_spare(entry.path):
            continue
        lease = of_admin.pop(names.get(entry.path, ""), None)
        main = number == 0
        if lease is not None:
            finding = seen.finding(lease) or project.pool.finding(lease)
            shown.append(_row(project, lease, finding, heard, entry.branch))
        elif not (main and entry.bare) and str(entry.path) not in of_path:
            shown.append(_without_lease(entry, main))
    listed = {row.lease.adw_id for row in shown if row.lease}
    for lease in leases.values():
        if lease.adw_id not in listed:
            finding = seen.finding(lease) or project.pool.finding(lease)
            shown.append(_row(project, lease, finding, heard, lease.branch))
    return sorted(shown, key=lambda row: (not row.main, row.lease.slot if row.lease else 10_000))


def _names(
    project: Project, linked: Iterable[WorktreeEntry], found: Iterable[tuple[Lease, Finding]]
) -> dict[Path | None, str]:
    """Return git's names of the admin directories, by the worktrees that they name.

    Not by the worktrees' `.git` files: one may be lost, or a copy of another worktree's.
    """
    names: dict[Path | None, str] = {}
    names.update((path, admin) for admin, path in places_by_admin(found).items())
    if any(entry.path not in names for entry in linked):
        admins = admin_directories(project.repo.admin_root)
        names.update((worktree_of_admin(admin), admin.name) for admin in admins)
    return names


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


def _row(
    project: Project,
    lease: Lease,
    finding: Finding,
    heard: dict[int, list[Listener]],
    branch: str | None,
) -> Row:
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
