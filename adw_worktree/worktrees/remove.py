"""`remove`: servers, worktree, lease, branch. Refuses before it changes anything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from adw_worktree.errors import (
    AdwError,
    FileUnusable,
    HookFailed,
    ServersRunning,
    UnknownAdw,
)
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.receipts import RECEIPT
from adw_worktree.project import Project
from adw_worktree.repo.branches import upstream_of
from adw_worktree.repo.integrated import is_begun, is_integrated
from adw_worktree.repo.refs import branch_commit
from adw_worktree.repo.repository import WorktreeEntry, admin_directory, worktrees_of
from adw_worktree.repo.work import Uncommitted, held_by_entry, own_admin
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.mounts import require_unmounted
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.parallel import side_by_side
from adw_worktree.system.paths import exists
from adw_worktree.system.ports import Listener, busy_ports, listeners
from adw_worktree.system.servers import stop_servers
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.files.own_files import work_in
from adw_worktree.worktrees.files.variables import hook_variables
from adw_worktree.worktrees.heal import Healed, heal
from adw_worktree.worktrees.remove_checks import (
    Consent,
    Target,
    commits_are_elsewhere,
    dirty,
    require_consent,
    unavailable,
)
from adw_worktree.worktrees.remove_steps import Retired, retire
from adw_worktree.worktrees.remove_target import find_target, place_of
from adw_worktree.worktrees.user_hooks import run_hooks


class Removed(NamedTuple):
    """What a removal did."""

    removed: bool
    """Whether there was a worktree to remove."""
    adw_id: str | None
    path: Path | None
    """Of the worktree, or of what stays where git knew none any more."""
    released: Lease | None
    branch_deleted: str | None
    stopped: Sequence[Listener] = ()
    listening: Sequence[Listener] = ()
    """Servers that still hold a port of the slot."""
    kept: trash.Entry | None = None
    """What `restore` can bring back, since it held work."""
    notes: Sequence[str] = ()
    database_dropped: str | None = None


def remove(
    project: Project,
    target: str | Path,
    consent: Consent | None = None,
    *,
    output: int | None = None,
) -> Removed:
    """Take back the worktree and the lease that `target`, an ADW id or a path, stands for.

    A lease whose worktree is gone already is released. `output` is a file descriptor for what
    hooks print. Raises UnknownAdw, or a subclass of Refused with nothing changed.
    """
    consent = consent or Consent()
    healed = heal(project)
    found = find_target(project, target, project.pool.leases(), worktrees_of(project.repo))
    if found is None:
        return _already_gone(project, target, healed)
    _require_undone(found, healed)
    if found.entry is None:
        gone = _release_only(project, found.lease, consent)
    else:
        work = require_consent(project, found, found.entry, consent)
        gone = _remove(project, found, found.entry, work, consent, output)
    return _without_database(project, gone)


class Prospect(NamedTuple):
    """What would become of one of several."""

    target: str | Path
    refusal: AdwError | None


def foresee(
    project: Project,
    targets: Sequence[str | Path],
    consent: Consent,
    *,
    healed: Healed | None = None,
    output: int | None = None,
) -> list[Prospect]:
    """Return which of `targets` would be removed, and why the others would not. Changes nothing.

    Each is looked through by git, side by side; `output` is as for `side_by_side`. `healed` is what
    the pass before it did.
    """
    leases, entries = project.pool.leases(), worktrees_of(project.repo)

    def look(target: str | Path) -> Prospect:
        try:
            found = find_target(project, target, leases, entries)
            if found is not None and healed is not None:
                _require_undone(found, healed)
            if found is not None and found.entry is not None:
                require_consent(project, found, found.entry, consent)
        except AdwError as exc:
            return Prospect(target, exc)
        return Prospect(target, None if found is not None else _unknown(project, target))

    return side_by_side(look, targets, output=output)


def merged(project: Project, *, output: int | None = None) -> list[str]:
    """Return the ADWs whose branches have been worked on, with all of it integrated elsewhere.

    `output` is as for `side_by_side`.
    """
    leases = [
        lease
        for lease in project.pool.leases().values()
        if lease.branch is not None and lease.state == "active" and lease.has_worktree
    ]
    are_merged = side_by_side(lambda lease: _is_merged(project, lease), leases, output=output)
    return [lease.adw_id for lease, is_merged in zip(leases, are_merged, strict=True) if is_merged]


def _is_merged(project: Project, lease: Lease) -> bool:
    branch = str(lease.branch)
    # One that was only made is integrated, too: somebody may be about to begin.
    base = project.settings.base
    return is_begun(project.repo, branch, base) and is_integrated(project.repo, branch, base)


def _remove(
    project: Project,
    target: Target,
    entry: WorktreeEntry,
    work: Uncommitted | None,
    consent: Consent,
    output: int | None,
) -> Removed:
    lease, notes, ran = target.lease, [], False
    admin = own_admin(project.repo, entry.path)
    if exists(entry.path):
        _relink(entry.path, admin)
    if lease is not None:
        ran = _run_hooks(project, "pre-remove", lease, entry.path, consent, output)
    stopped, listening = _stop(lease, entry.path, consent)
    require_unmounted(entry.path)
    if exists(entry.path):
        if work is None or ran or stopped:
            work = work_in(project, entry.path, admin)  # hooks and servers may have left some
        gone = _retire(project, target, entry, work, consent)
    else:
        gone = _drop_entry(project, lease, entry, consent)
    if gone.left is not None:
        notes.append(f"some files could not be deleted; what is left lies in {gone.left}")
    if lease is not None:
        try:
            _run_hooks(project, "post-remove", lease, project.repo.home, consent, output)
        except HookFailed as exc:
            notes.append(exc.message)
    trash.purge(project.repo, project.settings.trash_days)
    return Removed(
        removed=True,
        adw_id=lease.adw_id if lease else None,
        path=entry.path,
        released=lease,
        branch_deleted=entry.branch if gone.branch_deleted else None,
        stopped=stopped,
        listening=listening,
        kept=gone.entry if gone.entry.kept else None,
        notes=notes,
    )


def _retire(
    project: Project, target: Target, entry: WorktreeEntry, work: Uncommitted, consent: Consent
) -> Retired:
    """Take the worktree away; it is kept for a while if it holds what is nowhere else."""
    if work and not consent.force:
        raise dirty(project, target, entry, work, consent)
    lost = bool(work) or not commits_are_elsewhere(project, entry, consent)
    kept = lost and project.settings.trash_days > 0
    return retire(project, _describe(project, target.lease, entry, consent, kept), target.lease)


def _drop_entry(
    project: Project, lease: Lease | None, entry: WorktreeEntry, consent: Consent
) -> Retired:
    """Take a worktree whose directory is missing off git's list."""
    held = held_by_entry(project.repo, own_admin(project.repo, entry.path))
    kept = bool(held) and project.settings.trash_days > 0
    return retire(project, _describe(project, lease, entry, consent, kept), lease)


def _describe(
    project: Project, lease: Lease | None, entry: WorktreeEntry, consent: Consent, kept: bool
) -> trash.Entry:
    admin = own_admin(project.repo, entry.path)
    dropped_at = _doomed_branch(project, entry, consent)
    return trash.Entry(
        name=trash.new_name(lease.adw_id if lease else None),
        path=str(entry.path),
        admin_id=admin.name,
        commit=entry.head,
        branch=entry.branch,
        adw_id=lease.adw_id if lease else None,
        token=lease.token if lease else None,
        slot=lease.slot if lease else None,
        branch_dropped_at=dropped_at,
        upstream=upstream_of(project.repo, str(entry.branch)) if dropped_at else None,
        removed_at=trash.now(),
        kept=kept,
    )


def _without_database(project: Project, gone: Removed) -> Removed:
    """Drop the database that went with it, or keep it with what `restore` can bring back."""
    if gone.released is None or gone.released.database is None:
        return gone
    if project.settings.postgres is None:
        name = gone.released.database
        note = f"the database {name} stays, as no [postgres] is set now: dropdb {quote(name)}"
        return gone._replace(notes=[*gone.notes, note])
    from adw_worktree.worktrees.database import drop_leaked

    removed = gone.released if gone.removed else None
    dropped = gone.released.database in drop_leaked(project, removed)
    return gone._replace(database_dropped=gone.released.database if dropped else None)


# ---- what is meant -----------------------------------------------------------------------------


def _require_undone(target: Target, healed: Healed) -> None:
    """Raise what keeps the work of a dead `create` from being undone."""
    if target.lease is not None and target.lease.token in healed.failed:
        raise healed.failed[target.lease.token]


def _already_gone(project: Project, target: str | Path, healed: Healed) -> Removed:
    """Report a lease that the first pass released; raise UnknownAdw if there was none."""
    gone = [lease for lease, _ in healed.released] + healed.undone + healed.removed
    for lease in gone:
        if lease.adw_id == target or lease.path == str(place_of(target)):
            return _without_worktree(lease, Path(lease.path) if lease.path else None)
    raise _unknown(project, target)


def _unknown(project: Project, target: str | Path) -> UnknownAdw:
    return UnknownAdw(
        f"no ADW and no worktree in {project.repo.home} goes by {str(target)!r}",
        hint="adw-worktree list",
    )


def _release_only(project: Project, lease: Lease | None, consent: Consent) -> Removed:
    """Release a lease that git has no worktree for, if that is not merely out of sight."""
    assert lease is not None
    finding = project.pool.finding(lease)
    if lease.has_worktree and not consent.force:
        raise unavailable(project, lease, finding, consent)
    if lease.admin_id is not None:
        # Or a ledger that is lost later would be rebuilt with the lease that was given up.
        receipt = project.repo.admin_root / lease.admin_id / RECEIPT
        try:
            receipt.unlink(missing_ok=True)
        except OSError as exc:
            raise FileUnusable.because(f"the receipt {receipt} cannot be removed", exc) from exc
    project.pool.release(lease, doubtful=lease.has_worktree)
    return _without_worktree(lease, finding.path)


def _without_worktree(lease: Lease, path: Path | None) -> Removed:
    """Return what is said of a lease whose worktree git did not know any more."""
    is_there = path is not None and os.path.lexists(path)
    return Removed(False, lease.adw_id, path if is_there else None, lease, None)


# ---- what goes ---------------------------------------------------------------------------------


def _stop(
    lease: Lease | None, worktree: Path, consent: Consent
) -> tuple[list[Listener], list[Listener]]:
    """End the servers inside the worktree, if asked to; return those ended and those left."""
    if lease is None:
        return [], []
    ports = set(lease.ports.values())
    # The ports are this worktree's: asking for them is in nobody's way, and quicker than to look
    # through the machine's connections.
    heard = listeners(ports) if busy_ports(ports) else {}
    found = [one for group in heard.values() for one in group]
    if not consent.stop or not found:
        return [], found
    stopped, left = stop_servers(found, worktree)
    inside = [one for one in left if one.cwd and Path(one.cwd).is_relative_to(worktree.resolve())]
    if inside:
        names = ", ".join(f"{one.command} (pid {one.pid})" for one in inside)
        raise ServersRunning(f"cannot end {names} on the ports of {lease.adw_id}",
                             hint="end it, and repeat")  # fmt: skip
    return stopped, left


def _doomed_branch(project: Project, entry: WorktreeEntry, consent: Consent) -> str | None:
    """Return the commit of the branch that goes with the worktree; None if none does."""
    if entry.branch is None or consent.delete_branch == "never":
        return None
    users = [one for one in worktrees_of(project.repo) if one.branch == entry.branch]
    if len(users) != 1:
        return None
    return consent.landed or branch_commit(project.repo.home, entry.branch)


def _relink(worktree: Path, admin: Path) -> None:
    """Write the `.git` file that is lost, or hooks would work on the repository around it."""
    if admin_directory(worktree) is not None:
        return
    try:
        write_atomically(worktree / ".git", b"gitdir: " + os.fsencode(admin) + b"\n")
    except OSError as exc:
        raise FileUnusable.because(f"{worktree}/.git cannot be written", exc) from exc


def _run_hooks(
    project: Project, moment: str, lease: Lease, cwd: Path, consent: Consent, output: int | None
) -> bool:
    """Run the user's commands for that moment; return whether there were any."""
    if not consent.hooks or moment not in project.settings.hooks:
        return False
    variables = hook_variables(project, lease)
    run_hooks(moment, project.settings, cwd=cwd, variables=variables, output=output)
    return True
