"""The worktree that an ADW id or a path stands for, where one is to be removed."""

from __future__ import annotations

import os
from pathlib import Path

from adw_worktree.errors import UsageError
from adw_worktree.pool.ledger import Leases
from adw_worktree.project import Project
from adw_worktree.repo.repository import WorktreeEntry
from adw_worktree.repo.work import own_admin
from adw_worktree.system.paths import exists
from adw_worktree.worktrees.remove_checks import Target


def find_target(
    project: Project, target: str | Path, leases: Leases, entries: list[WorktreeEntry]
) -> Target | None:
    """Return what `target` stands for: first an ADW id, then a path; None if nothing."""
    lease = leases.get(target) if isinstance(target, str) else None
    if lease is not None:
        place = project.pool.finding(lease).path
        exact = [entry for entry in entries[1:] if entry.path == place]
        return Target(lease, exact[0], _inside(entries, exact[0])) if exact else Target(lease, None)
    place = place_of(target)
    entry = _entry_around(entries, place)
    if entry is None or not _is_meant(target, place, entry, entries[0]):
        return None
    if entry == entries[0]:
        raise UsageError(
            f"{entry.path} is the main worktree, which is never removed",
            hint="name an ADW: adw-worktree remove ADW_ID",
        )
    if project.repo.is_spare(entry.path):
        raise UsageError(f"{entry.path} is a spare", hint="adw-worktree spares drop")
    admin = own_admin(project.repo, entry.path)
    owners = [lease for lease in leases.values() if lease.admin_id == admin.name]
    return Target(owners[0] if owners else None, entry, _inside(entries, entry))


def place_of(target: str | Path) -> Path:
    """Return where `target` is as a path; below nothing if the working directory is gone."""
    try:
        return Path(target).absolute()
    except FileNotFoundError:
        return Path(os.devnull) / target


def _is_meant(target: str | Path, place: Path, entry: WorktreeEntry, main: WorktreeEntry) -> bool:
    """Whether `target` means the worktree around its place: one word only means that itself, or a
    mistyped ADW id would be taken for the worktree that its caller stands in."""
    if place.resolve() == entry.path.resolve():
        return True
    return entry != main and isinstance(target, Path) and exists(place)


def _inside(entries: list[WorktreeEntry], outer: WorktreeEntry) -> tuple[Path, ...]:
    """Return the worktrees in `outer`. Git ignores them there if their directory is ignored."""
    paths = [entry.path for entry in entries if entry != outer and exists(entry.path)]
    return tuple(path for path in paths if path.is_relative_to(outer.path))


def _entry_around(entries: list[WorktreeEntry], place: Path) -> WorktreeEntry | None:
    """Return the worktree that `place` is, or lies in; the innermost, since they may be nested."""
    real = place.resolve()
    holding = [entry for entry in entries if real.is_relative_to(entry.path.resolve())]
    return max(holding, key=lambda entry: len(entry.path.parts), default=None)
