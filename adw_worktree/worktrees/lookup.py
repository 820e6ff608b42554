"""Find a lease, its worktree's path, and the other projects of this machine."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from shlex import quote

from adw_worktree.adw_id import LAST, check_adw_id
from adw_worktree.errors import AdwError, UnknownAdw
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import Leases
from adw_worktree.project import Project, machine_pool, open_project, project_of
from adw_worktree.repo.find import repository_at
from adw_worktree.system.paths import is_dir
from adw_worktree.worktrees.heal import heal


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
        from adw_worktree.worktrees.last_used import last_visited

        return last_visited(project, project.pool.leases())
    leases = project.pool.leases()
    if adw_id is not None:
        if adw_id in leases:
            return leases[adw_id]
        other = _unmanaged(project, adw_id, leases)
        if other is not None:
            raise UnknownAdw(
                f"the worktree {other} has no slot, and is no ADW yet",
                hint=f"adw-worktree adopt {quote(str(other))}",
            )
        meant = _meant(adw_id, leases)
        if meant is None:
            check_adw_id(adw_id)
        also = f"; did you mean {meant}?" if meant is not None else ""
        raise UnknownAdw(
            f"no ADW called {adw_id!r} in {project.repo.home}{also}",
            hint="adw-worktree list",
        )
    current = project.current_lease(leases)
    if current is not None:
        return current
    here = project.repo.worktree
    hint = "name the ADW, or go into its worktree"
    if here not in (None, project.repo.main):
        hint = f"adw-worktree adopt {quote(str(here))}, or name the ADW"
    raise UnknownAdw(f"{directory} is in no worktree that has a slot", hint=hint)


def _unmanaged(project: Project, name: str, leases: Leases) -> Path | None:
    """Return the worktree without a lease whose directory or branch is called `name`."""
    from adw_worktree.worktrees.adopt import unmanaged

    entry = unmanaged(project, name, leases)
    return entry.path if entry is not None else None


def _meant(name: str, leases: Leases) -> str | None:
    """Return the ADW id that `name` is probably a slip for, or whose branch it is."""
    from difflib import get_close_matches

    on_branch = [lease.adw_id for lease in leases.values() if lease.branch == name]
    return next(iter(on_branch or get_close_matches(name, leases, n=1)), None)


def require_path(project: Project, lease: Lease) -> Path:
    """Return where the worktree of `lease` is.

    Raises UnknownAdw if it has none, WorktreeUnavailable if it is out of sight.
    """
    finding = project.pool.finding(lease)
    if finding.path is None or not is_dir(finding.path):
        if lease.has_worktree and finding.verdict == "unknown":
            from adw_worktree.worktrees.remove_checks import unavailable

            raise unavailable(project, lease, finding)
        raise UnknownAdw(
            f"{lease.adw_id} has no worktree: {finding.reason}",
            hint=f"adw-worktree create {lease.adw_id}",
        )
    return finding.path


def other_projects(project: Project | None, notes: list[str]) -> list[Project]:
    """Return the other projects of the registry, all of them if there is no `project`; add to
    `notes` those that cannot be opened."""
    own = project.repo.common_dir if project else None
    pool = project.pool if project else machine_pool()
    found = []
    for entry in sorted(pool.neighbours(), key=attrgetter("common_dir")):
        if entry.common_dir == own or not is_dir(entry.common_dir):
            continue
        try:
            found.append(project_of(repository_at(entry.common_dir)))
        except AdwError as exc:
            notes.append(f"{entry.common_dir}: {exc.message}")
    return found
