"""`adopt`: take in a worktree that plain git, or another tool, made."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from adw_worktree.adw_id import check_adw_id
from adw_worktree.errors import InvalidAdwId, UnknownAdw, UsageError, WorktreeUnavailable
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import Leases
from adw_worktree.pool.receipts import load_receipt, write_receipt
from adw_worktree.project import Project
from adw_worktree.repo.repository import WorktreeEntry, list_worktrees
from adw_worktree.repo.work import require_linked
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists
from adw_worktree.worktrees.files.furnish import furnish
from adw_worktree.worktrees.heal import heal
from adw_worktree.worktrees.linked import seen_at
from adw_worktree.worktrees.reconcile_plan import Seen, free_name
from adw_worktree.worktrees.remove_checks import unavailable
from adw_worktree.worktrees.take_in import id_taken, take_in


class Adopted(NamedTuple):
    """A worktree with a lease, and whether this call gave it that."""

    adopted: bool
    lease: Lease
    env_file: Path
    notes: list[str]


def adopt(
    project: Project, target: str, adw_id: str | None = None, *, directory: Path | None = None
) -> Adopted:
    """Give the worktree that `target` names a slot, a receipt and an env file.

    `target` is a path, seen from `directory`, or the name of the worktree's directory or branch.
    `adw_id` is what it is to be called; None: by the name in `target`, or by its directory's. A
    worktree that has a slot keeps it. Raises AdwError subclasses, with nothing changed.
    """
    if adw_id is not None:
        check_adw_id(adw_id)
    heal(project)
    leases = project.pool.leases()
    held = leases.get(target)
    if held is not None and held.has_worktree:
        return _again(project, held, adw_id)
    entry = _find(project, target, directory or Path.cwd(), leases)
    seen = _look_at(project, entry)
    held = next((one for one in leases.values() if one.admin_id == seen.admin.name), None)
    if held is not None:
        return _again(project, held, adw_id)
    name = adw_id or _name_for(target, entry, seen, leases)
    present = leases.get(name)
    if present is not None and present.has_worktree:
        raise id_taken(entry.path, name)
    wanted = (seen.told or _fresh(name))._replace(adw_id=name)
    keeps = seen.told is not None and present is None
    lease, notes = take_in(project, seen, wanted, keep_slot=keeps, reserved=present)
    return Adopted(True, lease, entry.path / project.settings.env_file, notes)


def unmanaged(project: Project, name: str, leases: Leases) -> WorktreeEntry | None:
    """Return the worktree without a lease whose directory or branch is called `name`.

    None if there is no such one, or more than one.
    """
    found = _called(list_worktrees(project.repo.home), name, leases, project)
    if len(found) != 1 or not exists(found[0].path) or seen_at(project, found[0]) is None:
        return None
    return found[0]


def _again(project: Project, lease: Lease, adw_id: str | None) -> Adopted:
    """Return the lease that the worktree has; write again what is missing beside it."""
    if adw_id not in (None, lease.adw_id):
        raise UsageError(
            f"{lease.path} is the worktree of {lease.adw_id} already",
            hint=f"adw-worktree rename {lease.adw_id} {adw_id}",
        )
    finding = project.pool.finding(lease)
    if lease.state == "pending" or finding.verdict != "alive" or finding.path is None:
        raise unavailable(project, lease, finding)
    lease = lease._replace(path=str(finding.path))
    admin = project.repo.admin_root / str(lease.admin_id)
    if load_receipt(admin) is None:
        write_receipt(admin, lease)
    notes = furnish(project, lease, finding.path)
    return Adopted(False, lease, finding.path / project.settings.env_file, notes)


def _fresh(adw_id: str) -> Lease:
    return Lease(adw_id, -1, {}, datetime.now(UTC), "active", os.urandom(16).hex())


def _name_for(target: str, entry: WorktreeEntry, seen: Seen, leases: Leases) -> str:
    """Return what the worktree is called where nobody says."""
    if target in (entry.path.name, entry.branch):
        try:
            check_adw_id(target)
            return target
        except InvalidAdwId:
            pass
    if seen.told is not None and seen.told.adw_id not in leases:
        return seen.told.adw_id
    return free_name(entry.path.name, set(leases))


def _find(project: Project, target: str, directory: Path, leases: Leases) -> WorktreeEntry:
    """Return git's entry of the worktree that `target` names. Raises UnknownAdw, UsageError."""
    entries = list_worktrees(project.repo.home)
    place = (directory / target).resolve()
    exact = [entry for entry in entries if entry.path.resolve() == place]
    if exact and exact[0] == entries[0]:
        raise UsageError(
            f"{exact[0].path} is the main worktree, which has no slot",
            hint="make a worktree with one: adw-worktree create ADW_ID",
        )
    if exact and project.repo.is_spare(exact[0].path):
        raise UsageError(
            f"{exact[0].path} is a spare", hint="have it taken: adw-worktree create ADW_ID"
        )
    called = [entry for entry in entries[1:] if target in (entry.path.name, entry.branch)]
    found = exact or _called(entries, target, leases, project) or called
    if len(found) > 1:
        names = ", ".join(str(entry.path) for entry in found)
        raise UsageError(
            f"{target} is the name of several worktrees: {names}",
            hint=f"adw-worktree adopt {quote(str(found[0].path))}",
        )
    if not found:
        raise UnknownAdw(
            f"no worktree of {project.repo.home} is at {place}, or called {target}",
            hint="adw-worktree list",
        )
    return found[0]


def _called(
    entries: list[WorktreeEntry], name: str, leases: Leases, project: Project
) -> list[WorktreeEntry]:
    """Return the linked worktrees without a lease whose directory or branch has that name."""
    held = {lease.path for lease in leases.values()}
    return [
        entry
        for entry in entries[1:]
        if name in (entry.path.name, entry.branch)
        and str(entry.path) not in held
        and not project.repo.is_spare(entry.path)
    ]


def _look_at(project: Project, entry: WorktreeEntry) -> Seen:
    """Return the worktree as it is found. Raises WorktreeUnavailable."""
    home = quote(str(project.repo.home))
    if not exists(entry.path):
        raise WorktreeUnavailable(
            f"git lists {entry.path}, but there is no such directory",
            hint=f"git -C {home} worktree prune, or bring it back",
        )
    require_linked(project.repo, entry.path)
    seen = seen_at(project, entry)
    if seen is None:
        raise WorktreeUnavailable(
            f"{entry.path} belongs to another repository", hint=f"git -C {home} worktree list"
        )
    return seen
