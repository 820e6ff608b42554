"""What may be lost in a removal: each risk has a consent of its own, and is refused without it.

What holds here: nothing is changed. `force` is for uncommitted work, `delete_branch="always"` for
commits that are nowhere else, `unlock` for a locked worktree.
"""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from adw_worktree.errors import (
    DirtyWorktree,
    LockedWorktree,
    UnmergedBranch,
    WorktreeInside,
    WorktreeUnavailable,
)
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.verdict import Finding
from adw_worktree.project import Project
from adw_worktree.repo.integrated import is_integrated, is_on_a_ref
from adw_worktree.repo.refs import branch_commit
from adw_worktree.repo.repository import WorktreeEntry, admin_directory
from adw_worktree.repo.work import Uncommitted, own_admin
from adw_worktree.settings.approvals import require_trusted
from adw_worktree.system.mounts import require_unmounted
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists, is_dir
from adw_worktree.worktrees.files.own_files import work_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal


class Consent(NamedTuple):
    """What may be lost."""

    force: bool = False
    """Uncommitted work."""
    delete_branch: Literal["never", "integrated", "always"] = "never"
    unlock: bool = False
    """The lock that somebody put on the worktree."""
    stop: bool = False
    """Servers that run inside the worktree."""
    hooks: bool = True
    landed: str | None = None
    """The commit of the branch that the caller knows to be elsewhere: only there it is deleted."""

    @property
    def flags(self) -> list[str]:
        """What gives it on the command line."""
        given = {
            "--force": self.force,
            "-d": self.delete_branch == "integrated",
            "-D": self.delete_branch == "always",
            "--unlock": self.unlock,
            "--stop": self.stop,
            "--no-hooks": not self.hooks,
        }
        return [flag for flag, is_given in given.items() if is_given]


class Target(NamedTuple):
    """What a name or a directory stands for: a worktree, a lease, or both."""

    lease: Lease | None
    entry: WorktreeEntry | None
    inside: tuple[Path, ...] = ()
    """Other worktrees that lie inside this one."""

    @property
    def name(self) -> str:
        """How a person calls it, as a shell reads it."""
        return (
            self.lease.adw_id if self.lease else quote(str(self.entry.path if self.entry else "?"))
        )

    def with_flags(self, consent: Consent) -> str:
        """Return what follows `adw-worktree remove` for it to go with that consent."""
        return " ".join([self.name, *consent.flags])


def require_consent(
    project: Project, target: Target, entry: WorktreeEntry, consent: Consent
) -> Uncommitted | None:
    """Raise the refusal of what `consent` does not cover, if there is one.

    Returns what is uncommitted, None if that was not looked at.
    """
    if target.lease is not None:
        if target.lease.state == "pending":
            raise unavailable(project, target.lease, Finding("unknown", "in the making"))
        if consent.hooks:
            moments = ("pre-remove", "post-remove")
            require_trusted(project.settings, project.state_dir, project.repo.common_dir, moments)
    if target.inside:
        inside = quote(str(target.inside[0]))
        raise WorktreeInside(
            f"the worktree {target.inside[0]} lies inside {entry.path}",
            hint=f"adw-worktree remove {inside}, or git worktree move {inside} NEW_PATH",
        )
    if entry.locked is not None and not consent.unlock:
        why = f" ({entry.locked})" if entry.locked else ""
        missing = not exists(entry.path)
        enough = consent._replace(unlock=True, force=consent.force or missing)
        raise LockedWorktree(
            f"the worktree {entry.path} is locked{why}",
            hint=f"adw-worktree remove {target.with_flags(enough)}",
        )
    work: Uncommitted | None = None
    if not _may_unmount(project, target, consent):
        require_unmounted(entry.path)
    if exists(entry.path):
        admin = own_admin(project.repo, entry.path)
        work = None if consent.force else work_in(project, entry.path, admin)
        if work:
            raise dirty(project, target, entry, work, consent)
    elif target.lease is not None and not consent.force:
        raise unavailable(project, target.lease, project.pool.finding(target.lease), consent)
    _check_commits(project, target, entry, consent)
    return work


def _may_unmount(project: Project, target: Target, consent: Consent) -> bool:
    """Whether the user's own commands run first; what is still mounted after them is refused."""
    return consent.hooks and target.lease is not None and "pre-remove" in project.settings.hooks


def dirty(
    project: Project, target: Target, entry: WorktreeEntry, work: Uncommitted, consent: Consent
) -> DirtyWorktree:
    """Return the refusal of a worktree with uncommitted work."""
    lost, first = "", ""
    if admin_directory(entry.path) is None:  # a commit there would be one in the repository around
        lost = " has lost its .git file, and"
        first = f"git -C {quote(str(project.repo.home))} worktree repair, then "
    again = target.with_flags(consent._replace(force=True))
    return DirtyWorktree(
        f"the worktree {entry.path}{lost} has uncommitted work: {work}",
        hint=f"{first}commit it, or adw-worktree remove {again}; {_price(project, 'it')}",
    )


def _price(project: Project, them: Literal["it", "them"]) -> str:
    days = project.settings.trash_days
    lost = "it is lost then" if them == "it" else "they are lost then"
    return f"restore can bring {them} back for {days:g} days" if days else lost


def _check_commits(
    project: Project, target: Target, entry: WorktreeEntry, consent: Consent
) -> None:
    if consent.delete_branch == "always" or commits_are_elsewhere(project, entry, consent):
        return
    again = target.with_flags(consent._replace(delete_branch="always"))
    if entry.branch is None:
        head = str(entry.head)[:12]
        raise UnmergedBranch(
            f"the worktree {entry.path} is detached at {head}, a commit on no branch",
            hint=f"git branch NAME {head}, or adw-worktree remove {again}; {_price(project, 'it')}",
        )
    raise UnmergedBranch(
        f"branch {entry.branch} has commits that are nowhere else",
        hint="merge it, leave out -d to keep it, or "
        f"adw-worktree remove {again}; {_price(project, 'them')}",
    )


def commits_are_elsewhere(project: Project, entry: WorktreeEntry, consent: Consent) -> bool:
    """Whether every commit of the worktree has a name when it is gone as the caller wants it."""
    if entry.branch is None:
        return entry.head is None or is_on_a_ref(project.repo, entry.head)
    if consent.delete_branch == "never":
        return True
    if (
        consent.landed is not None
        and branch_commit(project.repo.home, entry.branch) == consent.landed
    ):
        return True
    return is_integrated(project.repo, entry.branch, project.settings.base)


def unavailable(
    project: Project, lease: Lease, finding: Finding, consent: Consent | None = None
) -> WorktreeUnavailable:
    """Return the refusal of a worktree that is neither there nor gone."""
    if lease.state == "pending":
        return WorktreeUnavailable(
            f"another process is making the worktree of {lease.adw_id}",
            hint="wait until it is done, and repeat",
        )
    return WorktreeUnavailable(
        f"the worktree of {lease.adw_id} is in doubt: {finding.reason}",
        hint=way_out(project, lease, finding, consent or Consent()),
    )


def way_out(
    project: Project, lease: Lease, finding: Finding, consent: Consent | None = None
) -> str:
    """Return what a person does about a worktree that is neither there nor gone."""
    given, admin = consent or Consent(), project.repo.admin_root / (lease.admin_id or "none")
    locked = exists(admin / "locked")
    again = Target(lease, None).with_flags(
        given._replace(force=True, unlock=given.unlock or locked)
    )
    if finding.moved_to is not None:
        back = "adw-worktree reconcile"
    elif finding.path is not None and is_dir(finding.path) and is_dir(admin):
        back = f"git -C {quote(str(project.repo.home))} worktree repair"
    elif finding.path is not None and is_dir(finding.path):
        back = f"take what you need out of {quote(str(finding.path))}: git has no entry of it now"
    else:
        back = f"bring {quote(str(finding.path or lease.path))} back"
    return f"{back}, or to give it up: adw-worktree remove {again}"
