"""`remove`: servers, worktree, lease, branch. Refuses before it changes anything.

Each risk has its own flag: `force` for uncommitted work, `delete_branch="always"` for commits that
are nowhere else, `unlock` for a locked worktree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from . import trash
from .errors import (
    DirtyWorktree,
    HookFailed,
    LockedWorktree,
    ServersRunning,
    UnknownAdw,
    UnmergedBranch,
    UsageError,
    WorktreeUnavailable,
)
from .gitrepo import (
    WorktreeEntry,
    admin_directory,
    branch_commit,
    list_worktrees,
    worktree_of_admin,
)
from .healing import Healed, heal
from .model import Lease
from .ports import Listener, listeners, stop_servers
from .project import Project
from .receipts import RECEIPT, admin_directories
from .retire import Retired, remove_empty_parent, retire
from .userhooks import require_trusted, run_hooks
from .verdict import Finding
from .workstate import Uncommitted, is_integrated, is_on_a_ref, uncommitted
from .worktrees import drop_branch, remove_worktree, upstream_of


@dataclass(frozen=True, slots=True)
class Consent:
    """What may be lost."""

    force: bool = False
    """Uncommitted work."""
    delete_branch: Literal["never", "integrated", "always"] = "never"
    unlock: bool = False
    """The lock that somebody put on the worktree."""
    stop: bool = False
    """Servers that run inside the worktree."""
    hooks: bool = True


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal did."""

    removed: bool
    """Whether there was a worktree to remove."""
    adw_id: str | None
    path: Path | None
    released: Lease | None
    branch_deleted: str | None
    stopped: list[Listener] = field(default_factory=list)
    listening: list[Listener] = field(default_factory=list)
    """Servers that still hold a port of the slot."""
    kept: trash.Entry | None = None
    """What `restore` can bring back, since it held work."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Target:
    """What a name or a directory stands for: a worktree, a lease, or both."""

    lease: Lease | None
    entry: WorktreeEntry | None

    @property
    def name(self) -> str:
        return self.lease.adw_id if self.lease else str(self.entry.path if self.entry else "?")


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
    found = _find(project, target)
    if found is None:
        return _already_gone(project, target, healed)
    if found.entry is None:
        return _release_only(project, found.lease, consent)
    _check(project, found, found.entry, consent)
    return _remove(project, found, found.entry, consent, output)


def _remove(
    project: Project, target: _Target, entry: WorktreeEntry, consent: Consent, output: int | None
) -> Removed:
    lease, notes = target.lease, []
    if lease is not None:
        _run_hooks(project, "pre-remove", lease, entry.path, consent, output)
    stopped, listening = _stop(lease, entry.path, consent)
    if entry.path.exists():
        gone = _retire(project, target, entry, consent)
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


def _retire(project: Project, target: _Target, entry: WorktreeEntry, consent: Consent) -> Retired:
    """Take the worktree away; it is kept for a while if it holds what is nowhere else."""
    # Once more, since hooks and servers ran after the first look.
    work = uncommitted(entry.path)
    if work and not consent.force:
        raise _dirty(project, target, entry, work)
    lost = bool(work) or not _commits_are_elsewhere(project, entry, consent)
    kept = lost and project.settings.trash_days > 0
    return retire(project, _describe(project, target.lease, entry, consent, kept), target.lease)


def _drop_entry(
    project: Project, lease: Lease | None, entry: WorktreeEntry, consent: Consent
) -> Retired:
    """Take a worktree whose directory is missing off git's list."""
    described = _describe(project, lease, entry, consent, kept=False)
    remove_worktree(project.repo, entry.path, force=True, unlock=consent.unlock)
    remove_empty_parent(project, entry.path)
    if lease is not None:
        project.pool.release(lease)
    branch, commit = described.branch, described.branch_dropped_at
    dropped = branch is not None and commit is not None
    return Retired(described, dropped and drop_branch(project.repo, str(branch), str(commit)))


def _describe(
    project: Project, lease: Lease | None, entry: WorktreeEntry, consent: Consent, kept: bool
) -> trash.Entry:
    admin = admin_directory(entry.path) or _listed_admin(project, entry)
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


# ---- what is meant -----------------------------------------------------------------------------


def _find(project: Project, target: str | Path) -> _Target | None:
    """Return what `target` stands for: first an ADW id, then a path; None if nothing."""
    leases = project.pool.leases()
    entries = list_worktrees(project.repo.home)
    lease = leases.get(target) if isinstance(target, str) else None
    if lease is not None:
        place = project.pool.finding(lease).path
        exact = [entry for entry in entries[1:] if entry.path == place]
        return _Target(lease, exact[0] if exact else None)
    place = Path(target).absolute()
    entry = entry_around(entries, place)
    if entry is None or (entry == entries[0] and place.resolve() != entry.path.resolve()):
        return None
    if entry == entries[0]:
        raise UsageError(
            f"{entry.path} is the main worktree, which is never removed",
            hint="name an ADW, as in adw-worktree remove fix-login",
        )
    admin = admin_directory(entry.path)
    owners = [lease for lease in leases.values() if admin and lease.admin_id == admin.name]
    return _Target(owners[0] if owners else None, entry)


def entry_around(entries: list[WorktreeEntry], place: Path) -> WorktreeEntry | None:
    """Return the worktree that `place` is, or lies in; the innermost, since they may be nested."""
    real = place.resolve()
    holding = [entry for entry in entries if real.is_relative_to(entry.path.resolve())]
    return max(holding, key=lambda entry: len(entry.path.parts), default=None)


def _already_gone(project: Project, target: str | Path, healed: Healed) -> Removed:
    """Report a lease that the first pass released; raise UnknownAdw if there was none."""
    gone = [lease for lease, _ in healed.released] + healed.undone + healed.removed
    for lease in gone:
        if lease.adw_id == target or lease.path == str(Path(target).absolute()):
            return Removed(False, lease.adw_id, None, lease, None)
    raise UnknownAdw(
        f"no ADW and no worktree in {project.repo.home} goes by {str(target)!r}",
        hint="adw-worktree list shows those that there are",
    )


def _release_only(project: Project, lease: Lease | None, consent: Consent) -> Removed:
    """Release a lease that git has no worktree for, if that is not merely out of sight."""
    assert lease is not None
    finding = project.pool.finding(lease)
    if lease.has_worktree and not consent.force:
        raise _unavailable(lease, finding)
    if lease.admin_id is not None:
        # Or a ledger that is lost later would be rebuilt with the lease that was given up.
        (project.repo.admin_root / lease.admin_id / RECEIPT).unlink(missing_ok=True)
    project.pool.release(lease, doubtful=lease.has_worktree)
    return Removed(False, lease.adw_id, None, lease, None)


def _unavailable(lease: Lease, finding: Finding) -> WorktreeUnavailable:
    if lease.state == "pending":
        return WorktreeUnavailable(
            f"another process is making the worktree of {lease.adw_id}",
            hint="wait until it is done",
        )
    return WorktreeUnavailable(
        f"the worktree of {lease.adw_id} is not known to be gone: {finding.reason}",
        hint=f"adw-worktree reconcile, or adw-worktree remove {lease.adw_id} --force to give it up",
    )


# ---- what may not be lost ----------------------------------------------------------------------


def _check(project: Project, target: _Target, entry: WorktreeEntry, consent: Consent) -> None:
    """Raise the refusal, if there is one. Changes nothing."""
    if target.lease is not None:
        if target.lease.state == "pending":
            raise _unavailable(target.lease, Finding("unknown", "in the making"))
        if consent.hooks:
            moments = ("pre-remove", "post-remove")
            require_trusted(project.settings, project.state_dir, project.repo.common_dir, moments)
    again = f"adw-worktree remove {target.name}"
    if entry.locked is not None and not consent.unlock:
        why = f" ({entry.locked})" if entry.locked else ""
        raise LockedWorktree(f"the worktree {entry.path} is locked{why}", hint=f"{again} --unlock")
    if entry.path.exists():
        work = None if consent.force else uncommitted(entry.path)
        if work:
            raise _dirty(project, target, entry, work)
    elif target.lease is not None and not consent.force:
        raise _unavailable(target.lease, project.pool.finding(target.lease))
    _check_commits(project, entry, consent, again)


def _dirty(
    project: Project, target: _Target, entry: WorktreeEntry, work: Uncommitted
) -> DirtyWorktree:
    days = project.settings.trash_days
    price = f"; restore can bring it back for {days:g} days" if days else " to lose it"
    return DirtyWorktree(
        f"the worktree {entry.path} has uncommitted work: {work}",
        hint=f"commit it, or adw-worktree remove {target.name} --force{price}",
    )


def _check_commits(project: Project, entry: WorktreeEntry, consent: Consent, again: str) -> None:
    if consent.delete_branch == "always" or _commits_are_elsewhere(project, entry, consent):
        return
    if entry.branch is None:
        head = str(entry.head)[:12]
        raise UnmergedBranch(
            f"the worktree {entry.path} is detached at {head}, a commit on no branch",
            hint=f"git branch NAME {head}, or {again} -D to lose it",
        )
    raise UnmergedBranch(
        f"branch {entry.branch} has commits that are nowhere else",
        hint=f"merge it, leave out -d to keep it, or {again} -D to lose them",
    )


def _commits_are_elsewhere(project: Project, entry: WorktreeEntry, consent: Consent) -> bool:
    """Whether every commit of the worktree has a name when it is gone as the caller wants it."""
    if entry.branch is None:
        return entry.head is None or is_on_a_ref(project.repo, entry.head)
    if consent.delete_branch == "never":
        return True
    return is_integrated(project.repo, entry.branch, project.settings.base)


# ---- what goes ---------------------------------------------------------------------------------


def _stop(
    lease: Lease | None, worktree: Path, consent: Consent
) -> tuple[list[Listener], list[Listener]]:
    """End the servers inside the worktree, if asked to; return those ended and those left."""
    if lease is None:
        return [], []
    found = [one for group in listeners(set(lease.ports.values())).values() for one in group]
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
    users = [one for one in list_worktrees(project.repo.home) if one.branch == entry.branch]
    return branch_commit(project.repo.home, entry.branch) if len(users) == 1 else None


def _listed_admin(project: Project, entry: WorktreeEntry) -> Path:
    """Return git's admin directory of a listed worktree that does not say it itself."""
    for admin in admin_directories(project.repo.admin_root):
        if worktree_of_admin(admin) == entry.path:
            return admin
    raise WorktreeUnavailable(
        f"git lists {entry.path}, but its .git file does not lead back",
        hint=f"git worktree repair {entry.path}",
    )


def _run_hooks(
    project: Project, moment: str, lease: Lease, cwd: Path, consent: Consent, output: int | None
) -> None:
    if consent.hooks:
        variables = project.hook_variables(lease)
        run_hooks(moment, project.settings, cwd=cwd, variables=variables, output=output)
