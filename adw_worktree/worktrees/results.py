"""Results of operations as JSON documents have them; `adw_worktree.documents` has their models.

Plain dictionaries, so that a command prints one without loading pydantic. `schema_version` and, for
what succeeds or fails as a whole, `ok` are added where a document is printed.
"""

from __future__ import annotations

from collections.abc import Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adw_worktree.pool.lease import Lease
    from adw_worktree.project import Project
    from adw_worktree.system.ports import Listener
    from adw_worktree.worktrees.adopt import Adopted
    from adw_worktree.worktrees.create import Created
    from adw_worktree.worktrees.listing import Row
    from adw_worktree.worktrees.lock import Locked
    from adw_worktree.worktrees.reconcile_plan import Action, Reconciled
    from adw_worktree.worktrees.remove import Removed
    from adw_worktree.worktrees.remove_several import RemovedSeveral
    from adw_worktree.worktrees.rename import Renamed
    from adw_worktree.worktrees.restore import Restored
    from adw_worktree.worktrees.trash import Entry
    from adw_worktree.worktrees.watch import Released, Trouble, Watching

    Document = dict[str, Any]


def created(made: Created) -> Document:
    """Return the document of `create`."""
    return {
        "created": made.created,
        **_worktree_of(made.lease),
        "base": made.base,
        "base_commit": made.base_commit,
        "env_file": str(made.env_file),
        "database": made.lease.database,
    }


def adopted(done: Adopted) -> Document:
    """Return the document of `adopt`."""
    return {"adopted": done.adopted, **_worktree_of(done.lease), "env_file": str(done.env_file),
            "database": done.lease.database}  # fmt: skip


def restored(back: Restored) -> Document:
    """Return the document of `restore ADW_ID`."""
    return {"restored": True, **_worktree_of(back.lease), "env_file": str(back.env_file),
            "database": back.lease.database}  # fmt: skip


def renamed(done: Renamed) -> Document:
    """Return the document of `rename`."""
    return {"renamed": done.renamed, "from": done.old, **_worktree_of(done.lease)}


def reserved(lease: Lease, *, created: bool) -> Document:
    """Return the document of `reserve`."""
    return {"created": created, "adw_id": lease.adw_id, **slot_and_ports(lease)}


def released(lease: Lease) -> Document:
    """Return the document of `release`."""
    return {"adw_id": lease.adw_id, "released": slot_and_ports(lease)}


def locked(done: Locked) -> Document:
    """Return the document of `lock` and `unlock`."""
    return {"adw_id": done.lease.adw_id, "path": str(done.path), "locked": done.locked}


def removed(gone: Removed, trash_days: float) -> Document:
    """Return the document of `remove` of one worktree; `trash_days` is the setting."""
    return {
        "removed": gone.removed,
        "adw_id": gone.adw_id,
        "path": str(gone.path) if gone.path else None,
        "released": slot_and_ports(gone.released) if gone.released else None,
        "branch_deleted": gone.branch_deleted,
        "database_dropped": gone.database_dropped,
        "kept_until": kept_until(gone, trash_days),
        "stopped": [_server(one) for one in gone.stopped],
        "listening": [_server(one) for one in gone.listening],
    }


def kept_until(gone: Removed, trash_days: float) -> str | None:
    """Return the time until which `restore` has a removed worktree; None if it was not kept."""
    from adw_worktree.worktrees.trash import kept_until as until

    return until(gone.kept, trash_days).isoformat() if gone.kept else None


def removed_several(done: RemovedSeveral, trash_days: float) -> Document:
    """Return the document of `remove` of several worktrees."""
    refused = [
        {"target": target, "error": error.as_document()} for target, error in done.refused.items()
    ]
    return {
        "ok": not refused,
        "error": refused[0]["error"] if refused else None,
        "removals": [removed(gone, trash_days) for gone in done.removed],
        "refused": refused,
    }


def kept(entry: Entry, trash_days: float) -> Document:
    """Return an entry of the trash as the document of `restore` lists it."""
    from adw_worktree.worktrees.trash import kept_until as until

    return {
        "name": entry.name,
        "adw_id": entry.adw_id,
        "branch": entry.branch,
        "commit": entry.commit,
        "path": entry.path,
        "removed_at": entry.removed_at,
        "kept_until": until(entry, trash_days).isoformat(),
    }


def listed(project: Project, row: Row) -> Document:
    """Return a worktree as the document of `list` has it."""
    lease = row.lease
    return {
        "adw_id": lease.adw_id if lease else None,
        "slot": lease.slot if lease else None,
        "ports": dict(lease.ports) if lease else None,
        "path": str(row.path) if row.path else None,
        "branch": row.branch,
        "state": row.state,
        "main": row.main,
        "locked": row.locked,
        "reason": row.finding.reason if row.finding else None,
        "allocated_at": lease.allocated_at.isoformat() if lease else None,
        "repository": str(project.repo.home),
        "listening": [
            {"service": name, **_server(one)}
            for name, servers in row.listening.items()
            for one in servers
        ],
    }


def reconciled(passes: Sequence[tuple[Project, Reconciled]], *, dry_run: bool) -> Document:
    """Return the document of `reconcile`, over the passes of one or more repositories."""
    failed = [
        {**_action(project, action), "error": error.as_document()}
        for project, done in passes
        for action, error in done.failed
    ]
    return {
        "ok": not failed,
        "error": failed[0]["error"] if failed else None,
        "dry_run": dry_run,
        **{
            heading: [
                _action(project, action)
                for project, done in passes
                for action in getattr(done, heading)
            ]
            for heading in ("released", "kept", "repaired", "adopted")
        },
        "failed": failed,
    }


def watched(event: Watching | Released | Trouble) -> Document:
    """Return an event of `watch` as a line of its output has it."""
    from adw_worktree.worktrees.watch import Released, Watching

    match event:
        case Watching(repositories):
            return {"event": "watching", "repositories": [str(path) for path in repositories]}
        case Released(lease, repository, reason):
            return {
                "event": "released",
                "adw_id": lease.adw_id,
                **slot_and_ports(lease),
                "path": lease.path,
                "repository": str(repository),
                "reason": reason,
            }
        case _:
            return {
                "event": "trouble",
                "repository": str(event.repository) if event.repository else None,
                "error": event.error.as_document(),
            }


def slot_and_ports(lease: Lease) -> Document:
    """Return a lease's slot, and its ports by service."""
    return {"slot": lease.slot, "ports": dict(lease.ports)}


def _worktree_of(lease: Lease) -> Document:
    return {
        "adw_id": lease.adw_id,
        **slot_and_ports(lease),
        "path": lease.path,
        "branch": lease.branch,
    }


def _server(one: Listener) -> Document:
    return {"port": one.port, "pid": one.pid, "command": one.command}


def _action(project: Project, action: Action) -> Document:
    return {
        "adw_id": action.adw_id,
        "slot": action.slot,
        "action": action.kind,
        "verdict": _verdict(action),
        "reason": action.reason,
        "path": str(action.path) if action.path else None,
        "repository": str(project.repo.home),
    }


def _verdict(action: Action) -> str:
    """Return the verdict behind an action."""
    if action.kind in ("release", "prune"):
        return "gone" if action.lease is not None and action.lease.has_worktree else "unknown"
    if action.kind in ("move", "undo"):
        return "unknown"
    return "alive" if action.seen is not None else "unknown"
